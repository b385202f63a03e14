"""The executable on whole nodes: the states in which a node falls out of Systems Manager.

Each has one root that the verdict line must name, and commands that mend it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if sys.platform == "win32":
    pytest.skip("nodes of Linux", allow_module_level=True)

from tests.agent_logs import DENIED, SKEW
from tests.systemd_node import UNIT
from tests.whole_node import PEER, Parts, WholeNode, missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.agent_logs import Tree

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"needs {missing()}")

UNSTEERED = "--skip clock.discipline,clock.forecast"
"""Time daemons have tests of their own; without one a node starts five seconds sooner."""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return Parts.make(tmp_path_factory.mktemp("parts"))


@pytest.fixture
def node(parts: Parts, executable_path: Path) -> Iterator[WholeNode]:
    with WholeNode(parts, executable_path) as made:
        yield made


def test_healthy(node: WholeNode) -> None:
    node.steer()
    said = node.judge()
    assert said.bad == {}
    assert said.code == 0
    skipped = [item["id"] for item in said.report["checks"] if item["status"] == "skip"]
    assert set(skipped) <= {"node.image", "hygiene.secrets"}


def test_hibernating(node: WholeNode) -> None:
    node.restart("rm /run/standin/peer")
    node.log(lambda tree: tree.hibernate(tree.now_s - 0.3, DENIED))
    said = node.judge(UNSTEERED)
    assert said["agent.channel"] == "crit hibernating"
    assert said.bad.keys() == {"agent.channel"}
    assert "AWS denies it to the role" in said.check("agent.channel")["message"]
    assert said.err.startswith("CRIT: ")


def refused(tree: Tree) -> None:
    tree.worker_began_s = None
    text = f"[CredentialRefresher] Retrieve credentials produced aws error: {SKEW}"
    tree.error(tree.now_s - 0.3, text, "minLog @ credentialrefresher.go.280")


def test_refused_for_its_clock(node: WholeNode) -> None:
    """The clock is the root, whatever else follows from it."""
    node.restart("touch /run/standin/alone")
    node.log(refused)
    said = node.judge(UNSTEERED, start="faketime -f -412s")
    assert said["clock.offset"] == "crit beyond-tolerance"
    assert said["agent.channel"].startswith("crit ")
    causes = {item["id"]: item.get("caused_by") for item in said.report["checks"]}
    assert causes["agent.channel"] == "clock.offset"
    assert causes["agent.service"] == "clock.offset"
    assert said.report["summary"].startswith("clock is 6 min 52 s slow")
    assert "agent.channel" in said.report["summary"]


def test_killed(node: WholeNode) -> None:
    node.do("kill -9 $(systemctl show -P MainPID " + UNIT + ")")
    said = node.judge(UNSTEERED)
    assert said["agent.service"] == "crit auto-restart"
    assert said.bad.keys() == {"agent.service", "agent.running", "agent.channel"}
    causes = {item["id"]: item.get("caused_by") for item in said.report["checks"]}
    assert causes["agent.running"] == causes["agent.channel"] == "agent.service"
    commands = [fix["command"] for fix in said.check("agent.service")["fix"]]
    assert any(command.startswith("systemctl restart ") for command in commands)


def test_stopped(node: WholeNode) -> None:
    node.do(f"systemctl disable --now {UNIT}")
    said = node.judge(UNSTEERED)
    assert said["agent.service"] == "crit not-running"
    fixes = [fix["command"] for fix in said.check("agent.service")["fix"]]
    assert f"systemctl enable --now {UNIT.removesuffix('.service')}" in fixes


def test_replaced_while_it_runs(node: WholeNode) -> None:
    """An old image runs on; the file that the next start would run is not Amazon's."""
    node.do(
        "cp /usr/bin/amazon-ssm-agent /usr/bin/new; printf x >> /usr/bin/new\n"
        "mv /usr/bin/new /usr/bin/amazon-ssm-agent"
    )
    said = node.judge(UNSTEERED)
    assert said["agent.files"] == "crit digest"
    assert said["agent.running"] == "ok ok"
    assert said.bad.keys() == {"agent.files"}
    assert said["agent.signature"] == "ok ok"


def test_a_worker_of_an_earlier_start(node: WholeNode) -> None:
    node.restart("touch /run/standin/leave")
    node.restart("rm /run/standin/leave")
    node.log(lambda tree: tree.work(tree.now_s - 0.5, tree.now_s))
    said = node.judge(UNSTEERED)
    assert said["agent.service"] in {"warn left-over-worker", "warn several-workers"}


def test_only_a_worker_of_an_earlier_start(node: WholeNode) -> None:
    """It holds its connection, but nobody knows what becomes of a command."""
    node.restart("touch /run/standin/leave")
    node.restart("touch /run/standin/alone")
    node.log(lambda tree: tree.work(tree.now_s - 0.5, tree.now_s))
    said = node.judge(UNSTEERED)
    assert said["agent.service"] == "warn left-over-worker"
    assert said["agent.channel"] == "unknown unproven"
    assert said.report["summary"].endswith("explains agent.channel")


def test_full_disk(node: WholeNode) -> None:
    node.do(
        "cp -a /var/lib/amazon/ssm /run/kept\n"
        "mount -t tmpfs -o size=256k,mode=700 tmpfs /var/lib/amazon/ssm\n"
        "cp -a /run/kept/. /var/lib/amazon/ssm/\n"
        "dd if=/dev/zero of=/var/lib/amazon/ssm/rest bs=4k 2>/dev/null || :"
    )
    said = node.judge(UNSTEERED)
    assert said["agent.storage"] == "crit full"
    assert said.bad.keys() == {"agent.storage"}


def test_endpoint_overrides(node: WholeNode) -> None:
    """What the agent is told to use counts, and nothing else."""
    node.do(
        "printf '127.0.0.1 vpce.eu-central-1.amazonaws.com\\n' >> /etc/hosts\n"
        "sed -i 's/^127.0.0.1 s*\\(ssm\\|ssmmessages\\|ec2messages\\)[.].*//' /etc/hosts\n"
        "printf '%s' '"
        '{"Ssm": {"Endpoint": "https://vpce.eu-central-1.amazonaws.com"},'
        ' "Mds": {"Endpoint": "https://vpce.eu-central-1.amazonaws.com"},'
        ' "Mgs": {"Endpoint": "vpce.eu-central-1.amazonaws.com"}}'
        "' > /etc/amazon/ssm/amazon-ssm-agent.json"
    )
    said = node.judge(f"{UNSTEERED},clock.offset")
    assert said["node.endpoints"] == "ok ok"
    assert said["agent.channel"] == "ok ok"
    node.do("sed -i '/vpce/d' /etc/hosts; " + PEER)
    said = node.judge(f"{UNSTEERED},clock.offset")
    assert said["node.endpoints"].startswith("crit dns-")


def test_a_variable_of_the_shell_does_not_move_the_agent(node: WholeNode) -> None:
    said = node.judge(f"{UNSTEERED} --only node.endpoints", start="AWS_REGION=us-east-1")
    assert said["node.endpoints"] == "ok ok"


ENDS_AT_ONCE = f"""\
systemctl stop {UNIT}
mkdir -p /etc/systemd/system/{UNIT}.d
printf '[Service]\\nExecStart=\\nExecStart=/bin/true\\n' > /etc/systemd/system/{UNIT}.d/ends.conf
systemctl daemon-reload; systemctl start {UNIT}; sleep 0.3
"""


@pytest.mark.parametrize(
    ("why", "root"),
    [
        ("rm -rf /var/lib/amazon /root/.aws /var/log/amazon", "node.identity"),
        ("printf '{\"Agent\"' > /etc/amazon/ssm/amazon-ssm-agent.json", "node.endpoints"),
    ],
)
def test_an_agent_that_ends_at_once(node: WholeNode, why: str, root: str) -> None:
    """Without an identity, or with a broken configuration, it ends, and systemd waits 90 s."""
    node.do(f"{why}\n{ENDS_AT_ONCE}")
    left_out = f"{UNSTEERED},agent.files"  # the drop-in is the test's own
    said = node.judge(f"{left_out} --region eu-central-1")
    assert said["agent.service"] == "crit auto-restart"
    causes = {item["id"]: item.get("caused_by") for item in said.report["checks"]}
    assert causes["agent.service"] == root
    assert causes["agent.running"] == causes["agent.channel"] == "agent.service"
    if root == "node.identity":
        said = node.judge(f"{left_out} --preflight --region eu-central-1")
        assert said.bad == {}


def test_before_registration(node: WholeNode) -> None:
    """A preflight asks what a registered agent will need, and nothing that only it has."""
    node.do("rm -rf /var/lib/amazon /root/.aws /var/log/amazon; systemctl stop " + UNIT)
    said = node.judge(f"{UNSTEERED} --preflight --region eu-central-1")
    assert said.bad == {}
    assert said["node.endpoints"] == "ok ok"
    assert said["agent.files"] == "ok ok"
    registered = node.judge(f"{UNSTEERED} --region eu-central-1")
    assert registered["node.identity"] == "crit not-registered"


def test_an_image(node: WholeNode) -> None:
    """The gate refuses what the builder left, and passes once the printed command has run."""
    said = node.judge(f"{UNSTEERED} --ami")
    assert said["node.image"] == "crit registration-baked-in"
    (fix,) = said.check("node.image")["fix"]
    node.run(fix["command"])
    said = node.judge(f"{UNSTEERED} --ami --region eu-central-1")
    assert said.bad == {}
    assert said.code == 0
