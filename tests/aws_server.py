"""A strict stand-in for CloudWatch, CloudWatch Logs and Systems Manager, in AWS's own words.

It refuses whatever AWS would refuse: ``tests/aws_logs``, ``aws_metrics``, ``aws_ssm``. ``allow``
makes it refuse, as IAM does, what a policy does not allow.

As a library::

    with AwsServer(folder) as server:  # HTTPS with an own CA in folder/ca.pem
        ...  # with server.environment(): AWS_ENDPOINT_URL_CLOUDWATCH_LOGS, AWS_CA_BUNDLE...
    assert server.events[0]["message"]

As a process, which prints one JSON line with url, ca_file and the credentials it accepts::

    python -m tests.aws_server --port 0 --received events.jsonl [--fault throttled:2] [--plain]
        [--serve FOLDER] [--group NAME] [--region REGION]

It judges signatures by its own clock: start it outside libfaketime. GET and HEAD need no signature:
they answer files of ``--serve``, ``/redirect?URL``, else 404, always with a true ``Date``.

Faults, each for the next N signed requests (``name:N``) or for all (``name``): throttled, error500,
error503, access-denied, expired-token, cut (the connection ends without a reply), cut-body (ends in
the middle of one), slow (reply after 3 s), drip (one byte every 0.2 s), rejected (every event is
too old), lost-stream (said to be missing, though it is there), html (a proxy's error page),
too-large (what was sent is).
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import ssl
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.aws_certificates import Authority
from tests.aws_logs import Logs
from tests.aws_metrics import TARGET, Metrics
from tests.aws_rules import ACCESS_KEY, SECRET_KEY, Refusal, Request
from tests.aws_service import Fault, Service, judge
from tests.aws_ssm import Ssm

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Answer:
    """What goes back over the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class AwsServer:
    """The server in a thread; ``requests`` and ``refusals`` keep what happened."""

    def __init__(  # noqa: PLR0913 - what a test may want to be different
        self,
        folder: Path,
        *,
        tls: bool = True,
        region: str = "eu-central-1",
        group: str = "/nodecheck",
        port: int = 0,
        serve: Path | None = None,
        days: tuple[int, int] = (-10, 10),
        name: str = "localhost",
        organisation: str = "nodecheck",
    ) -> None:
        self.serve = serve
        self.logs = Logs(region, {group: set()} if group else {})
        self.metrics = Metrics(region)
        self.ssm = Ssm(region, {"i-0123456789abcdef0", "mi-0123456789abcdef0"})
        self.requests: list[Request] = []
        self.refusals: list[Refusal] = []
        self.ca_file = folder / "ca.pem"
        self._http = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._http.daemon_threads = True
        if tls:
            authority = Authority(organisation=organisation)
            self._http.socket = self._context(folder, authority, days, name).wrap_socket(
                self._http.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = int(self._http.server_address[1])
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.logs.events

    @property
    def faults(self) -> list[Fault]:
        return self.logs.faults

    def allow(self, policy: Mapping[str, Any] | None) -> None:
        """Let the one who signs do only what an IAM policy allows."""
        self.logs.policy = policy

    def answer(self, request: Request, fault: str) -> Answer:
        """Return the answer to a signed request, in the protocol of its service."""
        target = request.headers.get("x-amz-target", "").partition(".")[0]
        services: dict[str, Service] = {"AmazonSSM": self.ssm, TARGET: self.metrics}
        service = services.get(target, self.logs)
        version = "1.0" if service is self.metrics else "1.1"
        headers = {"Content-Type": f"application/x-amz-json-{version}"}
        try:
            told = judge(service, request, fault, self.logs.policy)
        except Refusal as exc:
            self.refusals.append(exc)
            if request.headers.get("x-amzn-query-mode") == "true":
                headers |= self.metrics.error(exc)
            body = {"__type": exc.code, "message": exc.message}
            return Answer(exc.status, headers, json.dumps(body).encode())
        return Answer(200, headers, json.dumps(told).encode())

    def environment(self) -> dict[str, str]:
        """Return what a client needs to come here and nowhere else."""
        return {
            "AWS_ENDPOINT_URL_CLOUDWATCH": self.url,
            "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": self.url,
            "AWS_ENDPOINT_URL_SSM": self.url,
            "AWS_CA_BUNDLE": str(self.ca_file),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def _context(
        self, folder: Path, authority: Authority, days: tuple[int, int], name: str
    ) -> ssl.SSLContext:
        authority.write(self.ca_file)
        leaf = folder / "server.pem"
        leaf.write_bytes(authority.leaf(days, name))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(leaf)
        return context


def _handler(server: AwsServer) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - one small class
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 20

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request("POST", self.path, headers, self.rfile.read(length))
            server.requests.append(request)
            fault = server.logs.fault()
            if fault == "cut":
                self.close_connection = True
                return
            if fault == "slow":
                time.sleep(3)
            if fault == "html":
                self.reply(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"})
                return
            answer = server.answer(request, fault)
            self.reply(answer.status, answer.body, answer.headers, fault)

        def do_GET(self) -> None:
            if self.path.startswith("/redirect?"):
                self.send_response(302)
                self.send_header("Location", self.path.partition("?")[2])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            path = (server.serve / self.path.lstrip("/")).resolve() if server.serve else None
            inside = path and server.serve and path.is_relative_to(server.serve.resolve())
            if path is None or not inside or not path.is_file():
                self.reply(404, b"", {"Content-Type": "text/plain"})
                return
            kind = {"Content-Type": "application/octet-stream"}
            self.reply(200, path.read_bytes(), kind, server.logs.fault())

        do_HEAD = do_GET  # noqa: N815 - http.server's own

        def reply(
            self, status: int, body: bytes, headers: Mapping[str, str], fault: str = ""
        ) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            if fault == "cut-body":
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
                return
            step = 1 if fault == "drip" else max(len(body), 1)
            for start in range(0, len(body), step):
                self.wfile.write(body[start : start + step])
                if fault == "drip":
                    time.sleep(0.2)

        def handle(self) -> None:
            """Make the handshake in this thread; a client that hangs up is no event."""
            try:
                if isinstance(self.connection, ssl.SSLSocket):
                    self.connection.do_handshake()
                super().handle()
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--received", type=Path)
    parser.add_argument("--fault", type=Fault.parse, action="append", default=[])
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--serve", type=Path)
    parser.add_argument("--group", default="/nodecheck")
    parser.add_argument("--region", default="eu-central-1")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="aws-server-"))
    with AwsServer(
        folder,
        tls=not options.plain,
        region=options.region,
        group=options.group,
        port=options.port,
        serve=options.serve,
    ) as server:
        server.logs.faults += options.fault
        print(json.dumps({"url": server.url, **server.environment()}), flush=True)  # noqa: T201
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            _record(server, options.received)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _record(server: AwsServer, path: Path | None) -> None:
    """Write each received event as a JSON line, until the process is told to end."""
    written = 0
    while True:
        time.sleep(0.05)
        for event in server.events[written:]:
            written += 1
            if path is not None:
                with path.open("a") as file:
                    file.write(json.dumps(event) + "\n")


if __name__ == "__main__":
    sys.exit(main())
