"""A managed node with everything that one has: systemd, a signed agent, its logs, a Region.

The agent is a stand-in (``tests/standin/agent.c``) in a package of true layout, built by rpmbuild
and signed by gpg; systemd is the real one (``tests/systemd_node.py``), the endpoints are the strict
local server under their real names. Hybrid, so that no instance metadata is needed.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from tests import rpm_maker, systemd_node
from tests.agent_logs import MAIN, Tree
from tests.hygiene_builders import kept_well
from tests.managed_node import HYBRID, hybrid_files
from tests.region import HOSTS, REGION
from tests.systemd_node import TOP, UNIT, SystemdNode

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION: Final = "3.3.9000.0"
SOURCE: Final = Path(__file__).parent / "standin/agent.c"
LOGS: Final = "/var/log/amazon/ssm"
PEER: Final = "mkdir -p /run/standin && echo 127.0.0.1 443 > /run/standin/peer\n"
PREPARE: Final = """\
ip link set lo up
mount -t tmpfs tmpfs /sys/class
mkdir -p /sys/class/dmi/id
echo QEMU > /sys/class/dmi/id/sys_vendor
rm -f /etc/systemd/system/amazon-ssm-agent.service /usr/bin/amazon-ssm-agent /usr/bin/ssm-*
"""


def missing() -> str:
    """Return what is missing for such a node, '' where nothing is."""
    tools = [tool for tool in ("gcc", "rpmbuild", "gpg", "ip") if not shutil.which(tool)]
    return ", ".join(tools) or systemd_node.missing() or rpm_maker.missing()


@dataclass(frozen=True)
class Parts:
    """What all nodes share."""

    folder: Path
    package: Path
    key_file: Path

    @classmethod
    def make(cls, folder: Path, size: int = 64 * 1024, more: bytes = b"") -> Self:
        """Build and sign the package, and lay out the Region's bucket.

        ``size`` is that of each program in bytes, ``more`` what fills it instead of zeros.
        """
        folder.chmod(0o755)
        program = folder / "standin"
        subprocess.run(["gcc", "-O1", "-o", str(program), str(SOURCE)], check=True)
        with program.open("ab") as file:
            file.write(more[: max(0, size - program.stat().st_size - 8192)])
        key = rpm_maker.make_key(folder / "signer", "signer")
        key_file = folder / "signer.asc"
        key_file.write_bytes(key.public)
        package = rpm_maker.sign(
            rpm_maker.build(folder / "build", VERSION, size, program=program), key
        )
        bucket = folder / "region/bucket" / f"amazon-ssm-{REGION}"
        (bucket / "latest").mkdir(parents=True)
        (bucket / "latest/VERSION").write_text(VERSION + "\n")
        listed = [{"Version": VERSION, "Checksum": "0" * 64, "Status": "Active"}]
        files = [{"Name": "amazon-ssm-agent-linux-amd64.tar.gz", "AvailableVersions": listed}]
        manifest = {"Packages": [{"Name": "amazon-ssm-agent", "Files": files}]}
        (bucket / "ssm-agent-manifest.json").write_text(
            json.dumps({"SchemaVersion": "1.0"} | manifest)
        )
        return cls(folder, package, key_file)


@dataclass
class Said:
    """What nodecheck said of the node."""

    code: int
    out: str
    err: str
    report: dict[str, Any]

    def __getitem__(self, check_id: str) -> str:
        found = self.check(check_id)
        return f"{found['status']} {found['reason']}"

    def check(self, check_id: str) -> dict[str, Any]:
        """Return one check of the report."""
        found: dict[str, Any] = next(
            item for item in self.report["checks"] if item["id"] == check_id
        )
        return found

    @property
    def bad(self) -> dict[str, str]:
        """Return every check that is neither ok nor skipped; the logs of these nodes are young."""
        return {
            item["id"]: f"{item['status']} {item['reason']}"
            for item in self.report["checks"]
            if item["status"] not in {"ok", "skip"} and item["reason"] != "beyond-retention"
        }


class WholeNode(SystemdNode):
    """A healthy node to make sick; a context manager."""

    def __init__(self, parts: Parts, executable: Path) -> None:
        """Take the package and the executable to judge with."""
        super().__init__(PREPARE)
        self._parts = parts
        self._executable = executable

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self._install()
        except BaseException:
            self.__exit__()
            raise
        return self

    def do(self, script: str) -> str:
        """Run a script that must succeed."""
        done = self.run(f"set -e\n{script}")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _install(self) -> None:
        region, package = shlex.quote(str(self._parts.folder / "region")), self._parts.package
        files = hybrid_files()
        lines = [
            f"printf %s {shlex.quote(HOSTS)} >> /etc/hosts",
            f"cd {shlex.quote(str(TOP))}; rm -f {region}/ready",
            f"{sys.executable} -m tests.region {region} >/run/region.log 2>&1 &",
            "rpm --dbpath /var/lib/rpm -i --nodeps --noscripts --force "
            + shlex.quote(str(package)),
            f"install -m 644 {shlex.quote(str(self._parts.key_file))} /usr/local/share/signer.asc",
            "umask 077; mkdir -p /root/.aws /var/lib/amazon/ssm/Vault/Store",
            "mkdir -p /var/lib/amazon/ssm/runtimeconfig",
            *(f"printf %s {shlex.quote(text)} > {path}" for path, text in files.items()),
            "sed -i s/eu-west-1/eu-central-1/ /var/lib/amazon/ssm/registration",
            "chmod 600 /var/lib/amazon/ssm/Vault/Store/* /root/.aws/credentials",
            PEER,
            f"while [ ! -e {region}/ready ]; do sleep 0.05; done",
            f"umask 022; cat {region}/ca.pem >> /etc/ssl/certs/ca-certificates.crt",
            f"systemctl daemon-reload; systemctl enable {UNIT}",
        ]
        self.do("\n".join(lines))
        self._time = (self._parts.folder / "region/ready").read_text()
        self.restart()
        self.log(lambda tree: tree.work(self._began_s + 0.5, tree.now_s))

    def steer(self) -> None:
        """Let chronyd follow the Region's time server.

        The real one may not touch the clock of the machine (``-x``), which nodecheck notices; a
        stand-in of its name could.
        """
        host, _, port = self._time.rpartition(":")
        lines = (
            f"server {host} port {port} iburst minpoll -3 maxpoll -3",
            "port 0",
            "cmdport 0",
            "pidfile /run/chrony/x.pid",
            "user root",
            "bindcmdaddress /run/chrony/chronyd.sock",
        )
        self.do(
            f"mkdir -m 700 /run/chrony; printf '%s\\n' {shlex.join(lines)} > /run/chrony.conf\n"
            "cp /bin/sleep /usr/local/bin/chronyd\n"
            "/usr/local/bin/chronyd 300 >/dev/null 2>&1 &\n"
            "/usr/sbin/chronyd -x -d -F 0 -f /run/chrony.conf >/dev/null 2>&1 &\n"
            "chronyc waitsync 200 0 0 0.1 > /dev/null"
        )

    def restart(self, script: str = "") -> None:
        """Start the agent anew, after a script, and with empty logs."""
        self.do(f"{script}\nsystemctl stop {UNIT}; rm -rf {LOGS}")
        self._began_s = time.time()
        self.do(f"systemctl start {UNIT}; sleep 1.5")

    def log(self, more: Callable[[Tree], None]) -> None:
        """Write the agent's logs anew: its start, what comes after it until now, and its past."""
        tree = Tree(now_s=time.time())
        tree.start(self._began_s)
        more(tree)
        tree.finish()
        folder = self._parts.folder / "logs"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, content in tree.contents.items():
            (folder / name).write_bytes(content)
        (folder / f"{MAIN}.1").write_text(kept_well(tree.now_s, HYBRID))
        times = [
            f"touch -d @{changed_s} {LOGS}/{name}" for name, changed_s in tree.changed_s.items()
        ]
        copy = f"rm -rf {LOGS}; mkdir -p {LOGS}; cp {shlex.quote(str(folder))}/* {LOGS}"
        self.do("\n".join([copy, f"chmod 600 {LOGS}/*", *times]))

    def environment(self) -> dict[str, str]:
        """Return the settings of nodecheck on this node."""
        return {
            "NODECHECK_CLOCK_SERVERS": self._time,
            "NODECHECK_TRUST_KEYS": "/usr/local/share/signer.asc",
            "NODECHECK_TRUST_BUILTIN_KEYS": "false",
        }

    def judge(self, arguments: str = "", start: str = "") -> Said:
        """Run nodecheck on the node and return what it says."""
        environment = self.environment()
        words = " ".join(f"{name}={shlex.quote(text)}" for name, text in environment.items())
        command = shlex.quote(str(self._executable))
        done = self.run(f"{words} {start} {command} --format json -v {arguments}", timeout_s=60)
        assert "Traceback" not in done.stderr, done.stderr
        report = json.loads(done.stdout)
        assert report["exit"] == done.returncode
        return Said(done.returncode, done.stdout, done.stderr, report)
