"""Find out from its configuration when each time daemon steps the clock.

Sources: chrony.conf(5) ``makestep``, ``maxchange``, ``maxslewrate``; ntpd(8) and ntp.conf(5)
``tinker``; systemd's timesyncd-manager.c (NTP_MAX_ADJUST).
"""

from __future__ import annotations

import re
from math import inf, isfinite
from posixpath import dirname, join
from typing import TYPE_CHECKING, Final

from nodecheck.model.clock import Discipline
from nodecheck.model.discipline import StepRule
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nodecheck.host.door import Files
    from nodecheck.model.discipline import RunningDaemon

Rules = tuple[tuple[Discipline, StepRule], ...]

CHRONY_FILES: Final = ("/etc/chrony/chrony.conf", "/etc/chrony.conf")
NTPD_FILES: Final = ("/etc/ntpsec/ntp.conf", "/etc/ntp.conf")
FILE_LIMIT_BYTES: Final = 64 * 1024
FOLDER_LIMIT: Final = 64
DEPTH_LIMIT: Final = 3

CHRONY_SLEW_PPM: Final = 83333.333
TIMESYNCD_RULE: Final = StepRule(0.4, -1, source="systemd-timesyncd steps beyond 0.4 s")
NTPD_STEP_S, NTPD_SLEW_ONLY_S, NTPD_PANIC_S = 0.128, 600.0, 1000.0
_NUMBER: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{0,9})?")


def look(files: Files, running: tuple[RunningDaemon, ...]) -> tuple[Rules, tuple[str, ...]]:
    """Return when each daemon steps that runs or is configured, and what could not be read."""
    arguments = {daemon.discipline: daemon.arguments for daemon in running}
    reader = _Reader(files)
    found: list[tuple[Discipline, StepRule]] = [(Discipline.TIMESYNCD, TIMESYNCD_RULE)]
    makers: tuple[tuple[Discipline, Callable[[_Reader, tuple[str, ...]], StepRule | None]], ...] = (
        (Discipline.CHRONY, _chrony),
        (Discipline.NTPD, _ntpd),
    )
    for discipline, make in makers:
        rule = make(reader, arguments.get(discipline, ()))
        if rule is not None:
            found.append((discipline, rule))
    return tuple(found), tuple(reader.notes)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads configuration; absent files are nothing, others that fail are noted."""

    files: Files
    notes: list[str] = field(default_factory=list)

    def first(self, paths: tuple[str, ...]) -> tuple[str, list[list[str]]] | None:
        """Return path and directives of the first file that is there."""
        for path in paths:
            directives = self.directives(path)
            if directives is not None:
                return path, directives
        return None

    def directives(self, path: str) -> list[list[str]] | None:
        try:
            text = self.files.read(path, FILE_LIMIT_BYTES, follow=True).decode("utf-8", "replace")
        except Absent:
            return None
        except ProbeError as exc:
            self.notes.append(str(exc))
            return None
        lines = (line.split("#")[0].split() for line in text.splitlines())
        return [[words[0].lower(), *words[1:]] for words in lines if words]

    def names(self, folder: str) -> tuple[str, ...]:
        try:
            return self.files.listing(folder, FOLDER_LIMIT)
        except Absent:
            return ()
        except ProbeError as exc:
            self.notes.append(str(exc))
            return ()


def _option(arguments: tuple[str, ...], letter: str) -> str:
    """Return the value of an option, '' where it is not given."""
    for index, argument in enumerate(arguments):
        if argument == f"-{letter}" and index + 1 < len(arguments):
            return arguments[index + 1]
        if argument.startswith(f"-{letter}") and len(argument) > len(letter) + 1:
            return argument[len(letter) + 1 :]
    return ""


def _chrony(reader: _Reader, arguments: tuple[str, ...]) -> StepRule | None:
    named = _option(arguments, "f")
    found = reader.first((named,) if named else CHRONY_FILES)
    if found is None:
        return None
    path, directives = found
    rule = StepRule(inf, 0, slew_ppm=CHRONY_SLEW_PPM, source=f"{path}: no makestep")
    for words in _included(reader, directives, dirname(path), DEPTH_LIMIT):
        rule = _chrony_line(rule, words, path)
    return rule


def _included(
    reader: _Reader, directives: list[list[str]], folder: str, depth: int
) -> Iterator[list[str]]:
    for words in directives:
        inner: list[str] = []
        if words[0] == "confdir" and depth:
            for place in (join(folder, item) for item in words[1:]):
                inner += [join(place, name) for name in reader.names(place) if name[-5:] == ".conf"]
        elif words[0] == "include" and depth and len(words) > 1:
            inner = [join(folder, words[1])]
        else:
            yield words
        for path in inner:
            yield from _included(reader, reader.directives(path) or [], folder, depth - 1)


def _chrony_line(rule: StepRule, words: list[str], path: str) -> StepRule:
    numbers = [_number(word) for word in words[1:3]]
    if words[0] == "makestep" and len(numbers) > 1:
        text = f"{path}: makestep {words[1]} {words[2]}"
        return StepRule(numbers[0], int(numbers[1]), rule.gives_up_s, rule.slew_ppm, text)
    if words[0] == "maxchange" and numbers:
        return StepRule(rule.threshold_s, rule.updates, numbers[0], rule.slew_ppm, rule.source)
    if words[0] == "maxslewrate" and numbers and numbers[0] > 0:
        return StepRule(rule.threshold_s, rule.updates, rule.gives_up_s, numbers[0], rule.source)
    return rule


def _ntpd(reader: _Reader, arguments: tuple[str, ...]) -> StepRule | None:
    named = _option(arguments, "c")
    found = reader.first((named,) if named else NTPD_FILES)
    if found is None:
        return None
    path, directives = found
    tinker = {"step": NTPD_SLEW_ONLY_S if "-x" in arguments else NTPD_STEP_S}
    tinker["panic"] = NTPD_PANIC_S
    for words in directives:
        if words[0] == "tinker":
            pairs = zip(words[1::2], words[2::2], strict=False)
            tinker |= {name: _number(value) for name, value in pairs if name in tinker}
    step_s, panic_s = tinker["step"] or inf, tinker["panic"] or inf  # 0 means never
    return StepRule(step_s, -1, panic_s, source=f"{path}: step {step_s:g} s, panic {panic_s:g} s")


def _number(text: str) -> float:
    """Return a number of a configuration, 0 where it is none: the daemon would not have started."""
    value = float(text) if _NUMBER.fullmatch(text) else 0.0
    return value if isfinite(value) else 0.0
