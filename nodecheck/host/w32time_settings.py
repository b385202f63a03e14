r"""Read what the registry tells W32Time.

Group Policy writes the same values under ``HKLM\SOFTWARE\Policies\Microsoft\W32Time``, and wins.
Defaults differ between releases, so that a value that is not there is not known.

Sources: MicrosoftDocs/windowsserverdocs, Windows-Time-Service-Tools-and-Settings.md.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final, TypeVar

from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.time_server import server_at
from nodecheck.model.w32time import (
    BY_DOMAIN,
    BY_LIST,
    NO_LIMIT,
    SecureTime,
    W32Settings,
    filetime_s,
    parse_peers,
)
from nodecheck.records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable

    from nodecheck.host.windows_door import Registry
    from nodecheck.model.time_server import TimeServer

T = TypeVar("T")

KEY: Final = r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time"
POLICY: Final = r"HKLM\SOFTWARE\Policies\Microsoft\W32Time"
NETWORK: Final = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters"
TRIGGERS_LIMIT: Final = 100


@dataclass(frozen=True, slots=True)
class W32Reader:
    """Reads values of the registry; absent ones are None, others that fail are noted."""

    registry: Registry
    notes: list[str] = field(default_factory=list)
    by_policy: list[str] = field(default_factory=list)

    def settings(self) -> W32Settings:
        """Return the settings; what could not be read is in the notes."""
        list_, config, client = "Parameters", "Config", r"TimeProviders\NtpClient"
        return W32Settings(
            kind=(self._text(list_, "Type") or "").strip().lower(),
            peers=parse_peers(self._text(list_, "NtpServer") or ""),
            forward_limit_s=_limit(self._number(config, "MaxPosPhaseCorrection")),
            back_limit_s=_limit(self._number(config, "MaxNegPhaseCorrection")),
            slew_limit_s=self._number(config, "MaxAllowedPhaseOffset"),
            special_poll_s=self._number(client, "SpecialPollInterval"),
            longest_poll=self._number(config, "MaxPollInterval"),
            ntp_client=_switch(self._number(client, "Enabled")),
            hyper_v=_switch(self._number(r"TimeProviders\VMICTimeProvider", "Enabled")),
            seeding=_switch(self._number(config, "UtilizeSslTimeData")),
            by_policy=tuple(self.by_policy),
        )

    def secure_time(self) -> SecureTime | None:
        """Return the time that was taken from TLS; a node on which none was is normal."""
        key = rf"{KEY}\SecureTimeLimits"
        names = ("SecureTimeEstimated", "SecureTimeLow", "SecureTimeHigh")
        estimated, low, high = (self._number_at(key, name) for name in names)
        if not (estimated and low and high):
            return None
        confidence = self._number_at(rf"{key}\RunTime", "SecureTimeConfidence")
        return SecureTime(filetime_s(estimated), filetime_s(low), filetime_s(high), confidence)

    def has_trigger(self) -> bool:
        """Tell whether Windows starts W32Time on an event."""
        key = rf"{KEY}\TriggerInfo"
        return bool(self._seen(lambda: self.registry.subkeys(key, TRIGGERS_LIMIT)))

    def servers(self) -> tuple[TimeServer, ...]:
        """Return the servers that W32Time is told to follow.

        In a domain those are its controllers, which all answer to the name of the domain.
        """
        settings = self.settings()
        found = [server_at(peer.name) for peer in settings.peers if settings.kind in BY_LIST]
        if settings.kind in BY_DOMAIN:
            domain = self._seen(lambda: self.registry.text(NETWORK, "Domain")) or ""
            found += [server_at(domain.strip())] if domain.strip() else []
        return tuple(found)

    def _text(self, part: str, name: str) -> str | None:
        return self._first(name, part, lambda key: self.registry.text(key, name))

    def _number(self, part: str, name: str) -> int | None:
        return self._first(name, part, lambda key: self.registry.number(key, name))

    def _number_at(self, key: str, name: str) -> int | None:
        return self._seen(lambda: self.registry.number(key, name))

    def _first(self, name: str, part: str, read: Callable[[str], T]) -> T | None:
        found = self._seen(lambda: read(rf"{POLICY}\{part}"))
        if found is not None:
            self.by_policy.append(name)
            return found
        return self._seen(lambda: read(rf"{KEY}\{part}"))

    def _seen(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except Absent:
            return None
        except ProbeError as exc:
            self.notes.append(str(exc))
            return None


def _limit(value: int | None) -> float | None:
    return inf if value == NO_LIMIT else value


def _switch(value: int | None) -> bool | None:
    return None if value is None else bool(value)
