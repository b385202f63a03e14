"""The checks of the agent as a service: whether it runs, talks to AWS, has room and updates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks import (
    agent_advisory,
    agent_channel,
    agent_service,
    agent_storage,
    agent_update,
)
from nodecheck.checks.service_processes import left_over
from nodecheck.checks.update_window import temper
from nodecheck.model.channel import ChannelFacts
from nodecheck.model.clock import ClockFacts
from nodecheck.model.endpoints import EndpointFacts
from nodecheck.model.history import History
from nodecheck.model.install import InstallSurvey, RunningFacts
from nodecheck.model.node import NodeFacts
from nodecheck.model.service import ServiceFacts
from nodecheck.model.storage import StorageFacts
from nodecheck.model.update import UpdateFacts
from nodecheck.model.update_window import UpdateWindow
from nodecheck.plan import Check
from nodecheck.records import replace

if TYPE_CHECKING:
    from nodecheck.model.verdict import Verdict
    from nodecheck.plan import Bench


def judge_service(bench: Bench) -> Verdict:
    """Judge the service; what is bad is kept back while the agent is being updated."""
    found = bench.outcomes
    facts, window = found.get(ServiceFacts), found.outcome(UpdateWindow)
    verdict = agent_service.judge(found.get(InstallSurvey), facts, bench.now)
    return temper(verdict, window) if isinstance(window, UpdateWindow) else verdict


def judge_advisory(bench: Bench) -> Verdict:
    """Judge the installed version, and the running one where it is proven."""
    found = bench.outcomes
    running, history = found.outcome(RunningFacts), found.outcome(History)
    node = found.outcome(NodeFacts)
    return agent_advisory.judge(
        found.get(InstallSurvey),
        running if isinstance(running, RunningFacts) else None,
        history if isinstance(history, History) else None,
        node if isinstance(node, NodeFacts) else None,
    )


def judge_update(bench: Bench) -> Verdict:
    """Judge what the agent's updater recorded."""
    found = bench.outcomes
    running, node = found.outcome(RunningFacts), found.outcome(NodeFacts)
    return agent_update.judge(
        found.get(InstallSurvey),
        found.get(UpdateFacts),
        running if isinstance(running, RunningFacts) else None,
        node if isinstance(node, NodeFacts) else None,
        bench.now,
    )


def judge_storage(bench: Bench) -> Verdict:
    """Judge the room for the agent's data and logs."""
    found = bench.outcomes
    return agent_storage.judge(found.get(InstallSurvey), found.get(StorageFacts), bench.now)


def judge_channel(bench: Bench) -> Verdict:
    """Judge whether the agent talks to AWS; an agent that is being updated may not."""
    found = bench.outcomes
    install, running = found.get(InstallSurvey), found.get(RunningFacts)
    window = found.outcome(UpdateWindow)
    endpoints = found.outcome(EndpointFacts)
    reachable = endpoints.reachable if isinstance(endpoints, EndpointFacts) else None
    facts, service = found.get(ChannelFacts), found.outcome(ServiceFacts)
    if isinstance(service, ServiceFacts):
        facts = replace(facts, left_over=left_over(service.seen))
    verdict = agent_channel.judge(install, running, facts, bench.now, reachable=reachable)
    return temper(verdict, window) if isinstance(window, UpdateWindow) else verdict


HEALTH_CHECKS: Final[tuple[Check, ...]] = (
    Check(
        "agent.service",
        agent_service.QUESTION,
        "An agent that does not run, or has no worker, receives no command and reports nothing.",
        agent_service.EXPLANATION,
        (InstallSurvey, ServiceFacts, UpdateWindow),
        judge_service,
    ),
    Check(
        "agent.channel",
        agent_channel.QUESTION,
        "An agent that waits or asks in vain gets no command, though its service runs.",
        agent_channel.EXPLANATION,
        (
            InstallSurvey,
            RunningFacts,
            ServiceFacts,
            ChannelFacts,
            EndpointFacts,
            ClockFacts,
            UpdateWindow,
        ),
        judge_channel,
    ),
    Check(
        "agent.advisory",
        agent_advisory.QUESTION,
        "A published hole in an agent that runs as root is a way to become root.",
        agent_advisory.EXPLANATION,
        (InstallSurvey, RunningFacts, NodeFacts),
        judge_advisory,
    ),
    Check(
        "agent.update",
        agent_update.QUESTION,
        "An update that failed fails again, and the agent grows old without a word.",
        agent_update.EXPLANATION,
        (InstallSurvey, UpdateFacts, RunningFacts, NodeFacts, ClockFacts),
        judge_update,
    ),
    Check(
        "agent.storage",
        agent_storage.QUESTION,
        "Without room the agent cannot keep a command, a session or its own state.",
        agent_storage.EXPLANATION,
        (InstallSurvey, StorageFacts, ClockFacts),
        judge_storage,
    ),
)
