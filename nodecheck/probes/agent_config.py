"""Read the agent's configuration file, the first of its places that holds one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NoReturn

from nodecheck.model.agent_config import AgentConfig
from nodecheck.model.agent_config_parse import Members, parse
from nodecheck.model.agent_place import place_of
from nodecheck.model.errors import Absent, ProbeError

if TYPE_CHECKING:
    from nodecheck.host.door import Host

LIMIT_BYTES: Final = 256 * 1024
"""The template that AWS ships has 1.5 KiB."""


def look(host: Host) -> AgentConfig:
    """Return the agent's configuration; without a file it runs on its defaults.

    Raises:
        ProbeError: the file is there, and cannot be read or taken apart.
    """
    for path in place_of(host.platform.system).configs:
        try:
            content = host.files.read(path, LIMIT_BYTES, follow=True)
        except Absent:
            continue
        return read(content, path)
    return AgentConfig()


def read(content: bytes, path: str) -> AgentConfig:
    """Return what the agent takes from this content; what is no JSON it refuses.

    As in Go bytes that are not UTF-8 are replaced, and a byte order mark is no JSON.

    Raises:
        ProbeError: nested deeper than can be followed.
    """
    text = content.decode("utf-8", "replace")
    try:
        document = json.loads(
            text,
            object_pairs_hook=lambda pairs: Members(tuple(pairs)),
            parse_constant=_refuse_constant,
        )
    except RecursionError as exc:
        msg = f"{path}: nested too deep"
        raise ProbeError(msg, "not-understood") from exc
    except ValueError as exc:
        sentence = f"{path}: not JSON: {exc}"
        refused = f"{sentence}: the agent does not start"
        return AgentConfig(path=path, problems=(sentence,), refused=refused)
    return parse(document, path)


def _refuse_constant(name: str) -> NoReturn:
    """Python's reader would take NaN and Infinity for numbers."""
    msg = f"{name} is no value"
    raise ValueError(msg)
