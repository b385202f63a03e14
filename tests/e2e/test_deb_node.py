"""Nodes whose agent was installed by dpkg, judged by the executable that ships."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests import deb_maker, rpm_maker
from tests.aws_server import AwsServer
from tests.deb_maker import NAME
from tests.e2e.test_nodes import (
    AGENT,
    ELSEWHERE,
    FLIP,
    KEY_ON_NODE,
    REGION,
    START,
    VERSION,
    Case,
    Parts,
)
from tests.node import Node
from tests.ntp_server import Behaviour, NtpServer

if TYPE_CHECKING:
    from collections.abc import Iterator

SHELF: Final = "/var/lib/packages"
MORE: Final = ("/usr/lib/systemd", "/usr/share/doc", "/var/log")
"""Where a deb puts files beyond what a node lays over anyway."""
CHECKS: Final = ("agent.signature", "agent.files", "agent.running")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    folder = tmp_path_factory.mktemp("deb-parts")
    folder.chmod(0o755)
    key = rpm_maker.make_key(folder / "signer", "signer")
    key_file = folder / "signer.asc"
    key_file.write_bytes(key.public)
    package = deb_maker.build(folder / "build", VERSION, program=Path("/bin/sleep"))
    deb_maker.sign(package, key)
    serve = folder / "serve"
    (serve / "latest").mkdir(parents=True)
    (serve / "latest/VERSION").write_text(VERSION + "\n")
    listed = [{"Version": VERSION, "Checksum": "0" * 64, "Status": "Active"}]
    file = {"Name": "amazon-ssm-agent-ubuntu-amd64.tar.gz", "AvailableVersions": listed}
    manifest = {"SchemaVersion": "1.0", "Packages": [{"Name": "amazon-ssm-agent", "Files": [file]}]}
    (serve / "ssm-agent-manifest.json").write_text(json.dumps(manifest))
    full = shutil.copytree(serve, serve / "full")
    shelf = full / VERSION / f"debian_{deb_maker.architecture()}"
    shelf.mkdir(parents=True)
    for name in (NAME, f"{NAME}.sig"):
        shutil.copy(package.parent / name, shelf)
    with AwsServer(folder, serve=serve, region=REGION) as aws, NtpServer(Behaviour()) as ntp:
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


@pytest.fixture
def case(executable_path: Path, parts: Parts, tmp_path: Path) -> Case:
    tmp_path.chmod(0o755)
    node = Node(tmp_path / "node", MORE)
    package, key = shlex.quote(str(parts.package)), shlex.quote(str(parts.key_file))
    done = node.run(
        f"rm -rf /var/lib/nodecheck; dpkg --no-triggers -i {package} &&"
        f" install -D -m 644 {key} {KEY_ON_NODE} &&"
        f" mkdir {SHELF} && cp {package} {package}.sig {SHELF}"
    )
    assert done.returncode == 0, done.stderr
    return Case(node, executable_path, parts)


def statuses(case: Case, arguments: str = "", before: str = START) -> list[str]:
    judged = case.judge(arguments, before)
    return [judged.status(name) for name in CHECKS]


def test_proven_from_the_operators_folder_and_then_from_what_was_kept(case: Case) -> None:
    case.environment["NODECHECK_TRUST_PACKAGE_DIR"] = SHELF
    assert statuses(case) == ["ok ok"] * 3
    assert f"{SHELF}/{NAME}" in str(case.judge("-v").check("agent.signature"))
    del case.environment["NODECHECK_TRUST_PACKAGE_DIR"]
    gone = f"rm -r {SHELF}\n{START}"
    assert statuses(case, "--offline", gone) == ["ok ok"] * 3
    flipped = statuses(case, "--offline", f"{FLIP}{START}")
    assert flipped == ["ok ok", "crit digest", "crit image-not-signed"]


def test_a_kept_manifest_that_others_could_write_is_not_believed(case: Case) -> None:
    case.environment["NODECHECK_TRUST_PACKAGE_DIR"] = SHELF
    assert statuses(case) == ["ok ok"] * 3
    del case.environment["NODECHECK_TRUST_PACKAGE_DIR"]
    loose = f"chmod 666 /var/lib/nodecheck/manifests.json\n{START}"
    assert statuses(case, before=loose)[:2] == ["unknown no-package"] * 2


def test_a_flipped_byte_is_critical(case: Case) -> None:
    case.environment["NODECHECK_TRUST_PACKAGE_DIR"] = SHELF
    flip = f"touch -r {AGENT} /etc/t; {FLIP} touch -r /etc/t {AGENT}\n{START}"
    assert statuses(case, before=flip) == ["ok ok", "crit digest", "crit image-not-signed"]


def test_without_a_package_nothing_is_ok(case: Case) -> None:
    judged = case.judge()
    assert [judged.status(name) for name in CHECKS] == [
        "unknown no-package",
        "unknown no-package",
        "unknown unproven",
    ]
    assert (judged.code, judged.report["verdict"]) == (3, "unknown")
    assert "trust" in judged.check("agent.signature")["fix"][0]["command"].lower()


def test_the_bucket_has_the_version(case: Case, parts: Parts) -> None:
    case.environment["NODECHECK_AGENT_RELEASE_URL"] = f"{parts.aws.url}/full"
    assert statuses(case) == ["ok ok"] * 3


def test_an_edited_unit_file_is_critical(case: Case) -> None:
    case.environment["NODECHECK_TRUST_PACKAGE_DIR"] = SHELF
    edit = "echo '# x' >> /lib/systemd/system/amazon-ssm-agent.service\n"
    assert statuses(case, before=edit + START)[1] == "crit digest"


def test_a_truncated_package_is_said_and_never_a_traceback(case: Case) -> None:
    case.environment["NODECHECK_TRUST_PACKAGE_DIR"] = SHELF
    cut = f"truncate -s -5000 {SHELF}/{NAME}\n"
    assert statuses(case, before=cut + START)[:2] == [
        "unknown no-package",
        "unknown no-package",
    ]
    noise = f"head -c 100000 /dev/urandom > {SHELF}/{NAME}.sig\n"
    assert statuses(case, before=noise + START)[0] == "unknown no-package"
