"""Keep what this run measured of the clock, for the drift that later runs will know.

The file is JSON in the state folder, which only its owner can write. One that is damaged is set
aside and said so; without a folder there is no history, and that is said, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.host.boot import BOOT_ID_LENGTH, boot_id
from nodecheck.model.clock_history import EPOCHS_KEPT, Epoch, HistoryFacts, remembered
from nodecheck.model.errors import Absent, ProbeError

if TYPE_CHECKING:
    from nodecheck.host.door import Host, State
    from nodecheck.model.moment import CorrectedTime

NAME: Final = "clock-history.json"
SCHEMA: Final = "nodecheck-clock-history/1"
LIMIT_BYTES: Final = 64 * 1024
LARGEST_NS: Final = 1 << 63
LARGEST_S: Final = 1e10


def look(
    host: Host, folder: str, corrected: CorrectedTime, offset_s: float, *, steered: bool
) -> HistoryFacts:
    """Return earlier measurements and this one, which is kept.

    Args:
        host: the node.
        folder: where state is kept, '' for nowhere.
        corrected: the true time at one monotonic instant.
        offset_s: true time minus local clock at that instant.
        steered: whether a daemon keeps the clock right.

    Raises:
        ProbeError: the boot cannot be told from others.
    """
    latest = Epoch(
        boot=boot_id(host.files),
        monotonic_ns=corrected.monotonic_ns,
        true_ns=corrected.true_ns,
        offset_s=offset_s,
        bound_s=corrected.bound_s,
        steered=steered,
    )
    earlier, note = _read(host.state, folder)
    epochs = remembered(earlier, latest)
    try:
        if folder:
            host.state.write(folder, NAME, dump(epochs))
    except ProbeError as exc:
        note = f"{note}; {exc}" if note else str(exc)
    return HistoryFacts(epochs, note)


def _read(state: State, folder: str) -> tuple[tuple[Epoch, ...], str]:
    if not folder:
        return (), "no state folder: drift is not remembered"
    try:
        return load(state.read(folder, NAME, LIMIT_BYTES)), ""
    except Absent:
        return (), ""
    except ProbeError as exc:
        return (), str(exc)
    except ValueError as exc:
        try:
            return (
                (),
                f"{folder}/{NAME} is damaged ({exc}), kept as {state.set_aside(folder, NAME)}",
            )
        except ProbeError as unmoved:
            return (), f"{folder}/{NAME} is damaged ({exc}); {unmoved}"


def dump(epochs: tuple[Epoch, ...]) -> bytes:
    """Return measurements as the content of the file."""
    import json

    rows = [
        [item.boot, item.monotonic_ns, item.true_ns, item.offset_s, item.bound_s, item.steered]
        for item in epochs
    ]
    return json.dumps({"schema": SCHEMA, "epochs": rows}).encode() + b"\n"


def load(content: bytes) -> tuple[Epoch, ...]:
    """Return the measurements in the content of the file.

    Raises:
        ValueError: it is no such file, or holds what nobody can have measured.
    """
    import json

    try:
        document = json.loads(content)
    except RecursionError as exc:
        msg = "nested too deeply"
        raise ValueError(msg) from exc
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        msg = f"schema is not {SCHEMA}"
        raise ValueError(msg)
    rows = document.get("epochs")
    if not isinstance(rows, list) or len(rows) > EPOCHS_KEPT:
        msg = "epochs are no list, or too many"
        raise ValueError(msg)
    return tuple(_epoch(row) for row in rows)


def _epoch(row: object) -> Epoch:
    match row:
        case [
            str() as boot,
            int() as monotonic_ns,
            int() as true_ns,
            int() | float() as offset_s,
            int() | float() as bound_s,
            bool() as steered,
        ]:
            stamps = (monotonic_ns, true_ns)
            is_sane = all(0 <= item < LARGEST_NS for item in stamps) and len(boot) <= BOOT_ID_LENGTH
            if is_sane and abs(offset_s) < LARGEST_S and 0 <= bound_s < LARGEST_S:
                return Epoch(boot, *stamps, float(offset_s), float(bound_s), steered)
    msg = f"not a measurement: {str(row)[:80]}"
    raise ValueError(msg)
