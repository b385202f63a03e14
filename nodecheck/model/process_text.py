"""Read what the kernel and the dynamic loader's files say of a process: pure text to values.

Sources: proc_pid_status(5) (``Uid``, ``NSpid``, ``TracerPid``), proc_pid_maps(5), ld.so(8)
(``LD_PRELOAD``, ``LD_AUDIT``, ``LD_LIBRARY_PATH``, ``/etc/ld.so.preload``), elf/rtld.c of glibc.
"""

from __future__ import annotations

import re
from typing import Final

from nodecheck.model.errors import ProbeError
from nodecheck.records import dataclass

DELETED: Final = " (deleted)"
LOADER_VARIABLES: Final = ("LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH")
ENTRIES_LIMIT: Final = 20

_TRACER: Final = re.compile(r"^TracerPid:\t([0-9]{1,10})$", re.MULTILINE)
_USERS: Final = re.compile(r"^Uid:((?:\t[0-9]{1,10}){4})$", re.MULTILINE)
_NUMBERS: Final = re.compile(r"^NSpid:((?:\t[0-9]{1,10})+)$", re.MULTILINE)
_MAPPING: Final = re.compile(
    r"^[0-9a-f]+-[0-9a-f]+ ..x. [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ [0-9]+ +(/.*)$", re.MULTILINE
)
_COMMENT: Final = re.compile(r"#[^\n]*")
_SEPARATOR: Final = re.compile(r"[ \t\n:;]+")


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """What ``/proc/PID/status`` says.

    ``uid`` is 0 only where all four user ids are: the caller of a set-user-id program is not root.
    ``nested`` tells that the process lives in a PID namespace below the one that is looked from.
    """

    uid: int
    nested: bool
    tracer_pid: int


@dataclass(frozen=True, slots=True)
class LoaderVariable:
    """A variable that makes the dynamic loader fetch other code, and its entries."""

    name: str
    entries: tuple[str, ...]


def read_status(text: str) -> ProcessStatus:
    r"""Return the owner, the depth and the tracer of a process.

    >>> read_status("Name:\tx\nTracerPid:\t0\nUid:\t1000\t0\t0\t0\nNSpid:\t70\t1\n")
    ProcessStatus(uid=1000, nested=True, tracer_pid=0)

    Raises:
        ProbeError: the text is not that of such a file.
    """
    users, numbers, tracer = (item.search(text) for item in (_USERS, _NUMBERS, _TRACER))
    if not users:
        msg = "/proc/PID/status is not understood"
        raise ProbeError(msg, "not-understood")
    return ProcessStatus(
        uid=next((int(user) for user in users[1].split() if int(user)), 0),
        nested=numbers is not None and len(numbers[1].split()) > 1,
        tracer_pid=int(tracer[1]) if tracer else 0,
    )


def mapped_code(maps: str, image: str) -> tuple[str, ...]:
    """Return the files in ``/proc/PID/maps`` that are mapped as code beside the image.

    >>> mapped_code("7f0-7f1 r-xp 0 08:01 9 /tmp/x.so", "/usr/bin/x")
    ('/tmp/x.so',)
    """
    found = dict.fromkeys(_MAPPING.findall(maps))
    return tuple(path for path in found if path.removesuffix(DELETED) != image)


def loader_variables(environment: bytes) -> tuple[LoaderVariable, ...]:
    r"""Return the variables that change which code is loaded; an empty one changes nothing.

    >>> loader_variables(b"A=1\0LD_PRELOAD=/x.so y.so\0LD_AUDIT=\0")
    (LoaderVariable(name='LD_PRELOAD', entries=('/x.so', 'y.so')),)
    """
    found: list[LoaderVariable] = []
    for item in environment.split(b"\0"):
        name, _, value = item.decode("utf-8", "replace").partition("=")
        if name in LOADER_VARIABLES and value:
            found.append(LoaderVariable(name, tuple(_SEPARATOR.split(value)[:ENTRIES_LIMIT])))
    return tuple(found[:ENTRIES_LIMIT])


def preload_entries(text: str) -> tuple[str, ...]:
    r"""Return the libraries in the text of ``/etc/ld.so.preload``.

    >>> preload_entries("# none\n/opt/a.so:b.so # c\n")
    ('/opt/a.so', 'b.so')
    """
    entries = _SEPARATOR.split(_COMMENT.sub(" ", text))
    return tuple(entry for entry in dict.fromkeys(entries) if entry)[:ENTRIES_LIMIT]
