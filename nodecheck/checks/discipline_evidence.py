"""Put together the evidence of what steers the clock."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Final

from nodecheck.model.clock import Discipline
from nodecheck.model.discipline import NAMES
from nodecheck.model.verdict import Evidence

if TYPE_CHECKING:
    from nodecheck.model.clock import ClockFacts
    from nodecheck.model.discipline import DaemonWord, DisciplineFacts, RunningDaemon, Silence
    from nodecheck.model.w32time import W32Facts

DAEMONS_SHOWN: Final = 4


def evidence_of(facts: DisciplineFacts, clock: ClockFacts | None) -> tuple[Evidence, ...]:
    """Return everything seen, each with where it was seen; empty values are left out."""
    daemons = tuple(_process(daemon) for daemon in facts.running[:DAEMONS_SHOWN])
    if len(facts.running) > DAEMONS_SHOWN:
        daemons += (f"and {len(facts.running) - DAEMONS_SHOWN} more",)
    word = facts.word
    found = [
        Evidence("daemons", daemons or "none", "processes"),
        *(_word(facts, word) if word is not None else ()),
        *_kernel(facts),
        *_setup(facts),
        *(_w32time(facts, facts.w32time, clock) if facts.w32time is not None else ()),
        *_independent(clock),
        Evidence("silent", tuple(item.message for item in _unheard(facts))),
        Evidence("not_seen", facts.notes),
    ]
    return tuple(item for item in found if item.value not in ((), ""))


def _process(daemon: RunningDaemon) -> str:
    idle = "" if daemon.steers else ", does not steer"
    return f"{NAMES[daemon.discipline]} (process {daemon.pid}{idle})"


def _word(facts: DisciplineFacts, word: DaemonWord) -> tuple[Evidence, ...]:
    age_s = (facts.wall_ns - word.updated_ns) / 1e9 + word.offset_s
    is_known = word.updated_ns > 0 and age_s >= 0
    tells = word.discipline is not Discipline.W32TIME  # no sign, no frequency
    rule = facts.rule(word.discipline)
    states = tuple(f"{source.name} {source.state}" for source in word.sources)
    return (
        Evidence("synchronised", word.synchronised, word.asked),
        Evidence("source", word.source, word.asked),
        Evidence("stratum", word.stratum, word.asked),
        Evidence("claimed_offset_s", round(word.offset_s, 9) if tells else "", word.asked),
        Evidence("root_distance_s", round(word.bound_s, 9), word.asked),
        Evidence("updated_ago_s", round(age_s, 3) if is_known else "unknown", word.asked),
        Evidence("frequency_ppm", round(word.frequency_ppm, 3) if tells else "", word.asked),
        Evidence("skew_ppm", round(word.skew_ppm, 3) if tells else "", word.asked),
        Evidence("sources", states, word.asked),
        Evidence("steps", rule.source if rule is not None else "", "configuration"),
    )


def _kernel(facts: DisciplineFacts) -> tuple[Evidence, ...]:
    kernel, bound = facts.kernel, facts.clockbound
    found: list[Evidence] = []
    if kernel is not None:
        within_s = kernel.steered_within_s
        within = round(within_s, 1) if isfinite(within_s) else "never, or more than 8.9 h"
        found.append(Evidence("kernel_maxerror_s", round(kernel.maxerror_s, 6), "adjtimex"))
        found.append(Evidence("kernel_steered_within_s", within, "maxerror / 500 ppm"))
        found.append(Evidence("kernel_frequency_ppm", round(kernel.frequency_ppm, 3), "adjtimex"))
    if bound is not None:
        text = bound.status if bound.valid else f"{bound.status}, out of date"
        found.append(Evidence("clockbound", text, "shared memory"))
        found.append(Evidence("clockbound_bound_s", round(bound.bound_s, 9), "shared memory"))
    return tuple(found)


def _setup(facts: DisciplineFacts) -> tuple[Evidence, ...]:
    setup = facts.setup
    installed = tuple(f"{item.unit} {item.state}" for item in setup.installed)
    waits = ", ".join(setup.agent_after) or "no unit of time"
    return (
        Evidence("installed", installed, "services" if facts.w32time else "unit files"),
        Evidence("container", setup.container),
        Evidence("agent_starts_after", waits if setup.agent_unit else "", setup.agent_unit),
    )


def _w32time(
    facts: DisciplineFacts, found: W32Facts, clock: ClockFacts | None
) -> tuple[Evidence, ...]:
    settings, service, seeded = found.settings, found.service, found.secure_time
    peers = tuple(f"{peer.name},0x{peer.flags:x}" for peer in settings.peers)
    offset_s = clock.estimate.offset_s if clock and clock.estimate else 0.0
    now_s = facts.wall_ns / 1e9 + offset_s
    rarest_s = settings.rarest_poll_s
    shown = (
        ("started_by_event", found.has_trigger or ""),
        ("type", settings.kind),
        ("told_to_follow", peers),
        ("slews_up_to_s", _known(settings.slew_limit_s)),
        ("polls_at_most_every_s", rarest_s if isfinite(rarest_s) else ""),
        ("hyper_v_provider", _known(settings.hyper_v)),
        ("secure_time_seeding", _known(settings.seeding)),
        ("secure_time_ahead_s", round(seeded.estimated_s - now_s, 3) if seeded else ""),
        ("secure_time_low_ahead_s", round(seeded.low_s - now_s, 3) if seeded else ""),
        ("secure_time_high_ahead_s", round(seeded.high_s - now_s, 3) if seeded else ""),
        ("secure_time_confidence", _known(seeded.confidence) if seeded else ""),
        ("set_by_policy", settings.by_policy),
    )
    manager = "service control manager"
    return (
        Evidence("service", service.phase.name.lower() if service else "not registered", manager),
        Evidence("start_type", service.start.name.lower() if service else "", manager),
        *(Evidence(name, value, "registry") for name, value in shown),
    )


def _known(value: float | None) -> float | str:
    return "" if value is None else value


def _independent(clock: ClockFacts | None) -> tuple[Evidence, ...]:
    if clock is None or clock.estimate is None:
        return (Evidence("measured_offset_s", "not measured"),)
    estimate = clock.estimate
    source = ", ".join(estimate.sources)
    return (
        Evidence("measured_offset_s", round(estimate.offset_s, 6), source),
        Evidence("measured_bound_s", round(estimate.bound_s, 6), source),
    )


def _unheard(facts: DisciplineFacts) -> tuple[Silence, ...]:
    """Return why daemons that run could not be asked; that an absent one is silent is no news."""
    kinds = {daemon.discipline for daemon in facts.running}
    return tuple(item for item in facts.silences if item.discipline in kinds)
