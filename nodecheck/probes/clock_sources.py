"""Find out which NTP servers to ask, and which daemon is configured to steer the clock.

Servers that the operator names stand alone. Otherwise: Amazon Time Sync on EC2, the servers that
the node itself is configured to follow (one that lies is then named), time.aws.com outside EC2.
This machine's own daemon is no independent source and is left out.
"""

from __future__ import annotations

import ipaddress
from posixpath import dirname, join
from typing import TYPE_CHECKING

from nodecheck.host.w32time_settings import W32Reader
from nodecheck.model.clock import Discipline, TimeConfiguration
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.time_server import (
    AMAZON_ON_EC2,
    AMAZON_PUBLIC,
    NTP_PORT,
    PORT_LIMIT,
    TimeServer,
    parse_server,
    server_at,
)
from nodecheck.records import dataclass, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from nodecheck.host.door import Files, Host

SERVER_LIMIT = 8
FILE_LIMIT_BYTES = 64 * 1024
FOLDER_LIMIT = 64
DEPTH_LIMIT = 3

CHRONY = ("/etc/chrony/chrony.conf", "/etc/chrony.conf")
NTPD = ("/etc/ntpsec/ntp.conf", "/etc/ntp.conf")
TIMESYNCD = "/etc/systemd/timesyncd.conf"
TIMESYNCD_FOLDERS = (
    "/usr/lib/systemd/timesyncd.conf.d",
    "/run/systemd/timesyncd.conf.d",
    "/etc/systemd/timesyncd.conf.d",
)

Lines = tuple[str, ...]


def discover(host: Host, configured: tuple[str, ...], *, is_ec2: bool) -> TimeConfiguration:
    """Return the servers to ask, most trustworthy first, and the configured daemon.

    Args:
        host: the node.
        configured: what the operator set as ``clock.servers``, valid by ``parse_server``.
        is_ec2: whether the node is an EC2 instance.
    """
    node = _of_node(host)
    if configured:
        named = tuple(parse_server(text) for text in configured)
        return TimeConfiguration(_bounded(named), node.discipline, node.unread)
    first = AMAZON_ON_EC2 if is_ec2 else ()
    last = () if is_ec2 else (AMAZON_PUBLIC,)
    room = SERVER_LIMIT - len(first) - len(last)
    servers = _bounded((*first, *_bounded(node.servers, room), *last))
    return TimeConfiguration(servers, node.discipline, node.unread)


def _bounded(servers: Iterable[TimeServer], limit: int = SERVER_LIMIT) -> tuple[TimeServer, ...]:
    unique: dict[tuple[str, int], TimeServer] = {}
    for server in servers:
        unique.setdefault((server.host, server.port), server)
    return tuple(unique.values())[:limit]


@dataclass(slots=True)
class _Reader:
    """Reads configuration files; absent ones are nothing, others that fail are remembered."""

    files: Files
    unread: list[str] = field(default_factory=list)

    def lines(self, path: str) -> Lines | None:
        try:
            content = self.files.read(path, FILE_LIMIT_BYTES, follow=True)
        except Absent:
            return None
        except ProbeError as exc:
            self.unread.append(str(exc))
            return ()
        return tuple(content.decode("utf-8", "replace").splitlines())

    def folder(self, path: str, suffix: str) -> Iterator[Lines]:
        try:
            names = self.files.listing(path, FOLDER_LIMIT)
        except Absent:
            return
        except ProbeError as exc:
            self.unread.append(str(exc))
            return
        for name in names:
            if name.endswith(suffix) and (lines := self.lines(join(path, name))):
                yield lines


def _of_node(host: Host) -> TimeConfiguration:
    if host.platform.system == "windows":
        registry = W32Reader(host.registry)
        told = [server for server in registry.servers() if not _is_own(server.host)]
        found = tuple(replace(server, is_found=True) for server in told)
        return TimeConfiguration(found, Discipline.W32TIME, tuple(registry.notes))
    reader = _Reader(host.files)
    looks: tuple[tuple[Discipline, Callable[[_Reader], list[TimeServer] | None]], ...] = (
        (Discipline.CHRONY, _chrony),
        (Discipline.NTPD, _ntpd),
        (Discipline.TIMESYNCD, _timesyncd),
    )
    for discipline, look in looks:
        servers = look(reader)
        if servers is not None:
            foreign = [server for server in servers if not _is_own(server.host)]
            found = tuple(replace(server, is_found=True) for server in foreign)
            return TimeConfiguration(found, discipline, tuple(reader.unread))
    return TimeConfiguration((), Discipline.NONE, tuple(reader.unread))


def _is_own(host: str) -> bool:
    """Tell whether a server is this machine, or a reference clock of ntpd (127.127.x.y)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _chrony(reader: _Reader) -> list[TimeServer] | None:
    for path in CHRONY:
        if (lines := reader.lines(path)) is not None:
            return list(_chrony_servers(reader, lines, dirname(path), DEPTH_LIMIT))
    return None


def _chrony_servers(reader: _Reader, lines: Lines, folder: str, depth: int) -> Iterator[TimeServer]:
    """Yield the sources in a chrony.conf and in the folders it names (chrony.conf(5))."""
    for words in _directives(lines):
        if words[0] in {"confdir", "sourcedir"} and depth:
            suffix = ".conf" if words[0] == "confdir" else ".sources"
            for path in words[1:]:
                for inner in reader.folder(join(folder, path), suffix):
                    yield from _chrony_servers(reader, inner, folder, depth - 1)
        elif words[0] == "include" and depth and "*" not in words[-1]:
            inner_lines = reader.lines(join(folder, words[-1])) or ()
            yield from _chrony_servers(reader, inner_lines, folder, depth - 1)
        else:
            yield from _source_line(words)


def _ntpd(reader: _Reader) -> list[TimeServer] | None:
    for path in NTPD:
        if (lines := reader.lines(path)) is not None:
            return [server for words in _directives(lines) for server in _source_line(words)]
    return None


def _directives(lines: Lines) -> Iterator[list[str]]:
    """Yield the words of each line that has two or more and is no comment (#, %, ! and ;)."""
    for line in lines:
        words = line.split("#")[0].split()
        if len(words) > 1 and words[0][0] not in "%!;":
            yield [words[0].lower(), *words[1:]]


def _source_line(words: list[str]) -> Iterator[TimeServer]:
    if words[0] not in {"server", "pool", "peer"} or words[1].startswith("-"):
        return
    port = str(NTP_PORT)
    if "port" in words[2:-1]:
        port = words[words.index("port", 2) + 1]
    if port.isascii() and port.isdecimal() and 0 < int(port) <= PORT_LIMIT:
        yield server_at(words[1], int(port), is_pool=words[0] == "pool")


def _timesyncd(reader: _Reader) -> list[TimeServer] | None:
    """Return the servers of timesyncd.conf(5); FallbackNTP counts only without any NTP."""
    main = reader.lines(TIMESYNCD)
    parts = [main] if main is not None else []
    for folder in TIMESYNCD_FOLDERS:
        parts.extend(reader.folder(folder, ".conf"))
    if not parts:
        return None
    values: dict[str, list[str]] = {"NTP": [], "FallbackNTP": []}
    for line in (line.strip() for lines in parts for line in lines):
        key, _, value = line.partition("=")
        if key.strip() in values:
            # An empty assignment empties the list, any other one appends to it.
            values[key.strip()] = [*values[key.strip()], *value.split()] if value.strip() else []
    return [server_at(name) for name in values["NTP"] or values["FallbackNTP"]]
