"""The program on nodes that say who they are: right, wrong, cloned, misused, cut off."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from tests.managed_node import DATA, HYBRID, SECRETS, acting, hybrid_files, prepare
from tests.metadata_server import INSTANCE, PLANTED
from tests.node import Node

assert sys.platform != "win32"  # tells the type checker which platform this is

TOP: Final = Path(__file__).parents[2]
EC2: Final = "Amazon EC2"
CONFIG: Final = f"{DATA}/runtimeconfig/identity_config.json"
SOON: Final = timedelta(minutes=20)
GONE: Final = timedelta(days=-2)
ON_EC2: Final = {CONFIG: acting(INSTANCE, "EC2", SOON)}
DHMC: Final = {
    CONFIG: acting(INSTANCE, "EC2", SOON, CredentialSource="SSM", ShareFile=f"{DATA}/credentials"),
    f"{DATA}/credentials": SECRETS + f"aws_session_token = {PLANTED}\n",
}
CLONED: Final = {CONFIG: acting("i-0fedcba9876543210", "EC2", SOON)}
OPEN: Final = f"chmod 755 {DATA} {DATA}/Vault {DATA}/Vault/Store; chmod 644 {DATA}/Vault/Store/*"


def run(folder: Path, service: str, script: str, *lines: str) -> Mapping[str, tuple[int, str, str]]:
    """Run nodecheck on a node once for each line of arguments."""
    if os.geteuid():
        pytest.skip("needs root: a node of its own is made")
    command = shlex.join([sys.executable, "-m", "tests.managed_node", service])
    arguments = " ".join(shlex.quote(line) for line in lines)
    script += f"cd {shlex.quote(str(TOP))}\nprintf '%s\\n' {arguments} | {command}\n"
    done = Node(folder).run(script, prefix=("unshare", "--net"))
    assert done.returncode == 0, done.stderr
    told: dict[str, tuple[int, str, str]] = json.loads(done.stdout)
    return told


def judged(folder: Path, service: str, script: str, more: str = "") -> dict[str, Any]:
    """Return status, reasons and fixes of both checks."""
    line = f"--format json -v {more}".strip()
    _, out, _ = run(folder, service, script, line)[line]
    found: dict[str, Any] = {}
    for check in json.loads(out)["checks"]:
        reasons = [finding["reason"] for finding in check.get("findings", ())]
        found[check["id"]] = (check["status"], reasons)
    return found


def sees(identity: str, credentials: str) -> dict[str, tuple[str, list[str]]]:
    """Return what is judged, each check as its status and the reasons."""
    words = {"node.identity": identity.split(), "node.credentials": credentials.split()}
    return {check: (status, reasons) for check, (status, *reasons) in words.items()}


BAD_SERVICES: Final = {
    "hop-limit": "metadata-hop-limit",
    "disabled": "metadata-disabled",
    "refused": "metadata-refused",
    "v1-404": "metadata-v1-only",
    "page": "foreign-responder",
}
STATIC: Final = ON_EC2 | {"/root/.aws/credentials": SECRETS}
CUT: Final = hybrid_files() | {CONFIG: '{"InstanceId": "mi-'}

Made = tuple[str, Mapping[str, str], str]
STATES: Final[tuple[tuple[Made, dict[str, tuple[str, list[str]]]], ...]] = (
    (("QEMU", hybrid_files(), "refused"), sees("ok", "ok")),
    ((EC2, ON_EC2, "honest"), sees("ok", "ok")),
    ((EC2, DHMC, "no-role"), sees("ok", "ok")),
    ((EC2, {}, "no-role"), sees("ok", "warn no-instance-profile")),
    ((EC2, hybrid_files(), "honest"), sees("warn leftover-registration", "ok")),
    ((EC2, CLONED, "honest"), sees("warn cloned-identity", "ok")),
    (("QEMU", hybrid_files(GONE), "refused"), sees("ok", "crit expired")),
    (("QEMU", {}, "refused"), sees("crit not-registered", "crit no-identity")),
    (("QEMU", {}, "honest"), sees("crit not-registered", "crit no-identity foreign-responder")),
    *(
        ((EC2, ON_EC2, service), sees(f"unknown {reason}", f"crit {reason}"))
        for service, reason in BAD_SERVICES.items()
    ),
    ((EC2, ON_EC2, "other-name"), sees("ok", "warn foreign-responder")),
    ((EC2, ON_EC2, "silent"), sees("unknown metadata-no-reply", "unknown metadata-no-reply")),
    ((EC2, STATIC, "honest"), sees("ok", "warn static-keys")),
    (
        ("QEMU", CUT, "refused"),
        sees("unknown not-understood", "unknown not-understood not-started"),
    ),
)


@pytest.mark.parametrize(("node", "expected"), STATES)
def test_states(tmp_path: Path, node: Made, expected: dict[str, tuple[str, list[str]]]) -> None:
    vendor, files, service = node
    assert judged(tmp_path, service, prepare(vendor, files)) == expected


def test_a_genuine_agent_in_another_account_is_critical(tmp_path: Path) -> None:
    script = prepare(EC2, ON_EC2)
    settings = 'mkdir -p /etc/nodecheck\nprintf "[node]\\nexpected_account = \\"999999999999\\"\\n"'
    found = judged(tmp_path, "honest", f"{script}{settings} > /etc/nodecheck/config.toml\n")
    assert found["node.identity"] == ("crit", ["wrong-account"])


def test_the_account_of_a_hybrid_registration_is_never_that_of_the_instance(tmp_path: Path) -> None:
    settings = 'mkdir -p /etc/nodecheck\nprintf "[node]\\nexpected_account = \\"123456789012\\"\\n"'
    script = prepare(EC2, hybrid_files(), f"{settings} > /etc/nodecheck/config.toml")
    status, reasons = judged(tmp_path, "honest", script)["node.identity"]
    assert (status, set(reasons)) == ("unknown", {"account-unknown", "leftover-registration"})


def test_a_key_that_others_can_read_is_critical(tmp_path: Path) -> None:
    script = prepare("QEMU", hybrid_files(), OPEN)
    assert judged(tmp_path, "refused", script)["node.identity"] == ("crit", ["vault-exposed"])


def test_offline_the_files_alone_are_judged(tmp_path: Path) -> None:
    script = prepare("QEMU", hybrid_files())
    found = judged(tmp_path, "refused", script, "--offline")
    assert found["node.identity"] == ("ok", [])
    assert found["node.credentials"][0] == "skip"


@pytest.mark.parametrize("files", [hybrid_files(), DHMC | {"/root/.aws/credentials": SECRETS}])
def test_nothing_secret_is_told_in_any_format(tmp_path: Path, files: Mapping[str, str]) -> None:
    forms = [f"--format {name} -v" for name in ("text", "json", "nagios", "prometheus", "junit")]
    forms.append("--format text -v --output /dev/stderr")
    told = run(tmp_path, "honest", prepare(EC2, files), *forms)
    assert [line for line in forms if PLANTED in "".join(map(str, told[line]))] == []
    shown = told["--format text -v"][1]
    assert HYBRID in shown or INSTANCE in shown
    assert "ASIA" not in "".join(out for _, out, _ in told.values())
