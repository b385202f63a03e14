from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from nodecheck.aws.client import ATTEMPT_S, ATTEMPTS, NO_REPLY, UNTRUSTED, CallError, Client
from tests.fake_host import FakeClock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.aws.signing import Connection

THROTTLED = CallError("ThrottlingException", "Rate exceeded", 400)


class FakeConnection:
    """Raises what is left in a list, then succeeds; each attempt takes some time."""

    credentials_source = "test"

    def __init__(self, clock: FakeClock, failures: list[CallError], takes_s: float = 0) -> None:
        self._clock = clock
        self._failures = failures
        self._takes_s = takes_s
        self.timeouts: list[float] = []

    def call(self, operation: str, parameters: Mapping[str, object], timeout_s: float) -> object:
        self.timeouts.append(timeout_s)
        self._clock.pause(min(self._takes_s, timeout_s))
        if self._failures:
            raise self._failures.pop(0)
        return {"operation": operation, **parameters}

    def close(self) -> None:
        self.timeouts.clear()


def client(connection: FakeConnection, clock: FakeClock, timeout_s: float = 60) -> Client:
    return Client(cast("Connection", connection), clock, timeout_s)


def test_a_call_is_tried_four_times_with_growing_pauses() -> None:
    clock = FakeClock()
    connection = FakeConnection(clock, [THROTTLED] * 3)
    assert client(connection, clock).call("Op", {"a": 1}) == {"operation": "Op", "a": 1}
    assert len(connection.timeouts) == ATTEMPTS
    assert clock.monotonic - 1_000_000_000 <= (1 + 2 + 4) * 10**9


def test_after_the_last_attempt_the_error_is_that_of_aws() -> None:
    clock = FakeClock()
    connection = FakeConnection(clock, [THROTTLED] * 9)
    with pytest.raises(CallError, match="ThrottlingException: Rate exceeded") as caught:
        client(connection, clock).call("Op", {})
    assert len(connection.timeouts) == ATTEMPTS
    assert caught.value.__notes__ == ["attempt 4 of 4"]


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (CallError("AccessDeniedException", "no", 400), 1),
        (CallError("InvalidSignatureException", "Signature expired", 400), 1),
        (CallError("ResourceNotFoundException", "no", 400), 1),
        (CallError(UNTRUSTED, "certificate"), 1),
        (CallError(NO_REPLY, "cut"), 2),
        (CallError("InternalFailure", "", 500), 2),
        (CallError("", "", 503), 2),
        (CallError("", "", 429), 2),
        (CallError("RequestTimeout", "", 400), 2),
    ],
)
def test_only_what_may_pass_is_tried_again(error: CallError, attempts: int) -> None:
    clock = FakeClock()
    connection = FakeConnection(clock, [error])
    if attempts == 1:
        with pytest.raises(CallError):
            client(connection, clock).call("Op", {})
    else:
        client(connection, clock).call("Op", {})
    assert len(connection.timeouts) == attempts


@pytest.mark.parametrize("timeout_s", [0.5, 8, 25, 60])
def test_all_calls_of_a_client_end_by_one_deadline(timeout_s: float) -> None:
    clock = FakeClock()
    connection = FakeConnection(clock, [CallError(NO_REPLY, "slow")] * 99, takes_s=30)
    began_ns = clock.monotonic
    aws = client(connection, clock, timeout_s)
    for _ in range(3):
        with pytest.raises(CallError):
            aws.call("Op", {})
    assert max(connection.timeouts) <= min(ATTEMPT_S, timeout_s)
    assert (clock.monotonic - began_ns) / 1e9 <= timeout_s + 0.01
