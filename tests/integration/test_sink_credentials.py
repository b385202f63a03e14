"""The SSM Agent's own credentials: by the setting only, where there are no others, and named."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from nodecheck.host.here import this_host
from nodecheck.model.errors import SinkError
from nodecheck.records import replace
from tests import sending
from tests.aws_rules import ACCESS_KEY, SECRET_KEY, SESSION_TOKEN
from tests.aws_server import AwsServer
from tests.aws_service import Fault
from tests.aws_sinks import SINKS, effective, point_to, true_report

if sys.platform == "win32":
    pytest.skip("owners and modes of POSIX", allow_module_level=True)
if sys.platform != "win32":
    from nodecheck.host.posix_files import PosixFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.aws_sinks import AwsSink

SOURCE = "the SSM Agent (/var/lib/amazon/ssm/credentials, profile default)"


@pytest.fixture(params=SINKS, ids=lambda sink: sink.name)
def sink(request: pytest.FixtureRequest) -> AwsSink:
    found: AwsSink = request.param
    return found


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsServer]:
    with AwsServer(tmp_path) as running:
        point_to(running, monkeypatch)
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("HOME", str(tmp_path))
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the file that default host management leaves, on a node in a folder."""
    path = tmp_path / "node" / "var/lib/amazon/ssm/credentials"
    path.parent.mkdir(parents=True)
    path.write_text(
        f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
        f"aws_session_token = {SESSION_TOKEN}\n"
    )
    path.chmod(0o600)
    return path


def deliver(sink: AwsSink, tmp_path: Path, *, allowed: bool = True) -> str:
    host = this_host()
    if sys.platform != "win32":
        host = replace(host, files=PosixFiles(str(tmp_path / "node")))
    settings = effective(tmp_path / "state", report__use_agent_credentials=allowed)
    made = true_report()
    consignment = sending.consignment(made, sink.queue.render(settings, made), 10)
    (sent,) = sink.queue.send(host, settings, consignment)
    return sent.place


@pytest.mark.usefixtures("file")
def test_they_are_used_where_the_setting_allows_and_named(
    server: AwsServer, sink: AwsSink, tmp_path: Path
) -> None:
    assert deliver(sink, tmp_path).endswith(f"credentials from {SOURCE}")
    assert sink.received(server)
    assert server.requests[0].headers["x-amz-security-token"] == SESSION_TOKEN


@pytest.mark.usefixtures("file")
def test_they_are_not_touched_without_the_setting(
    server: AwsServer, sink: AwsSink, tmp_path: Path
) -> None:
    with pytest.raises(SinkError, match="no AWS credentials; looked in the environment"):
        deliver(sink, tmp_path, allowed=False)
    assert not server.requests


@pytest.mark.usefixtures("server", "file")
def test_others_come_first(monkeypatch: pytest.MonkeyPatch, sink: AwsSink, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    assert deliver(sink, tmp_path).endswith("credentials from env")


@pytest.mark.usefixtures("server")
def test_an_agent_that_left_none_is_said(sink: AwsSink, tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="and the SSM Agent has left none"):
        deliver(sink, tmp_path)


@pytest.mark.usefixtures("server")
def test_a_file_that_others_can_write_is_not_believed(
    sink: AwsSink, tmp_path: Path, file: Path
) -> None:
    file.chmod(0o666)
    with pytest.raises(SinkError, match="mode 0666: not the agent's own") as caught:
        deliver(sink, tmp_path)
    assert SECRET_KEY not in str(caught.value)


@pytest.mark.usefixtures("file")
def test_when_they_have_expired_that_is_said_without_them(
    server: AwsServer, sink: AwsSink, tmp_path: Path
) -> None:
    server.faults.append(Fault("expired-token"))
    with pytest.raises(SinkError, match="the credentials have expired") as caught:
        deliver(sink, tmp_path)
    assert SECRET_KEY not in str(caught.value)
    assert SESSION_TOKEN not in str(caught.value)
