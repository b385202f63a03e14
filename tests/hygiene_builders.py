"""Logs and folders of an agent that State Manager has do things again and again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent import Channel, Installation, InstallFacts
from nodecheck.model.agent_place import LINUX
from nodecheck.model.node import NodeFacts
from tests.fake_host import FakeClock, FakeFiles, file_state

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW: Final = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ZONE: Final = timedelta(hours=1)
"""Local time of this node is ahead of UTC by this."""

NODE_ID: Final = "i-0123456789abcdef0"
NODE: Final = NodeFacts(NODE_ID, "ec2", "eu-west-1", "", "", is_ec2=True)
INSTALL: Final = InstallFacts((Installation(Channel.RPM, "3.3.1142.0", "", "/usr/bin/x"),), ())
ID: Final = "0e1a2b3c-1111-4222-8333-123456789abc"
OTHER_ID: Final = "0e1a2b3c-1111-4222-8333-cba987654321"
ORCHESTRATION: Final = f"{LINUX.instances}/{NODE_ID}/document/orchestration"
UPDATE: Final = json.dumps(
    {"schemaVersion": "1.2", "runtimeConfig": {"aws:updateSsmAgent": {"properties": []}}}
)


def line(
    ago: timedelta,
    text: str = "[ssm-agent-worker] nothing new",
    level: str = "INFO",
    local: datetime | None = None,
) -> str:
    stamp = (local or NOW + ZONE) - ago
    return f"{stamp:%Y-%m-%d %H:%M:%S}.1234 {level} {text}\n"


def entry(  # noqa: PLR0913 - what an entry may have
    ago: timedelta,
    name: str = "AWS-UpdateSSMAgent",
    schedule: str | None = "rate(14 days)",
    *,
    association_id: str = ID,
    document: str = '{"schemaVersion":"2.2","mainSteps":[]}',
    local: datetime | None = None,
    **more: object,
) -> str:
    """Return what the agent writes when a run of an association begins, as Go indents it."""
    association: Mapping[str, object] = {
        "AssociationId": association_id,
        "AssociationName": None,
        "AssociationVersion": "1",
        "Checksum": "ab12",
        "DetailedStatus": "Success",
        "DocumentVersion": "$DEFAULT",
        "InstanceId": NODE_ID,
        "LastExecutionDate": "2026-11-09T11:00:00Z",
        "Name": name,
        "OutputLocation": None,
        "Parameters": {},
        "ScheduleExpression": schedule,
        **more,
    }
    content = {
        "DocumentID": association_id,
        "CreateDate": "2026-01-01T00:00:00Z",
        "NextScheduledDate": "2026-11-23T11:00:00Z",
        "Association": association,
        "ParsedExpression": {},
        "Document": document,
        "Errors": None,
    }
    text = json.dumps(content, indent=2)
    words = "[ssm-agent-worker] [MessageService] [Association] Next scheduled association is"
    return line(ago, f"{words} {text}", local=local)


def kept_well(now_s: float, node_id: str) -> str:
    """Return an older log, in UTC, of a node that is updated every 14 days and scanned each day."""
    local = datetime.fromtimestamp(now_s, UTC)
    scan = entry(
        days(0.4),
        "AWS-RunPatchBaseline",
        "rate(1 day)",
        association_id=OTHER_ID,
        local=local,
        Parameters={"Operation": ["Scan"]},
        InstanceId=node_id,
    )
    update = entry(days(9), local=local, InstanceId=node_id)
    return line(days(40), local=local) + update + scan


def days(number: float) -> timedelta:
    return timedelta(days=number)


def log_files(text: str, rolled: Mapping[str, str] | None = None) -> FakeFiles:
    """Return a node with this log, whose last line was written a second ago."""
    text += line(timedelta(seconds=1))
    files = FakeFiles({LINUX.log: text.encode()})
    files.states[LINUX.log] = file_state(
        LINUX.log, size=len(text.encode()), mode=0o600, mtime_ns=int(NOW.timestamp()) * 10**9
    )
    for number, (name, older) in enumerate((rolled or {}).items(), 1):
        path = f"{LINUX.logs}/{name}"
        files.contents[path] = older.encode()
        mtime_ns = (int(NOW.timestamp()) - number * 1000) * 10**9
        files.states[path] = file_state(path, size=len(older), mode=0o600, mtime_ns=mtime_ns)
    return files


def clock() -> FakeClock:
    return FakeClock(wall=int(NOW.timestamp()) * 10**9)
