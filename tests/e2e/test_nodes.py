"""Whole nodes, judged by the executable that ships: the states that a user would meet.

A stand-in agent is installed by the real rpm and signed by the real gpg; the clock is that of
libfaketime; the endpoints are a strict local server that judges signatures by true time.
"""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import pytest

from nodecheck.sinks.json_schema import SCHEMA
from tests import rpm_maker
from tests.aws_server import AwsServer
from tests.node import Node
from tests.ntp_server import Behaviour, NtpServer

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

REGION: Final = "eu-central-1"
VERSION: Final = "3.3.9000.0"
KEY_ON_NODE: Final = "/usr/local/share/signer.asc"
AGENT: Final = "/usr/bin/amazon-ssm-agent"
DATABASE: Final = "/var/lib/rpm/rpmdb.sqlite"
ELSEWHERE: Final = "agent.service,agent.channel,node,hygiene"
"""Judged on whole nodes (``test_whole_node``): these have no service manager and no Region."""

INSTALL: Final = "rpm --dbpath /var/lib/rpm -i --nodeps --noscripts --force"
START: Final = f"{AGENT} 300 & sleep 0.2\n"


@dataclass(frozen=True)
class Parts:
    """What all nodes share: the package, the key that signs it, and the servers."""

    package: Path
    key_file: Path
    aws: AwsServer
    environment: dict[str, str]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    folder = tmp_path_factory.mktemp("parts")
    folder.chmod(0o755)
    key = rpm_maker.make_key(folder / "signer", "signer")
    key_file = folder / "signer.asc"
    key_file.write_bytes(key.public)
    unsigned = rpm_maker.build(folder / "build", VERSION, program=Path("/bin/sleep"))
    package = rpm_maker.sign(unsigned, key)
    serve = folder / "serve"
    (serve / "latest").mkdir(parents=True)
    (serve / "latest/VERSION").write_text(VERSION + "\n")
    listed = [{"Version": VERSION, "Checksum": "0" * 64, "Status": "Active"}]
    file = {"Name": "amazon-ssm-agent-linux-amd64.tar.gz", "AvailableVersions": listed}
    manifest = {"SchemaVersion": "1.0", "Packages": [{"Name": "amazon-ssm-agent", "Files": [file]}]}
    (serve / "ssm-agent-manifest.json").write_text(json.dumps(manifest))
    with (
        AwsServer(folder, serve=serve, region=REGION) as aws,
        NtpServer(Behaviour()) as ntp,
    ):
        environment = {
            **aws.environment(),
            "AWS_REGION": REGION,
            "NODECHECK_CLOCK_SERVERS": ntp.name,
            "NODECHECK_CLOCK_ENDPOINT": aws.url,
            "NODECHECK_AGENT_RELEASE_URL": aws.url,
            "NODECHECK_TRUST_KEYS": KEY_ON_NODE,
            "NODECHECK_TRUST_BUILTIN_KEYS": "false",
            "NODECHECK_RUN_SKIP": ELSEWHERE,
        }
        yield Parts(package, key_file, aws, environment)


@dataclass
class Judged:
    """What nodecheck said of one node."""

    code: int
    out: str
    err: str
    report: dict[str, Any] = field(default_factory=dict)

    def status(self, check_id: str) -> str:
        found = self.check(check_id)
        return f"{found['status']} {found['reason']}"

    def check(self, check_id: str) -> dict[str, Any]:
        found: dict[str, Any] = next(
            item for item in self.report["checks"] if item["id"] == check_id
        )
        return found


class Case:
    """A node with the stand-in agent, and nodecheck to look at it."""

    def __init__(self, node: Node, executable: Path, parts: Parts) -> None:
        self.node = node
        self.environment = dict(parts.environment)
        self._executable = shlex.quote(str(executable))

    def judge(self, arguments: str = "", before: str = START, start: str = "") -> Judged:
        """Run nodecheck after a script, and return its JSON report, valid by its schema."""
        done = self.shell(f"{before}\n{start} {self._executable} --format json {arguments}")
        assert "Traceback" not in done.stderr, done.stderr
        report = json.loads(done.stdout)
        jsonschema.Draft202012Validator(SCHEMA).validate(report)  # type: ignore[arg-type]
        assert report["exit"] == done.returncode
        return Judged(done.returncode, done.stdout, done.stderr, report)

    def shell(self, script: str) -> subprocess.CompletedProcess[str]:
        return self.node.run(script, self.environment)


@pytest.fixture
def case(executable_path: Path, parts: Parts, tmp_path: Path) -> Case:
    tmp_path.chmod(0o755)
    node = Node(tmp_path / "node")
    package, key = shlex.quote(str(parts.package)), shlex.quote(str(parts.key_file))
    done = node.run(
        f"rm -rf /var/lib/nodecheck; {INSTALL} {package} && install -D -m 644 {key} {KEY_ON_NODE}"
    )
    assert done.returncode == 0, done.stderr
    return Case(node, executable_path, parts)


@pytest.fixture
def empty(executable_path: Path, parts: Parts, tmp_path: Path) -> Case:
    return Case(Node(tmp_path / "node"), executable_path, parts)


def steered(server: str) -> str:
    """Return a script: chronyd follows a server, and a stand-in of its name could set the clock.

    The real one may not touch the clock of the machine (``-x``), which nodecheck notices.
    """
    host, _, port = server.rpartition(":")
    follow = f"server {host} port {port} iburst minpoll -3 maxpoll -3"
    lines = (follow, "port 0", "cmdport 0", "pidfile /run/chrony/x.pid", "user root")
    config = "\n".join((*lines, "bindcmdaddress /run/chrony/chronyd.sock")) + "\n"
    return (
        "mount -t tmpfs -o mode=755 tmpfs /run && mkdir -m 700 /run/chrony\n"
        f"printf %s {shlex.quote(config)} > /run/chrony.conf\n"
        "cp /bin/sleep /usr/local/bin/chronyd && /usr/local/bin/chronyd 300 &\n"
        "/usr/sbin/chronyd -x -d -F 0 -f /run/chrony.conf >/dev/null 2>&1 &\nsleep 4\n"
    )


def test_a_genuine_running_agent_on_a_right_clock_is_ok(case: Case) -> None:
    judged = case.judge(before=START + steered(case.environment["NODECHECK_CLOCK_SERVERS"]))
    statuses = {item["id"]: item["status"] for item in judged.report["checks"]}
    assert set(statuses.values()) == {"ok", "skip"}, judged.out
    assert (judged.code, judged.report["verdict"]) == (0, "ok")
    assert judged.err == ""
    assert abs(judged.report["clock"]["offset_s"]) < 0.1
    assert judged.report["node"]["region"] == REGION


def test_a_machine_without_an_agent_is_told_so(empty: Case) -> None:
    del empty.environment["NODECHECK_TRUST_KEYS"]
    judged = empty.judge(before="")
    assert judged.code == 2
    assert judged.status("agent.installed") == "crit not-installed"
    assert judged.status("clock.offset") == "ok ok"
    assert judged.status("agent.signature") == "skip not-applicable"
    assert judged.report["summary"].startswith("no SSM Agent is installed")
    assert judged.check("agent.installed")["fix"]


FLIP: Final = f"printf X | dd of={AGENT} bs=1 seek=50000 conv=notrunc status=none\n"


def test_a_key_file_that_is_not_there_is_a_mistake_in_the_settings(case: Case) -> None:
    judged = case.judge(before=f"rm {KEY_ON_NODE}\n{START}")
    assert judged.code == 78
    assert f"trust.keys: {KEY_ON_NODE}: there is no such file" in judged.err


def test_a_key_file_that_is_no_key_is_named_and_proves_nothing(case: Case) -> None:
    judged = case.judge(before=f"echo rubbish > {KEY_ON_NODE}\n{START}")
    assert judged.status("agent.installed") == "ok ok"
    for name in ("agent.signature", "agent.files", "agent.running"):
        assert judged.check(name)["status"] == "unknown", judged.out
    assert KEY_ON_NODE in judged.check("agent.signature")["message"]


def test_one_flipped_byte_is_critical(case: Case) -> None:
    judged = case.judge(before=f"touch -r {AGENT} /etc/t; {FLIP} touch -r /etc/t {AGENT}\n{START}")
    assert judged.status("agent.files") == "crit digest"
    assert AGENT in judged.check("agent.files")["message"]
    assert judged.status("agent.running") == "crit image-not-signed"
    assert judged.status("agent.signature") == "ok ok"
    assert judged.code == 2


PATCH: Final = """
import sqlite3, sys
database, good, bad = sys.argv[1], sys.argv[2].encode(), sys.argv[3].encode()
with sqlite3.connect(database) as connection:
    for number, blob in connection.execute("select hnum, blob from Packages").fetchall():
        change = "update Packages set blob = ? where hnum = ?"
        connection.execute(change, (blob.replace(good, bad), number))
"""


def test_a_database_that_agrees_with_the_flipped_byte_is_critical_all_the_same(
    case: Case,
) -> None:
    good = case.shell(f"sha256sum {AGENT}").stdout.split()[0]
    bad = case.shell(f"{FLIP} sha256sum {AGENT}").stdout.split()[0]
    assert good != bad
    done = case.shell(
        f"/usr/bin/python3 -c {shlex.quote(PATCH)} {DATABASE} {good} {bad} && "
        "rpm --dbpath /var/lib/rpm -q --qf '[%{FILEDIGESTS}\\n]' --nodigest --nosignature "
        "amazon-ssm-agent"
    )
    assert bad in done.stdout, done
    judged = case.judge()
    assert judged.status("agent.signature") == "crit bad-signature"
    assert judged.check("agent.files")["status"] == "crit"
    assert judged.check("agent.files")["caused_by"] == "agent.signature"
    assert judged.check("agent.running")["status"] != "ok"


def test_an_unknown_key_is_never_ok(case: Case) -> None:
    del case.environment["NODECHECK_TRUST_KEYS"]
    del case.environment["NODECHECK_TRUST_BUILTIN_KEYS"]
    judged = case.judge()
    assert judged.status("agent.signature") == "crit key-not-pinned"
    assert judged.check("agent.files")["status"] != "ok"
    assert judged.check("agent.running")["status"] != "ok"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("-600", "10 min 0 s slow"),
        ("+600", "10 min 0 s fast"),
        ("@1971-01-01 00:00:00", "slow"),
        ("@2040-01-01 00:00:00", "fast"),
    ],
)
@pytest.mark.parametrize("monotonic", ["0", "1"])
def test_a_wrong_clock_is_critical_and_the_report_arrives(
    case: Case, parts: Parts, wrong: str, words: str, monotonic: str
) -> None:
    case.environment["FAKETIME_DONT_FAKE_MONOTONIC"] = monotonic
    received = len(parts.aws.events)
    judged = case.judge("--report cloudwatch", start=f"faketime -f {shlex.quote(wrong)}")
    assert judged.status("clock.offset") == "crit beyond-tolerance"
    assert words in judged.report["summary"]
    assert judged.status("agent.signature") == "ok ok"
    assert judged.status("agent.version") == "ok ok"
    assert judged.code == 2
    assert [item["state"] for item in judged.report["delivery"]] == ["delivered"]
    (event,) = parts.aws.events[received:]
    told = json.loads(event["message"])
    assert told["verdict"] == "crit"
    assert abs(event["timestamp"] / 1000 - time.time()) < 30


def test_without_a_network_it_is_unknown_in_seconds(case: Case) -> None:
    done = case.shell(f"{START}unshare --net {case._executable} --format json; echo $? >&2")
    report = json.loads(done.stdout)
    assert done.stderr.split()[-1] == "3"
    assert report["verdict"] == "unknown"
    assert report["run"]["duration_ms"] < 5000
    statuses = {item["id"]: item["status"] for item in report["checks"]}
    assert statuses["clock.offset"] == statuses["agent.version"] == "unknown"
    assert statuses["agent.signature"] == statuses["agent.files"] == "ok"


def test_a_silent_endpoint_does_not_cost_what_ntp_has_proven(case: Case) -> None:
    silent = (
        '/usr/bin/python3 -c \'import socket, time; s = socket.create_server(("127.0.0.1", 8)); '
        "time.sleep(60)' & sleep 0.5\n"
    )
    case.environment["NODECHECK_CLOCK_ENDPOINT"] = "https://127.0.0.1:8"
    judged = case.judge("--deadline 3 --only clock.offset", before=silent, start="faketime -f -600")
    assert judged.status("clock.offset") == "crit beyond-tolerance"
    assert "the SSM endpoint did not answer" in judged.report["summary"]
    assert judged.report["run"]["duration_ms"] < 3200


def test_offline_looks_at_what_needs_no_network(case: Case) -> None:
    judged = case.judge("--offline")
    assert judged.status("clock.offset") == "skip offline"
    assert judged.status("agent.files") == "ok ok"
    assert judged.check("agent.version")["status"] == "unknown"


def test_without_root_it_says_what_it_could_not_see(case: Case) -> None:
    judged = case.judge(
        before=f"{START}chmod 700 /var/lib/rpm; export HOME=/nonexistent\n",
        start="setpriv --reuid 65534 --regid 65534 --clear-groups",
    )
    assert judged.report["run"]["privileged"] is False
    assert judged.report["verdict"] == "unknown"
    for name in ("agent.installed", "agent.signature", "agent.files", "agent.running"):
        assert judged.check(name)["status"] == "unknown", judged.out
    assert "permission" in judged.out


def test_without_root_what_can_be_seen_is_judged(case: Case) -> None:
    judged = case.judge(
        before=f"{START}export HOME=/nonexistent\n",
        start="setpriv --reuid 65534 --regid 65534 --clear-groups",
    )
    assert judged.status("agent.signature") == "ok ok"
    assert judged.status("agent.files") == "ok ok"
    assert judged.check("agent.running")["status"] == "unknown"


def test_a_stopped_agent_is_critical(case: Case) -> None:
    judged = case.judge(before="")
    assert judged.status("agent.running") == "crit not-running"
    assert judged.code == 2


def test_an_image_replaced_while_it_runs_is_critical(case: Case) -> None:
    judged = case.judge(
        before=f"cp -a {AGENT} {AGENT}.good; cp /bin/sleep {AGENT}\n"
        f"{AGENT} 300 & sleep 0.2; mv {AGENT}.good {AGENT}\n"
    )
    assert judged.status("agent.files") == "ok ok"
    assert judged.check("agent.running")["status"] == "crit"


def test_a_configuration_full_of_mistakes_is_told_at_once(case: Case) -> None:
    text = '[clock]\nwarn_s = "60 s"\ntolerance = 3\n[run]\nfail_on = "ok"\n'
    script = (
        f"mkdir -p /etc/nodecheck; printf %s {shlex.quote(text)} > /etc/nodecheck/config.toml\n"
    )
    judged = case.judge(before=script)
    assert judged.code == 78
    assert judged.err.count("/etc/nodecheck/config.toml: ") == 3
    assert judged.report["verdict"] == "unknown"
    for key in ("clock.warn_s", "clock.tolerance", "run.fail_on"):
        assert key in judged.err


def test_a_full_disk_does_not_stop_a_run(case: Case) -> None:
    full = "mkdir -p /var/lib/nodecheck; mount -t tmpfs -o size=4k,mode=700 t /var/lib/nodecheck\n"
    full += "dd if=/dev/zero of=/var/lib/nodecheck/fill 2>/dev/null\n"
    judged = case.judge(f"--skip clock.discipline,clock.forecast,{ELSEWHERE}", before=full + START)
    assert judged.report["verdict"] == "ok", judged.out
    lost = case.judge("--output /var/lib/nodecheck/report.json", before=full + START)
    assert lost.code == 3
    assert lost.report["delivery"][0]["state"] == "failed"
    assert "No space left" in lost.report["delivery"][0]["detail"]


def test_a_second_run_says_that_the_first_is_still_at_it(case: Case) -> None:
    judged = case.judge(
        before="mkdir -m 700 /var/lib/nodecheck; "
        "flock /var/lib/nodecheck/lock sleep 300 & sleep 0.3\n"
    )
    assert judged.code == 3
    assert judged.report["checks"][0]["reason"] == "busy"
    assert "another run" in judged.report["summary"]


def test_a_hanging_probe_does_not_stop_the_report(case: Case) -> None:
    """A tool that never ends: rpm, asked because only it can read this database."""
    hang = (
        "rm -f /var/lib/rpm/rpmdb.sqlite*; touch /var/lib/rpm/Packages.db\n"
        "printf '#!/bin/sh\\nexec sleep 300\\n' > /usr/bin/rpm; chmod 755 /usr/bin/rpm\n"
    )
    judged = case.judge("--deadline 2", before=hang)
    assert judged.report["run"]["duration_ms"] < 2500
    assert judged.check("agent.signature")["status"] == "unknown"
    assert judged.status("clock.offset") == "ok ok"


def test_the_clock_alone_through_a_pipe_to_jq(case: Case) -> None:
    done = case.shell(f"{case._executable} --only clock --format json | jq -r '.checks[].id'")
    assert done.stdout.split() == ["clock.offset", "clock.discipline", "clock.forecast"]


def test_under_systems_manager_the_report_fits(case: Case) -> None:
    case.environment["AWS_SSM_INSTANCE_ID"] = "i-0123456789abcdef0"
    judged = case.judge(before=FLIP)
    assert len(judged.out) <= 2400
    assert judged.report["run"]["trigger"] == "run-command"
    assert judged.report["node"]["id"] == "i-0123456789abcdef0"
    assert judged.err.startswith("CRIT: ")
    assert len(judged.err) <= 301


def test_a_dry_run_shows_the_payload_and_sends_nothing(case: Case, parts: Parts) -> None:
    received = len(parts.aws.requests)
    skipped = f"clock.discipline,clock.forecast,{ELSEWHERE}"
    judged = case.judge(f"--skip {skipped} --report cloudwatch --dry-run")
    assert judged.code == 0
    (delivery,) = judged.report["delivery"]
    assert delivery["state"] == "dry-run"
    for word in ("logs:PutLogEvents", "CloudWatchMetrics", "month"):
        assert word in delivery["detail"]
    assert not [item for item in parts.aws.requests[received:] if item.method == "POST"]


def test_delivery_ends_with_the_deadline(case: Case) -> None:
    silent = (
        '/usr/bin/python3 -c \'import socket, time; s = socket.create_server(("127.0.0.1", 9)); '
        "time.sleep(60)' & sleep 0.5\n"
    )
    case.environment["AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"] = "https://127.0.0.1:9"
    judged = case.judge("--report cloudwatch --deadline 3", before=silent + START)
    assert judged.report["run"]["duration_ms"] < 3500
    assert judged.report["delivery"][0]["state"] == "spooled"
    assert "kept in /var/lib/nodecheck/spool.jsonl" in judged.report["delivery"][0]["detail"]


def test_only_some_checks_are_delivered_too(case: Case, parts: Parts) -> None:
    received = len(parts.aws.events)
    judged = case.judge("--only agent.files --report cloudwatch")
    assert (judged.code, judged.report["verdict"]) == (0, "ok"), judged.out
    assert len(parts.aws.events) == received + 1


def test_a_refused_report_waits_and_one_that_cannot_makes_an_ok_unknown(case: Case) -> None:
    case.environment |= {"AWS_SECRET_ACCESS_KEY": "wrong"}
    judged = case.judge("--only agent.files --report cloudwatch")
    assert (judged.code, judged.report["delivery"][0]["state"]) == (0, "spooled")
    case.environment |= {"NODECHECK_STATE_DIR": "/proc/nowhere"}
    judged = case.judge("--only agent.files --report cloudwatch")
    assert (judged.code, judged.report["verdict"]) == (3, "unknown")
    assert "report not delivered to cloudwatch: " in judged.err
    assert judged.report["delivery"][0]["state"] == "failed"
    assert judged.err.startswith("UNKNOWN: ")


def test_the_node_was_left_as_it_was(case: Case) -> None:
    marked = "touch /var/lib/mark; sleep 0.05\n"
    done = case.shell(
        f"{START}{marked}{case._executable} >/dev/null; find /etc /usr/bin /usr/local /var/lib "
        "-xdev \\( -newer /var/lib/mark -o -cnewer /var/lib/mark \\) -print"
    )
    changed = set(done.stdout.split())
    state = {
        f"/var/lib/nodecheck/{name}" for name in ("lock", "clock-history.json", "verified.json")
    }
    assert changed <= {"/var/lib", "/var/lib/mark", "/var/lib/nodecheck"} | state
