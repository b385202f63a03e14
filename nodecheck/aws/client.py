"""Call AWS with bounded retries; botocore itself is imported when a client is opened.

Retries follow the AWS SDKs' standard mode (SDKs and Tools reference guide, "Retry behavior"), with
at most four attempts, exponential backoff with full jitter and a cap of 20 s. They are made here
because botocore knows no cap over all attempts: whatever happens, all calls of one client end after
its ``timeout_s`` seconds.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.aws.signing import Connection
    from nodecheck.host.door import Host, LocalClock
    from nodecheck.model.moment import CorrectedTime

ATTEMPTS: Final = 4
ATTEMPT_S: Final = 10.0
"""Longest single attempt: a dead endpoint must leave time for another one."""

BACKOFF_CAP_S: Final = 20.0

NO_CREDENTIALS: Final = "NoCredentials"
"""The code of a call that could not be signed; every other code is AWS's or botocore's own."""

NO_REPLY: Final = "NoReply"
UNTRUSTED: Final = "Untrusted"

_THROTTLED: Final = frozenset({
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottledException",
    "RequestThrottled",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "SlowDown",
})  # fmt: skip
"""Codes of standard mode that the APIs used here can give (SDKs reference guide)."""

_TRANSIENT: Final = frozenset({"RequestTimeout", "RequestTimeoutException", NO_REPLY})
_TRANSIENT_STATUS: Final = frozenset({429, 500, 502, 503, 504})


class TransportError(Exception):
    """No complete HTTP reply came; the message names URL and cause."""


class Untrusted(TransportError):  # noqa: N818 - what the server is
    """The server's certificate was refused: trying again changes nothing."""


class CallError(Exception):
    """AWS, or the way to it, refused a call. ``code`` is AWS's own error code where it gave one."""

    def __init__(self, code: str, message: str, status: int = 0) -> None:
        """Keep AWS's code, its sentence and the HTTP status (0: no reply)."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status

    @property
    def retryable(self) -> bool:
        """Tell whether the same call may succeed a little later."""
        return self.code in _THROTTLED | _TRANSIENT or self.status in _TRANSIENT_STATUS


class Client:
    """One AWS service in one Region, until one deadline. Serves one thread."""

    def __init__(self, connection: Connection, clock: LocalClock, timeout_s: float) -> None:
        """Start the deadline."""
        self._connection = connection
        self._clock = clock
        self._ends_ns = clock.monotonic_ns() + int(timeout_s * 1e9)
        self.credentials_source = connection.credentials_source

    def call(self, operation: str, parameters: Mapping[str, object]) -> Mapping[str, object]:
        """Call an operation by its API name and return the parsed reply.

        Raises:
            CallError: refused, or no success in the attempts and the time there were.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._connection.call(
                    operation, parameters, min(ATTEMPT_S, max(self._left_s(), 0.001))
                )
            except CallError as exc:
                pause_s = random.uniform(0, min(2 ** (attempt - 1), BACKOFF_CAP_S))  # noqa: S311
                if not exc.retryable or attempt == ATTEMPTS or pause_s >= self._left_s():
                    exc.add_note(f"attempt {attempt} of {ATTEMPTS}")
                    raise
                self._clock.pause(pause_s)
        raise AssertionError  # the last attempt returns or raises

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Return this client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def _left_s(self) -> float:
        return (self._ends_ns - self._clock.monotonic_ns()) / 1e9


def open_client(  # noqa: PLR0913 - what a call needs, and one permission
    service: str,
    region: str,
    host: Host,
    corrected: CorrectedTime | None,
    timeout_s: float,
    *,
    agent_credentials: bool = False,
) -> Client:
    """Return a client that signs and checks certificates at corrected time.

    Credentials, endpoint overrides and profile come from botocore's own chain; where that finds no
    credentials, ``agent_credentials`` allows those of the SSM Agent. botocore reads
    ``os.environ`` for these, ``host.environment`` gives proxies and the CA bundle: both are the
    same mapping on a real host.

    Raises:
        CallError: no credentials, or botocore cannot make such a client.
    """
    from nodecheck.aws.signing import Connection  # botocore costs 84 ms

    started_ns = host.clock.monotonic_ns()
    connection = Connection(service, region, host, corrected, agent_credentials=agent_credentials)
    spent_s = (host.clock.monotonic_ns() - started_ns) / 1e9
    return Client(connection, host.clock, timeout_s - spent_s)
