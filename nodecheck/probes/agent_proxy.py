"""Find the proxy that the agent's service is told to use.

Go reads ``HTTPS_PROXY`` before ``https_proxy`` (net/http ProxyFromEnvironment). AWS documents three
places for them: drop-ins of the systemd unit, those of the snap's unit, and upstart's override
(Systems Manager User Guide, "Configuring SSM Agent to use a proxy on Linux nodes").
``EnvironmentFile=`` is not followed.
"""

from __future__ import annotations

import shlex
from posixpath import join
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent_proxy import AgentProxy
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.unit_file import parse_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nodecheck.host.door import Files, Host

UNITS: Final = ("amazon-ssm-agent.service", "snap.amazon-ssm-agent.amazon-ssm-agent.service")
FOLDERS: Final = (
    "/usr/lib/systemd/system",
    "/run/systemd/system",
    "/etc/systemd/system",
)
"""Units of a later folder replace those of an earlier one (systemd.unit(5))."""

UPSTART: Final = ("/etc/init/amazon-ssm-agent.conf", "/etc/init/amazon-ssm-agent.override")
FILE_LIMIT_BYTES: Final = 64 * 1024
FOLDER_LIMIT: Final = 100
ASSIGNMENT: Final = "env "


def look(host: Host) -> AgentProxy:
    """Return the proxy of the agent's service; where a file cannot be read, that is noted."""
    if host.platform.system == "windows":
        return AgentProxy()
    unread: list[str] = []
    for unit in UNITS:
        found = _of_unit(host.files, unit, unread)
        if found.https_proxy:
            return found
    return _of_upstart(host.files, unread)


def _of_unit(files: Files, unit: str, unread: list[str]) -> AgentProxy:
    variables: dict[str, tuple[str, str]] = {}
    for path in (*_main_file(files, unit, unread), *_drop_ins(files, unit, unread)):
        for key, value in parse_unit(_read(files, path, unread)):
            if key != "Environment":
                continue
            if not value:
                variables.clear()  # an empty assignment takes back all before it
            variables |= {name: (text, path) for name, text in read_assignments(value).items()}
    return _choose(variables, unread)


def _main_file(files: Files, unit: str, unread: list[str]) -> tuple[str, ...]:
    paths = (join(folder, unit) for folder in reversed(FOLDERS))
    return tuple(path for path in paths if _read(files, path, unread))[:1]


def _drop_ins(files: Files, unit: str, unread: list[str]) -> Iterator[str]:
    """Yield the drop-ins in the order in which systemd reads them: by name, wherever they lie."""
    by_name: dict[str, str] = {}
    for folder in FOLDERS:
        path = join(folder, f"{unit}.d")
        try:
            names = files.listing(path, FOLDER_LIMIT)
        except Absent:
            continue
        except ProbeError as exc:
            unread.append(str(exc))
            continue
        by_name |= {name: join(path, name) for name in names if name.endswith(".conf")}
    for name in sorted(by_name):
        yield by_name[name]


def _of_upstart(files: Files, unread: list[str]) -> AgentProxy:
    variables: dict[str, tuple[str, str]] = {}
    for path in UPSTART:
        for line in _read(files, path, unread).splitlines():
            if line.strip().startswith(ASSIGNMENT):
                found = read_assignments(line.strip().removeprefix(ASSIGNMENT))
                variables |= {name: (text, path) for name, text in found.items()}
    return _choose(variables, unread)


def _read(files: Files, path: str, unread: list[str]) -> str:
    try:
        return files.read(path, FILE_LIMIT_BYTES, follow=True).decode("utf-8", "replace")
    except Absent:
        return ""
    except ProbeError as exc:
        unread.append(str(exc))
        return ""


def read_assignments(value: str) -> dict[str, str]:
    """Return the variables in ``"A=1" B=2``; what is quoted wrongly assigns nothing.

    >>> read_assignments('"https_proxy=http://u:50%%25@squid:3128" no_proxy=169.254.169.254')
    {'https_proxy': 'http://u:50%25@squid:3128', 'no_proxy': '169.254.169.254'}
    """
    try:
        words = shlex.split(value)
    except ValueError:
        return {}
    pairs = (word.partition("=") for word in words)
    return {name: text.replace("%%", "%") for name, equals, text in pairs if equals}


def _choose(variables: Mapping[str, tuple[str, str]], unread: list[str]) -> AgentProxy:
    found = {}
    for name in ("https_proxy", "no_proxy"):
        candidates = (variables.get(name.upper()), variables.get(name))
        found[name] = next((item for item in candidates if item and item[0]), ("", ""))
    (proxy, source), (exempt, _) = found["https_proxy"], found["no_proxy"]
    return AgentProxy(proxy, exempt, source, tuple(dict.fromkeys(unread)))
