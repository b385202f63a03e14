"""Take the head of an HTTP/1 reply apart, as strictly as who may be hostile deserves."""

from __future__ import annotations

import re
from typing import NamedTuple

from nodecheck.model.errors import ProbeError

STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([2-5][0-9][0-9])(?: [^\r\n]*)?\r?\n")


class ReplyHead(NamedTuple):
    """Status, and headers by their names in lower case."""

    status: int
    headers: dict[str, str]


def parse_head(data: bytes, name: str) -> ReplyHead:
    """Return status and headers (names in lower case) of the head of an HTTP/1 reply.

    Raises:
        ProbeError: not the head of an HTTP/1 reply.
    """
    line = STATUS_LINE.match(data)
    if line is None:
        msg = f"{name}: the reply is not HTTP/1"
        raise ProbeError(msg, "bad-reply")
    headers: dict[str, str] = {}
    for raw in data[line.end() :].decode("latin-1").split("\n"):
        row = raw.rstrip("\r")
        key, colon, value = row.partition(":")
        if row and (not colon or not key or key != key.strip()):
            msg = f"{name}: the reply has a line that is no header"
            raise ProbeError(msg, "bad-reply")
        if not row:
            break
        lowered, value = key.lower(), value.strip()
        headers[lowered] = f"{headers[lowered]}, {value}" if lowered in headers else value
    return ReplyHead(int(line[1]), headers)
