"""PutComplianceItems against the strict server: the whole list, once a change or a day."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from nodecheck.model.errors import SinkError
from nodecheck.model.spool import Consignment, DatedReport, SpooledReport
from nodecheck.model.verdict import SkipReason, Status, Verdict
from nodecheck.policies import compliance as policy_of
from nodecheck.records import replace
from nodecheck.sinks import compliance
from tests.aws_server import AwsServer
from tests.aws_sinks import SINKS, deliver, effective, hasty_host, point_to, true_report
from tests.reports import IDS, bad, ok

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nodecheck.model.spool import Sent

SINK = SINKS[2]
NODE = "i-0123456789abcdef0"
DAY_S = 86_400


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsServer]:
    with AwsServer(tmp_path) as running:
        point_to(running, monkeypatch)
        yield running


def test_every_check_is_an_item(server: AwsServer, tmp_path: Path) -> None:
    (sent,) = deliver(SINK, effective(tmp_path / "state"))
    assert sent.place == f"Custom:NodeCheck of {NODE} in eu-central-1, credentials from env"
    told = server.ssm.compliance[NODE, "Custom:NodeCheck"]
    assert [item["Id"] for item in told.items] == list(IDS)
    assert {item["Status"] for item in told.items} == {"COMPLIANT"}
    assert abs(told.executed_at.timestamp() - time.time()) < 10


def test_a_hybrid_node_is_known_by_its_own_id(server: AwsServer, tmp_path: Path) -> None:
    made = true_report()
    made = replace(made, node=replace(made.node, node_id="mi-0123456789abcdef0"))
    deliver(SINK, effective(tmp_path / "state"), made)
    assert ("mi-0123456789abcdef0", "Custom:NodeCheck") in server.ssm.compliance


def test_nothing_is_sent_while_nothing_changes(server: AwsServer, tmp_path: Path) -> None:
    settings = effective(tmp_path / "state")
    deliver(SINK, settings)
    changed_values = replace(true_report(), checks=tuple(ok(name) for name in IDS))
    (sent,) = deliver(SINK, settings, changed_values)
    assert f"{NODE} in eu-central-1, unchanged since it was sent at 20" in sent.place
    assert len(server.requests) == 1
    worse = true_report()
    worse = replace(worse, checks=(*worse.checks[1:], bad("clock.offset", Status.CRIT)))
    deliver(SINK, settings, worse)
    deliver(SINK, settings, worse)
    assert len(server.requests) == 2
    told = server.ssm.compliance[NODE, "Custom:NodeCheck"].items
    assert [item["Id"] for item in told if item["Status"] == "NON_COMPLIANT"] == ["clock.offset"]


@pytest.mark.parametrize("age_s", [DAY_S + 60, -60])
def test_after_a_day_or_a_time_to_come_it_is_sent_again(
    server: AwsServer, tmp_path: Path, age_s: float
) -> None:
    settings = effective(tmp_path / "state")
    deliver(SINK, settings)
    file = tmp_path / "state" / "compliance.json"
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({**kept, "sent_ms": int((time.time() - age_s) * 1000)}))
    deliver(SINK, settings)
    assert len(server.requests) == 2
    assert server.ssm.compliance[NODE, "Custom:NodeCheck"].ignored == 1, "the hash is stable"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", "7", "[" * 4000, '{"sent_ms": "x"}', '{"sent_ms": true}']
)
def test_a_damaged_memory_only_costs_a_call(
    server: AwsServer, tmp_path: Path, content: str
) -> None:
    settings = effective(tmp_path / "state")
    deliver(SINK, settings)
    (tmp_path / "state" / "compliance.json").write_text(content)
    deliver(SINK, settings)
    assert len(server.requests) == 2


def test_a_memory_of_another_node_is_not_this_ones(server: AwsServer, tmp_path: Path) -> None:
    settings = effective(tmp_path / "state")
    deliver(SINK, settings)
    made = true_report()
    other = replace(made, node=replace(made.node, node_id="mi-0123456789abcdef0"))
    deliver(SINK, settings, other)
    assert len(server.ssm.compliance) == 2


def test_what_cannot_be_remembered_is_delivered_and_said(server: AwsServer, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    (sent,) = deliver(SINK, effective(tmp_path / "state"))
    assert "; not remembered, so the next run sends it again: " in sent.place
    assert server.ssm.compliance


def test_a_refused_call_is_not_remembered(server: AwsServer, tmp_path: Path) -> None:
    server.ssm.nodes.clear()
    settings = effective(tmp_path / "state")
    with pytest.raises(SinkError, match=f"in eu-central-1 does not know the node {NODE}"):
        deliver(SINK, settings)
    server.ssm.nodes.add(NODE)
    deliver(SINK, settings)
    assert server.ssm.compliance


def test_types_of_others_are_left_alone_and_their_limit_is_explained(
    server: AwsServer, tmp_path: Path
) -> None:
    from tests.aws_ssm import Compliance

    others = {(NODE, f"Custom:Other{number}"): Compliance([], None, None) for number in range(10)}  # type: ignore[arg-type]
    server.ssm.compliance.update(others)
    with pytest.raises(SinkError, match="as many custom compliance types as it may"):
        deliver(SINK, effective(tmp_path / "state"))
    assert server.ssm.compliance == others


@pytest.mark.parametrize("node_id", [None, "", "node-1", "i-", "i-0123/../x", "mi-XYZ01234"])
def test_without_an_id_of_systems_manager_nothing_is_sent(
    server: AwsServer, tmp_path: Path, node_id: str | None
) -> None:
    made = true_report()
    made = replace(made, node=replace(made.node, node_id=node_id))
    with pytest.raises(SinkError, match="has no id of Systems Manager"):
        deliver(SINK, effective(tmp_path / "state"), made)
    assert not server.requests


@pytest.mark.parametrize("flag", ["only", "skip"])
def test_a_run_that_left_checks_out_overwrites_nothing(
    server: AwsServer, tmp_path: Path, flag: str
) -> None:
    settings = effective(tmp_path / "state", **{f"run__{flag}": ("clock",)})
    with pytest.raises(SinkError, match=f"--{flag} left checks out"):
        deliver(SINK, settings)
    assert not server.requests


def test_of_several_reports_only_the_newest_counts(server: AwsServer, tmp_path: Path) -> None:
    made = true_report()
    assert made.corrected is not None

    def dated(run_id: str, status: Status) -> DatedReport:
        payload = {"items": compliance.items(replace(made, checks=(bad("clock.offset", status),)))}
        kept = SpooledReport(SINK.name, run_id, None, 0, 0, "", payload)
        return DatedReport(kept, int(time.time() * 1000), is_certain=True)

    items = (dated("1", Status.CRIT), dated("2", Status.WARN))
    policy = policy_of(effective(tmp_path), 20, str(tmp_path / "state"))
    consignment = Consignment(items, made.corrected, made.node, 20)
    sent: list[Sent] = list(compliance.send(hasty_host(), policy, consignment))
    assert [item.reports for item in sent] == [(items[0],), (items[1],)]
    (told,) = server.ssm.compliance[NODE, "Custom:NodeCheck"].items
    assert told["Severity"] == "MEDIUM"


@pytest.mark.parametrize("content", [None, {}, [7], "x"])
def test_a_strange_payload_is_given_up(server: AwsServer, tmp_path: Path, content: object) -> None:
    made = true_report()
    assert made.corrected is not None
    kept = SpooledReport(SINK.name, "1", None, 0, 0, "", {"items": content})
    item = DatedReport(kept, int(time.time() * 1000), is_certain=True)
    policy = policy_of(effective(tmp_path), 20, str(tmp_path / "state"))
    consignment = Consignment((item,), made.corrected, made.node, 20)
    (sent,) = compliance.send(hasty_host(), policy, consignment)
    assert sent.refused == "what was kept of it is not understood"
    assert not server.requests


def test_hostile_names_and_reasons_are_taken(server: AwsServer, tmp_path: Path) -> None:
    names = [f"agent.{number}\x00\n\u202e{'x' * 600}" for number in range(300)]
    skip = Verdict("node.x", Status.SKIP, "waived", skip_reason=SkipReason.WAIVED)
    made = true_report()
    checks = tuple(bad(name, Status.CRIT, "r" * 9000) for name in names)
    deliver(SINK, effective(tmp_path / "state"), replace(made, checks=(*checks, skip)))
    assert len(server.ssm.compliance[NODE, "Custom:NodeCheck"].items) == 301
