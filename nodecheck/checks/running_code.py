"""Judge the code that a process of the agent has loaded beside its image.

A signed image proves nothing about the libraries in its memory. The agent is linked dynamically, so
the loader (ld.so(8)) brings in what ``LD_PRELOAD``, ``LD_AUDIT`` and ``LD_LIBRARY_PATH`` of the
process ask for, and what ``/etc/ld.so.preload`` names for every program of the node. Amazon uses
none of the four. A variable is proof that this agent was started to run other code: ``crit``. The
file is root's word about the whole node, and products that watch a node write it: ``warn``, and
``crit`` only where somebody else than root can change the library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.process_text import DELETED
from nodecheck.model.verdict import Finding, Status

if TYPE_CHECKING:
    from nodecheck.model.install import AgentProcess, CodeFile
    from nodecheck.model.node import FileState
    from nodecheck.model.process_text import LoaderVariable

SYSTEM_LIBRARIES: Final = (
    "/lib/",
    "/lib32/",
    "/lib64/",
    "/usr/lib/",
    "/usr/lib32/",
    "/usr/lib64/",
    "/snap/",  # images that cannot be written
    "/var/lib/snapd/",
)
LISTED_LIMIT: Final = 5

_OTHERS_WRITE: Final = 0o022
_SEARCH_PATH: Final = "LD_LIBRARY_PATH"

CodeProblem = tuple[Status, Finding]


def judge_code(process: AgentProcess) -> list[CodeProblem]:
    """Return what is wrong with the code that one process has loaded."""
    what = f"process {process.pid} ({process.name})"
    if process.unseen:
        text = f"{what}: the code that it has loaded could not be seen: {process.unseen}"
        return [(Status.UNKNOWN, Finding("not-observed", text))]
    found = [
        (Status.CRIT, Finding("preloaded", f"{what} was started with {spell(variable)}"))
        for variable in process.variables
        if not _is_harmless(variable)
    ]
    return found + _join(what, process.code)


def judge_preloads(preloads: tuple[CodeFile, ...], unseen: str) -> list[CodeProblem]:
    """Return what the loader puts into every program of this node."""
    if unseen:
        return [(Status.UNKNOWN, Finding("not-observed", unseen))]
    if not preloads:
        return []
    risky = [item for item in preloads if item.state and _is_changeable(item.state)]
    text = f"/etc/ld.so.preload puts {_listed(preloads)} into every program, the agent too"
    if risky:
        text += f"; others than root can change {_listed(risky)}"
    return [(Status.CRIT if risky else Status.WARN, Finding("preload-file", text))]


def is_ordinary(item: CodeFile) -> bool:
    """Tell whether a file is root's own, in a folder of system libraries."""
    if not item.path.startswith(SYSTEM_LIBRARIES):
        return False
    if item.state is None:  # an update of the library replaced it
        return item.path.endswith(DELETED)
    return not _is_changeable(item.state)


def spell(variable: LoaderVariable) -> str:
    """Return a variable with the paths in it; whatever else it holds is not shown."""
    paths = [entry[:200] for entry in variable.entries if entry.startswith("/")]
    return f"{variable.name}={':'.join(paths[:LISTED_LIMIT])}" if paths else variable.name


def _join(what: str, code: tuple[CodeFile, ...]) -> list[CodeProblem]:
    """Return one problem for each degree of strangeness."""
    degrees: dict[tuple[Status, str], list[CodeFile]] = {}
    for item in code:
        if not is_ordinary(item):
            degrees.setdefault(_degree(item), []).append(item)
    return [
        (status, Finding("foreign-code", f"{what} has code of {_listed(items)} loaded, {why}"))
        for (status, why), items in degrees.items()
    ]


def _degree(item: CodeFile) -> tuple[Status, str]:
    if item.path.startswith("/memfd:"):
        return Status.CRIT, "which never had a file"
    if item.state is None:
        return Status.UNKNOWN, "whose file is gone, so that nobody can tell whose it was"
    if _is_changeable(item.state):
        return Status.CRIT, "which others than root can change"
    return Status.WARN, "which is in no folder of system libraries"


def _is_changeable(state: FileState) -> bool:
    return state.uid != 0 or bool(state.mode & _OTHERS_WRITE)


def _is_harmless(variable: LoaderVariable) -> bool:
    """Tell whether a search path leads to system libraries only.

    An empty entry is the folder that the service was started in, ``/``; what is loaded from there
    all the same is among the files mapped as code.
    """
    return variable.name == _SEARCH_PATH and all(
        not entry or (f"{entry}/".startswith(SYSTEM_LIBRARIES) and ".." not in entry)
        for entry in variable.entries
    )


def _listed(items: tuple[CodeFile, ...] | list[CodeFile]) -> str:
    more = len(items) - LISTED_LIMIT
    text = ", ".join(item.path[:200] for item in items[:LISTED_LIMIT])
    return f"{text} and {more} more" if more > 0 else text
