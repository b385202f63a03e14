"""Look at the folders that runs of associations and commands left behind.

In ``<data>/<node id>/document/orchestration`` each command has a folder named after its id, with
one for each step or plugin in it; an association has one with a folder for each run, named after
its time in UTC (agent/docmanager and agent/appconfig of https://github.com/aws/amazon-ssm-agent).
The agent removes those of associations after 24 hours, those of commands after 14 days. No symbolic
link is followed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent_place import place_of
from nodecheck.model.errors import Absent, Denied, ProbeError
from nodecheck.model.hygiene import RunFolders, Trace, Work
from nodecheck.model.node import FileKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.host.door import Files, Host, LocalClock

NAMES_LIMIT: Final = 20_000
RUNS_LIMIT: Final = 200
LIMIT_S: Final = 1.0

_ID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_RUN: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)\b.*", re.ASCII)
_STEPS: Final = {
    "awsupdateSsmAgent": Work.UPDATE,
    "PatchLinux": Work.PATCH,
    "PatchWindows": Work.PATCH,
    "PatchMacOS": Work.PATCH,
}
"""The plugin of AWS-UpdateSSMAgent, and the steps of AWS-RunPatchBaseline."""

_SCRIPTS: Final = ("awsrunShellScript", "awsrunPowerShellScript")


def look(host: Host) -> RunFolders:
    """Return the runs that left folders; whether all were seen is in the facts.

    Raises:
        Denied: this user may not look.
    """
    found: list[Trace] = []
    problem = ""
    try:
        instances = place_of(host.platform.system).instances
        for trace in _traces(host.files, host.clock, instances):
            found.append(trace)  # noqa: PERF402 - what was found before an error counts
    except Denied:
        raise
    except ProbeError as exc:
        problem = str(exc)
    return RunFolders(tuple(found), problem)


def _traces(files: Files, clock: LocalClock, instances: str) -> Iterator[Trace]:
    """Yield the runs that left folders.

    Raises:
        ProbeError: not all of them could be seen.
    """
    ends_ns = clock.monotonic_ns() + int(LIMIT_S * 1e9)
    for node in _names(files, instances):
        folder = f"{instances}/{node}/document/orchestration"
        for owner in _names(files, folder):
            if clock.monotonic_ns() > ends_ns:
                msg = f"{folder}: not all entries were seen in {LIMIT_S:.0f} s"
                raise ProbeError(msg, "timeout")
            if _ID.fullmatch(owner):
                yield from _runs(files, f"{folder}/{owner}", owner.lower())


def _runs(files: Files, folder: str, owner: str) -> Iterator[Trace]:
    names = _names(files, folder)
    runs = [match for name in names if (match := _RUN.fullmatch(name))]
    if not runs and names:
        changed_ns = files.state(folder).mtime_ns
        for work in _works(files, folder, names):
            yield Trace(owner, work, is_association=False, at_ns=changed_ns)
    for run in runs[-RUNS_LIMIT:]:
        try:
            at = datetime.strptime(run[1], "%Y-%m-%dT%H-%M-%S").replace(tzinfo=UTC)
        except ValueError:
            continue
        inner = f"{folder}/{run[0]}"
        for work in _works(files, inner, _names(files, inner)):
            yield Trace(owner, work, is_association=True, at_ns=int(at.timestamp()) * 10**9)


def _works(files: Files, folder: str, names: tuple[str, ...]) -> set[Work]:
    below = [name for script in _SCRIPTS if script in names
             for name in _names(files, f"{folder}/{script}")]  # fmt: skip
    return {_STEPS[name] for name in (*names, *below) if name in _STEPS}


def _names(files: Files, folder: str) -> tuple[str, ...]:
    """Return the names in a folder; a link, a file or nothing at all has none."""
    try:
        if files.state(folder).kind is not FileKind.FOLDER:
            return ()
        return files.listing(folder, NAMES_LIMIT)
    except Absent:
        return ()
