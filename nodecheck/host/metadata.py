"""Ask the EC2 instance metadata service by IMDSv2, the way the SSM Agent does: never by v1.

What goes wrong is told apart by the reason of the ``ProbeError``. A token reply that never comes
although the connection stands is dropped on its way back where the hop limit is used up: then a
request with a token that is none, which needs no second hop limit, is still refused at once.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-returns.html (status codes)
"""

from __future__ import annotations

import errno
import http.client
import io
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from nodecheck.model.errors import Absent, ProbeError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from nodecheck.host.door import LocalClock

ENDPOINT: Final = "http://169.254.169.254"
ENDPOINT_VARIABLE: Final = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
DISABLED_VARIABLE: Final = "AWS_EC2_METADATA_DISABLED"
STEP_S: Final = 0.7
"""For connecting and for each reply; the service is on the same machine."""

LIMIT_S: Final = 1.6
"""For everything asked in one session."""

LIMIT_BYTES: Final = 64 * 1024
HTTP_PORT: Final = 80
SESSION_PATH: Final = "/latest/api/token"
LIFE: Final = "X-aws-ec2-metadata-token-ttl-seconds"
LIFE_S: Final = "60"
KEY: Final = "X-aws-ec2-metadata-token"

Fault = tuple[str, str]
"""A reason, and what is said of it."""

NO_URL: Final = ("metadata-error", f"{ENDPOINT_VARIABLE} is no URL")
NO_CONNECTION: Final = ("metadata-timeout", "no connection in time: a firewall may drop it")
REFUSED: Final = ("metadata-refused", "connection refused")
FIREWALL: Final = ("metadata-refused", "this node's firewall refuses it")
HOP_LIMIT: Final = (
    "metadata-hop-limit",
    "answers, but its token does not arrive: the hop limit is used up on the way",
)
SILENT: Final = ("metadata-no-reply", "connects, but never answers")
LATE: Final = ("metadata-no-reply", "does not answer in time")
NOT_HTTP: Final = ("foreign-responder", "what it answers is not HTTP")
NO_TOKEN: Final = ("foreign-responder", "answers, but with no token of IMDSv2")

_KEY_FORM: Final = re.compile(rb"[!-~]{16,256}")
_NOT_TOLD: Final = re.compile(r"[^ -~]")
_DENIED: Final = {errno.EACCES, errno.EPERM}


class MetadataSession:
    """One token, and the questions asked with it; no proxy is ever asked."""

    def __init__(self, environment: Mapping[str, str], clock: LocalClock) -> None:
        """Prepare; the token is fetched with the first question."""
        self._environment = environment
        self._clock = clock
        self._ends_ns = clock.monotonic_ns() + int(LIMIT_S * 1e9)
        self._key = ""
        self._where = "its address"
        self.server = ""

    def ask(self, path: str) -> bytes:
        """Return the text at one path.

        Raises:
            Absent: the service says that there is nothing at this path.
            ProbeError: switched off, no answer, or an answer that is not the service's.
        """
        if self._environment.get(DISABLED_VARIABLE, "").lower() == "true":
            msg = f"instance metadata: switched off by {DISABLED_VARIABLE}"
            raise ProbeError(msg, "switched-off")
        try:
            if not self._key:
                self._key = self._open()
            status, body, _ = self._exchange("GET", path, {KEY: self._key})
        except TimeoutError as exc:
            raise self._error(LATE) from exc
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise self._error(NOT_HTTP) from exc
        if status == http.client.NOT_FOUND:
            msg = f"instance metadata at {self._where}: nothing at {path}"
            raise Absent(msg, "metadata-absent")
        if status != http.client.OK or len(body) > LIMIT_BYTES:
            text = f"answers GET {path} with status {status}, {len(body)} bytes"
            raise self._error((_reason(status), text))
        return body

    def _open(self) -> str:
        """Fetch a token."""
        try:
            status, body, headers = self._exchange("PUT", SESSION_PATH, {LIFE: LIFE_S})
        except TimeoutError as exc:
            if self._refuses_a_wrong_key():
                raise self._error(HOP_LIMIT) from exc
            raise self._error(SILENT) from exc
        self.server = _NOT_TOLD.sub("?", headers.get("Server", ""))[:40]
        if status != http.client.OK:
            text = f"refuses a token with status {status}"
            raise self._error((_reason(status, v1=True), text))
        # The SDK of the agent takes no token without the header that tells how long it lives.
        if LIFE not in headers or _KEY_FORM.fullmatch(body) is None:
            raise self._error(NO_TOKEN)
        return body.decode("ascii")

    def _refuses_a_wrong_key(self) -> bool:
        try:
            status, _, _ = self._exchange("GET", "/latest/meta-data/", {KEY: "none"})
        except (OSError, http.client.HTTPException, ValueError, ProbeError):
            return False
        return status == http.client.UNAUTHORIZED

    def _exchange(
        self, method: str, path: str, headers: dict[str, str]
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection(*self._address(), timeout=self._left_s())
        try:
            self._connect(connection)
            connection.request(method, path, headers=headers)
            ends_ns = self._clock.monotonic_ns() + int(self._left_s() * 1e9)
            wire = _Wire(connection.sock, lambda: _left_s(ends_ns, self._clock))
            reply = http.client.HTTPResponse(wire, method=method)  # type: ignore[arg-type]
            try:
                reply.begin()
                return reply.status, reply.read(LIMIT_BYTES + 1), reply.headers
            finally:
                reply.close()
        finally:
            connection.close()

    def _address(self) -> tuple[str, int]:
        try:
            parts = urlsplit(self._environment.get(ENDPOINT_VARIABLE) or ENDPOINT)
            name, port = parts.hostname or "", parts.port or HTTP_PORT
        except ValueError as exc:
            raise self._error(NO_URL) from exc
        self._where = name if port == HTTP_PORT else f"{name}:{port}"
        return name, port

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.connect()
        except TimeoutError as exc:
            raise self._error(NO_CONNECTION) from exc
        except ConnectionRefusedError as exc:
            raise self._error(REFUSED) from exc
        except OSError as exc:
            if exc.errno in _DENIED:
                raise self._error(FIREWALL) from exc
            raise self._error(("metadata-unreachable", exc.strerror or str(exc))) from exc

    def _left_s(self) -> float:
        return min(STEP_S, _left_s(self._ends_ns, self._clock))

    def _error(self, fault: Fault) -> ProbeError:
        reason, text = fault
        who = f" ({self.server})" if self.server else ""
        return ProbeError(f"instance metadata at {self._where}{who}: {text}", reason)


class _Wire:
    """A socket as replies read it: each wait is no longer than what is left."""

    def __init__(self, connection: socket.socket, left_s: Callable[[], float]) -> None:
        self._connection = connection
        self._left_s = left_s

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Waits(self._connection, self._left_s))


class _Waits(io.RawIOBase):
    def __init__(self, connection: socket.socket, left_s: Callable[[], float]) -> None:
        self._connection = connection
        self._left_s = left_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a buffer, as typeshed has it
        self._connection.settimeout(self._left_s())
        return self._connection.recv_into(buffer)


def _left_s(ends_ns: int, clock: LocalClock) -> float:
    left_ns = ends_ns - clock.monotonic_ns()
    if left_ns <= 0:
        raise TimeoutError
    return left_ns / 1e9


def _reason(status: int, *, v1: bool = False) -> str:
    if status == http.client.FORBIDDEN:
        return "metadata-disabled"
    has_no_tokens = {http.client.NOT_FOUND, http.client.METHOD_NOT_ALLOWED}
    if v1 and status in {*has_no_tokens, http.client.NOT_IMPLEMENTED}:
        return "metadata-v1-only"
    if status < http.client.BAD_REQUEST:  # a redirection, or a page: the service has neither
        return "foreign-responder"
    return "metadata-error"
