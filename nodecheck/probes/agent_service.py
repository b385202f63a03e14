"""Look at the agent as a service: what its service manager says, and what its processes use.

systemd is there where ``/run/systemd/system`` is (sd_booted(3)). It is asked by ``systemctl show``,
whose output is made for programs; a systemctl that is absent, fails or hangs is no fact, and leaves
the files: masks and the links by which targets start a unit. Without systemd there may be upstart
(``initctl status``) or a SysV script; a node with none of them, such as a container, has processes.
On Windows the service control manager is asked, and the registry for what it does when one ends.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final

from nodecheck.host.folders import look_at
from nodecheck.model.agent_service_setup import Recovery, ServiceSetup, parse_recovery
from nodecheck.model.authenticode import SERVICE, SERVICE_KEY
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.node import FileKind
from nodecheck.model.service import UNITS, Failure, Job, Manager, ServiceFacts, UnitLinks
from nodecheck.model.service_text import PROPERTIES, parse_job, parse_show, starts_at_boot
from nodecheck.model.unit_file import UNIT_FOLDERS
from nodecheck.records import replace

if TYPE_CHECKING:
    from nodecheck.host.door import Files, Host
    from nodecheck.model.node import FileState
    from nodecheck.model.service import ServiceProcesses, UnitState

BOOTED: Final = "/run/systemd/system"
SYSTEMCTL: Final = ("/usr/bin/systemctl", "/bin/systemctl")
SHOW: Final = ("show", *UNITS, f"--property={','.join(PROPERTIES)}")
INITCTL: Final = ("/sbin/initctl", "status", "amazon-ssm-agent")
JOB_FILE: Final = "/etc/init/amazon-ssm-agent.conf"
JOB_OVERRIDE: Final = "/etc/init/amazon-ssm-agent.override"
SCRIPT: Final = "/etc/init.d/amazon-ssm-agent"
START_FOLDERS: Final = tuple(
    f"/etc/{above}rc{level}.d" for above in ("", "rc.d/") for level in (2, 3, 4, 5)
)
"""Runlevels in which a node does its work (Linux Standard Base, "Run Levels")."""
TOOL_TIMEOUT_S: Final = 2.0
OUTPUT_LIMIT_BYTES: Final = 64 * 1024
FILE_LIMIT_BYTES: Final = 64 * 1024
NAMES_LIMIT: Final = 10_000


def look(host: Host, seen: ServiceProcesses) -> ServiceFacts:
    """Return what the service manager of this node says; the processes are passed on.

    Raises:
        ProbeError: it cannot be told whether systemd is there.
    """
    if host.platform.system == "windows":
        return _ask_windows(host, seen)
    notes: list[str] = []
    try:
        host.files.state(BOOTED)
    except Absent:
        manager, job, failure = _look_without_systemd(host, notes)
        return ServiceFacts(
            manager,
            host.clock.monotonic_ns() / 1e9,
            job=job,
            failure=failure,
            seen=seen,
            unobserved=tuple(notes),
        )
    links = _find_links(host.files, notes)
    units, failure = _ask_systemd(host)
    return ServiceFacts(
        Manager.SYSTEMD,
        host.clock.monotonic_ns() / 1e9,
        units=units,
        links=links,
        failure=failure,
        seen=seen,
        unobserved=tuple(dict.fromkeys(notes)),
    )


def _ask_windows(host: Host, seen: ServiceProcesses) -> ServiceFacts:
    notes: list[str] = []
    setup, failure = None, None
    try:
        setup = ServiceSetup(host.services.query(SERVICE))
        setup = replace(setup, delayed=_delayed(host, notes), recovery=_recovery(host, notes))
    except Absent:
        setup = ServiceSetup()
    except ProbeError as exc:
        failure = Failure(exc.reason, str(exc))
    return ServiceFacts(
        Manager.WINDOWS,
        host.clock.monotonic_ns() / 1e9,
        failure=failure,
        seen=seen,
        unobserved=tuple(notes),
        setup=setup,
    )


def _delayed(host: Host, notes: list[str]) -> bool | None:
    try:
        return bool(host.registry.number(SERVICE_KEY, "DelayedAutostart"))
    except Absent:
        return False
    except ProbeError as exc:
        notes.append(str(exc))
        return None


def _recovery(host: Host, notes: list[str]) -> Recovery | None:
    try:
        data = host.registry.data(SERVICE_KEY, "FailureActions")
        return parse_recovery(f"{SERVICE_KEY}\\FailureActions", data)
    except Absent:
        return Recovery((), 0)
    except ProbeError as exc:
        notes.append(str(exc))
        return None


def _ask_systemd(host: Host) -> tuple[tuple[UnitState, ...], Failure | None]:
    for path in SYSTEMCTL:
        try:
            output = host.processes.run((path, *SHOW), TOOL_TIMEOUT_S, OUTPUT_LIMIT_BYTES)
            if output.code:
                words = output.stderr.decode("utf-8", "replace").split("\n")[0][:120]
                message = f"systemctl show ended with exit code {output.code}: {words or 'silent'}"
                return (), Failure("not-observed", message)
            return parse_show(output.stdout, UNITS), None
        except Absent:
            continue
        except ProbeError as exc:
            return (), Failure(exc.reason, str(exc))
    return (), Failure("not-observed", f"systemd runs, but there is no {SYSTEMCTL[0]}")


def _find_links(files: Files, notes: list[str]) -> tuple[UnitLinks, ...]:
    folders: list[str] = []
    for base in UNIT_FOLDERS:
        names = _list(files, base, notes)
        folders += [f"{base}/{name}" for name in names if name.endswith((".wants", ".requires"))]
    merged = {folder.removeprefix("/usr"): folder for folder in folders}  # /lib may be /usr/lib
    return tuple(_links_of(files, unit, list(merged.values()), notes) for unit in UNITS)


def _links_of(files: Files, unit: str, folders: list[str], notes: list[str]) -> UnitLinks:
    places = [look_at(files, f"{base}/{unit}", notes) for base in UNIT_FOLDERS]
    found = next((state for state in places if state), None)
    return UnitLinks(
        unit,
        found.path if found else "",
        masked=found is not None and _is_mask(found),
        wants=tuple(
            f"{folder}/{unit}" for folder in folders if look_at(files, f"{folder}/{unit}", notes)
        ),
    )


def _is_mask(state: FileState) -> bool:
    """Tell whether a unit is switched off: a link to /dev/null, or an empty file."""
    empty = state.kind is FileKind.FILE and state.size == 0
    return empty or (state.kind is FileKind.LINK and state.target == "/dev/null")


def _look_without_systemd(
    host: Host, notes: list[str]
) -> tuple[Manager, Job | None, Failure | None]:
    if look_at(host.files, JOB_FILE, notes):
        try:
            output = host.processes.run(INITCTL, TOOL_TIMEOUT_S, OUTPUT_LIMIT_BYTES)
            state = parse_job(output.stdout)
            job = Job(JOB_FILE, state, _starts_by_upstart(host.files))
        except Absent:
            pass  # the agent's package brings the job's file to nodes without upstart, too
        except ProbeError as exc:
            return Manager.UPSTART, None, Failure(exc.reason, str(exc))
        else:
            return Manager.UPSTART, job, None
    if look_at(host.files, SCRIPT, notes):
        return Manager.SYSV, Job(SCRIPT, "", _starts_by_link(host.files, notes)), None
    return Manager.NONE, None, None


def _starts_by_upstart(files: Files) -> bool:
    job = files.read(JOB_FILE, FILE_LIMIT_BYTES).decode("utf-8", "replace")
    try:
        override = files.read(JOB_OVERRIDE, FILE_LIMIT_BYTES).decode("utf-8", "replace")
    except Absent:
        override = ""
    return starts_at_boot(job, override)


def _starts_by_link(files: Files, notes: list[str]) -> bool:
    names = [name for folder in START_FOLDERS for name in _list(files, folder, notes)]
    script = posixpath.basename(SCRIPT)
    return any(name[:1] == "S" and name[1:3].isdecimal() and name[3:] == script for name in names)


def _list(files: Files, folder: str, notes: list[str]) -> tuple[str, ...]:
    try:
        return files.listing(folder, NAMES_LIMIT)
    except Absent:
        return ()
    except ProbeError as exc:
        notes.append(str(exc))
        return ()
