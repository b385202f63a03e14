"""The proxy of the agent's service: drop-ins, the snap's, upstart's, and whose environment wins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.model.agent_proxy import AgentProxy
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.node import Platform
from nodecheck.model.unit_file import UNIT_FOLDERS
from nodecheck.probes.agent_proxy import look, read_assignments
from nodecheck.records import replace
from tests.fake_host import FakeFiles, fake_host

UNIT = "amazon-ssm-agent.service"
ETC = f"/etc/systemd/system/{UNIT}.d"
DROP_IN = b"""\
[Service]
# as AWS documents it
Environment="http_proxy=http://squid:3128"
Environment="https_proxy=http://user:p%%40ss@squid:3128"
Environment="no_proxy=169.254.169.254"
"""


def found(files: dict[str, bytes | ProbeError]) -> AgentProxy:
    return look(fake_host(FakeFiles(files)))


def setting(value: str) -> bytes:
    return f"[Service]\nEnvironment={value}\n".encode()


def test_a_drop_in_as_aws_documents_it() -> None:
    path = f"{ETC}/override.conf"
    expected = AgentProxy("http://user:p%40ss@squid:3128", "169.254.169.254", path)
    assert found({path: DROP_IN}) == expected


def test_the_snap_has_a_unit_of_its_own() -> None:
    path = "/etc/systemd/system/snap.amazon-ssm-agent.amazon-ssm-agent.service.d/override.conf"
    assert found({path: DROP_IN}).source == path


def test_upstarts_override() -> None:
    text = b"env http_proxy=http://a:1\nenv https_proxy=http://b:2\nenv no_proxy=169.254.169.254\n"
    proxy = found({"/etc/init/amazon-ssm-agent.override": text})
    assert (proxy.https_proxy, proxy.no_proxy) == ("http://b:2", "169.254.169.254")


def test_later_drop_ins_win_and_an_empty_one_takes_all_back() -> None:
    files: dict[str, bytes | ProbeError] = {
        f"{ETC}/10-a.conf": setting("https_proxy=http://a:1"),
        f"/run/systemd/system/{UNIT}.d/20-b.conf": setting("https_proxy=http://b:2"),
    }
    assert found(files).https_proxy == "http://b:2"
    assert found({**files, f"{ETC}/30-c.conf": setting("")}) == AgentProxy()


def test_a_drop_in_in_etc_replaces_its_namesake() -> None:
    name = f"{UNIT}.d/proxy.conf"
    files: dict[str, bytes | ProbeError] = {
        f"/usr/lib/systemd/system/{name}": setting("https_proxy=http://vendor:1"),
        f"/etc/systemd/system/{name}": setting("https_proxy=http://admin:2"),
    }
    assert found(files).https_proxy == "http://admin:2"


def test_the_unit_file_itself_and_only_the_highest() -> None:
    files: dict[str, bytes | ProbeError] = {
        f"/usr/lib/systemd/system/{UNIT}": setting("https_proxy=http://low:1"),
        f"/etc/systemd/system/{UNIT}": setting("HTTPS_PROXY=http://high:2"),
    }
    assert found(files).https_proxy == "http://high:2"


@pytest.mark.parametrize("folder", UNIT_FOLDERS)
def test_every_folder_of_systemd_is_read(folder: str) -> None:
    path = f"{folder}/{UNIT}.d/a.conf"
    assert found({path: setting("https_proxy=http://a:1")}).source == path
    assert (
        found({f"{folder}/{UNIT}": setting("https_proxy=http://a:1")}).https_proxy == "http://a:1"
    )


def test_a_drop_in_of_all_services_counts_less_than_its_own_namesake() -> None:
    files: dict[str, bytes | ProbeError] = {
        "/etc/systemd/system/service.d/proxy.conf": setting("https_proxy=http://all:1"),
        f"/usr/lib/systemd/system/{UNIT}": b"[Service]\nExecStart=/x\n",
    }
    assert found(files).https_proxy == "http://all:1"
    own = f"/usr/lib/systemd/system/{UNIT}.d/proxy.conf"
    assert found({**files, own: setting("https_proxy=http://own:2")}).https_proxy == "http://own:2"


def test_an_environment_file_wins_over_the_unit_and_the_manager() -> None:
    manager = b"[Manager]\nDefaultEnvironment=https_proxy=http://m:1 no_proxy=a.com\n"
    files: dict[str, bytes | ProbeError] = {
        "/etc/systemd/system.conf": manager,
        f"/usr/lib/systemd/system/{UNIT}": b"[Service]\nExecStart=/x\n",
    }
    assert found(files) == AgentProxy("http://m:1", "a.com", "/etc/systemd/system.conf")
    drop_in = setting("https_proxy=http://u:2") + b"EnvironmentFile=-/etc/default/ssm\n"
    files[f"{ETC}/a.conf"] = drop_in
    assert found(files).https_proxy == "http://u:2"
    files["/etc/default/ssm"] = b"# https_proxy=http://no:4\nhttps_proxy='http://f:3'\n;x\n"
    assert found(files) == AgentProxy("http://f:3", "a.com", "/etc/default/ssm")


def test_a_pattern_of_environment_files_is_noted() -> None:
    drop_in = b"[Service]\nEnvironmentFile=/etc/proxy.d/*.env\n"
    assert found({f"{ETC}/a.conf": drop_in}).unread == (
        "/etc/proxy.d/*.env: patterns are not followed",
    )


def test_the_bundle_that_the_service_trusts() -> None:
    assert found({f"{ETC}/a.conf": setting("SSL_CERT_FILE=/etc/own.pem")}).ca_file == "/etc/own.pem"


def test_the_managers_defaults_without_an_agent_are_nobodys() -> None:
    manager = b"[Manager]\nDefaultEnvironment=https_proxy=http://m:1\n"
    assert found({"/etc/systemd/system.conf": manager}) == AgentProxy()


def test_go_reads_capitals_first() -> None:
    text = setting('"https_proxy=http://small:1" "HTTPS_PROXY=http://large:2"')
    assert found({f"{ETC}/a.conf": text}).https_proxy == "http://large:2"


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[Service]\nEnvironment", setting('"unclosed'), setting("https_proxy")],
)
def test_damaged_files_name_no_proxy(content: bytes) -> None:
    assert found({f"{ETC}/a.conf": content}) == AgentProxy()


def test_what_cannot_be_read_is_noted() -> None:
    path = f"{ETC}/a.conf"
    assert found({path: Denied(f"{path}: permission denied")}).unread == (
        f"{path}: permission denied",
    )


def test_too_many_drop_ins_are_noted() -> None:
    files: dict[str, bytes | ProbeError] = {f"{ETC}/{n}.conf": b"" for n in range(101)}
    assert "more than 100 entries" in found(files).unread[0]


def test_other_platforms_keep_it_elsewhere() -> None:
    host = replace(fake_host(), platform=Platform("windows", "Windows", "AMD64"))
    assert look(host) == AgentProxy()


@given(st.text())
def test_the_reader_of_assignments_never_crashes(value: str) -> None:
    assert isinstance(read_assignments(value), dict)


@pytest.mark.parametrize(
    ("own", "proxy", "is_own"),
    [
        ({"https_proxy": "http://mine:1"}, "http://agent:2", True),
        ({"HTTPS_PROXY": "http://mine:1", "NO_PROXY": "*"}, "http://agent:2", True),
        ({"HTTPS_PROXY": "", "NO_PROXY": "*"}, "http://agent:2", False),
        ({"NO_PROXY": "*", "AWS_CA_BUNDLE": "/x"}, "http://agent:2", False),
        ({"NO_PROXY": "*"}, "", True),
    ],
)
def test_our_own_proxy_wins(own: dict[str, str], proxy: str, *, is_own: bool) -> None:
    effective = AgentProxy(proxy, "169.254.169.254").environment(own)
    if is_own:
        assert effective == own
        return
    kept = {name: own[name] for name in own if name == "AWS_CA_BUNDLE"}
    assert effective == {**kept, "https_proxy": proxy, "no_proxy": "169.254.169.254"}
