"""Every probe of this build: what it needs to know, and how long it may take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck import policies
from nodecheck.checks.agent_installed import survey
from nodecheck.model.clock import ClockFacts, DateReading, NtpFacts, TimeConfiguration
from nodecheck.model.errors import ProbeError
from nodecheck.model.install import (
    ByHandFacts,
    DebFacts,
    InstallSurvey,
    RunningFacts,
    SnapFacts,
    oldest,
)
from nodecheck.model.node import NodeFacts
from nodecheck.model.offer import ReleaseFacts
from nodecheck.model.trust import FileFacts, RpmFacts
from nodecheck.plan import Probe
from nodecheck.probes import (
    agent_by_hand,
    agent_deb,
    agent_files,
    agent_process,
    agent_release,
    agent_rpm,
    agent_snap,
    clock_date,
    clock_join,
    clock_ntp,
    clock_sources,
    key_ring,
    node_identity,
)
from nodecheck.trust.key_ring import KeyRing

if TYPE_CHECKING:
    from nodecheck.model.moment import CorrectedTime
    from nodecheck.plan import Look


def _identify(look: Look) -> NodeFacts:
    offline = look.settings.switch("run.offline")
    metadata = None if offline else look.host.network.metadata
    return node_identity.look(look.host, look.settings.text("node.region"), metadata)


def _look_for_servers(look: Look) -> TimeConfiguration:
    configured = look.settings.texts("clock.servers")
    node = look.outcomes.outcome(NodeFacts)
    is_ec2 = isinstance(node, NodeFacts) and node.is_ec2
    return clock_sources.discover(look.host, configured, is_ec2=is_ec2)


def _ask_servers(look: Look) -> NtpFacts:
    return clock_ntp.measure(look.host, look.outcomes.get(TimeConfiguration).servers)


def _ask_endpoint(look: Look) -> DateReading:
    return clock_date.ask(look.host, look.settings.text("clock.endpoint"), _region(look))


def _join_clock(look: Look) -> ClockFacts:
    found = look.outcomes
    discipline = found.get(TimeConfiguration).discipline
    return clock_join.look(
        look.host, found.outcome(NtpFacts), found.outcome(DateReading), discipline
    )


def _look_for_rpm(look: Look) -> RpmFacts:
    """Look even without a key ring: what is installed does not hang on a key file."""
    ring = look.outcomes.outcome(KeyRing)
    return agent_rpm.look(look.host, ring if isinstance(ring, KeyRing) else KeyRing(()))


def _survey(look: Look) -> InstallSurvey:
    found = look.outcomes
    return survey(
        found.outcome(RpmFacts),
        found.outcome(DebFacts),
        found.outcome(SnapFacts),
        found.outcome(ByHandFacts),
    )


def _ask_region(look: Look) -> ReleaseFacts:
    installations = look.outcomes.get(InstallSurvey).installations
    if not installations:
        msg = "no agent is installed"
        raise ProbeError(msg)
    return agent_release.ask(
        look.host,
        look.settings.text("agent.release_url"),
        _region(look),
        _corrected(look),
        oldest(installations),
    )


def _region(look: Look) -> str:
    node = look.outcomes.outcome(NodeFacts)
    return node.region if isinstance(node, NodeFacts) else ""


def _corrected(look: Look) -> CorrectedTime | None:
    clock = look.outcomes.outcome(ClockFacts)
    return clock.corrected if isinstance(clock, ClockFacts) else None


def _look_for_processes(look: Look) -> RunningFacts:
    installations = look.outcomes.get(InstallSurvey).installations
    return agent_process.look(look.host, tuple(item.executable for item in installations))


PROBES: Final = (
    Probe(NodeFacts, _identify, limit_s=2),
    Probe(TimeConfiguration, _look_for_servers, (NodeFacts,), limit_s=2),
    Probe(NtpFacts, _ask_servers, (TimeConfiguration,), uses_network=True, limit_s=4),
    Probe(DateReading, _ask_endpoint, (NodeFacts,), uses_network=True, limit_s=4),
    Probe(ClockFacts, _join_clock, (TimeConfiguration, NtpFacts, DateReading), limit_s=1),
    Probe(KeyRing, lambda look: key_ring.look(look.host, policies.trust(look.settings))),
    Probe(RpmFacts, _look_for_rpm, (KeyRing,)),
    Probe(DebFacts, lambda look: agent_deb.look(look.host.files)),
    Probe(SnapFacts, lambda look: agent_snap.look(look.host.files)),
    Probe(ByHandFacts, lambda look: agent_by_hand.look(look.host.files)),
    Probe(InstallSurvey, _survey, (RpmFacts, DebFacts, SnapFacts, ByHandFacts)),
    Probe(
        FileFacts,
        lambda look: agent_files.look(look.host, look.outcomes.get(RpmFacts)),
        (RpmFacts,),
    ),
    Probe(
        ReleaseFacts,
        _ask_region,
        (NodeFacts, ClockFacts, InstallSurvey),
        uses_network=True,
    ),
    Probe(RunningFacts, _look_for_processes, (InstallSurvey,)),
)
