"""The executable for arm64, installed from its deb in a Debian 11 for arm64, under emulation.

It takes minutes to build, so it is tested where ``scripts/build --arch arm64`` left it, and built
first where NODECHECK_ARM64=1 asks for it. The emulator is registered in a user namespace of the
test's own, which Linux 6.7 and later can: the machine is not changed. Needs root.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import pytest

from nodecheck import VERSION
from tests import package_roots, rpm_maker
from tests.e2e.conftest import Done, Executable
from tests.https_server import Answer, HttpsServer, make_certificate
from tests.ntp_server import Behaviour, NtpServer

if TYPE_CHECKING:
    from collections.abc import Iterator

TOP: Final = Path(__file__).parents[2]
BUILT: Final = TOP / "dist/arm64/nodecheck"
SUITE: Final = package_roots.OLDEST[0]
VERDICTS: Final = {"ok": 0, "warn": 1, "crit": 2, "unknown": 3}
DEADLINE: Final = ("--deadline", "50", "--format", "json")

OF_ITS_OWN: Final = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork")
# The machine that a program is for stands in bytes 18 and 19 of its ELF header; 0xb7 is arm64.
REGISTER: Final = r"""
set -e
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
emulator=$(command -v qemu-aarch64-static)
printf ':arm64:M:18:\\xb7\\x00::%s:F' "$emulator" >/proc/sys/fs/binfmt_misc/register
"""
ENTER: Final = r"""
top=$1 && shift
mount --rbind /dev "$top/dev"
mount -t proc none "$top/proc"
exec chroot "$top" "$@"
"""


@dataclass(frozen=True)
class Machine:
    """A system for arm64, in which programs are started with no variables but those given."""

    root: Path

    def __call__(self, *command: str, **variables: str) -> Done:
        """Run a command and wait for its end."""
        shell = ("/bin/sh", "-c", REGISTER + ENTER, "sh", str(self.root))
        path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        start = Executable(Path(shutil.which("unshare") or ""), path | variables)
        return start(*OF_ITS_OWN[1:], "--kill-child", *shell, *command)


def build() -> None:
    """Make the executable where that is asked for; otherwise it has to be there."""
    if os.environ.get("NODECHECK_ARM64") == "1":
        subprocess.run([TOP / "scripts/build", "--arch", "arm64"], check=True)
    if not BUILT.is_dir():
        pytest.skip("not built: scripts/build --arch arm64, or NODECHECK_ARM64=1")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The deb and the rpm for arm64."""
    build()
    folder = tmp_path_factory.mktemp("packages")
    subprocess.run([TOP / "scripts/package", "--quick", "--from", BUILT, folder], check=True)
    (deb,), (rpm,) = folder.glob("*.deb"), folder.glob("*.rpm")
    return deb, rpm


def unpack(folder: Path) -> Path:
    """Return the root folder of a Debian for arm64, whose packages are unpacked, not set up."""
    tarball = package_roots.KEPT / f"debian-{SUITE}-aarch64.tar"
    if not tarball.exists():
        made, new = folder / "made", tarball.with_suffix(f".{os.getpid()}")
        command: list[str | Path]
        command = ["debootstrap", "--foreign", "--arch=arm64", "--variant=minbase", SUITE, made]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
        shutil.rmtree(made / "var/cache/apt")
        shutil.rmtree(made / "debootstrap")
        shutil.rmtree(made / "var/lib/apt/lists")
        subprocess.run(["tar", "-cf", new, "-C", made, "."], check=True)
        shutil.rmtree(made)
        new.rename(tarball)
    root = folder / "root"
    root.mkdir()
    subprocess.run(["tar", "-xf", tarball, "-C", root], check=True)
    return root


@pytest.fixture(scope="module")
def machine(
    packages: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """A machine for arm64 that nodecheck's deb was installed on, by its own dpkg."""
    if package_roots.missing():
        pytest.skip(f"needs {package_roots.missing()}")
    tried = subprocess.run(
        [*OF_ITS_OWN, "/bin/sh", "-c", REGISTER], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"no emulator can be registered here: {tried.stderr}")
    folder = tmp_path_factory.mktemp("arm64")
    machine = Machine(unpack(folder))
    shutil.copy(packages[0], machine.root / "nodecheck.deb")
    # Nothing else is set up there, which dpkg calls a missing dependency.
    done = machine("dpkg", "--force-depends", "--install", "/nodecheck.deb")
    assert done.code == 0, done
    yield machine
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def schema(machine: Machine) -> Any:  # noqa: ANN401 - a JSON document
    return json.loads(machine("nodecheck", "schema").out)


def test_every_file_is_for_arm64_and_old_c_libraries() -> None:
    build()
    heads = {path: path.read_bytes()[:20] for path in BUILT.rglob("*") if path.is_file()}
    machines = [head[18] for head in heads.values() if head.startswith(b"\x7fELF")]
    assert len(machines) > 10
    assert set(machines) == {0xB7}
    gate: list[str | Path] = [TOP / "packaging/interpreter/glibc_check.sh", BUILT, "2.26"]
    subprocess.run(gate, check=True, stdout=subprocess.DEVNULL)


def test_packages_are_for_arm64(packages: tuple[Path, Path]) -> None:
    asked: tuple[list[str | Path], ...] = (
        ["dpkg-deb", "--field", packages[0], "Architecture"],
        ["rpm", "-qp", "--queryformat", "%{ARCH}\n", packages[1]],
    )
    told = [subprocess.check_output(command, text=True) for command in asked]
    assert told == ["arm64\n", "aarch64\n"]


def test_tells_its_version_and_parts(machine: Machine) -> None:
    assert machine("uname", "-m").out == "aarch64\n"
    assert machine("nodecheck", "--version").out == f"nodecheck {VERSION}\n"
    done = machine("nodecheck", "--version", "-v")
    assert (done.code, done.err) == (0, "")
    assert re.search(r"^openssl +3\.", done.out, re.MULTILINE)
    assert re.search(r"^libffi +\d", done.out, re.MULTILINE)


def test_lists_and_explains(machine: Machine) -> None:
    assert "clock.offset" in machine("nodecheck", "list").out
    assert machine("nodecheck", "explain", "clock.offset").out.startswith("clock.offset")


def test_report_follows_its_schema(machine: Machine, schema: Any) -> None:  # noqa: ANN401
    done = machine("nodecheck", "run", "--offline", *DEADLINE)
    jsonschema.validate(done.report, schema)
    assert done.report["exit"] == done.code == VERDICTS[done.report["verdict"]]
    assert done.report["node"]["arch"] == "aarch64"
    assert done.report["node"]["os"].startswith("Debian GNU/Linux 11")


def test_a_right_clock_is_proven_by_ntp_and_tls(machine: Machine) -> None:
    now = time.time()
    certificate = make_certificate(machine.root / "usr", now - 86_400, now + 86_400)
    with NtpServer(Behaviour()) as ntp, HttpsServer(Answer(), certificate) as https:
        settings = {
            "NODECHECK_CLOCK_SERVERS": ntp.name,
            "NODECHECK_CLOCK_ENDPOINT": https.url,
            "AWS_CA_BUNDLE": "/usr/ca.pem",
        }
        done = machine("nodecheck", "run", "--only", "clock.offset", *DEADLINE, **settings)
    assert (done.code, done.report["verdict"]) == (0, "ok"), done
    assert "; 127.0.0.1 agrees)" in done.report["checks"][0]["message"]


def test_signatures_and_files_are_judged(machine: Machine, tmp_path: Path) -> None:
    key = rpm_maker.make_key(tmp_path / "signer", "signer")
    (machine.root / "usr/signer.asc").write_bytes(key.public)
    package = rpm_maker.sign(rpm_maker.build(tmp_path / "build", "3.3.9000.0"), key)
    options = ("--nodeps", "--noscripts", "--ignorearch", "--force")
    rpm_maker.run("rpm", *rpm_maker.rooted(machine.root), "-i", *options, package)

    def reasons() -> dict[str, str]:
        trust = {"TRUST_KEYS": "/usr/signer.asc", "TRUST_BUILTIN_KEYS": "false"}
        variables = {f"NODECHECK_{name}": value for name, value in trust.items()}
        done = machine("nodecheck", "--offline", "--only", "agent", *DEADLINE, **variables)
        return {check["id"]: check["reason"] for check in done.report["checks"]}

    found = reasons()
    assert (found["agent.signature"], found["agent.files"]) == ("ok", "ok")
    with (machine.root / "usr/bin/ssm-cli").open("ab") as program:
        program.write(b"x")
    found = reasons()
    assert (found["agent.signature"], found["agent.files"]) == ("ok", "digest")
