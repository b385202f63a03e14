"""Good practice on a node with real files: the agent's log, its folders, and planted secrets."""

from __future__ import annotations

import json
import shlex
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.hygiene_builders import ID, NODE_ID, entry, line
from tests.node import Node
from tests.ntp_server import Behaviour, NtpServer

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
LOG: Final = "/var/log/amazon/ssm/amazon-ssm-agent.log"
RUN: Final = f"/var/lib/amazon/ssm/{NODE_ID}/document/orchestration/{ID}/2026-11-22T12-46-40.213Z"
SECRET: Final = "q7Rz-Kd83-mWxP"  # noqa: S105 - invented


@pytest.fixture
def server() -> Iterator[NtpServer]:
    with NtpServer(Behaviour()) as running:
        yield running


def report(folder: Path, server: NtpServer, log: str, script: str = "", **more: str) -> Any:  # noqa: ANN401
    """Run the three checks on a node whose agent wrote this log a moment ago."""
    node = Node(folder / "node", ("/var/log",))
    (folder / "log").write_text(log)
    prepare = f"""\
printf '#!/bin/sh\\n' > /usr/bin/amazon-ssm-agent; chmod 755 /usr/bin/amazon-ssm-agent
mkdir -m 700 -p /var/log/amazon/ssm /var/lib/amazon/ssm
cp {shlex.quote(str(folder / "log"))} {LOG}; chmod 600 {LOG}
mkdir -m 700 /var/lib/amazon/ssm/runtimeconfig
printf '%s' '{{"InstanceId":"{NODE_ID}"}}' > /var/lib/amazon/ssm/runtimeconfig/identity_config.json
{script}
cd {ROOT} && {sys.executable} -P -m nodecheck --only hygiene --format json
"""
    environment = {
        "PYTHONPATH": str(ROOT),
        "AWS_REGION": "eu-west-1",
        "NODECHECK_CLOCK_SERVERS": f"127.0.0.1:{server.port}",
        "NODECHECK_STATE_DIR": "/root/state",
        **more,
    }
    done = node.run(prepare, environment)
    assert done.stdout, done.stderr
    document = json.loads(done.stdout)
    return {check["id"].partition(".")[2]: check for check in document["checks"]}, done.stdout


def log_of(monkeypatch: pytest.MonkeyPatch, *parts: tuple[str, float]) -> str:
    """Return a log whose entries are so many days old, in the local time of this machine."""
    now = datetime.now(UTC)
    zone = datetime.now().astimezone().utcoffset() or timedelta()
    monkeypatch.setattr("tests.hygiene_builders.NOW", now)
    monkeypatch.setattr("tests.hygiene_builders.ZONE", zone)
    text = ""
    for name, days in parts:
        ago = timedelta(days=days)
        text += (
            line(ago) if not name else entry(ago, name, association_id=f"{int(days):08x}{ID[8:]}")
        )
    return text + line(timedelta(seconds=1))


def test_a_well_kept_node(
    tmp_path: Path, server: NtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_of(monkeypatch, ("", 40), ("AWS-UpdateSSMAgent", 9), ("AWS-RunPatchBaseline", 1))
    checks, _ = report(tmp_path, server, log)
    assert checks["agent-update"]["status"] == "ok", checks["agent-update"]
    assert "last 9.0 days ago" in checks["agent-update"]["message"]
    assert checks["patch-scan"]["status"] == "ok", checks["patch-scan"]
    assert checks["secrets"]["reason"] == "by-request"


def test_a_short_log_proves_nothing(
    tmp_path: Path, server: NtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks, _ = report(tmp_path, server, log_of(monkeypatch, ("", 2)))
    assert [checks[name]["reason"] for name in ("agent-update", "patch-scan")] == [
        "beyond-retention", "beyond-retention",
    ]  # fmt: skip
    commands = [fix["command"] for fix in checks["agent-update"]["fix"]]
    assert any("create-association --name AWS-UpdateSSMAgent" in item for item in commands)


def test_a_log_that_others_can_write_proves_nothing(
    tmp_path: Path, server: NtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_of(monkeypatch, ("", 40), ("AWS-UpdateSSMAgent", 9))
    checks, _ = report(tmp_path, server, log, f"chmod 666 {LOG}")
    assert checks["agent-update"]["reason"] == "not-observed"


def test_two_methods_that_scan(
    tmp_path: Path, server: NtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_of(
        monkeypatch, ("", 2), ("AWS-RunPatchBaseline", 1), ("AWS-RunPatchBaselineAssociation", 0)
    )
    checks, _ = report(tmp_path, server, log)
    assert checks["patch-scan"]["reason"] == "several-methods"


def test_planted_secrets_are_named_and_not_told(
    tmp_path: Path, server: NtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"""\
mkdir -p {RUN}/step /var/lib/amazon/ssm/localcommands
printf '#!/bin/sh\\nexport DB_PASSWORD={SECRET}\\n' > {RUN}/step/_script.sh
ln -s /etc/passwd {RUN}/_script.ps1
ln -s / /var/lib/amazon/ssm/localcommands/link
"""
    log = log_of(monkeypatch, ("", 2)) + f"configuration password={SECRET}\n"
    log += line(timedelta(seconds=1))
    checks, out = report(tmp_path, server, log, script, NODECHECK_HYGIENE_SCAN_SECRETS="true")
    found = checks["secrets"]
    assert (found["status"], found["reason"]) == ("warn", "plain-secret")
    places = {item["path"]: item["message"] for item in found["findings"] if item["path"]}
    assert places[f"{RUN}/step/_script.sh"].endswith("line 2")
    assert places[LOG].endswith("line 3")
    assert SECRET[:6] not in out
