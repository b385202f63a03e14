"""Say what would mend a node, from the report that a run of nodecheck left on stdout.

Runs as an aws:executeScript step: what it knows of the node is one JSON line that the node wrote,
so nothing of it becomes a command; only one of the four words below leaves this script.
"""

import json
import re
import time

SECURITY = ("agent.signature", "agent.files", "agent.running", "node.identity")

ADVICE = (
    ("mend-clock", "clock.offset", {"beyond-tolerance", "drifting", "before-known-past"}),
    (
        "mend-clock",
        "clock.discipline",
        {
            "no-daemon",
            "not-steering",
            "source-unreachable",
            "no-source-selected",
            "will-not-step",
            "contradicted",
        },
    ),
    ("restart-agent", "agent.running", {"restart-pending"}),
    ("restart-agent", "agent.version", {"running-older"}),
    ("restart-agent", "agent.advisory", {"still-running"}),
    ("restart-agent", "agent.service", {"worker-missing", "suspended", "left-over-worker"}),
    ("restart-agent", "agent.channel", {"hibernating-while-reachable", "worker-absent", "silent"}),
    ("update-agent", "agent.version", {"behind", "far-behind", "deprecated", "below-minimum"}),
    ("update-agent", "agent.advisory", {"vulnerable"}),
)
"""What mends which root cause, the first that applies; all else needs a person."""


def judge(events, _context):
    """Return advice, verdict and summary of the run with this command id."""
    import boto3

    ssm = boto3.client("ssm")
    report = read(ssm, events["CommandId"], events["NodeId"])
    summary = re.sub("[^ -z|~]", "?", str(report.get("summary", ""))[:300])
    return {"advice": advice(report), "verdict": str(report["verdict"]), "summary": summary}


def read(ssm, command_id, node_id):
    """Return the report; the command has one step for each platform, and one of them ran."""
    for pause in (0, 2, 4, 8):  # the invocation can be a moment behind the command
        time.sleep(pause)
        for step in ("linux", "windows"):
            try:
                found = ssm.get_command_invocation(
                    CommandId=command_id, InstanceId=node_id, PluginName=step
                )
            except ssm.exceptions.InvocationDoesNotExist:
                continue
            report = parse(found.get("StandardOutputContent", ""))
            if report is not None:
                return report
    return {"verdict": "unknown", "summary": "the node left no report that can be read"}


def parse(text):
    """Return the report, None where this is none (24,000 characters, then it is cut)."""
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) and found.get("schema") == "nodecheck/1" and "verdict" in found:
            return found
    return None


def advice(report):
    """Return none, mend-clock, restart-agent, update-agent, or person."""
    checks = report.get("checks")
    if not isinstance(checks, list) or not all(isinstance(check, dict) for check in checks):
        return "person"
    if not checks:  # nothing checked is never well
        return "person"
    causes = [
        check
        for check in checks
        if check.get("status") not in ("ok", "skip") and check.get("caused_by") is None
    ]
    bad = [(str(check.get("id")), str(check.get("reason"))) for check in causes]
    if not bad:
        return "none" if report["verdict"] == "ok" else "person"
    known = {(check, reason) for _, check, reasons in ADVICE for reason in reasons}
    if any(check in SECURITY and (check, reason) not in known for check, reason in bad):
        return "person"
    for word, check, reasons in ADVICE:
        if any(check == found and reason in reasons for found, reason in bad):
            return word
    # A warning of another kind (no association updates the agent) is no reason to end as failed.
    return "none" if all(check.get("status") == "warn" for check in causes) else "person"
