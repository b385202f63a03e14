"""Ask NTP servers for the time; believe only fresh, genuine and sane replies.

Four samples 60 ms apart, all addresses side by side; an address that answered nothing is asked
again twice, because half of all packets may be lost. A kiss-o'-death stops it. What makes a reply
believable is in ``model.ntp``, how one is exchanged in ``host.ntp_exchange``.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from nodecheck.host.mailbox import Mailbox
from nodecheck.host.ntp_exchange import Sample, exchange
from nodecheck.model.clock import NtpFacts, SourceFailure, SourceReading
from nodecheck.model.errors import ProbeError
from nodecheck.records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from nodecheck.host.door import Address, Host, LocalClock
    from nodecheck.model import ntp
    from nodecheck.model.time_server import TimeServer

SAMPLES = 4
ROUNDS = 3
GAP_NS = 60_000_000
ROUND_NS = 400_000_000
TIMEOUT_S = 1.5
NAME_LIMIT_S = 2.5
"""Names are resolved within 2 s (``host.network``); what hangs beyond is left behind."""

ADDRESSES = 2
POOL_ADDRESSES = 4
SECOND_NS = 1_000_000_000

Result = TypeVar("Result")


@dataclass(slots=True)
class _Source:
    """What the samples of one address have in common. Lists, because threads append to them."""

    host: Host
    address: Address
    begun_ns: int
    deadline_ns: int
    samples: list[Sample] = field(default_factory=list)
    refusals: list[ntp.Refusal] = field(default_factory=list)
    errors: list[ProbeError] = field(default_factory=list)
    ignored: list[Counter[str]] = field(default_factory=list)

    def is_settled(self, round_begun_ns: int) -> bool:
        """Tell whether asking (again) is pointless or unwelcome."""
        return any(refusal.kiss for refusal in tuple(self.refusals)) or any(
            sample.taken_ns < round_begun_ns for sample in tuple(self.samples)
        )


def measure(host: Host, servers: tuple[TimeServer, ...], timeout_s: float = TIMEOUT_S) -> NtpFacts:
    """Return what every server said, or why it said nothing that can be used.

    Raises:
        ProbeError: there is no server to ask.
    """
    if not servers:
        msg = "no NTP server is configured"
        raise ProbeError(msg, "no-source")
    calls = [partial(_ask_server, host, server, timeout_s) for server in servers]
    found = [item for items in _gather(host, calls, timeout_s + NAME_LIMIT_S) for item in items]
    return NtpFacts(
        tuple(item for item in found if isinstance(item, SourceReading)),
        tuple(item for item in found if isinstance(item, SourceFailure)),
    )


def _gather(host: Host, calls: Sequence[Callable[[], Result]], limit_s: float) -> list[Result]:
    """Make calls side by side and return what those return that end in time, in order."""
    results: dict[int, Result] = {}
    deadline_ns = host.clock.monotonic_ns() + int(limit_s * SECOND_NS)
    with Mailbox() as box:
        for index, call in enumerate(calls):
            box.start("ntp", partial(_keep, results, index, call))
        awaited = len(calls)
        while awaited > 0:
            left_s = (deadline_ns - host.clock.monotonic_ns()) / SECOND_NS
            arrived = box.wait(left_s)
            awaited -= len(arrived)
            if not arrived and left_s <= 0:
                break
    return [results[index] for index in sorted(results)]


def _keep(results: dict[int, Result], index: int, call: Callable[[], Result]) -> None:
    results[index] = call()


def _ask_server(
    host: Host, server: TimeServer, timeout_s: float
) -> list[SourceReading | SourceFailure]:
    try:
        addresses = host.network.resolve(server.host, server.port)
    except ProbeError as exc:
        text = str(exc).removeprefix(f"{server.host}: ")
        return [SourceFailure(server.name, "", exc.reason, text)]
    if server.is_found:  # this node is no proof of its own clock, whatever name it goes by
        addresses = tuple(item for item in addresses if not host.network.is_own(item))
        if not addresses:
            return [SourceFailure(server.name, "", "own-address", "is this node itself")]
    chosen = _spread(addresses, POOL_ADDRESSES if server.is_pool else ADDRESSES)
    calls = [partial(_ask_address, host, server, address, timeout_s) for address in chosen]
    return _gather(host, calls, timeout_s + 1)


def _spread(addresses: Iterable[Address], limit: int) -> list[Address]:
    """Return the first addresses, IPv4 and IPv6 in turn: one of them may have no route."""
    ranks: Counter[int] = Counter()
    ranked = []
    for address in addresses:
        ranked.append((ranks[address.family], address))
        ranks[address.family] += 1
    return [address for _, address in sorted(ranked, key=lambda item: item[0])][:limit]


def _ask_address(
    host: Host, server: TimeServer, address: Address, timeout_s: float
) -> SourceReading | SourceFailure:
    begun_ns = host.clock.monotonic_ns()
    source = _Source(host, address, begun_ns, begun_ns + int(timeout_s * SECOND_NS))
    _gather(host, [partial(_ask, source, index) for index in range(SAMPLES)], timeout_s + 0.5)
    return _reading(server, source) or _failure(server, source)


def _ask(source: _Source, index: int) -> None:
    """Make one sample, in as many rounds as it takes and the deadline allows."""
    ignored: Counter[str] = Counter()
    source.ignored.append(ignored)
    for number in range(ROUNDS):
        round_begun_ns = source.begun_ns + number * ROUND_NS
        start_ns = round_begun_ns + index * GAP_NS
        _pause_until(source.host.clock, start_ns)
        if start_ns >= source.deadline_ns or source.is_settled(round_begun_ns):
            return
        is_last = number == ROUNDS - 1
        until_ns = source.deadline_ns if is_last else min(start_ns + ROUND_NS, source.deadline_ns)
        try:
            outcome = exchange(source.host, source.address, until_ns, ignored)
        except ProbeError as exc:
            source.errors.append(exc)
            return
        if isinstance(outcome, Sample):
            source.samples.append(outcome)
            return
        if outcome is not None:
            source.refusals.append(outcome)
            return


def _pause_until(clock: LocalClock, start_ns: int) -> None:
    clock.pause((start_ns - clock.monotonic_ns()) / SECOND_NS)


def _reading(server: TimeServer, source: _Source) -> SourceReading | None:
    """Join the samples of one address: all hold the truth, the narrowest has the best value."""
    samples = sorted(source.samples, key=lambda item: item.interval.width_ns)
    if not samples:
        return None
    joined, last_ns = samples[0].interval, max(sample.taken_ns for sample in samples)
    for sample in samples:
        # Samples of a server that changed its mind do not meet: the narrowest stands.
        joined = joined.meet(sample.interval.aged(last_ns - sample.taken_ns)) or joined
    answer = samples[0].answer
    operator = source.address.ip if server.is_pool else server.operator or server.name
    reference = _reference(answer)
    return SourceReading(
        server.name,
        source.address.ip,
        operator,
        joined,
        last_ns,
        answer.stratum,
        reference,
        len(samples),
        _ignored(source),
    )


def _reference(answer: ntp.Answer) -> str:
    """Return who the server itself listens to; text of the network, so only printable ASCII."""
    import ntplib  # 14 ms, and only a node with an answer needs its tables

    text = str(ntplib.ref_id_to_text(int.from_bytes(answer.reference, "big"), answer.stratum))
    return "".join(ch for ch in text if ch.isascii() and ch.isprintable())


def _ignored(source: _Source) -> tuple[tuple[str, int], ...]:
    total: Counter[str] = sum(tuple(source.ignored), Counter())
    return tuple(total.most_common())


def _failure(server: TimeServer, source: _Source) -> SourceFailure:
    """Say why an address proves nothing: its own word first, then forgeries, then silence."""
    ignored = _ignored(source)
    reason, message = "no-answer", "no answer"
    if source.refusals:
        refusal = max(tuple(source.refusals), key=lambda item: bool(item.kiss))
        reason, message = refusal.reason, _words(refusal)
    elif ignored:
        reason, count = ignored[0]
        message = f"no valid answer, {count} ignored: {reason}"
    elif source.errors:
        reason, message = source.errors[0].reason, str(source.errors[0])
    return SourceFailure(server.name, source.address.ip, reason, message, ignored)


def _words(refusal: ntp.Refusal) -> str:
    """Return the refusal with what its kiss code means, where that is known."""
    import ntplib  # as above

    meaning = ntplib.NTP.REF_ID_TABLE.get(refusal.kiss, "")
    return f"{refusal.message} {meaning}".strip()
