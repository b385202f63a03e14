"""Read the agent's executables on Windows, and ask Windows whom each is signed by.

Only the named executables are looked at: the folder also holds programs of AWS that nobody signed
(``Plugins/awsCloudWatch``), which the agent's service does not start by itself. Each is open while
it is read, judged by Windows and identified, so that all three are of one file.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from nodecheck.model.authenticode import Place, ProgramFact, WindowsPrograms
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.install import CORE, EXECUTABLES
from nodecheck.model.node import FileKind
from nodecheck.records import replace
from nodecheck.trust.authenticode import read_signature
from nodecheck.trust.pe_file import FILE_LIMIT_BYTES, StructureError, image_digest, pieces, read_pe

if TYPE_CHECKING:
    from collections.abc import Callable

    from nodecheck.host.door import Host
    from nodecheck.host.program_door import Program
    from nodecheck.model.authenticode import EmbeddedSignature, WindowsInstall

SETTINGS: Final = (
    f"{CORE}.json",
    "seelog.xml",
    "configuration",
    f"configuration/{CORE}.json",
    "configuration/seelog.xml",
)
"""What the agent reads beside its executables; the folder wins where it is there."""

_LOCAL: Final = re.compile(r"[A-Za-z]:/[^:]*")
_VERSION_TIMEOUT_S: Final = 3.0
_VERSION_LIMIT_BYTES: Final = 4096
_REPORTED: Final = re.compile(rb"SSM Agent version: ([0-9]{1,9}(?:\.[0-9]{1,9}){3})\s*")


def look(
    host: Host, install: WindowsInstall, is_proven: Callable[[ProgramFact], bool]
) -> WindowsPrograms:
    """Return the executables in the agent's folder, and the service's where that is another.

    ``is_proven`` tells whether an executable may be run, to be asked for its version.
    """
    paths = [f"{install.folder}/{name}.exe" for name in EXECUTABLES]
    if install.is_service_elsewhere:
        paths.append(install.image)
    found = [fact for path in paths if (fact := look_at(host, path))]
    seen = {fact.path for fact in found}
    reported, note = "", ""
    if not install.version and found and found[0].path == paths[0] and is_proven(found[0]):
        reported, note = _ask_version(host, found[0].path)
    return WindowsPrograms(
        programs=tuple(found),
        missing=tuple(path for path in paths if path not in seen),
        places=_places(host, install, tuple(fact.path for fact in found)),
        reported=reported,
        note=note,
    )


def look_at(host: Host, path: str) -> ProgramFact | None:
    """Return one executable, None where nothing is at its path."""
    if not _LOCAL.fullmatch(path):
        return ProgramFact(path, unobserved=f"{path}: is not on a disk of this node")
    try:
        with host.programs.open(path) as program:
            state = host.files.state(path)
            if state.kind is not FileKind.FILE:
                text = f"{path}: is a {state.kind.value}, not a file"
                return ProgramFact(path, state=state, refusal="kind", detail=text)
            fact = ProgramFact(path, _digest(program), state)
            return _ask(program, _examine(program, fact))
    except Absent:
        return None
    except ProbeError as exc:
        return ProgramFact(path, unobserved=str(exc))


def _digest(program: Program) -> str:
    """Return the SHA-256 of the whole file, '' of one too large to be the agent's."""
    if program.size > FILE_LIMIT_BYTES:
        return ""
    digest = hashlib.sha256()
    for piece in pieces(program, 0, program.size):
        digest.update(piece)
    return digest.hexdigest()


def _examine(program: Program, fact: ProgramFact) -> ProgramFact:
    """Add what the file's own bytes say."""
    try:
        structure = read_pe(program)
        signature = read_signature(structure.signature)
        digest = image_digest(program, structure, signature.digest_algorithm).hex()
    except StructureError as exc:
        return replace(fact, refusal=exc.reason, detail=f"{fact.path}: {exc}")
    if digest != signature.digest:
        return _refused(fact, signature)
    return replace(fact, signature=signature)


def _refused(fact: ProgramFact, signature: EmbeddedSignature) -> ProgramFact:
    text = f"{fact.path}: its content is not what was signed"
    return replace(fact, signature=signature, refusal="bad-digest", detail=text)


def _ask(program: Program, fact: ProgramFact) -> ProgramFact:
    try:
        return replace(fact, answer=program.ask())
    except ProbeError as exc:
        return replace(fact, unanswered=str(exc))


def _ask_version(host: Host, path: str) -> tuple[str, str]:
    """Return the version that the agent says it is, or '' and why it did not."""
    try:
        said = host.processes.run((path, "-version"), _VERSION_TIMEOUT_S, _VERSION_LIMIT_BYTES)
    except ProbeError as exc:
        return "", str(exc)
    match = _REPORTED.fullmatch(said.stdout)
    if match is None or said.code != 0:
        return "", f"{path} -version: not understood"
    return match[1].decode(), ""


def _places(host: Host, install: WindowsInstall, programs: tuple[str, ...]) -> tuple[Place, ...]:
    """Return who may change the programs, what is beside them, and every folder above."""
    found = [_place(host, path) for path in programs if _LOCAL.fullmatch(path)]
    for name in SETTINGS:
        place = _place(host, f"{install.folder}/{name}")
        found += [place] if place else []
    folders = {path.rpartition("/")[0] for path in programs if _LOCAL.fullmatch(path)}
    for folder in sorted(folders):
        found.append(_place(host, folder))
        above = folder
        while "/" in above:
            above = above.rpartition("/")[0]
            place = _place(host, above if "/" in above else f"{above}/")
            found += [replace(place, above=True)] if place else []
    return tuple({place.path: place for place in found if place}.values())


def _place(host: Host, path: str) -> Place | None:
    """Return who may change what is at a path, None where nothing is there."""
    try:
        is_link = host.files.state(path).kind is FileKind.LINK
        return Place(path, host.access.of(path), is_link=is_link)
    except Absent:
        return None
    except ProbeError as exc:
        return Place(path, None, unobserved=str(exc))
