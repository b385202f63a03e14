"""The probes of the clock: what each needs to know, and how long it may take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.found import region
from nodecheck.model.agent_proxy import AgentProxy
from nodecheck.model.clock import (
    BisectedDate,
    ClockFacts,
    DateReading,
    Discipline,
    NtpFacts,
    TimeConfiguration,
)
from nodecheck.model.clock_history import HistoryFacts
from nodecheck.model.discipline import DisciplineFacts
from nodecheck.model.errors import ProbeError
from nodecheck.model.hardware_clock import HardwareFacts, joined
from nodecheck.model.node import NodeFacts
from nodecheck.model.selection import is_narrow
from nodecheck.model.skew import SkewFacts
from nodecheck.plan import JOIN_S, Probe
from nodecheck.probes import (
    agent_proxy,
    clock_agent_log,
    clock_chrony,
    clock_clockbound,
    clock_daemons,
    clock_date,
    clock_discipline,
    clock_hardware,
    clock_history,
    clock_join,
    clock_ntp,
    clock_ntpd,
    clock_setup,
    clock_sources,
    clock_steps,
    clock_timesyncd,
    clock_w32time,
)

if TYPE_CHECKING:
    from nodecheck.plan import Look


CLOSING_S: Final = 0.2
"""Kept of a limit to put together what was found."""


def _look_for_servers(look: Look) -> TimeConfiguration:
    configured = look.settings.texts("clock.servers")
    node = look.outcomes.outcome(NodeFacts)
    is_ec2 = isinstance(node, NodeFacts) and node.is_ec2
    return clock_sources.discover(look.host, configured, is_ec2=is_ec2)


def _ask_servers(look: Look) -> NtpFacts:
    return clock_ntp.measure(look.host, look.outcomes.get(TimeConfiguration).servers)


def _ask_hardware(look: Look) -> HardwareFacts:
    """Ask the hardware clocks, unless the operator named who is to be asked."""
    named = look.settings.texts("clock.servers")
    return HardwareFacts() if named else clock_hardware.look(look.host)


def _said(look: Look) -> NtpFacts | ProbeError:
    found = look.outcomes
    return joined(found.outcome(NtpFacts), found.outcome(HardwareFacts))


def _ask_endpoint(look: Look) -> DateReading:
    url = look.settings.text("clock.endpoint")
    limit_s = max(look.limit_s - CLOSING_S, CLOSING_S)
    return clock_date.ask(look.host, url, region(look), _proxy(look), limit_s)


def _bisect_date(look: Look) -> BisectedDate:
    """Ask the endpoint more often where NTP has not narrowed what it said."""
    found = look.outcomes
    date = found.get(DateReading)
    if is_narrow(_said(look), date, look.host.clock.monotonic_ns()):
        return BisectedDate(date)
    url = clock_date.endpoint(look.settings.text("clock.endpoint"), region(look))
    left_s = look.limit_s - CLOSING_S
    return BisectedDate(clock_date.bisect(look.host, url, _proxy(look), date, left_s))


def _proxy(look: Look) -> AgentProxy:
    proxy = look.outcomes.outcome(AgentProxy)
    return proxy if isinstance(proxy, AgentProxy) else AgentProxy()


def _join_clock(look: Look) -> ClockFacts:
    found = look.outcomes
    discipline = found.get(TimeConfiguration).discipline
    bisected = found.outcome(BisectedDate)
    first = found.outcome(DateReading)
    date = bisected.reading if isinstance(bisected, BisectedDate) else first
    return clock_join.look(look.host, _said(look), date, discipline)


DISCIPLINE: Final = clock_discipline.Parts(
    processes=clock_daemons.look,
    setup=clock_setup.look,
    steps=clock_steps.look,
    clockbound=clock_clockbound.look,
    askers=(
        (Discipline.CHRONY, clock_chrony.ask),
        (Discipline.NTPD, clock_ntpd.ask),
        (Discipline.TIMESYNCD, clock_timesyncd.look),
    ),
)


def _look_for_discipline(look: Look) -> DisciplineFacts:
    node = look.outcomes.outcome(NodeFacts)
    is_ec2 = isinstance(node, NodeFacts) and node.is_ec2
    if look.host.platform.system == "windows":
        askers = ((Discipline.NTPD, clock_ntpd.ask),)
        return clock_w32time.look(look.host, askers, is_ec2=is_ec2)
    return clock_discipline.look(look.host, DISCIPLINE, is_ec2=is_ec2)


def _remember_clock(look: Look) -> HistoryFacts:
    """Keep this run's measurement, and return it with those of earlier runs."""
    estimate = look.outcomes.get(ClockFacts).estimate
    if estimate is None:
        msg = "the clock was not measured"
        raise ProbeError(msg)
    discipline = look.outcomes.outcome(DisciplineFacts)
    steered = isinstance(discipline, DisciplineFacts) and bool(discipline.keeper)
    return clock_history.look(
        look.host, look.state_folder, estimate.corrected, estimate.offset_s, steered=steered
    )


CLOCK_PROBES: Final = (
    Probe(TimeConfiguration, _look_for_servers, (NodeFacts,), limit_s=2),
    Probe(NtpFacts, _ask_servers, (TimeConfiguration,), uses_network=True, limit_s=4),
    Probe(AgentProxy, lambda look: agent_proxy.look(look.host), limit_s=1),
    Probe(DateReading, _ask_endpoint, (NodeFacts, AgentProxy), uses_network=True, limit_s=4),
    Probe(HardwareFacts, _ask_hardware, limit_s=1),
    Probe(
        BisectedDate,
        _bisect_date,
        (NtpFacts, HardwareFacts, DateReading),
        uses_network=True,
        limit_s=4,
    ),
    Probe(
        ClockFacts,
        _join_clock,
        (TimeConfiguration, NtpFacts, HardwareFacts, DateReading, BisectedDate),
        limit_s=JOIN_S,
        joins=True,
    ),
    Probe(DisciplineFacts, _look_for_discipline, (NodeFacts,), limit_s=4),
    Probe(HistoryFacts, _remember_clock, (ClockFacts, DisciplineFacts), limit_s=2),
    Probe(SkewFacts, lambda look: clock_agent_log.look(look.host), limit_s=2),
)
