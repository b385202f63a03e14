"""A TLS server with a CA of its own; dates of its certificate and every header are the test's."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import time
from dataclasses import dataclass
from email.utils import formatdate
from threading import Thread
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """A leaf for 127.0.0.1 and localhost, signed by the CA in ``ca_path``."""

    ca_path: str
    leaf_path: str


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make_certificate(
    folder: Path, begin_s: float, end_s: float, host: str = "localhost"
) -> Certificate:
    """Write ``ca.pem`` and ``leaf.pem``; times in seconds since 1970."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    begin, end = (dt.datetime.fromtimestamp(at, dt.UTC) for at in (begin_s, end_s))
    ca = (
        x509.CertificateBuilder()
        .subject_name(_name("nodecheck test CA"))
        .issuer_name(_name("nodecheck test CA"))
        .public_key(ca_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime(1970, 1, 2, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2120, 1, 1, tzinfo=dt.UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    names = [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    leaf = (
        x509.CertificateBuilder()
        .subject_name(_name(host))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    ca_path, leaf_path = folder / "ca.pem", folder / "leaf.pem"
    ca_path.write_bytes(ca.public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    leaf_path.write_bytes(private + leaf.public_bytes(pem))
    return Certificate(str(ca_path), str(leaf_path))


@dataclass(frozen=True)
class Answer:
    """What to send. ``raw`` replaces the whole head; ``drip_s`` waits between its bytes."""

    offset_s: float = 0.0
    headers: tuple[str, ...] = ()
    has_date: bool = True
    date: str = ""
    raw: bytes = b""
    drip_s: float = 0.0
    hold_s: float = 0.0
    is_closing: bool = False

    def head(self) -> bytes:
        if self.raw:
            return self.raw
        lines = ["HTTP/1.1 404 Not Found", *self.headers, "Content-Length: 0"]
        if self.is_closing:
            lines.append("Connection: close")
        if self.has_date:
            now = formatdate(time.time() + self.offset_s, usegmt=True)
            lines.append(f"Date: {self.date or now}")
        return "\r\n".join([*lines, "", ""]).encode()


class HttpsServer:
    """Serves on 127.0.0.1 in threads until closed; keeps the heads of requests it has seen.

    With ``proxy_status`` it is a CONNECT proxy instead (plain TCP): it answers with that status
    and, when that is 200, passes everything on to the target.
    """

    def __init__(
        self, answer: Answer, certificate: Certificate | None, proxy_status: int = 0
    ) -> None:
        self.answer = answer
        self.requests: list[str] = []
        self._proxy_status = proxy_status
        self._context = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate.leaf_path)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}/"
        self._stop, self._stopped = socket.socketpair()
        self._threads = [Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()
        self._stop.close()
        self._stopped.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(5)
            try:
                if self._proxy_status:
                    self._pass_on(connection)
                elif self._context:
                    with self._context.wrap_socket(connection, server_side=True) as secured:
                        self._reply(secured)
                else:
                    self._reply(connection)
            except OSError:
                return

    def _read(self, connection: socket.socket) -> str:
        data = b""
        while b"\r\n\r\n" not in data and (chunk := connection.recv(4096)):
            data += chunk
        if data:
            self.requests.append(data.decode("latin-1"))
        return data.decode("latin-1")

    def _reply(self, connection: socket.socket) -> None:
        while self._read(connection):
            time.sleep(self.answer.hold_s)
            self._send(connection, self.answer.head())
            if self.answer.raw or self.answer.is_closing:
                return

    def _send(self, connection: socket.socket, head: bytes) -> None:
        if not self.answer.drip_s:
            connection.sendall(head)
            return
        for index in range(len(head)):
            connection.sendall(head[index : index + 1])
            time.sleep(self.answer.drip_s)

    def _pass_on(self, connection: socket.socket) -> None:
        target = self._read(connection).split()[1]
        connection.sendall(f"HTTP/1.1 {self._proxy_status} Proxy\r\n\r\n".encode())
        if self._proxy_status != 200:
            return
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as onward:
            back = Thread(target=_pump, args=(onward, connection), daemon=True)
            back.start()
            _pump(connection, onward)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while chunk := source.recv(4096):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


def environment(certificate: Certificate, **more: str) -> dict[str, str]:
    """Return an environment in which only the test's CA is trusted."""
    return {"AWS_CA_BUNDLE": certificate.ca_path, **more}
