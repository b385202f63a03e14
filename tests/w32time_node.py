"""A Windows node with W32Time: its registry, its service, and what w32tm writes in four languages.

The outputs are made after the layout that Microsoft documents; the words are those of a translation
and count for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodecheck.host.door import ToolOutput
from nodecheck.model.windows_service import ServicePhase, StartType
from tests.fake_host import FakeClock, FakeProcesses, fake_host
from tests.windows_builders import service, windows_node

if TYPE_CHECKING:
    from nodecheck.host.door import Host
    from nodecheck.model.errors import ProbeError
    from nodecheck.model.windows_service import WindowsService
    from tests.windows_builders import Value


KEY = r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time"
POLICY = r"HKLM\SOFTWARE\Policies\Microsoft\W32Time"
NT = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion"
W32TM = (r"C:\Windows\System32\w32tm.exe", "/query", "/status", "/verbose")

ENGLISH = (
    "Leap Indicator: {leap}(no warning)",
    "Stratum: {stratum} (secondary reference - syncd by (S)NTP)",
    "Precision: -23 (119.209ns per tick)",
    "Root Delay: {delay}s",
    "Root Dispersion: {dispersion}s",
    "ReferenceId: {reference} (source IP:  169.254.169.123)",
    "Last Successful Sync Time: 11/23/2026 4:00:00 PM",
    "Source: {source}",
    "Poll Interval: 10 (1024s)",
    "",
    "Phase Offset: {phase}s",
    "ClockRate: 0.0156250s",
    "State Machine: 2 (Sync)",
    "Time Source Flags: 0 (None)",
    "Server Role: 0 (None)",
    "Last Sync Error: 0 (The command completed successfully.)",
    "Time since Last Good Sync Time: {since}s",
)
GERMAN = (
    "Sprungindikator: {leap}(keine Warnung)",
    "Stratum: {stratum} (Sekundärreferenz - synchr. über (S)NTP)",
    "Präzision: -23 (119.209ns pro Tick)",
    "Stammverzögerung: {delay}s",
    "Stammabweichung: {dispersion}s",
    "Referenz-ID: {reference} (Quell-IP:  169.254.169.123)",
    "Letzte erfolgr. Synchronisierungszeit: 23.11.2026 16:00:00",
    "Quelle: {source}",
    "Abfrageintervall: 10 (1024s)",
    "",
    "Phasenabweichung: {phase}s",
    "Taktfrequenz: 0.0156250s",
    "Statuscomputer: 2 (Synchronisieren)",
    "Zeitquellkennzeichen: 0 (Kein)",
    "Serverrolle: 0 (Keine)",
    "Letzter Synchronisierungsfehler: 0 (Der Befehl wurde erfolgreich ausgeführt.)",
    "Zeit seit der letzten erfolgr. Synchronisierung: {since}s",
)
FRENCH = tuple(line.replace(": ", " : ", 1) for line in ENGLISH[:9]) + tuple(
    line.replace(": ", "\xa0: ", 1) for line in ENGLISH[9:]
)
JAPANESE = (
    "閏インジケーター: {leap}(警告なし)",
    "階層: {stratum} (二次参照 - (S)NTP で同期)",
    "精度: -23 (ティックごとに 119.209ns)",
    "ルート遅延: {delay}s",
    "ルート分散: {dispersion}s",
    "参照 ID: {reference} (ソース IP:  169.254.169.123)",
    "最終正常同期時刻: 2026/11/23 16:00:00",
    "ソース: {source}",
    "ポーリング間隔: 10 (1024s)",
    "",
    "フェーズ オフセット: {phase}s",
    "クロック レート: 0.0156250s",
    "状態コンピューター: 2 (同期)",
    "時刻ソース フラグ: 0 (なし)",
    "サーバーの役割: 0 (なし)",
    "最終同期エラー: 0 (コマンドは正しく完了しました。)",
    "最後に正しく同期された時刻からの時間: {since}s",
)
LANGUAGES = {
    "english": (ENGLISH, "cp437"),
    "german": (GERMAN, "cp850"),
    "french": (FRENCH, "cp850"),
    "japanese": (JAPANESE, "cp932"),
    "utf-8": (JAPANESE, "utf-8"),
}
VALUES = {
    "leap": "0",
    "stratum": "4",
    "delay": "0.0003538",
    "dispersion": "0.0100002",
    "reference": "0xA9FEA97B",
    "source": "169.254.169.123,0x9",
    "phase": "-0.0000013",
    "since": "15.7344985",
}
LOST = {"leap": "3", "stratum": "0", "reference": "0x00000000", "source": "Local CMOS Clock"}

NTP_NODE: dict[str, Value] = {
    rf"{NT}\SystemRoot": r"C:\Windows",
    rf"{KEY}\Parameters\Type": "NTP",
    rf"{KEY}\Parameters\NtpServer": "169.254.169.123,0x9",
    rf"{KEY}\Config\MaxPosPhaseCorrection": 54_000,
    rf"{KEY}\Config\MaxNegPhaseCorrection": 54_000,
    rf"{KEY}\Config\MaxAllowedPhaseOffset": 1,
    rf"{KEY}\Config\MaxPollInterval": 15,
    rf"{KEY}\Config\UtilizeSslTimeData": 1,
    rf"{KEY}\TimeProviders\NtpClient\Enabled": 1,
    rf"{KEY}\TimeProviders\NtpClient\SpecialPollInterval": 900,
    rf"{KEY}\TimeProviders\VMICTimeProvider\Enabled": 1,
}


def status(language: str = "english", **changes: str) -> bytes:
    """Return what w32tm writes."""
    lines, page = LANGUAGES[language]
    return "\r\n".join(lines).format(**(VALUES | changes)).encode(page) + b"\r\n"


def w32time(**changes: object) -> WindowsService:
    """Return the service W32Time, running, with changes."""
    values: dict[str, object] = {
        "command": r"C:\Windows\system32\svchost.exe -k LocalService",
        "account": r"NT AUTHORITY\LocalService",
        "start": StartType.MANUAL,
        "pid": 900,
    }
    return service("W32Time", **(values | changes))


STOPPED = {"phase": ServicePhase.STOPPED, "pid": 0}


def node(
    output: bytes | None = None,
    registry: dict[str, Value] | None = None,
    services: dict[str, WindowsService | ProbeError] | None = None,
    clock: FakeClock | None = None,
    code: int = 0,
) -> Host:
    """Return a node whose W32Time runs and says this."""
    outputs: dict[tuple[str, ...], ToolOutput] = {
        W32TM: ToolOutput(code, status() if output is None else output, b"")
    }
    host = fake_host(processes=FakeProcesses(outputs=outputs), clock=clock)
    named: dict[str, WindowsService | ProbeError] = {"W32Time": w32time()}
    named = named if services is None else services
    values = NTP_NODE if registry is None else registry
    return windows_node(host, named, values)
