"""The probes of the agent as a service: whether it runs, talks to AWS, has room and updates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.agent_config import AgentConfig
from nodecheck.model.channel import ChannelFacts, ways_of
from nodecheck.model.endpoints import EndpointFacts
from nodecheck.model.install import RunningFacts
from nodecheck.model.service import Failure, ServiceFacts, ServiceProcesses
from nodecheck.model.storage import StorageFacts
from nodecheck.model.update import UpdateFacts
from nodecheck.plan import Probe
from nodecheck.probes import (
    agent_channel,
    agent_config,
    agent_credential_times,
    agent_service,
    agent_service_processes,
    agent_storage,
    agent_update,
)

if TYPE_CHECKING:
    from nodecheck.plan import Look


def _look_for_service(look: Look) -> ServiceFacts:
    """Look at the service even where the processes cannot be seen."""
    running = look.outcomes.outcome(RunningFacts)
    if isinstance(running, RunningFacts) and look.host.platform.system == "windows":
        seen = agent_service_processes.look_at_windows(look.host, running)
    elif isinstance(running, RunningFacts):
        seen = agent_service_processes.look(look.host.files, running)
    else:
        seen = ServiceProcesses(failure=Failure(running.reason, str(running)))
    return agent_service.look(look.host, seen)


def _look_for_channel(look: Look) -> ChannelFacts:
    """Look also where the endpoints were not: the log names the address of its websocket."""
    found = look.outcomes
    running, endpoints = found.get(RunningFacts), found.outcome(EndpointFacts)
    ways = ways_of(endpoints) if isinstance(endpoints, EndpointFacts) else ()
    credentials = agent_credential_times.look(look.host)
    return agent_channel.look(look.host, running, ways, credentials)


HEALTH_PROBES: Final[tuple[Probe, ...]] = (
    Probe(ServiceFacts, _look_for_service, (RunningFacts,), limit_s=5),
    Probe(
        ChannelFacts,
        _look_for_channel,
        (RunningFacts, EndpointFacts),
        limit_s=4,
    ),
    Probe(AgentConfig, lambda look: agent_config.look(look.host), limit_s=1),
    Probe(StorageFacts, lambda look: agent_storage.look(look.host), limit_s=3),
    Probe(UpdateFacts, lambda look: agent_update.look(look.host), limit_s=2),
)
