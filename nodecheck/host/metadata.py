"""Ask the EC2 instance metadata service by IMDSv2, the way the SSM Agent does: never by v1.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
"""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from nodecheck.model.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Mapping

ENDPOINT: Final = "http://169.254.169.254"
ENDPOINT_VARIABLE: Final = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
DISABLED_VARIABLE: Final = "AWS_EC2_METADATA_DISABLED"
TIMEOUT_S: Final = 0.8
LIMIT_BYTES: Final = 64 * 1024
SESSION_PATH: Final = "/latest/api/token"
SESSION_LIFE_S: Final = "60"


def ask(path: str, environment: Mapping[str, str]) -> bytes:
    """Return the text at one path; no proxy is ever asked.

    Raises:
        ProbeError: switched off, no answer, or an answer that is not the service's.
    """
    if environment.get(DISABLED_VARIABLE, "").lower() == "true":
        msg = f"instance metadata: switched off by {DISABLED_VARIABLE}"
        raise ProbeError(msg)
    parts = urlsplit(environment.get(ENDPOINT_VARIABLE) or ENDPOINT)
    try:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, TIMEOUT_S)
        try:
            life = {"X-aws-ec2-metadata-token-ttl-seconds": SESSION_LIFE_S}
            token = _exchange(connection, "PUT", SESSION_PATH, life)
            key = {"X-aws-ec2-metadata-token": token.decode("ascii")}
            return _exchange(connection, "GET", path, key)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as exc:
        msg = f"instance metadata at {parts.netloc}: {getattr(exc, 'strerror', None) or exc}"
        raise ProbeError(msg) from exc


def _exchange(
    connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str]
) -> bytes:
    connection.request(method, path, headers=headers)
    reply = connection.getresponse()
    body = reply.read(LIMIT_BYTES + 1)
    if reply.status != http.client.OK or len(body) > LIMIT_BYTES:
        msg = f"{method} {path}: status {reply.status}, {len(body)} bytes"
        raise ValueError(msg)
    return body
