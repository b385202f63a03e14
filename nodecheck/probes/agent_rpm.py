"""Look up the agent in the node's rpm databases, and prove what is found there.

A SQLite database is read directly. From Berkeley DB and ndb the ``rpm`` tool fetches the signed
region and the signature; it is a courier whose own opinion is switched off, because it leaves out
headers that it considers bad.

Sources: rpm(8) (``--dbpath``, ``--nodigest``, ``--nosignature``, query formats),
lib/backend/sqlite.c and lib/backend/dbi.c (how rpm chooses a backend, and its warnings) of rpm.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent import Channel, Installation
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.node import FileKind
from nodecheck.model.report import shorten
from nodecheck.model.trust import AGENT_PACKAGE, RpmFacts, SignedPackage
from nodecheck.records import replace
from nodecheck.trust.packets import TrustError
from nodecheck.trust.rpm_header import BLOB_LIMIT_BYTES, RpmHeader, read_header, read_parts
from nodecheck.trust.rpm_package import prove_package

if TYPE_CHECKING:
    from nodecheck.host.door import Host, ToolOutput
    from nodecheck.trust.key_ring import KeyRing

FOLDERS: Final = ("/var/lib/rpm", "/usr/lib/sysimage/rpm")
"""Where databases lie; since Fedora 36 and on SUSE in the second, linked from the first."""
ROOTS_FOLDER: Final = "/root/.rpmdb"
"""Where Debian's rpm keeps what root installs by it (``_dbpath`` of its macros: ``~/.rpmdb``)."""

SQLITE: Final = "rpmdb.sqlite"
BACKENDS: Final = {"Packages.db": "ndb", "Packages": "bdb"}
"""The databases that rpm has to read, and the name of each kind in its configuration."""
COPIES_LIMIT: Final = 8
QUERY: Final = (
    "select blob from Packages where hnum in (select hnum from Name where key = ?) limit ?"
)
SIGNED_FORMAT: Final = r"%{HEADERIMMUTABLE}|%{RSAHEADER}|%{DSAHEADER}\n"
OTHERWISE_FORMAT: Final = r"%{OPENPGP}\n"
"""Asks for what RPM 6 signs with; an rpm that does not know the tag has put none there."""
COURIER_TIMEOUT_S: Final = 5.0

_NONE: Final = "(none)"
_LINE: Final = re.compile(r"([0-9a-f]+)\|([0-9a-f]+|\(none\))\|([0-9a-f]+|\(none\))")
_HARMLESS: Final = re.compile(
    rb"warning: (Found (bdb|bdb_ro) Packages database while attempting bdb backend: "
    rb"using \2 backend\.|Generating [0-9]+ missing index\(es\), please wait\.\.\.)"
)
_NOT_INSTALLED: Final = f"package {AGENT_PACKAGE} is not installed\n".encode()


def look(host: Host, ring: KeyRing) -> RpmFacts:
    """Return every agent package that the node's rpm databases hold.

    A node without an rpm database has none. A header that cannot be read is noted as unobserved.

    Raises:
        ProbeError: a database is there and cannot be read (``Denied``: not by this user).
    """
    packages: list[SignedPackage] = []
    unobserved: list[str] = []
    databases = _find_databases(host, unobserved)
    for path in databases:
        for header in _read_database(host, path, unobserved):
            try:
                package = prove_package(header, ring, path)
            except TrustError as exc:
                unobserved.append(f"{path}: {exc}")
            else:
                packages.append(package)
    return RpmFacts(
        packages=tuple(packages),
        installations=tuple(_install(item) for item in packages if item.name == AGENT_PACKAGE),
        unobserved=tuple(unobserved),
        source=", ".join(databases),
    )


def courier(path: str, query_format: str) -> tuple[str, ...]:
    """Return the command that fetches the agent's headers from one database.

    Folder and kind are named: rpm would else look elsewhere, and an rpm that cannot read this kind
    would make an empty database of its own kind beside it, and answer from that (measured, 4.18).
    """
    folder, _, name = path.rpartition("/")
    return (
        "/usr/bin/rpm",
        "--define",
        f"_db_backend {BACKENDS[name]}",
        "--dbpath",
        folder,
        "-q",
        "--nodigest",
        "--nosignature",
        AGENT_PACKAGE,
        "--qf",
        query_format,
    )


def _find_databases(host: Host, unobserved: list[str]) -> tuple[str, ...]:
    """Return the database of each folder once; two folders may be one by a link.

    Of two kinds in one folder nothing tells which one rpm uses: its configuration decides.
    """
    found: dict[tuple[int, int], str] = {}
    doubtful: set[tuple[int, int]] = set()
    for folder in (*FOLDERS, ROOTS_FOLDER) if host.privileged else FOLDERS:
        here: dict[tuple[int, int], str] = {}
        for name in (SQLITE, *BACKENDS):
            path = f"{folder}/{name}"
            try:
                state = host.files.state(path)
            except Absent:
                continue
            here[state.device, state.inode] = path
        if len(here) > 1 and not doubtful & set(here):
            unobserved.append(f"{' and '.join(here.values())}: which of them rpm uses is not known")
        if len(here) > 1:
            doubtful |= set(here)
        found = here | found
    return tuple(path for key, path in found.items() if key not in doubtful)


def _read_database(host: Host, path: str, unobserved: list[str]) -> tuple[RpmHeader, ...]:
    try:
        if path.endswith(SQLITE):
            return tuple(read_header(blob) for blob in _query(host, path))
        headers = parse_courier(_ask(host, path, SIGNED_FORMAT))
        if all(header.signature or header.other_signature for header in headers):
            return headers
        return mark_otherwise_signed(headers, _ask(host, path, OTHERWISE_FORMAT))
    except TrustError as exc:
        unobserved.append(f"{path}: {exc}")
        return ()


def _ask(host: Host, path: str, query_format: str) -> ToolOutput:
    command = courier(path, query_format)
    return host.processes.run(command, COURIER_TIMEOUT_S, 4 * BLOB_LIMIT_BYTES)


def _query(host: Host, path: str) -> tuple[bytes, ...]:
    parameters = (AGENT_PACKAGE, COPIES_LIMIT + 1)
    rows = host.files.query_sqlite(path, QUERY, parameters, BLOB_LIMIT_BYTES)
    blobs = tuple(row[0] for row in rows if isinstance(row[0], bytes))
    if len(blobs) != len(rows) or len(rows) > COPIES_LIMIT:
        msg = f"{len(rows)} rows for {AGENT_PACKAGE}, {len(blobs)} of them headers"
        raise TrustError(msg)
    return blobs


def parse_courier(output: ToolOutput) -> tuple[RpmHeader, ...]:
    """Return the headers that rpm printed: region and signatures as hexadecimal, one a line.

    Raises:
        ProbeError: rpm failed, or its output is not understood. "Not installed" is believed only
            without any complaint: rpm says it of a database that it could not open, too.
        TrustError: a header is damaged.
    """
    quiet = all(_HARMLESS.fullmatch(line) for line in output.stderr.splitlines())
    if quiet and output.code == 1 and output.stdout == _NOT_INSTALLED:
        return ()
    lines = output.stdout.decode("utf-8", "replace").splitlines()
    matches = [match for line in lines if (match := _LINE.fullmatch(line))]
    if output.code or not matches or len(matches) != len(lines):
        said = (output.stderr or output.stdout).decode("utf-8", "replace")
        msg = f"rpm -q {AGENT_PACKAGE}: exit code {output.code}, {shorten(said, 200)!r}"
        raise ProbeError(msg)
    return tuple(_read_line(*match.groups()) for match in matches)


def mark_otherwise_signed(
    headers: tuple[RpmHeader, ...], output: ToolOutput
) -> tuple[RpmHeader, ...]:
    """Return the headers; one without an RSA signature may have one that only RPM 6 makes."""
    lines = output.stdout.decode("utf-8", "replace").splitlines()
    if output.code or len(lines) != len(headers):
        return headers
    return tuple(
        replace(header, other_signature=header.other_signature or line != _NONE)
        for header, line in zip(headers, lines, strict=True)
    )


def _read_line(region: str, rsa: str, dsa: str) -> RpmHeader:
    try:
        signature = None if rsa == _NONE else bytes.fromhex(rsa)
        return read_parts(bytes.fromhex(region), signature, other_signature=dsa != _NONE)
    except ValueError as exc:
        msg = "rpm printed an odd number of hexadecimal digits"
        raise TrustError(msg) from exc


def _install(package: SignedPackage) -> Installation:
    programs = [
        file.path
        for file in package.files
        if file.path.endswith(f"/{AGENT_PACKAGE}")
        and file.kind is FileKind.FILE
        and file.mode & 0o111
    ]
    executable = programs[0] if programs else ""
    return Installation(Channel.RPM, package.version, package.label, executable)
