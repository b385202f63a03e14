"""The packages, through a life: installed, used, upgraded, removed and purged by dpkg and rpm."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from nodecheck import VERSION
from tests import package_roots
from tests.package_roots import Machine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.made_packages import Packages

WANTS: Final = "/etc/systemd/system"
LINKS: Final = {
    f"{WANTS}/timers.target.wants/nodecheck.timer",
    f"{WANTS}/multi-user.target.wants/nodecheck-boot.service",
}
CONFIG: Final = "/etc/nodecheck/config.toml"
INVENTORY: Final = "/var/lib/amazon/ssm/i-0123456789abcdef0/inventory/custom"
EDIT: Final = f"printf '[clock]\\nwarn_s = 42\\n' > {CONFIG}"
LIMIT_BYTES: Final = 12_000_000
"""Of a package; only the portable build is shipped, and so held to it."""

pytestmark = pytest.mark.skipif(
    bool(package_roots.missing()), reason=f"needs {package_roots.missing()}"
)


@pytest.fixture(scope="session")
def root(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Debian on which the packages run."""
    suite = package_roots.suite_for(package_roots.needed_glibc(packages.deb[0]))
    return package_roots.unpack(suite, tmp_path_factory.mktemp("debian"))


@dataclass(frozen=True)
class Manager:
    """A package manager, as a script that is run outside of the root."""

    install: str
    remove: str


DPKG: Final = Manager("dpkg --root=$top -i {package}", "dpkg --root=$top --remove nodecheck")
RPM: Final = Manager(
    "rpm --root $top --dbpath /var/lib/rpm -U --nodeps {package}",
    "rpm --root $top --dbpath /var/lib/rpm -e nodecheck",
)


@pytest.fixture
def machine(root: Path, tmp_path: Path) -> Machine:
    return Machine(root, tmp_path)


def use(machine: Machine) -> None:
    """Use what was installed, as a user would."""
    assert machine.must("cd / && env -i nodecheck --version") == f"nodecheck {VERSION}\n"
    assert "settings are valid" in machine.must("nodecheck config check")
    done = machine.run("nodecheck --offline --only agent --format json")
    report = json.loads(done.stdout)
    assert done.returncode == report["exit"], done
    assert report["tool"]["version"] == VERSION
    assert [item["status"] for item in report["checks"] if item["id"] == "agent.installed"]


@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_a_package_lives_and_leaves(kind: str, packages: Packages, machine: Machine) -> None:
    older, newer = packages.deb if kind == "deb" else packages.rpm
    manager = DPKG if kind == "deb" else RPM
    before = machine.files()

    # Installed: nothing ran, and nobody else may write or read what is not theirs.
    machine.must("", outside=manager.install.format(package=older))
    installed = machine.files() - before
    assert {path for path in installed if path.startswith("/var/lib/nodecheck/")} == set()
    assert machine.must("stat -c %a /var/lib/nodecheck /var/log/nodecheck /usr/lib/nodecheck") == (
        "700\n700\n755\n"
    )
    assert machine.must("find /usr/lib/nodecheck /etc/nodecheck ! -type l -perm /022") == ""
    assert machine.must("readlink -f /usr/bin/nodecheck") == "/usr/lib/nodecheck/nodecheck\n"
    assert {"/etc/cron.d/nodecheck", CONFIG, "/usr/lib/systemd/system/nodecheck.timer"} <= installed
    assert (installed >= LINKS) is (kind == "deb")  # rpm leaves it to systemctl, which is not here
    use(machine)

    # Upgraded: settings, state and what the administrator switched off stay as they are.
    machine.must(f"{EDIT}; touch /var/lib/nodecheck/kept; rm -f {WANTS}/multi-user.target.wants/*")
    machine.must("", outside=manager.install.format(package=newer))
    assert "warn_s = 42" in machine.must(f"cat {CONFIG}")
    assert "clock.warn_s = 42" in machine.must("nodecheck config show")
    assert not machine.files() & {f"{WANTS}/multi-user.target.wants/nodecheck-boot.service"}
    assert "/var/lib/nodecheck/kept" in machine.files()
    use(machine)

    # Removed: deb leaves settings and state, rpm the edited settings under another name.
    machine.must(
        f"mkdir -p {INVENTORY} /var/lib/systemd/timers; touch {INVENTORY}/NodeCheck.json;"
        "touch /var/lib/systemd/timers/stamp-nodecheck.timer /var/lib/nodecheck/spool.jsonl"
    )
    machine.must("", outside=manager.remove)
    left = machine.files() - before
    assert not any("/usr/" in path for path in left), left
    assert f"{INVENTORY}/NodeCheck.json" not in left
    ours = {path for path in left if "nodecheck" in path.lower()}
    if kind == "rpm":
        assert ours == {"/etc/nodecheck", f"{CONFIG}.rpmsave"}
        return
    assert ours >= {CONFIG, "/var/lib/nodecheck/spool.jsonl"}

    # Purged: nothing of nodecheck is left; only the agent's own folders of this test.
    machine.must("", outside="dpkg --root=$top --purge nodecheck")
    gone = machine.files() - before
    assert {path for path in gone if "nodecheck" in path.lower()} == set()


def test_settings_nobody_edited_follow_the_package(packages: Packages, machine: Machine) -> None:
    machine.must("", outside=RPM.install.format(package=packages.rpm[0]))
    machine.must("", outside=RPM.install.format(package=packages.rpm[1]))
    machine.must("", outside=RPM.remove)
    assert {path for path in machine.files() if "nodecheck" in path.lower()} == set()


def test_cron_runs_only_where_systemd_does_not(packages: Packages, machine: Machine) -> None:
    machine.must("", outside=DPKG.install.format(package=packages.deb[0]))
    command = (
        "printf '#!/bin/sh\\necho ran >> /ran\\n' > /usr/local/bin/nodecheck\n"
        "chmod 755 /usr/local/bin/nodecheck\n"
        "line=$(sed -n 's/^[*]\\/30 [*] [*] [*] [*] root //p' /etc/cron.d/nodecheck)\n"
        'export PATH=/usr/local/bin:/usr/bin:/bin; sh -c "$line" || :\n'
        'mkdir -p /run/systemd/system; sh -c "$line" || :\n'
        'rmdir /run/systemd/system; rm /usr/bin/nodecheck; sh -c "$line" || :\n'
        "cat /ran"
    )
    assert machine.must(command) == "ran\n"


def test_a_package_says_what_it_needs(packages: Packages) -> None:
    glibc = package_roots.needed_glibc(packages.deb[0])
    asked = subprocess.run(
        ["rpm", "-qp", "--requires", str(packages.rpm[0])],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    assert {f"glibc >= {glibc}", "libgcc", "zlib", "rpmlib(PayloadIsXz) <= 5.2-1"} <= set(asked)
    assert not any("PayloadIsZstd" in line or ".so" in line for line in asked)
    for package in (packages.deb[0], packages.rpm[0]):  # the next ones are packed fast, not small
        assert package.stat().st_size <= LIMIT_BYTES or glibc != "2.17"
