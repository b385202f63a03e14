"""The Python of the runbook, with reports as nodecheck prints them and with hostile ones."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from nodecheck.catalogue import CHECKS
from nodecheck.model.verdict import Status
from nodecheck.sinks.json_document import SSM_LIMIT_BYTES, render
from tests import reports
from tests.command_document import AWS, load

NODE = "i-0123456789abcdef0"
JUDGE, REFUSE = load("judge"), load("refuse")


def report_of(*bad: tuple[str, Status, str], caused: str = "") -> str:
    """Return the report of a node as its stdout has it under Systems Manager."""
    names = {check_id for check_id, _, _ in bad}
    checks = [reports.ok(name) for name in reports.IDS if name not in names]
    checks += [reports.bad(*item) for item in bad]
    text = render(reports.report(*checks), SSM_LIMIT_BYTES)
    whole = json.loads(text)
    for check in whole["checks"]:
        if check["id"] == caused:
            check["caused_by"] = "clock.offset"
    return json.dumps(whole)


CRIT, WARN, UNKNOWN = Status.CRIT, Status.WARN, Status.UNKNOWN
ADVICE: list[tuple[str, list[tuple[str, Status, str]]]] = [
    ("none", []),
    ("mend-clock", [("clock.offset", CRIT, "beyond-tolerance")]),
    ("mend-clock", [("clock.discipline", WARN, "no-daemon")]),
    ("mend-clock", [("agent.version", CRIT, "far-behind"), ("clock.offset", WARN, "drifting")]),
    ("update-agent", [("agent.version", WARN, "behind")]),
    ("update-agent", [("agent.advisory", CRIT, "vulnerable")]),
    ("restart-agent", [("agent.channel", CRIT, "hibernating-while-reachable")]),
    ("restart-agent", [("agent.running", WARN, "restart-pending")]),
    ("restart-agent", [("agent.version", WARN, "behind"), ("agent.service", CRIT, "suspended")]),
    ("person", [("agent.files", CRIT, "changed")]),
    ("person", [("agent.running", CRIT, "image-not-signed")]),
    (
        "person",
        [("agent.signature", CRIT, "bad-signature"), ("clock.offset", CRIT, "beyond-tolerance")],
    ),
    ("person", [("node.identity", CRIT, "wrong-account"), ("agent.version", WARN, "behind")]),
    ("person", [("agent.storage", CRIT, "full")]),
    ("none", [("hygiene.patch-scan", WARN, "several-methods")]),
    ("person", [("hygiene.patch-scan", WARN, "several"), ("agent.storage", CRIT, "full")]),
    ("person", [("agent.running", WARN, "preload-file")]),
    ("person", [("clock.forecast", UNKNOWN, "not-observed")]),
    ("person", [("clock.offset", UNKNOWN, "no-source")]),
]


@pytest.mark.parametrize(("advice", "bad"), ADVICE)
def test_the_root_cause_decides(advice: str, bad: list[tuple[str, Status, str]]) -> None:
    found = JUDGE.parse(report_of(*bad))
    assert JUDGE.advice(found) == advice


def test_what_another_check_explains_is_no_cause() -> None:
    text = report_of(
        ("clock.offset", CRIT, "beyond-tolerance"),
        ("node.identity", CRIT, "not-registered"),
        caused="node.identity",
    )
    assert JUDGE.advice(JUDGE.parse(text)) == "mend-clock"


def test_every_reason_of_the_table_is_one_of_nodecheck() -> None:
    known = {check.check_id: check.explanation for check in CHECKS}
    folder = AWS.parents[1] / "nodecheck" / "checks"
    code = "".join(path.read_text() for path in folder.glob("*.py"))
    for _, check_id, reasons in JUDGE.ADVICE:
        for reason in reasons:
            assert reason in known[check_id] or f'"{reason}"' in code, f"{check_id} {reason}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "OK: all is well",
        report_of()[:2000],
        "[" * 100_000,
        '{"schema":"nodecheck/1"}',
        '{"schema":"other/1","verdict":"ok","checks":[]}',
        '"nodecheck/1"',
        "null\n\x00\n",
    ],
)
def test_what_is_no_report_is_none(text: str) -> None:
    assert JUDGE.parse(text) is None


@pytest.mark.parametrize(
    "checks",
    [None, [], {}, "ok", [1], [None], [["ok"]], [{}], [{"status": ["ok"]}], [{"status": "fine"}]],
)
def test_a_report_of_wrong_types_needs_a_person(checks: object) -> None:
    found = {"schema": "nodecheck/1", "verdict": "ok", "checks": checks}
    try:
        advice = JUDGE.advice(found)
    except TypeError:
        pytest.fail("it must not end otherwise")
    assert advice == "person"


class Invocations:
    """Systems Manager that has a command's output after some calls."""

    class InvocationDoesNotExist(Exception):  # noqa: N818 - its name in boto3
        pass

    def __init__(self, outputs: dict[str, str], late: int = 0) -> None:
        self.outputs, self.late, self.asked = outputs, late, 0
        self.exceptions = SimpleNamespace(InvocationDoesNotExist=self.InvocationDoesNotExist)

    def get_command_invocation(self, **given: str) -> dict[str, str]:
        self.asked += 1
        if self.asked <= self.late or given["PluginName"] not in self.outputs:
            raise self.InvocationDoesNotExist
        return {"StandardOutputContent": self.outputs[given["PluginName"]]}


def asked(
    monkeypatch: pytest.MonkeyPatch, outputs: dict[str, str], late: int = 0
) -> dict[str, str]:
    service = Invocations(outputs, late)
    monkeypatch.setitem(sys.modules, "boto3", SimpleNamespace(client=lambda _name: service))
    monkeypatch.setattr(JUDGE.time, "sleep", lambda _seconds: None)
    answer: dict[str, str] = JUDGE.judge({"CommandId": "c", "NodeId": NODE}, None)
    return answer


@pytest.mark.parametrize("late", [0, 3])
@pytest.mark.parametrize("step", ["linux", "windows"])
def test_the_step_that_ran_is_read_also_when_it_is_late(
    monkeypatch: pytest.MonkeyPatch, step: str, late: int
) -> None:
    outputs = {"linux": "", "windows": ""} | {step: report_of(("agent.version", WARN, "behind"))}
    answer = asked(monkeypatch, outputs, late)
    assert answer["advice"] == "update-agent"
    assert answer["verdict"] == "warn"


def test_a_node_without_a_report_needs_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = asked(monkeypatch, {"linux": "Killed"})
    assert answer["advice"] == "person"
    assert answer["summary"] == "the node left no report that can be read"


def test_a_hostile_summary_does_not_leave_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = json.loads(report_of())
    whole["summary"] = "{{ ssm:/secret }}\n\x1b[2J" + "x" * 1000
    answer = asked(monkeypatch, {"linux": json.dumps(whole)})
    assert "{" not in answer["summary"]
    assert answer["summary"].isprintable()
    assert len(answer["summary"]) == 300


def test_a_refusal_fails_with_the_reason() -> None:
    with pytest.raises(RuntimeError, match=r"needs a person: disk full .*advice: person"):
        REFUSE.refuse({"Summary": "disk full", "Advice": "person"}, None)
