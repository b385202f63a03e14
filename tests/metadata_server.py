"""A stand-in for the EC2 instance metadata service, honest or broken in one way.

Run in a network namespace of its own it has the service's own address:
``unshare --net python -m tests.metadata_server NAME...`` asks each as an instance would and prints
one line of JSON each.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final, Self

from nodecheck.host.network import SocketNetwork
from nodecheck.model.errors import ProbeError
from nodecheck.model.identity import Firmware
from nodecheck.probes import node_metadata
from tests.fake_host import FakeNetwork, fake_host

ADDRESS: Final = "169.254.169.254"
INSTANCE: Final = "i-0123456789abcdef0"
PLANTED: Final = "NobodyMaySee"
TOKEN: Final = f"AQAAAPlantedSession{PLANTED}1234567890abcdefghi=="
SECRET: Final = f"PlantedSecretAccessKey{PLANTED}0123456"
ROLE: Final = "NodeRole"
DOCUMENT: Final = json.dumps(
    {"accountId": "123456789012", "region": "eu-west-1", "instanceId": INSTANCE}
)
INFO: Final = json.dumps(
    {
        "Code": "Success",
        "LastUpdated": "2026-11-23T12:00:00Z",
        "InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/NodeProfile",
        "InstanceProfileId": "AIPAEXAMPLE",
    }
)
CREDENTIALS: Final = json.dumps(
    {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": "ASIAPLANTEDKEYID0001",
        "SecretAccessKey": SECRET,
        "Token": TOKEN * 8,
        "Expiration": "2026-11-23T18:00:00Z",
    }
)
PATHS: Final = {
    node_metadata.DOCUMENT: DOCUMENT,
    node_metadata.PROFILE: INFO,
    node_metadata.ROLES: ROLE,
    node_metadata.ROLES + ROLE: CREDENTIALS,
}
LIFE: Final = "X-aws-ec2-metadata-token-ttl-seconds"


def reply(status: int, body: str = "", *headers: str, server: str = "EC2ws") -> bytes:
    lines = [f"HTTP/1.1 {status} Some", f"Content-Length: {len(body)}", *headers]
    lines += [f"Server: {server}"] * bool(server) + ["Connection: close", "", body]
    return "\r\n".join(lines).encode()


@dataclass(frozen=True)
class Service:
    """How it answers: to a request for a token, and to the others; None is never.

    ``drip_s`` waits before each byte, ``hops`` is how far a reply with a token gets (0: anywhere).
    """

    token: bytes | None = reply(200, TOKEN, f"{LIFE}: 60")
    paths: dict[str, str] = field(default_factory=lambda: PATHS)
    other: bytes | None = None
    server: str = "EC2ws"
    drip_s: float = 0.0
    hops: int = 0

    def answer(self, method: str, path: str, headers: str) -> bytes | None:
        if method == "PUT":
            return self.token
        if self.other is not None:
            return self.other
        if f"x-aws-ec2-metadata-token: {TOKEN}".lower() not in headers.lower():
            return reply(401) if self.token or path == "/latest/meta-data/" else None
        found = self.paths.get(path)
        return reply(404, "Not Found") if found is None else reply(200, found, server=self.server)


class MetadataServer:
    """Answers at an address until the block ends."""

    def __init__(self, service: Service, ip: str = ADDRESS, port: int = 80) -> None:
        self._service = service
        self._socket = socket.create_server((ip, port))
        self._open: list[socket.socket] = []
        self.port = self._socket.getsockname()[1]
        self.requests: list[str] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        for connection in (self._socket, *self._open):
            connection.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            request = connection.recv(65536).decode()
            head, _, headers = request.partition("\r\n")
            method, path, _ = head.split(" ")
            self.requests.append(f"{method} {path}")
            answer = self._service.answer(method, path, headers)
            if answer is None:
                return  # and stays open
            if self._service.hops and method == "PUT":
                connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, self._service.hops)
            for at in range(len(answer)) if self._service.drip_s else ():
                time.sleep(self._service.drip_s)
                connection.sendall(answer[at : at + 1])
            if not self._service.drip_s:
                connection.sendall(answer)
            connection.close()
        except (OSError, ValueError):
            connection.close()


PAGE: Final = "<html><title>Blocked</title></html>"
SERVICES: Final = {
    "honest": Service(),
    "no-role": Service(paths={node_metadata.DOCUMENT: DOCUMENT}),
    "hop-limit": Service(token=None),
    "silent": Service(token=None, other=b""),
    "disabled": Service(token=reply(403)),
    "v1-404": Service(token=reply(404)),
    "v1-405": Service(token=reply(405)),
    "broken": Service(token=reply(503)),
    "page": Service(token=reply(200, PAGE, server="squid"), other=reply(200, PAGE)),
    "no-life": Service(token=reply(200, TOKEN)),
    "redirect": Service(token=reply(302, "", "Location: https://login.example/")),
    "not-http": Service(token=b"\x00\x16SSH-2.0-OpenSSH\r\n\r\n"),
    "dripping": Service(drip_s=0.05),
    "page-later": Service(other=reply(200, PAGE)),
    "cut": Service(paths=PATHS | {node_metadata.DOCUMENT: DOCUMENT[:40]}),
    "huge": Service(paths=PATHS | {node_metadata.DOCUMENT: " " * 200_000}),
    "other-name": Service(token=reply(200, TOKEN, f"{LIFE}: 60", server="envoy")),
    "other-node": Service(
        paths=PATHS | {node_metadata.DOCUMENT: DOCUMENT.replace(INSTANCE, "i-0fedcba9876543210")}
    ),
    "refused": None,
    "dropped": None,
    "no-route": None,
}


def ask(name: str, service: Service | None) -> dict[str, object]:
    """Ask as an EC2 instance whose environment names a proxy, and return what came of it."""
    nowhere = {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    with ExitStack() as stack:
        server = stack.enter_context(MetadataServer(service)) if service else None
        host = fake_host(network=FakeNetwork())
        network = SocketNetwork(nowhere)
        object.__setattr__(host, "network", network)
        begun = time.monotonic()
        told: dict[str, object] = {"name": name}
        try:
            firmware = Firmware(is_ec2=True, maker="Amazon EC2", board_id=INSTANCE)
            facts = node_metadata.look(host, firmware)
            told |= {"reason": "", "says": repr(facts), "doubt": facts.doubt, "role": facts.role}
            told["server"] = facts.server
        except ProbeError as exc:
            told |= {"reason": exc.reason, "says": str(exc)}
        told["took_s"] = time.monotonic() - begun
        told["requests"] = server.requests if server else []
        return told


def main(names: list[str]) -> None:
    """Give this (new) network namespace the service's address and ask there."""
    run = ["ip", "link", "set", "lo", "up"]
    subprocess.run(run, check=True)
    own = ["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"]
    for name in names:
        if name == "dropped":
            subprocess.run(
                ["ip", "link", "add", "d0", "type", "veth", "peer", "name", "d1"], check=True
            )
            for end in ("d0", "d1"):
                subprocess.run(["ip", "link", "set", end, "up"], check=True)
            subprocess.run(["ip", "route", "add", f"{ADDRESS}/32", "dev", "d0"], check=True)
        elif name != "no-route":
            subprocess.run(own, check=True)
        print(json.dumps(ask(name, SERVICES[name])), flush=True)  # noqa: T201
        if name not in {"dropped", "no-route"}:
            subprocess.run([*own[:2], "del", *own[3:]], check=True)


def serve() -> None:
    """Serve an honest service whose tokens get one hop far, until stdin ends."""
    with MetadataServer(Service(hops=1)):
        print("serving", flush=True)  # noqa: T201
        sys.stdin.read()


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve()
    elif sys.argv[1] == "--ask":
        print(json.dumps(ask("there", None)))  # noqa: T201
    else:
        main(sys.argv[1:])
