"""A stand-in agent on the lane's Windows: signed executables, service, files and logs."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shutil
import struct
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nodecheck.model.agent_place import WINDOWS
from nodecheck.model.install import EXECUTABLES
from tests.agent_logs import MAIN, Tree
from tests.hygiene_builders import kept_well
from tests.managed_node import HYBRID, hybrid_files
from tests.windows_lane import SCRIPT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.windows_lane import Lane

SOURCE: Final = Path(__file__).parent / "assets/windows_service.c"
AMAZON: Final = "Amazon.com Services LLC"
IMAGE: Final = r"C:\Program Files\Amazon\SSM\amazon-ssm-agent.exe"
ROOTS: Final = r"HKLM\SOFTWARE\Microsoft\SystemCertificates\Root\Certificates"
KEY: Final = r"HKLM\SYSTEM\CurrentControlSet\Services\AmazonSSMAgent"


def make_signer(folder: Path, owner: str) -> tuple[Path, Path]:
    """Return the chain and the key of a code signer; no node trusts its root."""
    root_key, key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    root_name, name = _name("Test Root"), _name(owner)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
    limits = x509.BasicConstraints(ca=True, path_length=None)
    root = _certificate(root_name, root_name, root_key).add_extension(limits, critical=True)
    leaf = _certificate(name, root_name, key).add_extension(usage, critical=False)
    pem = serialization.Encoding.PEM
    folder.mkdir(parents=True, exist_ok=True)
    chain, private = folder / "signer.pem", folder / "signer.key"
    signed = [item.sign(root_key, hashes.SHA256()).public_bytes(pem) for item in (leaf, root)]
    chain.write_bytes(b"".join(signed))
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(pem, form, plain))
    return chain, private


def _name(owner: str) -> x509.Name:
    kinds = (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
    return x509.Name([x509.NameAttribute(kind, owner) for kind in kinds])


def _certificate(
    name: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=9))
        .not_valid_after(now + dt.timedelta(days=90))
    )


def make_program(folder: Path, owner: str = AMAZON) -> Path:
    """Return the stand-in, signed by this owner."""
    certificate, key = make_signer(folder, owner)
    plain, signed = folder / "plain.exe", folder / "signed.exe"
    compiler = "x86_64-w64-mingw32-gcc"
    subprocess.run([compiler, "-O2", "-s", "-o", plain, SOURCE, "-ladvapi32"], check=True)
    sign: list[str | Path] = [
        "osslsigncode",
        "sign",
        "-certs",
        certificate,
        "-key",
        key,
        "-h",
        "sha256",
    ]
    subprocess.run([*sign, "-in", plain, "-out", signed], check=True, capture_output=True)
    return signed


@dataclass(frozen=True)
class WindowsAgent:
    """The agent in one lane."""

    lane: Lane

    @property
    def folder(self) -> Path:
        """Return where its executables are."""
        return self.lane.drive / "Program Files/Amazon/SSM"

    @property
    def data(self) -> Path:
        """Return where its files and logs are."""
        return self.lane.drive / "ProgramData/Amazon/SSM"

    def install(self, program: Path, version: str = "3.3.1142.0") -> None:
        """Put the executables and the service there; it is not started."""
        self.remove()
        self.folder.mkdir(parents=True)
        for name in EXECUTABLES:
            shutil.copy(program, self.folder / f"{name}.exe")
        self._windows("sc", "create", "AmazonSSMAgent", "binPath=", f'"{IMAGE}"', "start=", "auto")
        self._windows("reg", "add", KEY, "/v", "Version", "/t", "REG_SZ", "/d", version, "/f")

    def start(self) -> None:
        """Start the service."""
        self._windows("sc", "start", "AmazonSSMAgent")

    def stop(self) -> None:
        """Stop the service."""
        self._windows("sc", "stop", "AmazonSSMAgent")

    def register(self, began_s: float, now_s: float) -> None:
        """Leave what a registered hybrid agent leaves that AWS has answered since it began."""
        place = WINDOWS
        files = hybrid_files(
            data=place.data,
            instances=place.instances,
            shared=f"{place.home}/.aws/credentials",
        )
        tree = Tree(now_s=now_s)
        tree.start(began_s)
        tree.work(began_s + 0.5, began_s + 1)
        tree.finish()
        logs = {name: content.decode() for name, content in tree.contents.items()}
        logs[f"{MAIN}.1"] = kept_well(now_s, HYBRID)
        files |= {f"{place.logs}/{name}": text for name, text in logs.items()}
        for name, text in files.items():
            path = self._place(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
            path.chmod(0o600)
        for name, changed_s in tree.changed_s.items():
            os.utime(self.data / "Logs" / name, (changed_s, changed_s))

    def _place(self, name: str) -> Path:
        """Return where a file of drive C: is here, where upper and lower case differ."""
        home = WINDOWS.home.removeprefix("C:/")
        return self.lane.drive / name.removeprefix("C:/").replace(home, home.lower())

    @contextmanager
    def trusting(self, chain: Path) -> Iterator[None]:
        """Have this Windows trust the root of a signer."""
        _, root = x509.load_pem_x509_certificates(chain.read_bytes())
        der = root.public_bytes(serialization.Encoding.DER)
        key = f"{ROOTS}\\{hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()}"
        # CERT_CERT_PROP_ID, encoding, length (MS-GPEF 2.2.1.2)
        blob = struct.pack("<III", 32, 1, len(der)) + der
        self._windows("reg", "add", key, "/v", "Blob", "/t", "REG_BINARY", "/d", blob.hex(), "/f")
        try:
            yield
        finally:
            self._windows("reg", "delete", key, "/f")

    def open_to_all(self) -> None:
        """Let everybody write one of the programs."""
        self.folder.joinpath("ssm-document-worker.exe").chmod(0o777)

    def remove_service(self) -> None:
        """Take the service away and leave the files, as an update that broke off does."""
        self._windows("sc", "stop", "AmazonSSMAgent")
        self._windows("sc", "delete", "AmazonSSMAgent")

    def remove(self) -> None:
        """Take all of it away, whatever is there."""
        self.remove_service()
        shutil.rmtree(self.folder.parent, ignore_errors=True)
        shutil.rmtree(self.data.parent, ignore_errors=True)
        shutil.rmtree(self._place(f"{WINDOWS.home}/.aws"), ignore_errors=True)

    def _windows(self, *command: str) -> None:
        """Run a tool of Windows; what it did is what nodecheck then sees."""
        subprocess.run(
            [SCRIPT, "run", *command],
            env=self.lane.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
