"""Look at the node: every probe in a thread of its own, each bounded, all under one deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.errors import ProbeError
from nodecheck.plan import Look, Outcomes
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from nodecheck.host.door import Host
    from nodecheck.host.mailbox import Mailbox
    from nodecheck.model.settings import Settings
    from nodecheck.plan import Check, Probe


SLOW_S: Final = 1.0
"""A step that takes longer is worth a word to whoever waits for it."""


@dataclass(frozen=True)
class Failure:
    """A bug: what a probe or a check raised that nobody had foreseen."""

    text: str


def guarded(call: Callable[[], object]) -> object:
    """Return what a call returns, its ``ProbeError``, or a ``Failure`` that holds a bug."""
    try:
        return call()
    except ProbeError as exc:
        return exc
    except Exception:  # noqa: BLE001 - a bug in one part must not silence the rest
        import traceback

        return Failure(traceback.format_exc())


class Looking:
    """All probes of one run, each started when its needs have ended."""

    def __init__(self, host: Host, settings: Settings, probes: tuple[Probe, ...]) -> None:
        """Take the node, the settings and the probes to start."""
        self.outcomes = Outcomes()
        self.failures: list[str] = []
        self._host = host
        self._settings = settings
        self._waiting = list(probes)
        self._running: dict[str, tuple[Probe, int]] = {}
        self._started_ns: dict[type, int] = {}
        self._took_ms: dict[type, int] = {}

    def finish(
        self, mailbox: Mailbox, end_ns: int, on_slow: Callable[[tuple[str, ...]], None]
    ) -> None:
        """Look until every probe has ended, the deadline has come or a signal arrives."""
        while self._start(mailbox, end_ns) or self._running:
            nearest_ns = min((limit_ns for _, limit_ns in self._running.values()), default=0)
            results = mailbox.wait(min(SLOW_S, self._left_s(nearest_ns)))
            for name, result in results:
                self._take(name, result)
            if not results:
                on_slow(tuple(spoken(name) for name in self._running))
            self._expire()
            if mailbox.interrupted:
                self._abandon(f"interrupted by {mailbox.interrupted}")
                return

    def _abandon(self, text: str) -> None:
        for probe in [*self._waiting, *(probe for probe, _ in self._running.values())]:
            self.outcomes.put(probe.facts, ProbeError(text, "interrupted"))

    def _start(self, mailbox: Mailbox, end_ns: int) -> bool:
        ready = [
            probe
            for probe in self._waiting
            if all(self.outcomes.known(need) for need in probe.needs)
        ]
        for probe in ready:
            self._waiting.remove(probe)
            refusal = self._refusal(probe, end_ns)
            if refusal:
                self.outcomes.put(probe.facts, refusal)
                continue
            limit_ns = self._host.clock.monotonic_ns() + int(probe.limit_s * 1e9)
            limit_ns = limit_ns if probe.joins else min(end_ns, limit_ns)
            look = Look(self._host, self._settings, self.outcomes, self._left_s(limit_ns))
            self._running[probe.facts.__name__] = (probe, limit_ns)
            self._started_ns[probe.facts] = self._host.clock.monotonic_ns()
            mailbox.start(probe.facts.__name__, _bound(probe, look))
        return bool(ready)

    def _refusal(self, probe: Probe, end_ns: int) -> ProbeError | None:
        if probe.uses_network and self._settings.switch("run.offline"):
            return ProbeError("not looked at: --offline", "offline")
        if self._left_s(end_ns) <= 0 and not probe.joins:
            name = spoken(probe.facts.__name__)
            return ProbeError(f"{name}: the deadline of the run came first", "timeout")
        return None

    def _take(self, name: str, result: object) -> None:
        if name not in self._running:
            return  # it answered after its limit
        probe, _ = self._running.pop(name)
        if isinstance(result, Failure):
            self.failures.append(result.text)
            text = f"internal error while looking for the {spoken(name)}"
            result = ProbeError(text, "internal-error")
        self._end(probe, result)

    def took_ms(self, kinds: tuple[type, ...]) -> int:
        """Return how long the slowest of these kinds of facts took to find, in milliseconds."""
        return max((self._took_ms.get(kind, 0) for kind in kinds), default=0)

    def _end(self, probe: Probe, outcome: object) -> None:
        elapsed_ns = self._host.clock.monotonic_ns() - self._started_ns[probe.facts]
        self._took_ms[probe.facts] = elapsed_ns // 1_000_000
        self.outcomes.put(probe.facts, outcome)

    def _expire(self) -> None:
        now_ns = self._host.clock.monotonic_ns()
        for name, (probe, limit_ns) in list(self._running.items()):
            if now_ns >= limit_ns:
                del self._running[name]
                took_s = (now_ns - self._started_ns[probe.facts]) / 1e9
                text = f"{spoken(name)}: no answer within {took_s:.1f} s"
                self._end(probe, ProbeError(text, "timeout"))

    def _left_s(self, end_ns: int) -> float:
        return max(0.0, (end_ns - self._host.clock.monotonic_ns()) / 1e9)


def _bound(probe: Probe, look: Look) -> Callable[[], object]:
    return lambda: guarded(lambda: probe.look(look))


def spoken(name: str) -> str:
    """Return the name of a kind of facts in words.

    >>> spoken("DateReading"), spoken("NtpFacts")
    ('date reading', 'ntp facts')
    """
    return "".join(f" {char.lower()}" if char.isupper() else char for char in name).strip()


def needed(
    probes: tuple[Probe, ...], checks: tuple[Check, ...], kinds: set[type] | None = None
) -> tuple[Probe, ...]:
    """Return the probes of these kinds and that these checks need, and those that they need."""
    wanted = {kind for check in checks for kind in check.needs} | (kinds or set())
    while True:
        more = {need for probe in probes if probe.facts in wanted for need in probe.needs}
        if more <= wanted:
            return tuple(probe for probe in probes if probe.facts in wanted)
        wanted |= more
