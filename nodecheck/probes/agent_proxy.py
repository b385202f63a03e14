"""Find the proxy that the agent's service is told to use.

Go reads ``HTTPS_PROXY`` before ``https_proxy`` (net/http ProxyFromEnvironment). AWS documents three
places for them: drop-ins of the systemd unit, those of the snap's unit, and upstart's override
(Systems Manager User Guide, "Configuring SSM Agent to use a proxy on Linux nodes"). systemd has two
more: ``DefaultEnvironment=`` of its own settings, which a unit overrides, and ``EnvironmentFile=``,
which overrides ``Environment=`` (systemd.exec(5)). On Windows it is the value ``Environment`` of
the service's key (the same guide, "Configure SSM Agent to use a proxy for Windows Server").
"""

from __future__ import annotations

import shlex
from posixpath import join
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent_proxy import AgentProxy
from nodecheck.model.authenticode import SERVICE_KEY
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.unit_file import MANAGER_FILES, UNIT_FOLDERS, drop_in_names, parse_unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nodecheck.host.door import Files, Host
    from nodecheck.host.windows_door import Registry

UNITS: Final = ("amazon-ssm-agent.service", "snap.amazon-ssm-agent.amazon-ssm-agent.service")
UPSTART: Final = ("/etc/init/amazon-ssm-agent.conf", "/etc/init/amazon-ssm-agent.override")
FILE_LIMIT_BYTES: Final = 64 * 1024
FOLDER_LIMIT: Final = 100
GLOB: Final = frozenset("*?[")
ASSIGNMENT: Final = "env "


def look(host: Host) -> AgentProxy:
    """Return the proxy of the agent's service; where a file cannot be read, that is noted."""
    unread: list[str] = []
    if host.platform.system == "windows":
        return _of_service(host.registry, unread)
    for unit in UNITS:
        found = _of_unit(host.files, unit, unread)
        if found.https_proxy or found.ca_file:
            return found
    return _of_upstart(host.files, unread)


def _of_service(registry: Registry, unread: list[str]) -> AgentProxy:
    """Return the proxy in the value ``Environment`` of the service's key: a list of ``NAME=text``.

    Names of variables have no case on Windows.
    """
    source = f"{SERVICE_KEY}\\Environment"
    try:
        lines = registry.texts(SERVICE_KEY, "Environment")
    except Absent:
        return AgentProxy()
    except ProbeError as exc:
        unread.append(str(exc))
        return AgentProxy(unread=tuple(unread))
    pairs = (line.partition("=") for line in lines)
    found = {name.strip().upper(): (text.strip(), source) for name, equals, text in pairs if equals}
    found.pop("SSL_CERT_FILE", None)  # Go asks Windows itself (crypto/x509/root_windows.go)
    return _choose(found, unread)


def _of_unit(files: Files, unit: str, unread: list[str]) -> AgentProxy:
    drop_ins = _drop_ins(files, drop_in_names(unit), UNIT_FOLDERS, unread)
    paths = (*_main_file(files, (join(it, unit) for it in UNIT_FOLDERS), unread), *drop_ins)
    if not paths:
        return AgentProxy(unread=tuple(dict.fromkeys(unread)))
    own = _values(files, paths, "Environment", unread)
    named = _values(files, paths, "EnvironmentFile", unread)
    variables = _of_manager(files, unread)
    for path, value in own:
        variables |= _sourced(read_assignments(value), path)
    for _, value in named:
        variables |= _of_file(files, value, unread)
    return _choose(variables, unread)


def _values(
    files: Files, paths: tuple[str, ...], wanted: str, unread: list[str]
) -> list[tuple[str, str]]:
    """Return the assignments of one setting, each with its file, in the order that counts."""
    found: list[tuple[str, str]] = []
    for path in paths:
        for key, value in parse_unit(_read(files, path, unread)):
            if key == wanted and not value:
                found.clear()  # an empty assignment takes back all before it
            elif key == wanted:
                found.append((path, value))
    return found


def _sourced(found: Mapping[str, str], path: str) -> dict[str, tuple[str, str]]:
    return {name: (text, path) for name, text in found.items()}


def _of_manager(files: Files, unread: list[str]) -> dict[str, tuple[str, str]]:
    folders = tuple(path.rpartition("/")[0] for path in MANAGER_FILES)
    drop_ins = _drop_ins(files, ("system.conf.d",), folders, unread)
    paths = (*_main_file(files, MANAGER_FILES, unread), *drop_ins)
    variables: dict[str, tuple[str, str]] = {}
    for path, value in _values(files, paths, "DefaultEnvironment", unread):
        variables |= _sourced(read_assignments(value), path)
    return variables


def _of_file(files: Files, value: str, unread: list[str]) -> dict[str, tuple[str, str]]:
    """Return the variables of an EnvironmentFile; ``-`` in front says that it may be absent."""
    path = value.removeprefix("-")
    if GLOB.intersection(path):
        unread.append(f"{path}: patterns are not followed")
        return {}
    found: dict[str, str] = {}
    for line in _read(files, path, unread).splitlines():
        if not line.lstrip().startswith(("#", ";")):
            found |= read_assignments(line)
    return _sourced(found, path)


def _main_file(files: Files, paths: Iterable[str], unread: list[str]) -> tuple[str, ...]:
    """Return the first of these files that is there, if any."""
    return tuple(path for path in paths if _read(files, path, unread))[:1]


def _drop_ins(
    files: Files, names: tuple[str, ...], folders: tuple[str, ...], unread: list[str]
) -> Iterator[str]:
    """Yield the drop-ins in the order in which systemd reads them: by name, wherever they lie.

    Of two with the same name the more specific one counts, then that in the earlier folder.
    """
    by_name: dict[str, str] = {}
    for path in (join(folder, name) for name in names for folder in folders):
        try:
            listed = files.listing(path, FOLDER_LIMIT)
        except Absent:
            continue
        except ProbeError as exc:
            unread.append(str(exc))
            continue
        found = {name: join(path, name) for name in listed if name.endswith(".conf")}
        by_name = found | by_name
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
    ca_file, _ = variables.get("SSL_CERT_FILE", ("", ""))
    return AgentProxy(proxy, exempt, source, tuple(dict.fromkeys(unread)), ca_file)
