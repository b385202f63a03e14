"""Read the settings file, if it can be believed, and refuse secrets in it.

No setting needs a secret, and settings are shown: ``config show`` prints every value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.model.errors import ProbeError
from nodecheck.model.node import FileKind
from nodecheck.model.secret_rules import scan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.host.door import Host
    from nodecheck.model.node import FileState

FILE_LIMIT_BYTES: Final = 64 * 1024
SECRETS_SHOWN: Final = 5


def read_file(host: Host, path: str) -> Mapping[str, object]:
    """Return the tables of a settings file.

    Raises:
        ProbeError: it cannot be read or believed, or is not TOML; ``Absent`` if it is not there.
    """
    refuse_writable(host, path)
    content = host.files.read(path, FILE_LIMIT_BYTES, follow=True)
    try:
        text = content.decode()
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        msg = f"{path}: not UTF-8 text (at line {line})"
        raise ProbeError(msg) from exc
    if text.startswith("\ufeff"):
        msg = f"{path}: begins with a byte order mark; save it as UTF-8 without one"
        raise ProbeError(msg)
    return parse(text, path)


def parse(text: str, place: str) -> Mapping[str, object]:
    """Return the tables in the text of settings.

    Raises:
        ProbeError: it holds a secret, or is not TOML.
    """
    import tomllib

    _refuse_secrets(text, place)
    try:
        return tomllib.loads(text)
    except ValueError as exc:  # also a number of more digits than Python reads
        msg = f"{place}: not valid TOML: {' '.join(str(exc).split())[:200]}"
        raise ProbeError(msg) from exc
    except RecursionError as exc:
        msg = f"{place}: not valid TOML: nested too deep"
        raise ProbeError(msg) from exc


def _refuse_secrets(text: str, place: str) -> None:
    """Name rule, line and key of what looks like a secret; its value is told nowhere.

    Raises:
        ProbeError: there is one.
    """
    seen = scan(text)
    if not seen:
        return
    lines = text.split("\n")
    places = [
        f"line {item.line}{_key_of(lines[item.line - 1])} looks like a secret ({item.rule})"
        for item in seen[:SECRETS_SHOWN]
    ]
    msg = (
        f"{place}: {'; '.join(places)}; no setting needs a secret, take it out and keep it as a"
        " SecureString of Parameter Store"
    )
    raise ProbeError(msg, "secret")


def _key_of(line: str) -> str:
    """Return the key of a line of TOML, unless the key itself may be the secret."""
    key = line.partition("=")[0].strip()
    is_key = re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", key) is not None and not scan(key)
    return f", {key}," if is_key else ""


def refuse_writable(host: Host, path: str) -> None:
    """Make sure that nobody but root can write what root is about to believe.

    Links are followed; the file and every folder above it count, but for folders with a sticky bit.

    Raises:
        ProbeError: somebody else can; the message says how to mend it.
    """
    real = host.files.resolve(path)
    if host.files.state(real).kind is not FileKind.FILE:
        msg = f"{path}: not a regular file"
        raise ProbeError(msg)
    place = real
    while host.privileged and place:
        state = host.files.state(place)
        writable = state.mode & 0o022 and not (
            state.kind is FileKind.FOLDER and state.mode & 0o1000
        )
        if writable or state.uid != 0:
            raise ProbeError(_disbelief(host, path, place, state))
        place = place.rpartition("/")[0]
        if place.endswith(":"):
            return  # a drive of Windows: who may add to its root replaces nothing in it


def _disbelief(host: Host, path: str, place: str, state: FileState) -> str:
    """Return why root does not believe a file, and how to mend that."""
    if host.platform.system != "windows":
        return (
            f"{path}: root does not believe it, because others can write {place} (owner "
            f"{state.uid}, mode {state.mode:04o}); mend with: chown root {place} && "
            f"chmod go-w {place}"
        )
    facts = host.access.of(place)
    strangers = facts.strangers((facts.owner_sid, *facts.writers))
    quoted = f'"{place.replace("/", chr(92))}"'
    return (
        f"{path}: an elevated run does not believe it, because others can write {place} "
        f"({', '.join(dict.fromkeys(strangers))}); mend with: "
        f"icacls {quoted} /setowner *S-1-5-32-544 && icacls {quoted} /inheritance:r "
        f"/grant:r *S-1-5-18:F *S-1-5-32-544:F *S-1-5-32-545:R"
    )
