"""Leave the verdicts in a file for the SSM Agent, which gathers it as custom inventory.

The agent takes ``<data>/<node id>/inventory/custom/*.json`` when an association runs
AWS-GatherSoftwareInventory with custom inventory; nodecheck makes no call and needs no right. The
agent takes texts only, 50 attributes with names of 1 to 64 and values of up to 4,096 bytes, and
refuses all files where there are more than 20
(agent/plugins/inventory/gatherers/custom/customGatherer.go of
https://github.com/aws/amazon-ssm-agent, 3.3.1142.0).

The content holds no value that changes from run to run: AWS Config, where it records inventory,
charges for every change. So it does not say when nodecheck ran: the capture time that Inventory
shows is the agent's. ``compliance`` tells that.
"""

from __future__ import annotations

import json
import re
import stat
from typing import TYPE_CHECKING, Final

from nodecheck.host.folders import look_above, without_links
from nodecheck.model.agent_place import is_windows, place_of
from nodecheck.model.errors import Absent, ProbeError, SinkError
from nodecheck.model.node import FileKind
from nodecheck.model.report import Delivery, counted, shorten
from nodecheck.sinks.price import FREE
from nodecheck.sinks.whole import refuse_narrowed

if TYPE_CHECKING:
    from nodecheck.host.door import Files, Host
    from nodecheck.model.report import Report
    from nodecheck.model.verdict import Verdict

NAME: Final = "inventory"
TYPE: Final = "Custom:NodeCheck"
FILE_NAME: Final = "NodeCheck.json"

FILES_LIMIT: Final = 20
ATTRIBUTES_LIMIT: Final = 50
NAME_LIMIT: Final = 64
VALUE_LIMIT: Final = 4_096
LISTING_LIMIT: Final = 10_000
CONFIG_LIMIT_BYTES: Final = 256 * 1024

_NODE: Final = re.compile(r"m?i-[0-9a-f]{8,17}")
_OTHERS_WRITE: Final = 0o022


def content(report: Report) -> dict[str, str]:
    """Return the attributes: the verdict, the version, and each check with its reasons."""
    head = {"Verdict": report.verdict.value, "NodeCheckVersion": report.tool.version}
    room = ATTRIBUTES_LIMIT - len(head) - 1
    checks = sorted(report.checks, key=lambda check: -check.status.severity)
    attributes = {_name(check): _value(check) for check in checks[:room]}
    if len(checks) > room:
        head["ChecksLeftOut"] = str(len(checks) - room)
    return {**head, **dict(sorted(attributes.items()))}


def _name(check: Verdict) -> str:
    """Return the name of a check as inventory queries spell names: ``ClockOffset``."""
    words = re.findall(r"[A-Za-z0-9]+", check.check_id)
    return "".join(word[0].upper() + word[1:] for word in words)[:NAME_LIMIT] or "Check"


def _value(check: Verdict) -> str:
    reasons = sorted({finding.reason for finding in check.findings})
    if check.skip_reason is not None:
        reasons = [check.skip_reason.value]
    text = " ".join((check.status.value, ", ".join(reasons)))
    return shorten(text, VALUE_LIMIT).encode("ascii", "replace").decode()


def document(report: Report) -> str:
    """Return the file's content."""
    parts = {"SchemaVersion": "1.0", "TypeName": TYPE, "Content": content(report)}
    return json.dumps(parts, indent=1) + "\n"


def deliver(report: Report, host: Host, narrowed: str = "") -> Delivery:
    """Write the file and say where it is; ``narrowed`` names a flag that left checks out.

    Raises:
        SinkError: the agent has no such folder, or the folder is not safe, or full.
    """
    refuse_narrowed(narrowed)
    if not host.privileged:
        msg = "only root, or an administrator, may write into the agent's folder"
        raise SinkError(msg)
    try:
        folder = _own_folder(host) or folder_of(report)
        _check_owners(host.files, folder)
        _check_room(host.files, folder)
        host.state.write(folder, FILE_NAME, document(report).encode())
    except ProbeError as exc:
        raise SinkError(str(exc)) from exc
    return Delivery(NAME, "delivered", f"{folder}/{FILE_NAME}")


def folder_of(report: Report) -> str:
    """Return where the agent looks by default.

    Raises:
        SinkError: the node has no id, so the agent has no such folder.
    """
    node_id = report.node.node_id or ""
    if not _NODE.fullmatch(node_id):
        msg = "this node has no id of Systems Manager (i-... or mi-...)"
        raise SinkError(msg)
    return place_of(report.node.platform).custom_inventory(node_id)


def _own_folder(host: Host) -> str:
    """Return the folder that the agent's configuration names instead, '' where it names none.

    Raises:
        ProbeError: the configuration cannot be read, or names no absolute folder.
    """
    for path in place_of(host.platform.system).configs:
        try:
            raw = host.files.read(path, CONFIG_LIMIT_BYTES, follow=True)
            section = _member(json.loads(raw), "Ssm")
        except Absent:
            continue
        except (ValueError, RecursionError) as exc:
            msg = f"{path}: not understood, so the folder for custom inventory is not known"
            raise ProbeError(msg, "not-understood") from exc
        folder = _member(section, "CustomInventoryDefaultLocation") or ""
        if not isinstance(folder, str) or not re.fullmatch(r"(/|[A-Za-z]:[/\\]).*|", folder):
            msg = f"{path}: Ssm.CustomInventoryDefaultLocation is no absolute folder"
            raise ProbeError(msg, "not-understood")
        return folder.replace("\\", "/").rstrip("/")
    return ""


def _member(value: object, name: str) -> object:
    """Return a member of a JSON object by its name without case, as Go reads it."""
    found = value.items() if isinstance(value, dict) else ()
    return next((item for key, item in found if key.lower() == name.lower()), None)


def _check_owners(files: Files, folder: str) -> None:
    """Make sure that only root can replace what lies above the folder.

    Raises:
        SinkError: somebody else could, or the agent has not made its folders.
    """
    parent = folder.rpartition("/")[0]
    try:
        files.state(parent)
    except Absent as exc:
        msg = f"{parent}: not there: the SSM Agent has not run as this node"
        raise SinkError(msg) from exc
    unobserved: list[str] = []
    states = without_links(look_above(files, (f"{parent}/.",), unobserved))
    if unobserved:
        raise SinkError(unobserved[0])
    for state in states:
        # Where others may only add, they cannot replace what is there and looked at next.
        adds_only = state.mode & stat.S_ISVTX and state.path != parent
        lets_others = state.mode & _OTHERS_WRITE and not adds_only
        if state.kind is not FileKind.FOLDER or state.uid != 0 or lets_others:
            how = f"owner {state.uid}, mode {state.mode:04o}"
            how = "its access list" if is_windows(state.path) else how
            msg = f"{state.path}: {how}: others can write there"
            raise SinkError(msg)


def _check_room(files: Files, folder: str) -> None:
    """Make sure that one file more does not make the agent refuse all.

    Raises:
        SinkError: it would.
    """
    try:
        names = files.listing(folder, LISTING_LIMIT)
    except Absent:
        return
    others = [name for name in names if name.endswith(".json") and name != FILE_NAME]
    if len(others) >= FILES_LIMIT:
        msg = (
            f"{folder} has {counted(len(others), '.json file')} of others; "
            f"with one more than {FILES_LIMIT} the agent takes none"
        )
        raise SinkError(msg)


def dry_run(report: Report, narrowed: str = "") -> str:
    """Return what would be written, what that needs, and what it costs."""
    try:
        refuse_narrowed(narrowed)
        where = [f"to {folder_of(report)}/{FILE_NAME}, unless the agent's configuration differs:"]
    except SinkError as exc:
        where = [f"would fail: {exc}"]
    lines = [
        *where,
        document(report).rstrip(),
        "IAM policy: none for nodecheck; the agent has ssm:PutInventory",
        FREE,
    ]
    return "\n".join(lines)
