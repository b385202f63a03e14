"""What is said of what steers the clock: every cause, and every trap that would make it lie."""

from __future__ import annotations

from datetime import timedelta
from math import inf

import pytest

from nodecheck.checks import clock_fix
from nodecheck.checks.clock_discipline import judge
from nodecheck.model.clock import ClockPolicy, Discipline
from nodecheck.model.discipline import (
    DaemonWord,
    DisciplineFacts,
    InstalledDaemon,
    Running,
    RunningDaemon,
    Setup,
    Silence,
    SourceState,
    StepRule,
)
from nodecheck.model.kernel_clock import ClockBound, KernelClock
from nodecheck.model.skew import SkewRefusal
from nodecheck.model.verdict import Status
from nodecheck.records import replace
from tests.discipline_builders import (
    CHRONYD,
    FOLLOWING,
    MAKESTEP,
    NOW_NS,
    SERVER,
    facts,
    measured,
)

POLICY = ClockPolicy()
IDLE = replace(CHRONYD, steers=False)
TIMESYNCD = RunningDaemon(Discipline.TIMESYNCD, 9, "systemd-timesyncd.service")
NTPD = RunningDaemon(Discipline.NTPD, 11, "ntpsec.service")
NOBODY = Running()
LOST = replace(FOLLOWING, synchronised=False, source="", updated_ns=0)
SILENT_SERVER = replace(SERVER, state="not selectable", reachable=False)
SYNCED_FILE = DaemonWord(
    Discipline.TIMESYNCD,
    "/run/systemd/timesync/synchronized",
    synchronised=True,
    source="an NTP server of its configuration",
    bound_s=5.0,
    updated_ns=NOW_NS - 60 * 10**9,
    lists_sources=False,
)
UNSTEERED = KernelClock(16.0, 16.0, 0.0)
UNASKED = Silence(Discipline.NTPD, "no-answer", "ntpd does not answer control queries")


def word(**changes: object) -> tuple[DaemonWord]:
    return (replace(FOLLOWING, **changes),)  # type: ignore[arg-type]


def only(*daemons: RunningDaemon, **changes: object) -> DisciplineFacts:
    return facts(**({"processes": Running(daemons), "words": ()} | changes))


CASES = {
    "ok": (facts(), 0.0, "ok", ()),
    "not-measured": (facts(), None, "ok", ()),
    "timesyncd": (only(TIMESYNCD, words=(SYNCED_FILE,)), 0.1, "ok", ()),
    "silent-ntpd-by-kernel": (only(NTPD, silences=(UNASKED,)), 0.0, "ok", ()),
    "beside-the-container": (facts(processes=NOBODY), 0.0, "ok", ()),
    "beside-a-hidden-process": (facts(processes=Running(seen=False)), 0.0, "ok", ()),
    "no-daemon": (only(), 0.0, "warn", ("no-daemon",)),
    "no-daemon-and-wrong": (only(), 400.0, "crit", ("no-daemon",)),
    "no-daemon-at-the-edge": (only(), 300.001, "warn", ("no-daemon",)),
    "not-steering": (only(IDLE, words=(FOLLOWING,)), 0.0, "warn", ("not-steering",)),
    "two-daemons": (
        facts(processes=Running((CHRONYD, TIMESYNCD))),
        0.0,
        "warn",
        ("two-daemons",),
    ),
    "one-serves-one-steers": (facts(processes=Running((IDLE, CHRONYD))), 0.0, "ok", ()),
    "no-source": (
        facts(words=(replace(LOST, sources=()),)),
        0.0,
        "warn",
        ("no-source-configured",),
    ),
    "own-clock-only": (
        facts(words=word(sources=(), synchronised=False)),
        0.0,
        "warn",
        ("no-source-configured",),
    ),
    "unreachable": (
        facts(words=(replace(LOST, sources=(SILENT_SERVER,)),)),
        0.0,
        "warn",
        ("source-unreachable",),
    ),
    "coasting": (facts(words=word(sources=(SILENT_SERVER,))), 0.0, "warn", ("source-unreachable",)),
    "not-selected": (
        facts(words=(replace(LOST, sources=(replace(SERVER, state="falseticker"),)),)),
        0.0,
        "warn",
        ("no-source-selected",),
    ),
    "timesyncd-never": (
        only(TIMESYNCD, words=(replace(SYNCED_FILE, synchronised=False, updated_ns=0),)),
        0.0,
        "warn",
        ("source-unreachable",),
    ),
    "timesyncd-long-ago": (
        only(TIMESYNCD, words=(SYNCED_FILE,), kernel=KernelClock(2.1, 0.0, 0.0)),
        0.0,
        "warn",
        ("source-unreachable",),
    ),
    "timesyncd-just-not-too-long-ago": (
        only(TIMESYNCD, words=(SYNCED_FILE,), kernel=KernelClock(2.0, 0.0, 0.0)),
        0.0,
        "ok",
        (),
    ),
    "silent-and-idle": (
        only(NTPD, silences=(UNASKED,), kernel=UNSTEERED),
        0.0,
        "warn",
        ("source-unreachable",),
    ),
    "contradicted": (facts(), 0.5, "warn", ("contradicted",)),
    "contradicted-other-side": (facts(), -0.5, "warn", ("contradicted",)),
    "contradicted-and-wrong": (facts(), 400.0, "crit", ("contradicted",)),
    "just-not-contradicted": (facts(), 0.003, "ok", ()),
    "slewing": (facts(words=word(offset_s=400.0)), 400.0, "crit", ("will-not-step",)),
    "slewing-fast-clock": (facts(words=word(offset_s=-400.0)), -400.0, "crit", ("will-not-step",)),
    "slewing-a-little": (facts(words=word(offset_s=59.0)), 59.0, "ok", ()),
    "may-still-step": (
        facts(words=(replace(LOST, sources=(SERVER,)),)),
        400.0,
        "crit",
        ("no-source-selected",),
    ),
    "always-steps": (
        facts(rules=((Discipline.CHRONY, StepRule(1.0, -1)),)),
        400.0,
        "crit",
        ("contradicted",),
    ),
    "never-steps": (
        facts(
            words=(replace(LOST, sources=(SERVER,)),),
            rules=((Discipline.CHRONY, StepRule(inf, 0, slew_ppm=83333.333, source="c")),),
        ),
        100.0,
        "warn",
        ("no-source-selected", "will-not-step"),
    ),
    "ntpd-gives-up": (
        only(
            NTPD,
            words=(replace(LOST, discipline=Discipline.NTPD, sources=(SERVER,)),),
            rules=((Discipline.NTPD, StepRule(0.128, -1, 1000.0, source="ntp.conf")),),
        ),
        1001.0,
        "crit",
        ("no-source-selected", "will-not-step"),
    ),
    "hidden": (only(words=(), processes=Running(seen=False)), 0.0, "unknown", ("not-observed",)),
    "silent-without-kernel": (
        only(NTPD, silences=(UNASKED,), kernel=None),
        0.0,
        "unknown",
        ("not-observed",),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_causes(name: str) -> None:
    found, offset_s, status, reasons = CASES[name]
    verdict = judge(found, measured(offset_s), POLICY)
    assert (verdict.status.value, tuple(item.reason for item in verdict.findings)) == (
        status,
        reasons,
    ), verdict.message
    if verdict.status in {Status.WARN, Status.CRIT}:
        assert verdict.fixes
    if verdict.status is Status.CRIT:
        assert verdict.fixes[-1].command == "systemctl restart amazon-ssm-agent"
        assert verdict.fixes[-1].disruptive


def test_without_an_independent_measure_it_is_the_daemons_word() -> None:
    assert judge(facts(), None, POLICY).status is Status.OK


def test_an_ok_tells_daemon_source_stratum_age_and_distance() -> None:
    verdict = judge(
        facts(clockbound=ClockBound("synchronised", 1e-4, 1.0, valid=True)), None, POLICY
    )
    assert verdict.message == (
        "chronyd follows 169.254.169.123 (stratum 4), updated 12.0 s ago, root distance 1.0 ms"
    )
    evidence = {item.name: item.value for item in verdict.evidence}
    assert evidence["updated_ago_s"] == 12.0
    assert evidence["frequency_ppm"] == -12.5
    assert evidence["skew_ppm"] == 0.02
    assert evidence["kernel_steered_within_s"] == 20.0
    assert evidence["clockbound"] == "synchronised"
    assert evidence["steps"] == MAKESTEP.source
    assert evidence["agent_starts_after"] == "no unit of time"


def test_an_age_from_the_future_is_unknown() -> None:
    verdict = judge(facts(words=word(updated_ns=NOW_NS + 10**10)), None, POLICY)
    evidence = {item.name: item.value for item in verdict.evidence}
    assert evidence["updated_ago_s"] == "unknown"
    assert "updated" not in verdict.message


def test_a_container_is_told_that_its_host_may_steer() -> None:
    setup = Setup(container="docker")
    verdict = judge(only(setup=setup, kernel=KernelClock(0.6, 0.1, 0.0)), measured(0.0), POLICY)
    assert verdict.message == (
        "no time daemon runs; in a docker container the host may; "
        "the kernel's record: somebody did within 20 min 0 s"
    )
    verdict = judge(only(setup=setup, kernel=UNSTEERED), measured(0.0), POLICY)
    assert verdict.message.endswith("nobody has for 8 h 53 min or more")


def test_a_slewing_daemon_says_how_long_it_takes() -> None:
    verdict = judge(facts(words=word(offset_s=400.0)), measured(400.0), POLICY)
    assert verdict.message == (
        "chronyd will not step a clock that is 6 min 40 s slow "
        "(/etc/chrony/chrony.conf: makestep 1.0 3); slewing takes 1 h 20 min"
    )
    assert [fix.command for fix in verdict.fixes] == [
        "chronyc makestep",
        "systemctl restart amazon-ssm-agent",
    ]


# --- the commands that mend ----------------------------------------------------------------------


def commands(found: DisciplineFacts) -> list[str]:
    return [fix.command for fix in clock_fix.clock_fixes(found)]


def installed(unit: str, discipline: Discipline, **flags: bool) -> InstalledDaemon:
    return InstalledDaemon(discipline, unit, **({"enabled": False} | flags))


@pytest.mark.parametrize(
    ("found", "first"),
    [
        (facts(), "chronyc makestep"),
        (facts(words=(replace(LOST, sources=(SILENT_SERVER,)),)), "systemctl restart chrony"),
        (only(TIMESYNCD), "systemctl restart systemd-timesyncd"),
        (only(NTPD), "systemctl restart ntpsec"),
        (only(replace(NTPD, unit="evil;reboot.service")), "systemctl restart ntpd"),
        (only(setup=Setup(package_tool="apt-get")), "apt-get install -y chrony"),
        (
            only(setup=Setup(package_tool="dnf")),
            "dnf install -y chrony && systemctl enable --now chronyd",
        ),
        (
            only(setup=Setup((installed("chrony.service", Discipline.CHRONY, enabled=True),))),
            "systemctl enable --now chrony",
        ),
        (
            only(
                setup=Setup(
                    (
                        installed("chronyd.service", Discipline.CHRONY, masked=True),
                        installed("systemd-timesyncd.service", Discipline.TIMESYNCD),
                    )
                )
            ),
            "systemctl enable --now systemd-timesyncd",
        ),
        (
            only(setup=Setup((installed("ntp.service", Discipline.NTPD, masked=True),))),
            "systemctl unmask ntp && systemctl enable --now ntp",
        ),
    ],
)
def test_the_exact_command(found: DisciplineFacts, first: str) -> None:
    assert commands(found)[0] == first
    assert commands(found)[-1] == "systemctl restart amazon-ssm-agent"


def test_the_agent_of_a_snap_has_another_unit() -> None:
    unit = "snap.amazon-ssm-agent.amazon-ssm-agent"
    fix = clock_fix.restart_agent(facts(setup=Setup(agent_unit=f"{unit}.service")))
    assert fix.command == f"systemctl restart {unit}"


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        (
            {"advised_source": "169.254.169.123"},
            (
                "echo 'server 169.254.169.123 prefer iburst minpoll 4 maxpoll 4' "
                ">> /etc/chrony/chrony.conf && systemctl restart chrony"
            ),
        ),
        (
            {"rules": ()},
            "echo 'pool time.aws.com iburst' >> /etc/chrony.conf && systemctl restart chrony",
        ),
        (
            {"rules": ((Discipline.CHRONY, StepRule(1, 3, source="/$(reboot): makestep")),)},
            "echo 'pool time.aws.com iburst' >> /etc/chrony.conf && systemctl restart chrony",
        ),
    ],
)
def test_the_source_that_aws_advises(changes: dict[str, object], command: str) -> None:
    assert [fix.command for fix in clock_fix.source_fixes(facts(**changes))] == [command]


def test_timesyncd_gets_its_source_in_a_drop_in() -> None:
    (fix,) = clock_fix.source_fixes(only(TIMESYNCD))
    assert "NTP=time.aws.com" in fix.command
    assert fix.command.endswith("systemctl restart systemd-timesyncd")


def test_the_rival_goes_and_the_synchronised_one_stays() -> None:
    found = facts(processes=Running((TIMESYNCD, CHRONYD)))
    assert [fix.command for fix in clock_fix.rival_fixes(found)] == [
        "systemctl disable --now systemd-timesyncd"
    ]


def test_what_is_installed_but_does_not_run_is_said() -> None:
    setup = Setup(
        (
            installed("chrony.service", Discipline.CHRONY, enabled=True),
            installed("ntp.service", Discipline.NTPD),
            installed("ntpsec.service", Discipline.NTPD, masked=True),
        )
    )
    verdict = judge(only(setup=setup, kernel=None), None, POLICY)
    assert verdict.message == (
        "no time daemon runs: chrony is enabled, ntp is not enabled, ntpsec is masked"
    )


def test_a_crowd_of_daemons_is_cut() -> None:
    crowd = tuple(replace(IDLE, pid=number) for number in range(9))
    verdict = judge(only(*crowd), None, POLICY)
    evidence = {item.name: item.value for item in verdict.evidence}
    assert isinstance(evidence["daemons"], tuple)
    assert evidence["daemons"][3:] == ("chronyd (process 3, does not steer)", "and 5 more")


def test_a_daemon_that_cannot_be_asked_keeps_the_clock_by_the_kernels_record() -> None:
    assert only(NTPD, silences=(UNASKED,)).keeper == "ntpd"
    assert only(NTPD, silences=(UNASKED,), kernel=UNSTEERED).keeper == ""
    assert only(NTPD, silences=(UNASKED,), kernel=None).keeper == ""
    assert only().keeper == ""
    assert facts().keeper == "chronyd"
    assert facts(words=word(sources=(SILENT_SERVER,))).keeper == ""
    assert only(TIMESYNCD, words=(SYNCED_FILE,), kernel=KernelClock(3, 0, 0)).keeper == ""
    assert only(IDLE, words=(FOLLOWING,)).keeper == ""


def test_sources_are_named() -> None:
    sources = tuple(SourceState(f"10.0.0.{n}", "not selectable", reachable=False) for n in range(9))
    verdict = judge(facts(words=(replace(LOST, sources=sources),)), None, POLICY)
    assert verdict.message == (
        "none of the sources of chronyd answers (10.0.0.0, 10.0.0.1, 10.0.0.2), "
        "never since it started"
    )


def refused(after_boot_s: float, *, is_slow: bool = True) -> SkewRefusal:
    """A signature that AWS refused some time after this boot."""
    clock = measured(0.0)
    assert clock.estimate is not None
    booted_at = clock.estimate.corrected.at(0)
    return SkewRefusal(300, booted_at + timedelta(seconds=after_boot_s), is_slow)


def test_an_agent_that_was_refused_at_boot_started_before_the_time() -> None:
    verdict = judge(facts(), measured(0.0), POLICY, refused(40))
    assert (verdict.status, verdict.reason) == (Status.WARN, "agent-before-time")
    assert "40" in verdict.message
    assert "slow" in verdict.message
    (fix,) = verdict.fixes
    assert "/etc/systemd/system/amazon-ssm-agent.service.d/time.conf" in fix.command
    assert "systemctl enable chrony-wait" in fix.command


@pytest.mark.parametrize("after_boot_s", [-1, 901, 86_400])
def test_a_refusal_of_another_boot_or_hour_has_another_cause(after_boot_s: float) -> None:
    verdict = judge(facts(), measured(0.0), POLICY, refused(after_boot_s))
    assert verdict.status is Status.OK


def test_an_agent_that_waits_for_the_time_is_not_to_blame() -> None:
    setup = Setup(agent_unit="amazon-ssm-agent.service", agent_after=("time-sync.target",))
    verdict = judge(facts(setup=setup), measured(0.0), POLICY, refused(40))
    assert verdict.status is Status.OK


def test_without_the_true_time_nobody_knows_when_the_boot_was() -> None:
    verdict = judge(facts(), measured(None), POLICY, refused(40))
    assert verdict.status is Status.OK
