"""Put together the evidence of a measured clock: numbers, sources, and what else is known."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from nodecheck.checks.clock_words import claim, failures_by_source
from nodecheck.model.verdict import Evidence

if TYPE_CHECKING:
    from nodecheck.model.clock import ClockFacts, ClockPolicy, DateReading, Estimate
    from nodecheck.model.known_past import KnownPast
    from nodecheck.model.skew import SkewFacts


def number_evidence(estimate: Estimate, policy: ClockPolicy) -> tuple[Evidence, ...]:
    """Return offset, bound, and how much further off the clock may be for SSM and for S3."""
    source = ", ".join(estimate.sources)
    left_s = headroom_s(estimate, policy.tolerance_s)
    storage_s = policy.storage_tolerance_s
    return (
        Evidence("offset_s", round(estimate.offset_s, 6), source),
        Evidence("bound_s", round(estimate.bound_s, 6), source),
        Evidence("headroom_s", round(left_s, 3), "tolerance - |offset| - bound"),
        Evidence("tolerance_s", policy.tolerance_s, policy.source),
        Evidence(
            "s3_headroom_s",
            round(headroom_s(estimate, storage_s), 3),
            f"S3 refuses beyond {storage_s:g} s",
        ),
    )


def headroom_s(estimate: Estimate, tolerance_s: float) -> float:
    """Return how much further off the clock may be at least; negative where it may be too far."""
    return tolerance_s - abs(estimate.offset_s) - estimate.bound_s


def source_evidence(facts: ClockFacts) -> tuple[Evidence, ...]:
    """Return what each source said, why others said nothing, and the replies not believed."""
    said = [
        f"{item.name} {claim(item, facts)}, stratum {item.stratum} ({item.reference})"
        for item in facts.readings
    ]
    if facts.date:
        said.append(_date_words(facts.date, facts))
    failed = tuple(text for _, text in failures_by_source(facts.failures))
    found = [
        Evidence("sources", tuple(said)),
        Evidence("failed_sources", failed),
        Evidence("falsetickers", facts.falsetickers),
        Evidence("ignored_replies", _ignored(facts)),
    ]
    return tuple(item for item in found if item.value)


def _date_words(date: DateReading, facts: ClockFacts) -> str:
    kind = "TLS verified" if date.authenticated else "not authenticated"
    words = [f"{date.name} {claim(date, facts)}", "Date", kind]
    if date.requests > 1:
        words.append(f"{date.requests} requests")
    if date.via:
        words.append(f"through the proxy {date.via}")
    return ", ".join(words)


def _ignored(facts: ClockFacts) -> tuple[str, ...]:
    counts: Counter[str] = Counter()
    for reading in facts.readings:
        counts.update(dict(reading.ignored))
    for failure in facts.failures:
        counts.update(dict(failure.ignored))
    return tuple(f"{reason} {count}" for reason, count in counts.most_common())


def node_evidence(past: KnownPast | None, seen: SkewFacts) -> tuple[Evidence, ...]:
    """Return what the node itself knows of the time, by what was signed and by the agent's logs."""
    found = []
    if past is not None:
        found.append(Evidence("known_past", past.at.isoformat(), past.what))
    if seen.refusal is not None:
        side = "slow" if seen.refusal.is_slow else "fast"
        source = f"AWS's own time when it refused a signature of a {side} clock, {seen.source}"
        found.append(Evidence("refused_at", seen.refusal.server_at.isoformat(), source))
    if seen.newest_line:
        source = "local time by the clock under test, so no proof"
        found.append(Evidence("newest_agent_log_line", seen.newest_line, source))
    return tuple(found)
