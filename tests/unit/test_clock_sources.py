"""Which servers are asked, and which daemon is found configured."""

from __future__ import annotations

import pytest

from nodecheck.model.clock import Discipline, TimeConfiguration
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.node import Platform
from nodecheck.model.time_server import parse_server
from nodecheck.probes.clock_sources import SERVER_LIMIT, discover
from nodecheck.records import replace
from tests.fake_host import FakeFiles, fake_host

CHRONY = b"""\
# comment
! another
confdir /etc/chrony/conf.d
sourcedir /run/chrony-dhcp
pool 2.debian.pool.ntp.org iburst maxsources 4
Server ntp1.example.com port 1123 iburst # fast
peer fd00::7
server 127.0.0.1
server
driftfile /var/lib/chrony/chrony.drift
makestep 1 3
"""


def found(
    files: dict[str, bytes | ProbeError], *configured: str, is_ec2: bool = False
) -> TimeConfiguration:
    return discover(fake_host(FakeFiles(files)), configured, is_ec2=is_ec2)


def names(configuration: TimeConfiguration) -> list[str]:
    return [server.name for server in configuration.servers]


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("time.example.com", "time.example.com", 123),
        (" 10.0.0.1:1123 ", "10.0.0.1", 1123),
        ("fd00:ec2::123", "fd00:ec2::123", 123),
        ("[fd00:ec2::123]", "fd00:ec2::123", 123),
        ("[::1]:65535", "::1", 65535),
    ],
)
def test_servers_as_operators_write_them(text: str, host: str, port: int) -> None:
    server = parse_server(text)
    assert (server.host, server.port) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":123",
        "a:",
        "a:0",
        "a:65536",
        "a:x",
        "a:\N{ARABIC-INDIC DIGIT ONE}",
        "a b",
        "[::1",
        "u@h",
        "http://a",
    ],
)
def test_what_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected host"):
        parse_server(text)


def test_named_servers_stand_alone() -> None:
    configuration = found({"/etc/chrony.conf": CHRONY}, "a", "b:1", "a", is_ec2=True)
    assert names(configuration) == ["a", "b:1"]
    assert configuration.discipline is Discipline.CHRONY


def test_ec2_has_amazon_time_sync_with_one_operator() -> None:
    configuration = found({}, is_ec2=True)
    assert names(configuration) == ["169.254.169.123", "fd00:ec2::123"]
    assert {server.operator for server in configuration.servers} == {"amazon"}
    assert configuration.discipline is Discipline.NONE


def test_elsewhere_time_aws_com_is_asked() -> None:
    assert names(found({})) == ["time.aws.com"]


def test_chrony_with_its_folders() -> None:
    configuration = found(
        {
            "/etc/chrony/chrony.conf": CHRONY,
            "/etc/chrony/conf.d/a.conf": b"server in.confdir\n",
            "/etc/chrony/conf.d/a.bak": b"server no.such\n",
            "/run/chrony-dhcp/eth0.sources": b"server 10.9.9.9 iburst\n",
        },
    )
    assert names(configuration) == [
        "in.confdir",
        "10.9.9.9",
        "2.debian.pool.ntp.org",
        "ntp1.example.com:1123",
        "fd00::7",
        "time.aws.com",
    ]
    assert [server.is_pool for server in configuration.servers[2:4]] == [True, False]


def test_amazon_is_not_asked_twice_where_the_node_follows_it() -> None:
    line = b"server 169.254.169.123 prefer iburst minpoll 4 maxpoll 4\n"
    configuration = found({"/etc/chrony.conf": line}, is_ec2=True)
    assert names(configuration) == ["169.254.169.123", "fd00:ec2::123"]


def test_timesyncd_and_its_drop_ins() -> None:
    main = b"[Time]\n#NTP=\nFallbackNTP=fallback.example\n"
    assert names(found({"/etc/systemd/timesyncd.conf": main}))[0] == "fallback.example"
    drop_in = b"[Time]\nNTP=a.example b.example\n"
    files: dict[str, bytes | ProbeError] = {
        "/etc/systemd/timesyncd.conf": main,
        "/etc/systemd/timesyncd.conf.d/x.conf": drop_in,
    }
    configuration = found(files)
    assert names(configuration)[:2] == ["a.example", "b.example"]
    assert configuration.discipline is Discipline.TIMESYNCD


def test_an_empty_assignment_empties_the_list_of_timesyncd() -> None:
    main = b"NTP=old\nNTP=\nNTP=new\n"
    assert names(found({"/etc/systemd/timesyncd.conf": main}))[0] == "new"


def test_ntpd_without_its_reference_clocks() -> None:
    text = b"server 127.127.1.0\nserver -4 x\npool 0.pool.ntp.org iburst\n"
    configuration = found({"/etc/ntp.conf": text})
    assert names(configuration) == ["0.pool.ntp.org", "time.aws.com"]
    assert configuration.discipline is Discipline.NTPD


def test_the_number_of_servers_is_bounded() -> None:
    text = "".join(f"server s{number}\n" for number in range(500)).encode()
    assert len(names(found({"/etc/chrony.conf": text}))) == SERVER_LIMIT
    assert names(found({"/etc/chrony.conf": text}))[-1] == "time.aws.com"


def test_folders_that_name_themselves_end() -> None:
    text = b"confdir /etc/chrony/conf.d\nserver a\n"
    files: dict[str, bytes | ProbeError] = {
        "/etc/chrony/chrony.conf": text,
        "/etc/chrony/conf.d/loop.conf": text,
    }
    assert names(found(files))[0] == "a"


def test_chrony_includes_one_file_but_follows_no_pattern() -> None:
    text = b"include /etc/chrony/more.conf\ninclude /etc/chrony/*.conf\n"
    files: dict[str, bytes | ProbeError] = {
        "/etc/chrony/chrony.conf": text,
        "/etc/chrony/more.conf": b"server included\n",
    }
    assert names(found(files))[0] == "included"


def test_a_folder_that_cannot_be_listed_is_told() -> None:
    files: dict[str, bytes | ProbeError] = {"/etc/chrony.conf": b"confdir conf.d\nserver a\n"}
    files |= {f"/etc/conf.d/{number}.conf": b"" for number in range(100)}
    configuration = found(files)
    assert names(configuration)[0] == "a"
    assert len(configuration.unread) == 1


def test_what_could_not_be_read_is_told() -> None:
    configuration = found({"/etc/chrony.conf": Denied("/etc/chrony.conf: no permission")})
    assert configuration.unread == ("/etc/chrony.conf: no permission",)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00server", b"server", b"server x port y z"])
def test_damaged_files_name_no_server(content: bytes) -> None:
    assert names(found({"/etc/chrony.conf": content})) == ["time.aws.com"]


def test_windows_is_disciplined_by_w32time() -> None:
    host = replace(fake_host(), platform=Platform("windows", "Windows Server 2022", "AMD64"))
    assert discover(host, (), is_ec2=True).discipline is Discipline.W32TIME
