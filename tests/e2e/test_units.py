"""The units under a real systemd: what they wait for, and that their sandbox hides nothing."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests import rpm_maker, systemd_node
from tests.systemd_node import SystemdNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.made_packages import Packages

UNITS: Final = Path(__file__).parents[2] / "packaging/systemd"
EXPOSURE: Final = 3.0

RPM: Final = "rpm --dbpath /var/lib/rpm"
INSTALLS: Final = {
    "deb": ("dpkg -i {deb}", "dpkg --purge nodecheck"),
    "rpm": (f"{RPM} -U --nodeps {{rpm}}", f"{RPM} -e nodecheck"),
}
DROP_IN: Final = "/run/systemd/system/{unit}.d/test.conf"
FOLDERS: Final = """
rm -rf /var/lib/nodecheck /var/log/nodecheck
for folder in /usr/lib /usr/share; do
    upper=/run/over$folder work=/run/work$folder
    mkdir -p $upper $work
    mount -t overlay overlay -o lowerdir=$folder,upperdir=$upper,workdir=$work $folder
done
for unit in timers time-sync time-set network-online; do
    cp /lib/systemd/system/$unit.target /run/units
done
rm -f /etc/init.d/*  # else systemd makes units of them, for multi-user.target
ln -sf multi-user.target /run/units/default.target
mount --bind /run/units /lib/systemd/system
"""
WORKER: Final = '/usr/bin/ssm-agent-worker -c "sleep 1000; :" & wait'
SETTINGS: Final = """\
[run]
offline = true
[node]
region = "eu-central-1"
[trust]
keys = ["/usr/local/share/signer.asc"]
builtin_keys = false
[report]
sinks = ["inventory", "file"]
file = "/var/log/nodecheck/reports.jsonl"
"""
INVENTORY: Final = "/var/lib/amazon/ssm/inventory/custom"
HELD: Final = """\
[Unit]
DefaultDependencies=no
Before=time-sync.target
Wants=time-sync.target
[Service]
Type=oneshot
ExecStart=/bin/sleep 1000
"""

CHRONYD: Final = """
mkdir -p /run/chrony; chown _chrony:_chrony /run/chrony; chmod 750 /run/chrony
printf 'cmdport 0\\nlocal stratum 5\\nport 0\\nuser _chrony\\n' > /etc/chrony/chrony.conf
chronyd -x
"""
ASK_CHRONYD: Final = """
use Socket; my $own = "/run/chrony/nodecheck.1.sock";
socket(S, AF_UNIX, SOCK_DGRAM, 0) && bind(S, sockaddr_un($own)) && chmod(0666, $own)
    && connect(S, sockaddr_un("/run/chrony/chronyd.sock")) or die $!; unlink($own) or die $!;
"""
"""As nodecheck does where chronyd has no port: a socket beside its own, in a folder of its user."""

pytestmark = pytest.mark.skipif(
    bool(systemd_node.missing()), reason=f"needs {systemd_node.missing()}"
)


@pytest.fixture
def node() -> Iterator[SystemdNode]:
    with SystemdNode(FOLDERS) as made:
        yield made


def must(node: SystemdNode, script: str) -> str:
    done = node.run(f"set -e\n{script}", timeout_s=90)
    assert done.returncode == 0, done
    return done.stdout


def install(node: SystemdNode, packages: Packages, kind: str = "rpm", number: int = 0) -> None:
    files = {"deb": packages.deb[number], "rpm": packages.rpm[number]}
    must(node, INSTALLS[kind][0].format(**files))


def override(node: SystemdNode, unit: str, text: str) -> None:
    path = DROP_IN.format(unit=unit)
    must(
        node,
        f"mkdir -p {path.rpartition('/')[0]}; printf '{text}' > {path}; systemctl daemon-reload",
    )


def show(node: SystemdNode, unit: str, name: str) -> str:
    return must(node, f"systemctl show --value -p {name} {unit}").strip()


def await_run(node: SystemdNode, limit_s: float = 20) -> None:
    deadline = time.monotonic() + limit_s
    while not show(node, "nodecheck.service", "ExecMainExitTimestamp"):
        assert time.monotonic() < deadline, must(node, "systemctl list-jobs")
        time.sleep(0.1)


@pytest.mark.parametrize("name", ["nodecheck.service", "nodecheck-boot.service"])
def test_the_units_are_confined(name: str) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", UNITS / name],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done
    assert float(found[1]) <= EXPOSURE, done.stdout


def test_systemd_understands_every_line() -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(UNITS.iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "nodecheck" in line]
    assert [line for line in ours if "is not executable" not in line] == []


@pytest.mark.parametrize("kind", INSTALLS)
def test_a_package_starts_the_timer_and_no_run(
    kind: str, node: SystemdNode, packages: Packages
) -> None:
    install(node, packages, kind)
    assert must(node, "systemctl is-active nodecheck.timer") == "active\n"
    enabled = "systemctl is-enabled nodecheck.timer nodecheck-boot.service"
    assert must(node, enabled) == "enabled\nenabled\n"
    assert show(node, "nodecheck.timer", "Persistent") == "yes"
    assert show(node, "nodecheck.timer", "RandomizedDelayUSec") == "5min"
    assert show(node, "nodecheck.timer", "NextElapseUSecRealtime")

    must(node, "systemctl disable --quiet nodecheck-boot.service")
    install(node, packages, kind, 1)
    assert must(node, "systemctl is-active nodecheck.timer") == "active\n"
    assert must(node, f"{enabled} || :") == "enabled\ndisabled\n"
    assert show(node, "nodecheck.service", "ExecMainStartTimestamp") == ""
    assert must(node, "ls -A /var/lib/nodecheck") == ""

    must(node, INSTALLS[kind][1])
    assert node.run("systemctl is-active nodecheck.timer").stdout == "inactive\n"
    left = "find /etc /usr/lib/nodecheck /usr/bin /var/lib /var/log -iname '*nodecheck*'"
    assert node.run(f"{left} ! -path '/var/lib/dpkg/*'").stdout == ""


def test_time_that_never_comes_holds_up_nothing(node: SystemdNode, packages: Packages) -> None:
    install(node, packages)
    must(node, f"printf '{HELD}' > /run/units/hold.service; systemctl daemon-reload")
    override(node, "nodecheck-boot.service", "[Unit]\\nJobTimeoutSec=2\\n")
    override(node, "nodecheck.service", "[Service]\\nExecStart=\\nExecStart=/bin/true\\n")
    must(node, "systemctl stop nodecheck.timer; systemctl --no-block start hold.service")
    must(node, "systemctl --no-block start nodecheck.timer nodecheck-boot.service; sleep 0.5")
    assert must(node, "systemctl is-active nodecheck.timer") == "active\n"
    waiting = must(node, "systemctl list-jobs")
    assert "nodecheck-boot.service" in waiting
    assert show(node, "nodecheck.service", "ExecMainStartTimestamp") == ""
    await_run(node)

    # What holds it up without DefaultDependencies=no: the test sees the difference.
    override(node, "nodecheck.timer", "[Unit]\\nDefaultDependencies=yes\\n")
    must(node, "systemctl stop nodecheck.timer; systemctl --no-block start nodecheck.timer")
    assert node.run("systemctl is-active nodecheck.timer").stdout == "inactive\n"


def test_the_run_after_boot_follows_the_right_time(node: SystemdNode, packages: Packages) -> None:
    install(node, packages)
    held = HELD.replace("1000", "2")
    must(node, f"printf '{held}' > /run/units/hold.service; systemctl daemon-reload")
    override(node, "nodecheck.service", "[Service]\\nExecStart=\\nExecStart=/bin/true\\n")
    must(node, "systemctl --no-block start hold.service nodecheck-boot.service; sleep 0.5")
    assert show(node, "nodecheck.service", "ExecMainStartTimestamp") == ""
    await_run(node)
    assert show(node, "nodecheck-boot.service", "Result") == "success"
    ended, began = (
        int(show(node, unit, f"ExecMain{what}TimestampMonotonic"))
        for unit, what in (("hold.service", "Exit"), ("nodecheck.service", "Start"))
    )
    assert ended <= began


def test_a_boot_is_followed_by_a_run(packages: Packages) -> None:
    path = DROP_IN.format(unit="nodecheck.service").replace("/run/", "/etc/", 1)
    with SystemdNode(
        f"{FOLDERS}{INSTALLS['rpm'][0].format(rpm=packages.rpm[0])}\n"
        f"mkdir {path.rpartition('/')[0]}\n"
        f"printf '[Service]\\nExecStart=\\nExecStart=/bin/true\\n' > {path}\n"
    ) as node:
        await_run(node)
        assert must(node, "systemctl is-active nodecheck.timer") == "active\n"


def test_a_failed_agent_is_a_verdict_and_no_failed_unit(
    node: SystemdNode, packages: Packages
) -> None:
    install(node, packages)
    node.reset("exit 1")
    node.run(f"systemctl start {systemd_node.UNIT}")
    must(node, "systemctl start nodecheck.service")
    assert show(node, "nodecheck.service", "ExecMainStatus") in {"2", "3"}
    assert show(node, "nodecheck.service", "Result") == "success"
    must(node, "printf 'nonsense' > /etc/nodecheck/config.toml")
    assert node.run("systemctl start nodecheck.service").returncode != 0
    assert show(node, "nodecheck.service", "ExecMainStatus") == "78"


@pytest.fixture
def whole(node: SystemdNode, packages: Packages, tmp_path: Path) -> SystemdNode:
    """A node with an agent that runs, signed by a key of the test, and a chronyd."""
    tmp_path.chmod(0o755)
    key = rpm_maker.make_key(tmp_path / "signer", "signer")
    (tmp_path / "signer.asc").write_bytes(key.public)
    unsigned = rpm_maker.build(tmp_path / "build", "3.3.9000.0", program=Path("/bin/sh"))
    agent = rpm_maker.sign(unsigned, key)
    (tmp_path / "config.toml").write_text(SETTINGS)
    placed = {"Ssm": {"CustomInventoryDefaultLocation": INVENTORY}}
    (tmp_path / "agent.json").write_text(json.dumps(placed))
    install(node, packages)
    must(node, CHRONYD)
    core = "ExecStart=\\nExecStart=/usr/bin/amazon-ssm-agent /run/core.sh"
    node.reset(WORKER, core)
    must(
        node,
        f"{RPM} -U --nodeps --noscripts --force {agent}\n"
        f"mkdir -p {INVENTORY} /var/log/amazon/ssm\n"
        f"cp {tmp_path}/signer.asc /usr/local/share; cp {tmp_path}/config.toml /etc/nodecheck\n"
        f"cp {tmp_path}/agent.json /etc/amazon/ssm/amazon-ssm-agent.json\n"
        f"systemctl daemon-reload; systemctl start {systemd_node.UNIT}\n"
        "setpriv --reuid=65534 --regid=65534 --clear-groups sleep 1000 >/dev/null 2>&1 &",
    )
    return node


def stable(report: Any) -> Any:  # noqa: ANN401 - a JSON document
    """Return of a report what two runs in a row have in common: no times, no sizes."""
    if isinstance(report, dict):
        return {
            name: stable(value)
            for name, value in report.items()
            if not re.search(r"_(s|ms|bytes|inodes|at)$|^duration|^(run|summary|message)$", name)
        }
    if isinstance(report, str):
        return re.sub(r"age [0-9.]+ \w+|[0-9.]+% of a processor", "", report)
    return [stable(item) for item in report] if isinstance(report, list) else report


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[Any]:
    """Return what two reports tell differently: parts of each check, then all else."""
    found = [
        (this["id"], name, this[name], that[name])
        for this, that in zip(stable(one["checks"]), stable(other["checks"]), strict=True)
        for name in this
        if this[name] != that[name]
    ]
    return found + [
        (name, one[name], other[name])
        for name in stable(one)
        if name != "checks" and stable(one[name]) != stable(other[name])
    ]


def seen(node: SystemdNode, *, confined: bool, drop_in: str = "") -> dict[str, Any]:
    """Return the report of a run by the unit or outside of it."""
    path = "/var/lib/nodecheck/seen.json"
    command = f"/usr/bin/nodecheck --format json -v --output {path}"
    if confined:
        text = f"[Service]\\nExecStart=\\nExecStart={command}\\n{drop_in}"
        override(node, "nodecheck.service", text)
        must(node, "systemctl start nodecheck.service")
    else:
        node.run(command)
    report: dict[str, Any] = json.loads(must(node, f"cat {path}; rm {path}"))
    return report


def test_the_sandbox_hides_nothing(whole: SystemdNode) -> None:
    free, confined = seen(whole, confined=False), seen(whole, confined=True)
    status = {check["id"]: check["status"] for check in confined["checks"]}
    proven = ("agent.signature", "agent.running", "agent.service", "agent.storage")
    assert {name: status[name] for name in proven} == dict.fromkeys(proven, "ok")
    assert status["agent.files"] == "warn"  # for the drop-in that starts the stand-in
    said = next(item for item in confined["checks"] if item["id"] == "clock.discipline")
    assert "kernel_maxerror_s" in said["evidence"]  # of adjtimex(2)
    assert [item["state"] for item in confined["delivery"]] == ["delivered", "delivered"]
    assert differences(confined, free) == []

    # A sandbox that hides: the test sees the difference.
    blind = seen(whole, confined=True, drop_in="CapabilityBoundingSet=~CAP_SYS_PTRACE\\n")
    assert differences(blind, free) != []


@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        ("head -c 1 /dev/loop0 > /dev/null", True),
        ("head -c 1 /dev/vda > /dev/null", False),
        ("touch /var/lib/nodecheck/x /var/log/nodecheck/x", True),
        ("touch /etc/x", False),
        ("touch /usr/bin/x", False),
        ("touch /var/lib/rpm/x", False),
        ("ls /root /home", True),
        ("perl /usr/local/share/ask.pl", True),
        ("touch /root/x", False),
        ("grep -q CapBnd:.*0000000000080006 /proc/self/status", True),  # no CAP_SYS_TIME
        ("readlink /proc/1/exe && cat /proc/1/environ", True),
        ("unshare --net true", False),
    ],
)
def test_what_the_sandbox_lets_pass(
    command: str,
    allowed: bool,  # noqa: FBT001
    sandbox: SystemdNode,
) -> None:
    override(
        sandbox,
        "nodecheck.service",
        f'[Service]\\nSuccessExitStatus=\\nExecStart=\\nExecStart=/bin/sh -c "{command}"\\n',
    )
    sandbox.run("systemctl reset-failed nodecheck.service")
    done = sandbox.run("systemctl start nodecheck.service")
    assert (done.returncode == 0) is allowed, done


@pytest.fixture(scope="module")
def sandbox(packages: Packages) -> Iterator[SystemdNode]:
    with SystemdNode(FOLDERS) as made:
        install(made, packages)
        must(made, f"{CHRONYD}cat > /usr/local/share/ask.pl <<'END'{ASK_CHRONYD}END")
        yield made
