"""W32Time: its output in every language, its registry, and what follows for clock.discipline."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.checks import clock_discipline, clock_fix
from nodecheck.host.door import ToolOutput
from nodecheck.host.w32time_settings import W32Reader
from nodecheck.model.clock import ClockPolicy, Discipline
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.w32time import parse_peers
from nodecheck.model.w32time_status import parse_status
from nodecheck.model.windows_service import StartType
from nodecheck.probes import clock_sources, clock_w32time
from tests.discipline_builders import measured
from tests.fake_host import FakeClock
from tests.w32time_node import (
    ENGLISH,
    KEY,
    LANGUAGES,
    LOST,
    NTP_NODE,
    POLICY,
    STOPPED,
    VALUES,
    W32TM,
    node,
    status,
    w32time,
)
from tests.windows_builders import TypedRegistry, service

if TYPE_CHECKING:
    from nodecheck.host.door import Host
    from nodecheck.model.verdict import Verdict
    from tests.windows_builders import Value

FILETIME_1970 = 116_444_736_000_000_000
HOUR_S = 3600.0


def judge(host: Host, offset_s: float | None = 0.001, *, is_ec2: bool = True) -> Verdict:
    found = clock_w32time.look(host, (), is_ec2=is_ec2)
    clock = None if offset_s is None else measured(offset_s)
    return clock_discipline.judge(found, clock, ClockPolicy())


def reasons(verdict: Verdict) -> list[str]:
    return [finding.reason for finding in verdict.findings]


def told(verdict: Verdict) -> dict[str, object]:
    return {item.name: item.value for item in verdict.evidence}


def without(*names: str, **changes: Value) -> dict[str, Value]:
    found = {path: value for path, value in NTP_NODE.items() if path.split("\\")[-1] not in names}
    for name, value in changes.items():
        path = next(path for path in NTP_NODE if path.endswith(f"\\{name}"))
        found[path] = value
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_do_not_matter(language: str) -> None:
    found = parse_status(status(language))
    assert (found.leap, found.stratum, found.poll_s) == (0, 4, 1024.0)
    assert found.root_delay_s == pytest.approx(0.0003538)
    assert found.root_dispersion_s == pytest.approx(0.0100002)
    assert found.phase_s == pytest.approx(-0.0000013)
    assert found.since_s == pytest.approx(15.7344985)
    assert found.source == "169.254.169.123,0x9"
    assert found.synchronised
    assert found.bound_s == pytest.approx(0.0100002 + 0.0003538 / 2 + 0.0000013)


def test_a_comma_for_the_decimal_point_is_read() -> None:
    found = parse_status(status(delay="0,0003538", phase="-0,5", since="7,25"))
    assert (found.root_delay_s, found.phase_s, found.since_s) == (0.0003538, -0.5, 7.25)


@pytest.mark.parametrize(
    "changes",
    [
        LOST,
        {"leap": "3"},
        {"stratum": "0"},
        {"stratum": "16"},
        {"reference": "0x4C4F434C", "stratum": "1", "source": "Free-running System Clock"},
    ],
)
def test_its_own_clock_is_no_source(changes: dict[str, str]) -> None:
    assert not parse_status(status(**changes)).synchronised


def cut(lines: int) -> bytes:
    return b"\r\n".join(status().split(b"\r\n")[:lines])


@pytest.mark.parametrize(
    "output",
    [
        b"",
        b"\r\n\r\n",
        cut(9),
        cut(16),
        status() + status(),
        status().replace(b"\r\n\r\n", b"\r\n"),
        status(leap="4"),
        status(leap="x"),
        status(stratum="-1"),
        status(stratum="4.5"),
        status(delay="0.0.1"),
        status(delay="fast"),
        status(dispersion="-1.0"),
        status(reference="A9FEA97B"),
        status(since="-3.0"),
        status(since="1" * 400),
        status().replace(b": ", b" "),
        status().replace(b": ", b"\xef\xbc\x9a "),
        status().decode("cp437").encode("utf-16-le"),
        b"\r\n".join(reversed(status().split(b"\r\n"))),
        b"\xff" * 60_000,
    ],
)
def test_what_does_not_fit_is_not_understood(output: bytes) -> None:
    with pytest.raises(ProbeError) as caught:
        parse_status(output)
    assert caught.value.reason == "not-understood"


def test_lines_in_another_order_are_not_taken_for_others() -> None:
    for one, other in ((2, 4), (2, 3), (1, 3), (10, 12)):
        lines = list(ENGLISH)
        lines[one], lines[other] = lines[other], lines[one]
        with pytest.raises(ProbeError):
            parse_status("\r\n".join(lines).format(**VALUES).encode())


@given(st.binary(max_size=2000))
def test_any_bytes_are_an_answer_or_a_probe_error(output: bytes) -> None:
    try:
        parse_status(output)
    except ProbeError:
        return


def test_codes_are_numbers_too() -> None:
    with pytest.raises(ProbeError, match="does not run"):
        parse_status("Folgender Fehler ist aufgetreten: … (0x80070426)".encode("cp850", "replace"))
    with pytest.raises(Denied):
        parse_status(b"Acc\x8as refus\x82. (0x80070005)")


def test_peers_are_read_and_nonsense_is_left_out() -> None:
    found = parse_peers("a,0x9 b,8 c,0xzz , d\x00,1 " + "x" * 300)
    assert [(peer.name, peer.flags) for peer in found] == [("a", 9), ("b", 8), ("c", 0)]
    assert len(parse_peers("a " * 1000)) == 32


def test_a_service_that_follows_a_server_is_ok() -> None:
    verdict = judge(node())
    assert verdict.status.value == "ok", verdict
    assert "W32Time follows 169.254.169.123,0x9 (stratum 4)" in verdict.message
    assert "updated 15.7 s ago" in verdict.message
    evidence = told(verdict)
    assert evidence["steps"] == "MaxPosPhaseCorrection 54000 s, MaxNegPhaseCorrection 54000 s"
    assert evidence["type"] == "ntp"
    assert evidence["start_type"] == "manual"
    assert "adjtimex" not in str(verdict)


@pytest.mark.parametrize(("offset_s", "limit"), [(16 * HOUR_S, "Pos"), (-16 * HOUR_S, "Neg")])
def test_fifteen_hours_are_never_corrected(offset_s: float, limit: str) -> None:
    registry = without(**{f"Max{limit}PhaseCorrection": 54_000}) | {
        rf"{KEY}\Config\Max{'Neg' if limit == 'Pos' else 'Pos'}PhaseCorrection": 0xFFFFFFFF
    }
    verdict = judge(node(status(**LOST), registry), offset_s)
    assert verdict.status.value == "crit"
    assert "will-not-step" in reasons(verdict)
    text = next(item.message for item in verdict.findings if item.reason == "will-not-step")
    assert "W32Time gives up on a clock that is 16 h 0 min" in text
    assert f"Max{limit}PhaseCorrection 54000 s" in text
    commands = [fix.command for fix in verdict.fixes]
    assert f"Set-Date -Adjust ([TimeSpan]::FromSeconds({offset_s:.1f}));" in " ".join(commands)
    assert commands[-1] == "Restart-Service AmazonSSMAgent"
    assert {fix.shell for fix in verdict.fixes} == {"powershell"}


@pytest.mark.parametrize(
    ("offset_s", "registry"),
    [
        (14 * HOUR_S, NTP_NODE),
        (
            16 * HOUR_S,
            without(MaxPosPhaseCorrection=0xFFFFFFFF, MaxNegPhaseCorrection=0xFFFFFFFF),
        ),
        (16 * HOUR_S, without("MaxPosPhaseCorrection", "MaxNegPhaseCorrection")),
        (16 * HOUR_S, without("MaxPosPhaseCorrection")),
        (-16 * HOUR_S, without("MaxNegPhaseCorrection")),
        (16 * HOUR_S, without(MaxPosPhaseCorrection="54000", MaxNegPhaseCorrection=b"x")),
    ],
)
def test_what_is_corrected_or_not_known_is_no_trap(
    offset_s: float, registry: dict[str, Value]
) -> None:
    assert "will-not-step" not in reasons(judge(node(status(**LOST), registry), offset_s))


def test_the_trap_is_told_where_the_service_cannot_be_asked() -> None:
    verdict = judge(node(b"Zugriff verweigert. (0x80070005)", code=5), 20 * HOUR_S)
    assert (verdict.status.value, reasons(verdict)) == ("crit", ["will-not-step"])


def test_a_service_that_cannot_be_asked_is_unknown() -> None:
    verdict = judge(node(b"Zugriff verweigert. (0x80070005)", code=5))
    assert (verdict.status.value, reasons(verdict)) == ("unknown", ["not-observed"])
    assert "access denied" in verdict.message
    absent = judge(node(registry=without("SystemRoot")))
    assert absent.status.value == "unknown"


def test_group_policy_wins() -> None:
    registry = NTP_NODE | {
        rf"{POLICY}\Parameters\NtpServer": "ntp.example.com,0x8",
        rf"{POLICY}\Config\MaxPosPhaseCorrection": 60,
    }
    found = clock_w32time.look(node(registry=registry), (), is_ec2=True)
    assert found.w32time is not None
    assert [peer.name for peer in found.w32time.settings.peers] == ["ntp.example.com"]
    assert found.w32time.settings.by_policy == ("NtpServer", "MaxPosPhaseCorrection")
    rule = found.rule(Discipline.W32TIME)
    assert rule is not None
    assert (rule.limit_s(1.0), rule.limit_s(-1.0)) == (60.0, 54_000.0)


def test_no_limit_is_none() -> None:
    found = clock_w32time.look(
        node(registry=without(MaxPosPhaseCorrection=0xFFFFFFFF)), (), is_ec2=True
    )
    rule = found.rule(Discipline.W32TIME)
    assert rule is not None
    assert (rule.limit_s(1.0), rule.limit_s(-1.0)) == (inf, 54_000.0)
    assert rule.source == "MaxPosPhaseCorrection no limit, MaxNegPhaseCorrection 54000 s"


def test_values_of_the_wrong_type_are_said_and_not_guessed() -> None:
    registry = without(Type=7, NtpServer=("a", "b"), MaxPollInterval="15")
    found = clock_w32time.look(node(registry=registry), (), is_ec2=True)
    assert found.w32time is not None
    assert (found.w32time.settings.kind, found.w32time.settings.peers) == ("", ())
    assert found.w32time.settings.rarest_poll_s == inf
    assert len([note for note in found.notes if "another type" in note]) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (STOPPED, "W32Time is stopped, its start is manual"),
        (STOPPED | {"start": StartType.DISABLED}, "W32Time is stopped, its start is disabled"),
    ],
)
def test_a_service_that_does_not_run_steers_nothing(changes: dict[str, object], words: str) -> None:
    verdict = judge(node(services={"W32Time": w32time(**changes)}))
    assert (verdict.status.value, reasons(verdict)) == ("warn", ["no-daemon"])
    assert words in verdict.message
    (fix,) = verdict.fixes
    assert fix.command == (
        "Set-Service W32Time -StartupType Automatic; Start-Service W32Time; "
        "w32tm /resync /rediscover"
    )


def test_a_trigger_is_named() -> None:
    registry = NTP_NODE | {rf"{KEY}\TriggerInfo\0\Type": 1}
    verdict = judge(node(registry=registry, services={"W32Time": w32time(**STOPPED)}))
    assert verdict.message.endswith("its start is manual, and by an event")


def test_a_service_that_is_gone_is_registered() -> None:
    verdict = judge(node(services={}))
    assert reasons(verdict) == ["no-daemon"]
    assert verdict.fixes[0].command.startswith("w32tm /register; ")


def test_a_service_that_may_not_be_seen_is_unknown() -> None:
    verdict = judge(node(services={"W32Time": Denied("service W32Time: access denied")}))
    assert (verdict.status.value, reasons(verdict)) == ("unknown", ["not-observed"])


NO_HYPER_V: dict[str, Value] = {rf"{KEY}\TimeProviders\VMICTimeProvider\Enabled": 0}
NO_CLIENT: dict[str, Value] = {rf"{KEY}\TimeProviders\NtpClient\Enabled": 0}


@pytest.mark.parametrize(
    ("registry", "words"),
    [
        (without(Type="NoSync"), "Type is NoSync"),
        (NTP_NODE | NO_HYPER_V | NO_CLIENT, "NtpClient and VMICTimeProvider are not enabled"),
        (without("NtpServer") | NO_HYPER_V, "Type is NTP, and NtpServer names no server"),
    ],
)
def test_settings_may_leave_nobody_to_follow(registry: dict[str, Value], words: str) -> None:
    verdict = judge(node(status(**LOST), registry))
    assert (verdict.status.value, reasons(verdict)) == ("warn", ["no-source-configured"])
    assert words in verdict.message
    assert '/manualpeerlist:"169.254.169.123,0x9" /update' in verdict.fixes[0].command


def test_what_is_synchronised_by_its_hypervisor_needs_no_server() -> None:
    vmic = "VM IC Time Synchronization Provider"
    verdict = judge(node(status(source=vmic), without("NtpServer", Type="NoSync")))
    assert verdict.status.value == "ok"
    assert vmic in verdict.message


def test_a_member_of_a_domain_is_sent_back_to_it() -> None:
    verdict = judge(node(status(**LOST), without("NtpServer", Type="NT5DS")))
    assert reasons(verdict) == ["no-source-selected"]
    assert "told to follow its domain" in verdict.message
    assert "/syncfromflags:domhier" in verdict.fixes[-1].command


def test_a_server_that_is_not_followed_is_named() -> None:
    verdict = judge(node(status(**LOST)))
    assert (verdict.status.value, reasons(verdict)) == ("warn", ["no-source-selected"])
    assert "told to follow 169.254.169.123" in verdict.message


def test_polls_that_were_missed_are_no_health() -> None:
    fresh = judge(node(status(since="60000.0")))
    stale = judge(node(status(since="70000.0")))
    assert fresh.status.value == "ok"
    assert (stale.status.value, reasons(stale)) == ("warn", ["source-unreachable"])
    weekly = judge(node(status(since="70000.0"), without(SpecialPollInterval=604_800)))
    assert weekly.status.value == "ok"


def test_a_claim_is_held_against_the_measure() -> None:
    verdict = judge(node(), 40.0)
    assert (verdict.status.value, reasons(verdict)) == ("warn", ["contradicted"])
    wide = judge(node(status(phase="45.0")), 40.0)
    assert wide.status.value == "ok"  # its sign is not known, so it claims no direction


def seeded(low_s: float) -> dict[str, Value]:
    now = FakeClock().wall / 1e9
    limits = {"Estimated": low_s + 100, "Low": low_s, "High": low_s + 200}
    return NTP_NODE | {
        rf"{KEY}\SecureTimeLimits\SecureTime{name}": round((now + at_s) * 1e7) + FILETIME_1970
        for name, at_s in limits.items()
    }


def test_a_time_from_tls_that_is_yet_to_come_is_wrong() -> None:
    verdict = judge(node(registry=seeded(86_400.0)))
    assert (verdict.status.value, reasons(verdict)) == ("warn", ["secure-time-wrong"])
    assert "at least 1 d 0 h after the true one" in verdict.message
    assert "UtilizeSslTimeData /t REG_DWORD /d 0" in verdict.fixes[0].command
    assert told(verdict)["secure_time_low_ahead_s"] == pytest.approx(86_400.0, abs=0.1)


@pytest.mark.parametrize(
    ("low_s", "offset_s"), [(-86_400.0, 0.001), (-0.5, 0.001), (86_400.0, None), (3500.0, 3600.0)]
)
def test_an_old_time_from_tls_proves_nothing(low_s: float, offset_s: float | None) -> None:
    verdict = judge(node(registry=seeded(low_s)), offset_s)
    assert "secure-time-wrong" not in reasons(verdict)


def test_seeding_that_is_off_does_no_harm() -> None:
    registry = seeded(86_400.0) | {rf"{KEY}\Config\UtilizeSslTimeData": 0}
    assert judge(node(registry=registry)).status.value == "ok"


def test_ntpd_beside_it_is_a_rival() -> None:
    ntpd = service("NTP", command=r'"C:\Program Files (x86)\NTP\bin\ntpd.exe" -g', pid=33)
    verdict = judge(node(services={"W32Time": w32time(), "NTP": ntpd}))
    assert "two-daemons" in reasons(verdict)
    assert verdict.fixes[0].command == "Stop-Service NTP; Set-Service NTP -StartupType Disabled"
    other = service("NTP", command=r"C:\x\other.exe", pid=33)
    assert judge(node(services={"W32Time": w32time(), "NTP": other})).status.value == "ok"


def test_commands_are_for_powershell_only() -> None:
    found = clock_w32time.look(node(status(**LOST)), (), is_ec2=False)
    fixes = (
        *clock_fix.clock_fixes(found),
        *clock_fix.start_fixes(found),
        *clock_fix.source_fixes(found),
        *clock_fix.rival_fixes(found),
        clock_fix.look_fix(found),
        clock_fix.restart_agent(found),
    )
    assert {fix.shell for fix in fixes} == {"powershell"}
    assert "systemctl" not in str(fixes)
    assert 'manualpeerlist:"time.aws.com,0x9"' in str(fixes)


def test_its_servers_are_asked_too() -> None:
    found = clock_sources.discover(node(), (), is_ec2=False)
    assert found.discipline is Discipline.W32TIME
    assert [server.host for server in found.servers] == ["169.254.169.123", "time.aws.com"]


def test_a_domain_answers_to_its_name() -> None:
    network = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters"
    registry = without(Type="NT5DS") | {rf"{network}\Domain": "corp.example.com"}
    found = clock_sources.discover(node(registry=registry), (), is_ec2=False)
    assert [server.host for server in found.servers] == ["corp.example.com", "time.aws.com"]
    assert W32Reader(TypedRegistry(without(Type="NT5DS"))).servers() == ()


def test_no_registry_is_no_servers() -> None:
    found = clock_sources.discover(node(registry={}), (), is_ec2=True)
    assert [server.host for server in found.servers] == ["169.254.169.123", "fd00:ec2::123"]
    denied: dict[str, Value] = {rf"{KEY}\Parameters\NtpServer": Denied("NtpServer: access denied")}
    assert clock_sources.discover(node(registry=denied), (), is_ec2=True).unread


def test_the_tool_is_named_by_its_whole_path() -> None:
    host = node()
    assert clock_w32time.ask(host, W32Reader(host.registry).settings()).synchronised
    assert W32TM[0] == r"C:\Windows\System32\w32tm.exe"
    host.processes.outputs[W32TM] = ToolOutput(1, b"", b"... (0x80070426)")  # type: ignore[attr-defined]
    with pytest.raises(ProbeError, match="does not run"):
        clock_w32time.ask(host, W32Reader(host.registry).settings())
