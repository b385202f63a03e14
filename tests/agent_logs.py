"""Make the logs of agents in every state, as the agent writes them, and record them.

``python -m tests.agent_logs`` writes them to ``tests/assets/agent_logs``, one folder for each node,
with ``node.json`` for what files do not keep: times of change, the clock, ages of processes. Lines
are those that the agent's source and its issues show, with invented names and times.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

ASSETS: Final = Path(__file__).parent / "assets" / "agent_logs"
MAIN, ERRORS, HIBERNATE = "amazon-ssm-agent.log", "errors.log", "hibernate.log"
NOW: Final = 1795438200.0
"""2026-11-23 12:50:00 UTC."""

CHANGE_S: Final = 1792890000.0
"""2026-10-25 01:00:00 UTC."""

VERSION: Final = "3.3.1142.0"
SKEW: Final = (
    "InvalidSignatureException: Signature expired: 20261123T104451Z is now earlier than"
    " 20261123T105455Z (20261123T105955Z - 5 min.)\n\tstatus code: 400, request id:"
    " 4f2c9a1e-0b7d-4c1e-9a55-0a1b2c3d4e5f"
)
DENIED: Final = (
    "AccessDeniedException: User: arn:aws:sts::111122223333:assumed-role/Web/i-0123456789abcdef0"
    " is not authorized to perform: ssm:UpdateInstanceInformation on resource:"
    " arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0 because no identity-based"
    " policy allows the ssm:UpdateInstanceInformation action\n\tstatus code: 400, request id:"
    " 0d9f7c52-6a3e-4f0b-8d25-3b7f1c2e9a10"
)
DOCUMENT: Final = (
    '[ssm-agent-worker] [MessageService] [Association] Next scheduled association is {"Name":'
    '"AWS-RunShellScript","Parameters":{"commands":["mysql -phunter2-Secret0 # Entering SSM Agent'
    ' hibernate - no, Set up control channel successfully"]}}'
)


@dataclass
class Tree:
    """The logs of one node while they are written; instants are seconds since 1970 in UTC."""

    zone_s: int = 0
    digits: int = 4
    now_s: float = NOW
    core_began_s: float = NOW - 7200
    worker_began_s: float | None = None
    zones: Callable[[float], int] | None = None
    contents: dict[str, bytes] = field(default_factory=dict)
    changed_s: dict[str, float] = field(default_factory=dict)
    entries: list[tuple[float, str, bytes]] = field(default_factory=list)

    def finish(self) -> Tree:
        """Put the lines where they come to stand: the worker's come two seconds late."""
        for at_s, name, line in sorted(self.entries, key=lambda entry: entry[0]):
            self.contents[name] = self.contents.get(name, b"") + line
            self.changed_s[name] = at_s
        return self

    def write(self, at_s: float, level: str, text: str, name: str = MAIN, place: str = "") -> None:
        zone_s = self.zones(at_s) if self.zones else self.zone_s
        stamp = datetime.fromtimestamp(at_s + zone_s, UTC)
        fraction = f".{stamp.microsecond // 100:04d}" if self.digits else ""
        head = f"{stamp:%Y-%m-%d %H:%M:%S}{fraction} {level} "
        line = f"{head}[{place}] {text}" if place else head + text
        delay_s = 2.0 if "[ssm-agent-worker]" in text else 0.2
        self.entries.append((at_s + delay_s, name, line.encode() + b"\n"))

    def error(self, at_s: float, text: str, place: str) -> None:
        self.write(at_s, "ERROR", text)
        self.write(at_s, "ERROR", text, ERRORS, place)

    def start(self, at_s: float) -> None:
        """Write what core and worker write before the first request; the worker's first."""
        self.core_began_s, self.worker_began_s = at_s - 0.1, at_s + 1
        self.write(
            at_s + 1.06,
            "INFO",
            "[ssm-agent-worker] [StartupProcessor] Write to serial port: Amazon SSM Agent"
            f" v{VERSION} is running",
        )
        self.write(at_s, "INFO", f"[amazon-ssm-agent] amazon-ssm-agent - v{VERSION}")
        self.write(at_s + 0.03, "INFO", "[CredentialRefresher] Credentials ready")
        self.write(
            at_s + 0.03,
            "INFO",
            "[CredentialRefresher] Next credential rotation will be in 29.9 minutes",
        )

    def work(self, since_s: float, until_s: float, *, websocket: bool = True) -> None:
        """Write what a worker writes that AWS answers."""
        self.write(since_s, "INFO", f"[ssm-agent-worker] ssm-agent-worker - v{VERSION}")
        gateway = "[ssm-agent-worker] [MessageService] [MGSInteractor]"
        if websocket:
            text = f"{gateway} Successfully opened websocket connection to: 192.0.2.10:443"
            self.write(since_s + 0.8, "INFO", text)
            self.write(since_s + 0.9, "INFO", f"{gateway} Set up control channel successfully")
        beat = "[ssm-agent-worker] [HealthCheck] HealthCheck reporting agent health."
        poll = "[ssm-agent-worker] [MessageService] [Association] Schedule manager refreshed with"
        for number, at_s in enumerate(range(int(since_s) + 2, int(until_s), 300)):
            self.write(at_s, "INFO", beat)
            if number % 2 == 0:
                self.write(
                    at_s + 20, "INFO", f"{poll} 2 associations, 0 new associations associated"
                )

    def hibernate(self, at_s: float, error: str) -> None:
        """Write what a worker writes whose first request was refused, until now."""
        self.write(at_s, "INFO", f"[ssm-agent-worker] Entering SSM Agent hibernate - {error}")
        text = "Agent is in hibernate mode. Reducing logging. Logging will be reduced to one log"
        self.write(at_s, "INFO", f"{text} per backoff period", HIBERNATE)
        next_s, every_s = at_s + 300, 600
        while next_s < self.now_s and every_s < 7200:
            every = min(every_s, 3600)
            text = f"Backing off health check to every {every} seconds for {3 * every} seconds."
            self.write(next_s, "INFO", text, HIBERNATE)
            self.write(next_s + 1, "ERROR", f"Health ping failed with error - {error}", HIBERNATE)
            next_s, every_s = next_s + 3 * every, every_s * 2


def healthy() -> Tree:
    return worked().finish()


def worked() -> Tree:
    tree = Tree(zone_s=3600)
    tree.start(NOW - 7200)
    tree.write(NOW - 7000, "INFO", DOCUMENT)
    tree.work(NOW - 7198, NOW - 60)
    return tree


def hibernating_by_skew() -> Tree:
    tree = Tree(zone_s=-5 * 3600)
    tree.start(NOW - 7200)
    tree.hibernate(NOW - 7198, SKEW)
    return tree.finish()


def hibernating_by_denial() -> Tree:
    tree = Tree(zone_s=int(5.5 * 3600))
    tree.start(NOW - 2000)
    tree.hibernate(NOW - 1998, DENIED)
    return tree.finish()


def recovered() -> Tree:
    tree = Tree()
    tree.start(NOW - 7200)
    tree.now_s = NOW - 5000
    tree.hibernate(NOW - 7198, DENIED)
    tree.now_s = NOW
    tree.work(NOW - 5000, NOW - 60)
    return tree.finish()


def credential_loop() -> Tree:
    """A hybrid node with a wrong clock: the worker is never started."""
    tree = Tree()
    tree.start(NOW - 3600)
    tree.worker_began_s = None
    for at_s in range(int(NOW) - 3500, int(NOW) - 60, 400):
        text = f"[CredentialRefresher] Retrieve credentials produced aws error: {SKEW}"
        tree.error(at_s, text, "minLog @ credentialrefresher.go.280")
        text = "[CredentialRefresher] Sleeping for 21s before retrying retrieve credentials"
        tree.write(at_s, "INFO", text)
    return tree.finish()


def websocket_down() -> Tree:
    """ssmmessages is out of reach, and messages come by ec2messages."""
    tree = Tree(zone_s=7200)
    tree.start(NOW - 7200)
    tree.work(NOW - 7198, NOW - 60, websocket=False)
    for at_s in range(int(NOW) - 7190, int(NOW) - 100, 900):
        text = (
            "[ssm-agent-worker] [MessageService] [MGSInteractor] Failed to get controlchannel"
            " token, error: CreateControlChannel failed with error: createControlChannel request"
            " failed: failed to make http client call: Post"
            ' "https://ssmmessages.eu-west-1.amazonaws.com/v1/control-channel/i-0123456789abcdef0":'
            " dial tcp 192.0.2.10:443: connect: connection refused"
        )
        tree.error(at_s, text, "SetWebSocket @ controlchannel.go.95")
    return tree.finish()


def old_format() -> Tree:
    tree = Tree(zone_s=9 * 3600, digits=0)
    tree.start(float(int(NOW - 7200)))
    tree.work(NOW - 7198, NOW - 60)
    return tree.finish()


def summer_time_ends() -> Tree:
    """Central Europe, 2026-10-25: at 01:00 UTC the clock goes from 03:00 back to 02:00."""
    tree = Tree(now_s=CHANGE_S + 400, zones=lambda at_s: 7200 if at_s < CHANGE_S else 3600)
    tree.start(CHANGE_S - 3000)
    tree.work(CHANGE_S - 2998, CHANGE_S + 390)
    return tree.finish()


def summer_time_recovered() -> Tree:
    """It hibernates at 02:10 by the log and leaves that at 02:03, an hour later."""
    tree = Tree(now_s=CHANGE_S - 900, zones=lambda at_s: 7200 if at_s < CHANGE_S else 3600)
    tree.start(CHANGE_S - 3000)
    tree.hibernate(CHANGE_S - 2990, DENIED)
    tree.now_s = CHANGE_S + 400
    tree.work(CHANGE_S + 200, CHANGE_S + 390)
    return tree.finish()


def rolled() -> Tree:
    tree = healthy()
    lines = tree.contents[MAIN].splitlines(keepends=True)
    tree.contents[f"{MAIN}.7"], tree.contents[MAIN] = b"".join(lines[:-1]), lines[-1]
    tree.contents[f"{MAIN}.6"] = lines[0]
    tree.changed_s |= {f"{MAIN}.7": NOW - 300, f"{MAIN}.6": NOW - 7000}
    return tree


def binary() -> Tree:
    tree = healthy()
    noise = random.Random(5).randbytes(6000)  # noqa: S311 - repeatable, not secret
    content = tree.contents[MAIN]
    tree.contents[MAIN] = noise + b"\n" + content + noise[:500]
    return tree


def cut() -> Tree:
    """The end of the file is in the middle of a letter, its start in the middle of a line."""
    tree = healthy()
    tree.contents[MAIN] = tree.contents[MAIN][30:] + "2026-11-23 13:48:0é".encode()[:-1]
    return tree


def foreign() -> Tree:
    """Errors of a system that speaks Japanese and German; the agent's own lines are English."""
    tree = worked()
    for at_s in (NOW - 3000, NOW - 2000):
        text = "[ssm-agent-worker] failed: ファイルが見つかりません \u2028 Zugriff verweigert"
        tree.error(at_s, text, "run @ 文書.go.12")
    return tree.finish()


def never_answered() -> Tree:
    tree = Tree()
    tree.start(NOW - 7200)
    for at_s in range(int(NOW) - 7190, int(NOW) - 100, 600):
        text = (
            "[ssm-agent-worker] [HealthCheck] error when calling AWS APIs. error details -"
            " RequestError: send request failed\ncaused by: Post"
            ' "https://ssm.eu-west-1.amazonaws.com/": dial tcp: lookup ssm.eu-west-1.amazonaws.com'
            " on 10.0.0.2:53: no such host"
        )
        tree.error(at_s, text, "HandleAwsError @ awserr.go.49")
    return tree.finish()


TREES: Final[dict[str, Callable[[], Tree]]] = {
    "healthy": healthy,
    "hibernating-by-skew": hibernating_by_skew,
    "hibernating-by-denial": hibernating_by_denial,
    "recovered": recovered,
    "credential-loop": credential_loop,
    "websocket-down": websocket_down,
    "old-format": old_format,
    "summer-time-ends": summer_time_ends,
    "summer-time-recovered": summer_time_recovered,
    "rolled": rolled,
    "binary": binary,
    "cut": cut,
    "foreign": foreign,
    "never-answered": never_answered,
}


def record(tree: Tree) -> dict[str, bytes]:
    """Return the files of a recorded tree."""
    node = {
        "now_s": tree.now_s,
        "core_began_s": tree.core_began_s,
        "worker_began_s": tree.worker_began_s,
        "changed_s": dict(sorted(tree.changed_s.items())),
    }
    return tree.contents | {"node.json": (json.dumps(node, indent=1) + "\n").encode()}


def recorded(name: str) -> Tree:
    """Return a tree as it was recorded."""
    folder = ASSETS / name
    node = json.loads((folder / "node.json").read_text("utf-8"))
    names = [path.name for path in folder.iterdir() if path.name != "node.json"]
    return Tree(
        now_s=node["now_s"],
        core_began_s=node["core_began_s"],
        worker_began_s=node["worker_began_s"],
        contents={name: (folder / name).read_bytes() for name in names},
        changed_s=node["changed_s"],
    )


if __name__ == "__main__":
    for tree_name, make in TREES.items():
        (ASSETS / tree_name).mkdir(parents=True, exist_ok=True)
        for file_name, data in record(make()).items():
            (ASSETS / tree_name / file_name).write_bytes(data)
