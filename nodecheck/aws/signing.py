"""Make botocore sign and send at corrected time, by its documented events only.

botocore signs with the local clock, corrects nothing, and has no option for either (boto3 issue
1252). Three events of its session, and so of every client made from it (the STS client behind an
assumed role too), replace what depends on time:

- ``choose-signer`` answers "unsigned", as botocore's own ``disable_signing`` does;
- ``before-sign`` then signs with the same signer, credentials and Region, at corrected time;
- ``before-send`` sends through ``Transport``, which checks certificates at corrected time.

Expiry of refreshable credentials is compared with corrected time by the time source that
``RefreshableCredentials`` takes as an argument but its providers do not pass on.

Imports botocore and requests: import this module only to make a call.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import botocore
import botocore.session
from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)

from nodecheck import VERSION
from nodecheck.aws import agent_credentials as agent
from nodecheck.aws.client import (
    NO_CREDENTIALS,
    NO_REPLY,
    UNTRUSTED,
    CallError,
    TransportError,
    Untrusted,
)
from nodecheck.aws.transport import Transport
from nodecheck.model.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from nodecheck.host.door import Host
    from nodecheck.model.moment import CorrectedTime

REPLY_LIMIT_BYTES: Final = 1_000_000

_OURS: Final = "nodecheck_signs"
"""Marks, in the context of a request, that botocore would have signed it."""


class Connection:
    """One botocore client whose signatures and certificates are judged at corrected time."""

    def __init__(
        self,
        service: str,
        region: str,
        host: Host,
        corrected: CorrectedTime | None,
        *,
        agent_credentials: bool = False,
    ) -> None:
        """Find credentials and make the client.

        Raises:
            CallError: no credentials, a broken AWS configuration, an unknown service.
        """
        self._timeout_s = 0.0
        try:
            self._transport = Transport(host, corrected)
        except TransportError as exc:
            raise CallError(NO_REPLY, str(exc)) from exc
        session = botocore.session.Session()
        session.register("before-send", self._send)
        if corrected is not None:
            clock = host.clock
            _sign_at(session, lambda: corrected.at(clock.monotonic_ns()))
        try:
            self.credentials_source = _credentials_source(
                session, corrected, host, agent_credentials=agent_credentials
            )
            self._client = session.create_client(
                service,
                region_name=region,
                config=Config(
                    retries={"total_max_attempts": 1, "mode": "standard"},
                    user_agent_extra=f"nodecheck/{VERSION}",
                ),
            )
        except (BotoCoreError, ValueError) as exc:
            raise _call_error(exc) from exc

    def call(
        self, operation: str, parameters: Mapping[str, object], timeout_s: float
    ) -> Mapping[str, object]:
        """Make one attempt.

        Raises:
            CallError: refused, wrong parameters, or no reply in time.
        """
        self._timeout_s = timeout_s
        try:
            method = getattr(self._client, botocore.xform_name(operation))
            reply: Mapping[str, object] = method(**parameters)
        except (BotoCoreError, ClientError, TransportError) as exc:
            raise _call_error(exc) from exc
        return reply

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _send(self, request: Any, **_: object) -> AWSResponse:  # noqa: ANN401 - botocore is untyped
        """Answer botocore's ``before-send`` with a reply, so that it sends nothing itself."""
        headers = {name: _text(value) for name, value in request.headers.items()}
        reply = self._transport.send(
            request.method,
            request.url,
            headers,
            request.body,
            timeout_s=self._timeout_s,
            limit_bytes=REPLY_LIMIT_BYTES,
        )
        return AWSResponse(request.url, reply.status, reply.headers, _Body(reply.body))


class _Body(io.BytesIO):
    """A body as botocore reads it: urllib3's ``stream``."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


class _DatedSigner(SigV4Auth):  # type: ignore[misc] # botocore is untyped
    """Version 4 signatures at a given time instead of the local clock's."""

    def __init__(
        self, credentials: object, service: str, region: str, now: Callable[[], datetime]
    ) -> None:
        super().__init__(credentials, service, region)
        self._now = now

    def _modify_request_before_signing(self, request: Any) -> None:  # noqa: ANN401 - as above
        """Set the one time from which header, credential scope and key are made."""
        request.context["timestamp"] = self._now().strftime(SIGV4_TIMESTAMP)
        super()._modify_request_before_signing(request)


def _sign_at(session: Any, now: Callable[[], datetime]) -> None:  # noqa: ANN401 - as above
    """Sign all requests of this session's clients at a time of ours."""

    def choose(context: dict[str, object], signature_version: object, **_: object) -> object:
        context[_OURS] = signature_version is not botocore.UNSIGNED
        return botocore.UNSIGNED

    def sign(
        request: Any,  # noqa: ANN401 - as above
        request_signer: Any,  # noqa: ANN401 - as above
        signing_name: str,
        region_name: str,
        **_: object,
    ) -> None:
        if not request.context.get(_OURS):
            return
        resolved = request.context.get("signing", {})
        name = resolved.get("signing_name", signing_name)
        region = resolved.get("region", region_name)
        plain = request_signer.get_auth_instance(name, region, "v4")
        _DatedSigner(plain.credentials, name, region, now).add_auth(request)

    session.register("choose-signer", choose)
    session.register("before-sign", sign)


def _credentials_source(
    session: Any,  # noqa: ANN401 - as above
    corrected: CorrectedTime | None,
    host: Host,
    *,
    agent_credentials: bool,
) -> str:
    """Find usable credentials in botocore's chain and return the name of their source."""
    credentials = session.get_credentials()
    if credentials is None and agent_credentials:
        return _take_agent_credentials(session, host)
    if credentials is None:
        raise NoCredentialsError
    if corrected is not None and isinstance(credentials, RefreshableCredentials):
        credentials._time_fetcher = lambda: corrected.at(host.clock.monotonic_ns())  # noqa: SLF001
    try:
        credentials.get_frozen_credentials()
    except RuntimeError as exc:  # "refreshed, but the refreshed credentials are still expired"
        raise CallError(NO_CREDENTIALS, str(exc)) from exc
    return str(credentials.method)


def _take_agent_credentials(session: Any, host: Host) -> str:  # noqa: ANN401 - as above
    try:
        found = agent.find(host)
    except ProbeError as exc:
        raise CallError(NO_CREDENTIALS, str(exc)) from exc
    if found is None:
        msg = "Unable to locate credentials, and the SSM Agent has left none"
        raise CallError(NO_CREDENTIALS, msg)
    session.set_credentials(found.access_key, found.secret_key, found.token or None)
    return found.source


def _call_error(exc: Exception) -> CallError:
    if isinstance(exc, ClientError):
        error = exc.response.get("Error", {})
        status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return CallError(str(error.get("Code", "")), str(error.get("Message", "")), status)
    if isinstance(exc, TransportError):
        return CallError(UNTRUSTED if isinstance(exc, Untrusted) else NO_REPLY, str(exc))
    if isinstance(exc, CredentialRetrievalError):  # its text holds what a process printed
        provider = str(getattr(exc, "kwargs", {}).get("provider", "a provider"))
        return CallError(NO_CREDENTIALS, f"{provider} failed")
    if isinstance(exc, (NoCredentialsError, PartialCredentialsError)):
        return CallError(NO_CREDENTIALS, str(exc))
    return CallError(type(exc).__name__, str(exc))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
