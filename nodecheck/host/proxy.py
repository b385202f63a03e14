"""Choose the proxy of a request from the environment, as curl and the AWS SDKs read it."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from nodecheck.model.errors import ProbeError
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PORT = 80


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy; ``authorization`` is for ``Proxy-Authorization`` and is never told."""

    host: str
    port: int
    authorization: str


def choose(environment: Mapping[str, str], host: str, port: int) -> Proxy | None:
    """Return the proxy of ``https://host:port``, or None where it is reached directly.

    Raises:
        ProbeError: the proxy is written in a way, or of a kind, that is not understood.
    """
    value = _either(environment, "https_proxy")
    if not value or is_exempt(_either(environment, "no_proxy"), host, port):
        return None
    return parse(value)


def _either(environment: Mapping[str, str], name: str) -> str:
    return (environment.get(name) or environment.get(name.upper()) or "").strip()


def parse(value: str) -> Proxy:
    """Return the proxy in ``http://user:password@host:port``; scheme, user and port may be absent.

    >>> parse("squid.example:3128").port, parse("http://[fd00::1]").host
    (3128, 'fd00::1')

    Raises:
        ProbeError: not such an address; the message holds no password.
    """
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname, parts.port or DEFAULT_PORT
    except ValueError as exc:
        msg = "HTTPS_PROXY is not a URL"
        raise ProbeError(msg, "bad-proxy") from exc
    if parts.scheme != "http" or not host:
        msg = f"HTTPS_PROXY: only http:// proxies are understood, not {parts.scheme}://"
        raise ProbeError(msg, "bad-proxy")
    if parts.username is None:
        return Proxy(host, port, "")
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Proxy(host, port, "Basic " + b64encode(pair.encode()).decode())


def is_exempt(no_proxy: str, host: str, port: int) -> bool:
    """Tell whether ``NO_PROXY`` names this host: itself, a domain it is in, or everything.

    >>> [is_exempt(text, "ssm.amazonaws.com", 443) for text in ("amazonaws.com", "*", "zon")]
    [True, True, False]
    """
    wanted = host.lower().rstrip(".")
    return any(
        _matches(entry.strip().lower(), wanted, port)
        for entry in no_proxy.replace(" ", ",").split(",")
    )


def _matches(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    name, _, suffix = entry.rpartition(":")
    if name and suffix.isdecimal() and (":" not in name or name.endswith("]")):
        if int(suffix) != port:
            return False
        entry = name
    entry = entry.removeprefix("*").strip("[]").strip(".")
    return bool(entry) and (host == entry or host.endswith(f".{entry}"))
