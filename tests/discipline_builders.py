"""Parts that tests of the clock's discipline share: facts, a measured clock, scripted daemons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nodecheck.host.door import Received
from nodecheck.model.clock import ClockFacts, ClockPair, Discipline, Estimate
from nodecheck.model.discipline import (
    DaemonWord,
    DisciplineFacts,
    Running,
    RunningDaemon,
    Setup,
    SourceState,
    StepRule,
)
from nodecheck.model.errors import ProbeError
from nodecheck.model.kernel_clock import KernelClock
from nodecheck.model.moment import CorrectedTime
from tests.fake_host import FakeClock, FakeNetwork

if TYPE_CHECKING:
    from nodecheck.host.door import Address, Datagrams

NOW_NS = 1_795_449_600_000_000_000
SERVER = SourceState("169.254.169.123", "selected", reachable=True)
CHRONYD = RunningDaemon(Discipline.CHRONY, 7, "chrony.service")
FOLLOWING = DaemonWord(
    discipline=Discipline.CHRONY,
    asked="UDP 127.0.0.1:323",
    synchronised=True,
    source=SERVER.name,
    stratum=4,
    offset_s=1e-6,
    bound_s=1e-3,
    updated_ns=NOW_NS - 12_000_000_000,
    frequency_ppm=-12.5,
    skew_ppm=0.02,
    sources=(SERVER,),
)
MAKESTEP = StepRule(1.0, 3, slew_ppm=83333.333, source="/etc/chrony/chrony.conf: makestep 1.0 3")


def facts(**changes: object) -> DisciplineFacts:
    """A node that chronyd keeps right, with changes."""
    values: dict[str, object] = {
        "processes": Running((CHRONYD,)),
        "setup": Setup(package_tool="apt-get", agent_unit="amazon-ssm-agent.service"),
        "words": (FOLLOWING,),
        "silences": (),
        "rules": ((Discipline.CHRONY, MAKESTEP),),
        "kernel": KernelClock(0.01, 0.001, -12.5),
        "clockbound": None,
        "wall_ns": NOW_NS,
    }
    return DisciplineFacts(**(values | changes))  # type: ignore[arg-type]


def measured(offset_s: float | None, bound_s: float = 0.002) -> ClockFacts:
    """What the independent sources say; None: nothing."""
    now = ClockPair(NOW_NS, 10**12)
    estimate = None
    if offset_s is not None:
        corrected = CorrectedTime(NOW_NS + round(offset_s * 1e9), 10**12, bound_s, "ntp.test")
        estimate = Estimate(offset_s, bound_s, ("ntp.test",), corrected)
    return ClockFacts(estimate, (), None, (), (), now)


Answer = Callable[[bytes], "list[bytes] | ProbeError"]


@dataclass
class ScriptedLink:
    """A socket whose other end is a function from request to replies; time passes in waits."""

    answer: Answer
    clock: FakeClock
    queue: list[bytes] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    closed: bool = False

    def send(self, data: bytes) -> None:
        self.requests.append(data)
        replies = self.answer(data)
        if isinstance(replies, ProbeError):
            raise replies
        self.queue += replies

    def receive(self, timeout_s: float) -> Received | None:
        self.clock.pause(0.001 if self.queue else timeout_s)
        if not self.queue:
            return None
        return Received(self.queue.pop(0), self.clock.wall, self.clock.monotonic, None)

    def close(self) -> None:
        self.closed = True


@dataclass
class ScriptedNetwork(FakeNetwork):
    """Datagrams by port."""

    links: dict[int, ScriptedLink] = field(default_factory=dict)

    def datagrams(self, address: Address) -> Datagrams:
        if address.port not in self.links:
            msg = f"nothing listens on UDP port {address.port}"
            raise ProbeError(msg, "connection-refused")
        return self.links[address.port]
