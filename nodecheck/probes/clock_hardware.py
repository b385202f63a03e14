"""Read the PTP hardware clocks that EC2 network cards offer; rules: ``model.hardware_clock``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.clock import SourceFailure
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.hardware_clock import NAME_START, HardwareFacts, parse_bound, reading

if TYPE_CHECKING:
    from nodecheck.host.door import Files, Host
    from nodecheck.model.clock import SourceReading

CLASS: Final = "/sys/class/ptp"
CLOCKS_LIMIT: Final = 64
TEXT_LIMIT_BYTES: Final = 4096
"""One page: what sysfs gives at most."""

READINGS: Final = 4


def look(host: Host) -> HardwareFacts:
    """Return what each of Amazon's hardware clocks says; a node without one has none."""
    try:
        names = host.files.listing(CLASS, CLOCKS_LIMIT)
    except ProbeError:
        return HardwareFacts()
    found = [_ask(host, name) for name in names if _is_amazon(host.files, name)]
    return HardwareFacts(
        tuple(item for item in found if not isinstance(item, SourceFailure)),
        tuple(item for item in found if isinstance(item, SourceFailure)),
    )


def _is_amazon(files: Files, name: str) -> bool:
    try:
        return _text(files, f"{CLASS}/{name}/clock_name").startswith(NAME_START)
    except ProbeError:
        return False


def _ask(host: Host, name: str) -> SourceReading | SourceFailure:
    device = f"/dev/{name}"
    try:
        bound_ns = _bound(host.files, name)
        stamps = tuple(host.steering.hardware_clock(device) for _ in range(READINGS))
    except ProbeError as exc:
        return SourceFailure(device, "", exc.reason, str(exc).removeprefix(f"{device}: "))
    return reading(device, "PHC", bound_ns, stamps)


def _bound(files: Files, name: str) -> int:
    try:
        return parse_bound(_text(files, f"{CLASS}/{name}/device/phc_error_bound"))
    except Absent as exc:
        msg = "its driver gives no error bound (phc_error_bound)"
        raise ProbeError(msg, "no-error-bound") from exc


def _text(files: Files, path: str) -> str:
    return files.read(path, TEXT_LIMIT_BYTES, follow=True).decode("ascii", "replace")
