"""Find out from files which time daemons are installed and enabled, and when the agent starts.

systemd is not asked: a unit is a file, enabled is a link in a ``.wants`` folder, masked is a link
to /dev/null (systemd.unit(5)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.clock import Discipline
from nodecheck.model.discipline import InstalledDaemon, Setup
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.node import FileKind
from nodecheck.model.unit_file import parse_unit
from nodecheck.records import dataclass, field

if TYPE_CHECKING:
    from nodecheck.host.door import Files
    from nodecheck.model.node import FileState

ADMINISTRATOR: Final = "/etc/systemd/system"
FOLDERS: Final = (
    ADMINISTRATOR,
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
UNITS: Final = (
    ("chrony.service", Discipline.CHRONY),  # Debian, Ubuntu
    ("chronyd.service", Discipline.CHRONY),  # Amazon Linux, RHEL, SUSE
    ("systemd-timesyncd.service", Discipline.TIMESYNCD),
    ("ntpsec.service", Discipline.NTPD),
    ("ntp.service", Discipline.NTPD),
    ("ntpd.service", Discipline.NTPD),
)
WANTING: Final = ("multi-user", "sysinit", "basic", "default")
AGENT_UNITS: Final = (
    "amazon-ssm-agent.service",
    "snap.amazon-ssm-agent.amazon-ssm-agent.service",
)
TIME_UNITS: Final = frozenset(
    {
        "time-sync.target",
        "chrony-wait.service",
        "ntpsec-wait.service",
        "systemd-time-wait-sync.service",
        *(unit for unit, _ in UNITS),
    }
)
PACKAGE_TOOLS: Final = ("apt-get", "dnf", "yum", "zypper", "apk")
TOOL_FOLDERS: Final = ("/usr/bin", "/sbin")
CONTAINER_MARKS: Final = (("/.dockerenv", "docker"), ("/run/.containerenv", "podman"))
SYSTEMD_CONTAINER: Final = "/run/systemd/container"
FILE_LIMIT_BYTES: Final = 64 * 1024
DROP_IN_LIMIT: Final = 64


def look(files: Files) -> Setup:
    """Return what is installed; what could not be looked at is in the notes."""
    reader = _Reader(files)
    agent_unit = next((unit for unit in AGENT_UNITS if reader.place(unit)), "")
    return Setup(
        installed=tuple(
            InstalledDaemon(discipline, unit, reader.is_enabled(unit), reader.is_masked(unit))
            for unit, discipline in UNITS
            if reader.place(unit)
        ),
        agent_unit=agent_unit,
        agent_after=reader.time_units_before(agent_unit) if agent_unit else (),
        container=reader.container(),
        package_tool=next((tool for tool in PACKAGE_TOOLS if reader.has_tool(tool)), ""),
        notes=tuple(reader.notes),
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Looks at files; absent ones are nothing, others that fail are noted."""

    files: Files
    notes: list[str] = field(default_factory=list)

    def state(self, path: str) -> FileState | None:
        try:
            return self.files.state(path)
        except Absent:
            return None
        except ProbeError as exc:
            self.notes.append(str(exc))
            return None

    def text(self, path: str) -> str:
        try:
            return self.files.read(path, FILE_LIMIT_BYTES).decode("utf-8", "replace")
        except Absent:
            return ""
        except ProbeError as exc:
            self.notes.append(str(exc))
            return ""

    def place(self, unit: str) -> str:
        """Return the path of a unit file, '' where there is none; a link is only another name."""
        for folder in FOLDERS:
            state = self.state(f"{folder}/{unit}")
            if state is not None and state.kind is FileKind.FILE:
                return state.path
        return ""

    def is_enabled(self, unit: str) -> bool:
        paths = (f"{ADMINISTRATOR}/{target}.target.wants/{unit}" for target in WANTING)
        return any(self.state(path) is not None for path in paths)

    def is_masked(self, unit: str) -> bool:
        states = (self.state(f"{folder}/{unit}") for folder in FOLDERS[:2])
        return any(state is not None and state.target == "/dev/null" for state in states)

    def time_units_before(self, unit: str) -> tuple[str, ...]:
        """Return the units of time that a unit is ordered after, by its file and drop-ins."""
        texts = [self.text(self.place(unit))]
        for folder in FOLDERS:
            try:
                names = self.files.listing(f"{folder}/{unit}.d", DROP_IN_LIMIT)
            except ProbeError:
                continue
            texts += [self.text(f"{folder}/{unit}.d/{name}") for name in names]
        after = [
            word
            for text in texts
            for key, value in parse_unit(text)
            if key == "After"
            for word in value.split()
        ]
        return tuple(dict.fromkeys(word for word in after if word in TIME_UNITS))

    def container(self) -> str:
        for path, name in CONTAINER_MARKS:
            if self.state(path) is not None:
                return name
        text = self.text(SYSTEMD_CONTAINER).strip()
        return "".join(ch for ch in text if ch.isascii() and ch.isprintable())[:40]

    def has_tool(self, name: str) -> bool:
        return any(self.state(f"{folder}/{name}") is not None for folder in TOOL_FOLDERS)
