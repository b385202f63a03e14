"""Look at what steers the clock of a Windows node: W32Time, or ntpd where that is installed.

W32Time is not asked unless it runs: ``w32tm`` is the one program that is started for it.

Sources: MicrosoftDocs/windowsserverdocs, Windows-Time-Service-Tools-and-Settings.md.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from nodecheck.host.w32time_settings import W32Reader
from nodecheck.model.clock import Discipline
from nodecheck.model.discipline import (
    DaemonWord,
    DisciplineFacts,
    InstalledDaemon,
    Running,
    RunningDaemon,
    Setup,
    Silence,
    SourceState,
    StepRule,
)
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.time_server import AMAZON_ON_EC2, AMAZON_PUBLIC
from nodecheck.model.w32time import (
    BY_LIST,
    MISSED_POLLS,
    NO_SYNC,
    SERVICE,
    W32Facts,
)
from nodecheck.model.w32time_status import parse_status
from nodecheck.model.windows_service import ServicePhase, StartType, image_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from nodecheck.host.door import Host
    from nodecheck.model.w32time import W32Settings
    from nodecheck.model.windows_service import WindowsService

    Askers = tuple[tuple[Discipline, Callable[[Host], DaemonWord]], ...]
    Services = dict[str, WindowsService | None]

WINDOWS: Final = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion"

QUERY: Final = ("/query", "/status", "/verbose")
TIMEOUT_S: Final = 3.0
OUTPUT_LIMIT_BYTES: Final = 64 * 1024

NTPD_SERVICE: Final = "NTP"
"""The service of ntpd for Windows (Meinberg), which steers the clock beside W32Time or for it."""


def look(host: Host, askers: Askers, *, is_ec2: bool) -> DisciplineFacts:
    """Return what steers the clock of a Windows node.

    Args:
        host: the node.
        askers: how other daemons than W32Time are asked.
        is_ec2: whether the node is an EC2 instance.
    """
    reader, unseen = W32Reader(host.registry), list[str]()
    services = {name: _service(host, name, unseen) for name in (SERVICE, NTPD_SERVICE)}
    ntpd = services[NTPD_SERVICE]
    if ntpd and not image_of(ntpd.command).lower().endswith("ntpd.exe"):
        services[NTPD_SERVICE] = None
    settings = reader.settings()
    facts = W32Facts(
        services[SERVICE], settings, reader.secure_time(), has_trigger=reader.has_trigger()
    )
    words, silences = _ask(host, facts, askers if services[NTPD_SERVICE] else ())
    return DisciplineFacts(
        processes=Running(_running(services, settings), seen=not unseen),
        setup=Setup(installed=_installed(services)),
        words=words,
        silences=silences,
        rules=_rules(settings),
        kernel=None,
        clockbound=None,
        wall_ns=host.clock.wall_ns(),
        advised_source=(AMAZON_ON_EC2[0] if is_ec2 else AMAZON_PUBLIC).host,
        notes=(*unseen, *reader.notes),
        w32time=facts,
    )


def ask(host: Host, settings: W32Settings) -> DaemonWord:
    """Return what W32Time says of itself.

    Its word is about a distance whose direction is not documented: that counts as uncertainty.

    Raises:
        ProbeError: it could not be asked, or what it said is not understood.
    """
    root = host.registry.text(WINDOWS, "SystemRoot").rstrip("\\")
    output = host.processes.run(
        (f"{root}\\System32\\w32tm.exe", *QUERY), TIMEOUT_S, OUTPUT_LIMIT_BYTES
    )
    wall_ns = host.clock.wall_ns()
    status = parse_status(output.stdout + output.stderr if output.code else output.stdout)
    is_ever = status.synchronised or status.since_s > 0
    return DaemonWord(
        discipline=Discipline.W32TIME,
        asked="w32tm /query /status /verbose",
        synchronised=status.synchronised,
        source=status.source if status.synchronised else "",
        stratum=status.stratum,
        bound_s=status.bound_s,
        updated_ns=wall_ns - round(status.since_s * 1e9) if is_ever else 0,
        sources=tuple(
            SourceState(peer.name, f"configured, flags 0x{peer.flags:x}", status.synchronised)
            for peer in settings.peers
            if settings.kind in BY_LIST
        ),
        lists_sources=False,
        overdue_s=MISSED_POLLS * settings.rarest_poll_s,
    )


def _ask(
    host: Host, facts: W32Facts, askers: Askers
) -> tuple[tuple[DaemonWord, ...], tuple[Silence, ...]]:
    words: list[DaemonWord] = []
    silences: list[Silence] = []
    every = list(askers)
    if facts.service and facts.service.phase is ServicePhase.RUNNING:
        every.insert(0, (Discipline.W32TIME, lambda host: ask(host, facts.settings)))
    for discipline, call in every:
        try:
            words.append(call(host))
        except ProbeError as exc:
            silences.append(Silence(discipline, exc.reason, str(exc)))
    return tuple(words), tuple(silences)


def _service(host: Host, name: str, notes: list[str]) -> WindowsService | None:
    try:
        return host.services.query(name)
    except Absent:
        return None
    except ProbeError as exc:
        notes.append(str(exc))
        return None


def _running(services: Services, settings: W32Settings) -> tuple[RunningDaemon, ...]:
    up = {
        name: item
        for name, item in services.items()
        if item and item.phase is ServicePhase.RUNNING and item.pid
    }
    found: list[RunningDaemon] = []
    if w32time := up.get(SERVICE):
        steers = settings.kind != NO_SYNC or NTPD_SERVICE not in up
        found.append(RunningDaemon(Discipline.W32TIME, w32time.pid, SERVICE, steers))
    if ntpd := up.get(NTPD_SERVICE):
        found.append(RunningDaemon(Discipline.NTPD, ntpd.pid, NTPD_SERVICE))
    return tuple(found)


def _installed(services: Services) -> tuple[InstalledDaemon, ...]:
    kinds = {SERVICE: Discipline.W32TIME, NTPD_SERVICE: Discipline.NTPD}
    return tuple(
        InstalledDaemon(
            kinds[name],
            name,
            enabled=item.start in {StartType.AUTOMATIC, StartType.BOOT, StartType.SYSTEM},
            masked=item.start is StartType.DISABLED,
        )
        for name, item in services.items()
        if item
    )


def _rules(settings: W32Settings) -> tuple[tuple[Discipline, StepRule], ...]:
    """Return when W32Time corrects; a limit that could not be read is none that is proven."""
    forward_s, back_s = settings.forward_limit_s, settings.back_limit_s
    if forward_s is None and back_s is None:
        return ()
    said = ", ".join(
        f"{name} {'no limit' if limit_s == inf else f'{limit_s:.0f} s'}"
        for name, limit_s in (
            ("MaxPosPhaseCorrection", forward_s),
            ("MaxNegPhaseCorrection", back_s),
        )
        if limit_s is not None
    )
    rule = StepRule(
        threshold_s=settings.slew_limit_s or 0.0,
        updates=-1,
        gives_up_s=inf if forward_s is None else forward_s,
        source=said,
        gives_up_back_s=inf if back_s is None else back_s,
    )
    return ((Discipline.W32TIME, rule),)
