"""Measure the built executable against its budgets, beside references, in one run.

``python -m tests.bench.bench FOLDER DEB RPM AWS ROUNDS`` prints tables; the exit code is 1 where a
budget is not met. FOLDER is the built folder, AWS the AWS CLI. The node is a whole one
(``tests/whole_node.py``) whose agent has true size: six programs, 113 MB, and whose Region is the
strict local server.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests import rpm_maker
from tests.aws_rules import ACCESS_KEY, SECRET_KEY
from tests.bench.measuring import Case, make_starter, measure
from tests.region import REGION
from tests.whole_node import Parts, WholeNode, missing

if sys.platform != "win32":
    from tests.prove.prove_digests import gather_code

if TYPE_CHECKING:
    from collections.abc import Iterable

assert sys.platform != "win32"

VERDICTS: Final = frozenset({0, 1, 2, 3})
SINKS: Final = ("cloudwatch", "cloudwatch-metrics")
PATH: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
KEYS: Final = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt",
}
SCRATCH: Final = "/run/bench"
SETTLED_S: Final = 61.0
"""Before that, files may be of an update under way, and nodecheck waits."""


@dataclass(frozen=True)
class Budget:
    """A limit, and what was measured."""

    what: str
    measured: float
    limit: float
    unit: str
    how: str = ""

    @property
    def is_met(self) -> bool:
        return self.measured <= self.limit


class Bench:
    """All cases of one node."""

    def __init__(self, folder: Path, node: WholeNode, parts: Parts, aws: str, built: Path) -> None:
        """Prepare what the references read, and list what is measured."""
        self._node = node
        program = str(built / "nodecheck")
        files = [f"/usr/bin/{name}" for name in rpm_maker.PROGRAMS]
        settings = node.environment()
        host, _, port = settings["NODECHECK_CLOCK_SERVERS"].rpartition(":")
        run = (program, "--format", "json")
        reporting = PATH | settings | KEYS | {"NODECHECK_STATE_DIR": f"{SCRATCH}/state"}
        package = str(parts.package)
        node.do(
            f"mkdir -p {SCRATCH} && gpg --homedir {folder}/signer --batch --yes --no-tty -b "
            f"-o {SCRATCH}/sig {package} && gpg --batch --dearmor -o {SCRATCH}/keys.gpg "
            f"< {parts.key_file}; gpgconf --homedir {folder}/signer --kill all"
        )
        self.bare = Case("python3 -I -S -c pass", ("python3", "-I", "-S", "-c", "pass"), PATH)
        self.version = Case("nodecheck --version", (program, "--version"))
        self.openssl = Case("openssl dgst -sha256", ("openssl", "dgst", "-sha256", *files), PATH)
        # The time stamps of its directories are not those of the package: exit code 1 is a verdict.
        rpm = ("rpm", "--dbpath", "/var/lib/rpm", "-V", "--nodeps", "amazon-ssm-agent")
        self.rpm = Case("rpm -V", rpm, PATH, frozenset({0, 1}))
        gpgv = ("gpgv", "--keyring", f"{SCRATCH}/keys.gpg", f"{SCRATCH}/sig", package)
        self.gpgv = Case("gpgv, the package", gpgv, PATH)
        self.local = Case("nodecheck --offline", (*run, "--offline"), reporting, VERDICTS)
        # One packet, as few as there can be; its own waiting between packets would be in the time.
        ask = f"server {host} port {port} iburst maxsamples 1"
        chronyd = ("chronyd", "-Q", "-t", "10", ask, "pidfile /run/bench/x.pid", "user root")
        self.chronyd = Case("chronyd -Q, 1 sample", chronyd, PATH)
        self.network = Case("nodecheck", run, reporting, VERDICTS)
        self.sinks = [
            Case(f"nodecheck --report {name}", (*run, "--report", name), reporting, VERDICTS)
            for name in SINKS
        ]
        metric = ("--namespace", "bench", "--metric-name", "Age", "--value", "1")
        put = (aws, "cloudwatch", "put-metric-data", *metric)
        self.aws = Case("aws cloudwatch put-metric-data", put, PATH | KEYS | {"HOME": SCRATCH})
        self.groups = (
            ("start", (self.bare, self.version)),
            ("local run", (self.openssl, self.rpm, self.gpgv, self.local)),
            ("run with network", (self.chronyd, self.network, *self.sinks, self.aws)),
        )

    def measure(self, starter: Path, rounds: int) -> None:
        """Measure all cases, once everything that is to be sent is seen to arrive."""
        cases = [case for _, group in self.groups for case in group]
        time.sleep(SETTLED_S)
        measure(cases, starter, rounds, self._node.do)
        for name in SINKS:
            said = self._node.judge(f"--report {name}", self._exports())
            (sent,) = said.report["delivery"]
            if sent["state"] != "delivered":
                msg = f"the report to {name} did not arrive: {sent}"
                raise RuntimeError(msg)

    @staticmethod
    def _exports() -> str:
        return " ".join(f"{name}={text}" for name, text in KEYS.items())

    def budgets(self) -> Iterable[Budget]:
        """Return what was promised beside what was measured."""
        limit_ms = 1.5 * self.openssl.wall_ms + 200
        yield Budget("--version, time", self.version.wall_ms, 60, "ms")
        how = f"1.5 x openssl's {self.openssl.wall_ms:.0f} ms + 200 ms"
        yield Budget("local run, time", self.local.wall_ms, limit_ms, "ms", how)
        yield Budget("local run, memory", self.local.memory_mb, 40, "MB")
        for sink in self.sinks:
            name = sink.name.rpartition(" ")[2]
            yield Budget(f"{name}, memory", sink.memory_mb, 50, "MB")
            more_ms = sink.cpu_ms - self.network.cpu_ms
            yield Budget(f"{name}, CPU added", more_ms, 300, "ms", "over the run without it")
            more_mb = sink.memory_mb - self.network.memory_mb
            yield Budget(f"{name}, memory added", more_mb, 25, "MB", "over the run without it")


def sizes(built: Path, packages: Iterable[Path]) -> Iterable[Budget]:
    """Return the budgets of what is shipped."""
    for package in packages:
        kind = package.suffix[1:]
        yield Budget(f"{kind}, compressed", package.stat().st_size / 1e6, 12, "MB", "xz")
    files = [path for path in built.rglob("*") if path.is_file()]
    total = sum(path.stat().st_size for path in files) / 1e6
    yield Budget("folder", len(files), 60, "files", f"{total:.1f} MB")


def tell(bench: Bench) -> None:
    """Print what was measured."""
    head = f"{'':34}{'min':>8}{'median':>8}{'cpu min':>9}{'memory':>8}"
    sys.stdout.write(f"\n{head}\n{'':34}{'ms':>8}{'ms':>8}{'ms':>9}{'MB':>8}\n")
    for name, cases in bench.groups:
        sys.stdout.write(f"{name}\n")
        for case in cases:
            sys.stdout.write(
                f"  {case.name:<32}{case.wall_ms:>8.0f}{case.median_ms:>8.0f}"
                f"{case.cpu_ms:>9.0f}{case.memory_mb:>8.1f}\n"
            )
    pairs = [
        (bench.version, bench.bare),
        *((bench.local, other) for other in (bench.openssl, bench.rpm, bench.gpgv)),
        (bench.network, bench.chronyd),
        *((sink, bench.aws) for sink in bench.sinks),
    ]
    sys.stdout.write("\nratios (time, memory)\n")
    for mine, other in pairs:
        wall, memory = mine.wall_ms / other.wall_ms, mine.memory_mb / other.memory_mb
        sys.stdout.write(f"  {wall:>5.2f} x {memory:>5.2f} x  {mine.name} : {other.name}\n")


def judge(budgets: Iterable[Budget]) -> bool:
    """Print each budget with its verdict; return whether all are met."""
    found = tuple(budgets)
    sys.stdout.write(f"\n{'budget':<34}{'measured':>10}{'limit':>8}\n")
    for budget in found:
        verdict = "met" if budget.is_met else "NOT MET"
        how = f" ({budget.how})" if budget.how else ""
        digits = 0 if budget.unit in {"ms", "files"} else 1
        sys.stdout.write(
            f"  {budget.what:<32}{budget.measured:>10.{digits}f}{budget.limit:>8.0f}"
            f" {budget.unit:<5} {verdict}{how}\n"
        )
    return all(budget.is_met for budget in found)


def run(built: Path, packages: Iterable[Path], aws: str, rounds: int) -> bool:
    """Measure, print, and return whether all budgets are met."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        starter = make_starter(folder)
        parts = Parts.make(folder, rpm_maker.TRUE_SIZE, gather_code())
        with WholeNode(parts, built / "nodecheck") as node:
            bench = Bench(folder, node, parts, aws, built)
            bench.measure(starter, rounds)
        tell(bench)
        return judge((*bench.budgets(), *sizes(built, packages)))


if __name__ == "__main__":
    if missing():
        sys.exit(f"the bench needs {missing()}")
    words = [Path(word).absolute() for word in sys.argv[1:4]]
    sys.exit(not run(words[0], words[1:], sys.argv[4], int(sys.argv[5])))
