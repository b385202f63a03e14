"""The states of the agent's service on a real systemd, and on a node without one."""

from __future__ import annotations

import json
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.node import Node
from tests.systemd_node import SNAP_UNIT, UNIT, UNIT_TEXT, SystemdNode, missing

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"needs {missing()}")

TOP = Path(__file__).parents[2]
START = f"systemctl start {UNIT}; sleep 0.3\n"
MAIN = f"$(systemctl show {UNIT} --property=MainPID --value)"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/test.conf"
NO_WORKER = "sleep 1000 & wait"
WORKER = "/usr/bin/ssm-agent-worker 1000 & wait"


@pytest.fixture(scope="module")
def node() -> Iterator[SystemdNode]:
    with SystemdNode() as booted:
        yield booted


def codes(check: dict[str, Any]) -> list[str]:
    return [finding["reason"] for finding in check["findings"]]


def await_state(node: SystemdNode, *wanted: str) -> None:
    """Wait until systemd has the unit in one of these states."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        said = node.run(f"systemctl show {UNIT} --property=ActiveState,SubState").stdout
        if tuple(line.partition("=")[2] for line in said.splitlines()) == wanted:
            return
        time.sleep(0.05)
    raise AssertionError(said)


def test_enabled_running_and_with_its_worker(node: SystemdNode) -> None:
    node.reset()
    node.run(START)
    found = node.check()
    assert (found["status"], found["message"].split(" for ")[0]) == (
        "ok",
        f"{UNIT} is enabled and runs as root",
    )
    evidence = found["evidence"]
    assert (evidence["state"], evidence["restarts"]) == ("active (running)", 0)
    assert 0 <= evidence["running_s"] < 60
    assert evidence["started_by"] == [f"/etc/systemd/system/multi-user.target.wants/{UNIT}"]
    core, worker = evidence["processes"]
    assert core.startswith(f"{evidence['main_pid']} amazon-ssm-agent, parent 1, age ")
    assert f"ssm-agent-worker, parent {evidence['main_pid']}, " in worker
    assert "MiB" in worker
    assert "open files" in worker


CASES = {
    "stopped": ("", "", "crit not-running", ""),
    "disabled": ("", f"{START}systemctl disable {UNIT}", "warn disabled", "enable --now"),
    "masked while it runs": ("", f"{START}systemctl mask {UNIT}", "warn masked", "unmask"),
    "masked": ("", f"systemctl mask {UNIT}", "crit masked", "systemctl unmask"),
    "not root": ("User=nobody", START, "crit not-root", "systemctl cat"),
    "missing": ("", f"rm /run/units/{UNIT}; systemctl daemon-reload", "crit unit-missing", ""),
    "broken": (
        "",
        f"{START}printf '[Service]\\nExecStart=\\n' > {DROP_IN}; systemctl daemon-reload",
        "warn unit-broken",
        "systemd-analyze verify",
    ),
    "by hand": (
        "",
        "/usr/bin/amazon-ssm-agent /run/core.sh >/dev/null 2>&1 & sleep 0.3",
        "warn unmanaged",
        "enable --now",
    ),
    "enabled until the next boot": (
        "",
        f"{START}systemctl disable {UNIT}; systemctl enable --runtime {UNIT}",
        "warn disabled",
        "enable --now",
    ),
    "two units": (
        "",
        f"{START}cp /run/units/{UNIT} /run/units/{SNAP_UNIT}; systemctl daemon-reload",
        "warn other-unit",
        "snap stop --disable",
    ),
    "two cores": (
        "",
        f"{START}/usr/bin/amazon-ssm-agent -c 'sleep 60; :' >/dev/null 2>&1 & sleep 10.5",
        "warn second-core",
        "kill ",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_systemd_says(node: SystemdNode, case: str) -> None:
    drop_in, script, wanted, fix = CASES[case]
    node.reset(drop_in=drop_in)
    node.run(script)
    found = node.check()
    assert f"{found['status']} {found['reason']}" == wanted, found
    assert any(fix in item["command"] for item in found["fix"]) or not fix, found["fix"]


def test_a_link_in_the_units_own_folder_starts_a_static_unit(node: SystemdNode) -> None:
    node.reset()
    static = UNIT_TEXT.partition("[Install]")[0]
    node.run(f"rm -r /etc/systemd/system/*; printf '%s' '{static}' > /run/units/{UNIT}")
    node.run(f"systemctl daemon-reload; {START}")
    assert codes(node.check()) == ["disabled"]
    node.run("mkdir /run/units/multi-user.target.wants")
    node.run(f"ln -s ../{UNIT} /run/units/multi-user.target.wants; systemctl daemon-reload")
    found = node.check()
    assert (found["status"], found["evidence"]["enabled"]) == ("ok", "static")
    node.run("rm -r /run/units/multi-user.target.wants")


@pytest.mark.parametrize(
    ("core", "drop_in", "wanted"),
    [
        ("exit 3", "Restart=no", "crit failed"),
        ("exit 194", "", "crit reboot-requested"),
        ("exit 1", "RestartSec=0", "crit start-limit-hit"),
        ("exit 0", "RestartSec=0", "crit start-limit-hit"),
    ],
)
def test_what_systemd_gave_up(node: SystemdNode, core: str, drop_in: str, wanted: str) -> None:
    node.reset(core, drop_in)
    node.run(START)
    await_state(node, "failed", "failed")
    found = node.check()
    assert f"{found['status']} {found['reason']}" == wanted, found
    assert found["fix"][0]["command"].startswith(f"systemctl reset-failed {UNIT} && ")


def test_a_killed_core_waits_for_its_restart_and_leaves_a_worker(node: SystemdNode) -> None:
    node.reset()
    node.run(f"{START}kill -9 {MAIN}")
    await_state(node, "activating", "auto-restart")
    found = node.check()
    assert (found["status"], codes(found)) == ("crit", ["auto-restart", "left-over-worker"])
    assert "signal 9" in found["message"]


def test_a_left_over_worker_is_not_the_worker_of_the_next_core(node: SystemdNode) -> None:
    node.reset()
    node.run(f"{START}kill -9 {MAIN}")
    await_state(node, "activating", "auto-restart")
    node.run(f"echo '{NO_WORKER}' > /run/core.sh; systemctl restart {UNIT}; sleep 0.3")
    found = node.check()
    assert (found["status"], codes(found)) == ("warn", ["left-over-worker"]), found
    node.run(f"echo '{WORKER}' > /run/core.sh; systemctl restart {UNIT}; sleep 0.3")
    assert codes(node.check()) == ["left-over-worker"]
    assert len(found["fix"]) == 1
    assert found["fix"][0]["disruptive"]
    node.run(found["fix"][0]["command"] + "; sleep 0.2")
    assert node.check()["status"] == "ok"


def test_a_core_without_a_worker_gets_time_to_start_one(node: SystemdNode) -> None:
    node.reset(NO_WORKER)
    node.run(START)
    found = node.check()
    assert f"{found['status']} {found['reason']}" == "warn worker-starting"


def test_a_core_that_starts_no_worker_receives_no_command(node: SystemdNode) -> None:
    node.reset(NO_WORKER)
    node.run(f"{START}read up rest < /proc/uptime; echo $((${{up%.*}} + 100)).0 1.0 > /run/uptime")
    node.run("mount --bind /run/uptime /proc/uptime")
    found = node.check()
    node.run("umount /proc/uptime")
    assert (found["status"], codes(found)) == ("crit", ["worker-missing"]), found
    assert found["fix"][0]["command"] == "systemctl restart amazon-ssm-agent"


def test_a_core_that_a_signal_holds_is_active_to_systemd_only(node: SystemdNode) -> None:
    node.reset()
    node.run(f"{START}kill -STOP {MAIN}")
    found = node.check()
    assert found["evidence"]["state"] == "active (running)"
    assert (found["status"], codes(found)) == ("crit", ["suspended"])
    node.run(found["fix"][0]["command"])
    assert node.check()["status"] == "ok"


def test_several_workers(node: SystemdNode) -> None:
    node.reset(WORKER.replace("wait", WORKER))
    node.run(START)
    assert codes(node.check()) == ["several-workers"]


def test_a_core_that_ended_and_is_back(node: SystemdNode) -> None:
    node.reset(drop_in="RestartSec=0")
    node.run(f"{START}pid={MAIN}; kill -9 $pid $(cat /proc/$pid/task/$pid/children); sleep 0.5")
    found = node.check()
    assert (found["status"], codes(found)) == ("warn", ["recently-restarted"]), found
    assert found["evidence"]["restarts"] == 1


def test_a_core_that_ends_again_and_again(node: SystemdNode) -> None:
    node.reset(drop_in="RestartSec=0\nStartLimitIntervalSec=0")
    node.run(START)
    for _ in range(3):
        node.run(f"pid={MAIN}; kill -9 $pid $(cat /proc/$pid/task/$pid/children); sleep 0.4")
    assert node.check()["evidence"]["restarts"] == 3


def test_another_program_in_the_unit_is_not_a_running_agent(node: SystemdNode) -> None:
    node.reset(drop_in="ExecStart=\nExecStart=/bin/sleep 1000")
    node.run(START)
    found = node.check()
    assert (found["status"], codes(found)) == ("crit", ["not-running"]), found
    assert "runs sleep" in found["message"]


def replace_systemctl(node: SystemdNode, script: str) -> None:
    node.run(
        f"printf '#!/bin/sh\\n{script}\\n' > /run/systemctl; chmod 755 /run/systemctl\n"
        "mount --bind /run/systemctl /usr/bin/systemctl"
    )


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exec sleep 100", "timeout"),
        ("exit 1", "not-observed"),
        ("echo Failed to connect to bus >&2", "not-understood"),
        ("exec cat /dev/zero", "too-large"),
    ],
)
def test_a_systemctl_that_does_not_answer_is_no_fact(
    node: SystemdNode, script: str, reason: str
) -> None:
    node.reset()
    node.run(START)
    replace_systemctl(node, script)
    started = time.monotonic()
    running = node.check()
    assert time.monotonic() - started < 10
    node.run("umount /usr/bin/systemctl")
    assert (running["status"], codes(running)) == ("unknown", [reason]), running
    node.run(f"systemctl stop {UNIT}; systemctl disable {UNIT}; kill -9 $(pidof ssm-agent-worker)")
    replace_systemctl(node, script)
    stopped = node.check()
    node.run("umount /usr/bin/systemctl")
    assert stopped["status"] == "crit"
    assert set(codes(stopped)) == {"not-running", reason, "disabled"}


def test_a_node_without_a_service_manager(tmp_path: Path) -> None:
    check = (
        f"NODECHECK_STATE_DIR=/run/state {shlex.quote(sys.executable)} -m nodecheck --offline"
        " --only agent.service --format json\n"
    )
    script = (
        "mount -t tmpfs tmpfs /run; cp /bin/sh /usr/bin/amazon-ssm-agent\n"
        f"cp /bin/sleep /usr/bin/ssm-agent-worker; {check}"
        f"amazon-ssm-agent -c '{WORKER}' >/dev/null 2>&1 & sleep 0.3; {check}"
        "printf '#!/bin/sh\\n' > /etc/init.d/amazon-ssm-agent\n"
        "mkdir -p /etc/rc3.d; ln -s ../init.d/amazon-ssm-agent /etc/rc3.d/S99amazon-ssm-agent\n"
        f"{check}rm /etc/rc3.d/S99amazon-ssm-agent; {check}"
    )
    done = Node(tmp_path / "node").run(script, {"PYTHONPATH": str(TOP)})
    found = [json.loads(line)["checks"][0] for line in done.stdout.splitlines() if line[:1] == "{"]
    assert [f"{item['status']} {item['reason']}" for item in found] == [
        "crit not-running",
        "warn unmanaged",
        "ok ok",
        "warn disabled",
    ], done.stderr
