"""A node without nodecheck that gets it from an https folder, or refuses what it finds there."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.command_document import AgentNode
from tests.https_server import make_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator

TOP = Path(__file__).parents[2]


@dataclass(frozen=True)
class Shop:
    """An https folder with packages, and a node without nodecheck that may fetch them."""

    folder: Path
    node: AgentNode
    url: str
    ca: str

    @property
    def sums(self) -> str:
        return sha256((self.folder / "SHA256SUMS").read_bytes()).hexdigest()

    def run(self, **given: str) -> tuple[int, str, str]:
        root = self.node.folder / "root"
        bin_folder = self.node.folder / "bin"
        bin_folder.mkdir(exist_ok=True)
        link = bin_folder / "nodecheck"
        if not link.is_symlink():
            link.symlink_to(root / "opt" / "nodecheck" / "nodecheck")
        values = {"PackageUrl": self.url, "PackageSums": self.sums} | given
        environment = {"DESTDIR": str(root), "CURL_CA_BUNDLE": self.ca}
        ran = self.node.run("NodeCheck-Run", "dash", values, environment=environment)
        return ran.code, ran.out, ran.error

    @property
    def installed(self) -> bool:
        return (self.node.folder / "root" / "opt" / "nodecheck").exists()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(name="shop")
def _shop(tmp_path: Path) -> Iterator[Shop]:
    build, packages = tmp_path / "build", tmp_path / "packages"
    build.mkdir()
    (build / "nodecheck").write_text("#!/bin/sh\necho nodecheck 9.9.9: $1\n")
    (build / "nodecheck").chmod(0o755)
    done = subprocess.run(
        [str(TOP / "scripts/aws-templates"), "package", "9.9.9", str(packages)]
        + [f"{platform}={build}" for platform in ("linux_x86_64", "linux_arm64")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split()[0] == sha256((packages / "SHA256SUMS").read_bytes()).hexdigest()
    (tmp_path / "node").mkdir()
    now = time.time()
    certificate = make_certificate(tmp_path, now - 60, now + 3600)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(packages)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.leaf_path)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://localhost:{server.server_port}"
    yield Shop(packages, AgentNode(tmp_path / "node"), url, certificate.ca_path)
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_node_without_nodecheck_gets_it_from_the_address(shop: Shop) -> None:
    code, out, error = shop.run()
    assert (code, out) == (0, "nodecheck 9.9.9: run\n"), error
    assert "installed nodecheck 9.9.9" in error
    assert list(Path("/var/tmp").glob("nodecheck.????????")) == []  # noqa: S108 - where the script works


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("sums", "does not have the SHA-256 of PackageSums"),
        ("archive", "does not have the SHA-256 that SHA256SUMS tells"),
        ("list", "does not have the SHA-256 of PackageSums"),
        ("unlisted", "does not have the SHA-256 that SHA256SUMS tells"),
        ("gone", "cannot fetch"),
        ("no-sums", "PackageUrl needs PackageSums"),
    ],
)
def test_nothing_is_installed_that_is_not_what_was_told(shop: Shop, spoil: str, words: str) -> None:
    sums, given = shop.sums, {}
    listing = shop.folder / "SHA256SUMS"
    for archive in shop.folder.glob("*.tar.gz"):
        if spoil == "archive":
            archive.write_bytes(archive.read_bytes()[:-1] + b"x")
        if spoil == "gone":
            archive.unlink()
    if spoil == "list":
        listing.write_text(listing.read_text().replace("a", "b"))
    if spoil == "unlisted":
        lines = [line for line in listing.read_text().splitlines() if "tar" not in line]
        listing.write_text("\n".join([*lines, ""]))
        sums = shop.sums
    if spoil == "sums":
        sums = "0" * 64
    given["PackageSums"] = "none" if spoil == "no-sums" else sums
    code, out, error = shop.run(**given)
    assert code == 69
    assert out.startswith("UNKNOWN: nodecheck: ")
    assert words in error
    assert not shop.installed
