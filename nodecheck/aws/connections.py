"""Make requests connect by the host's resolver, and keep one deadline on every connection.

Imports requests: import this module only where a connection is about to be made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.connection import create_connection

from nodecheck.aws.deadline import Deadline, TimedSocket
from nodecheck.model.errors import ProbeError

if TYPE_CHECKING:
    import ssl

    from nodecheck.aws.deadline import Wire
    from nodecheck.host.door import Host


def pools(host: Host, deadline: Deadline) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3's pools with connections that keep the deadline."""

    def connect(connection: HTTPConnection) -> Any:  # noqa: ANN401 - a socket, opened by urllib3
        """Try each address with half of the time that is left."""
        try:
            addresses = host.network.resolve(connection.host, connection.port or 0)
        except ProbeError as exc:
            raise OSError(str(exc)) from exc
        failures: list[str] = []
        for address in addresses:
            target = (address.ip, address.port)
            patience_s = deadline.left_s() / (1 if address is addresses[-1] else 2)
            try:
                return create_connection(target, patience_s, None, connection.socket_options)
            except OSError as exc:
                failures.append(f"{address.ip} port {address.port}: {exc}")
        raise OSError("; ".join(failures) or f"{connection.host} has no address")

    def receive(wire: Wire, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - http.client's own
        timed: Any = TimedSocket(wire, deadline)
        return HTTPConnection.response_class(timed, *args, **kwargs)

    class Plain(HTTPConnection):
        response_class = staticmethod(receive)  # type: ignore[assignment]
        _new_conn = connect

    class Secure(HTTPSConnection):
        response_class = staticmethod(receive)  # type: ignore[assignment]
        _new_conn = connect

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class Adapter(HTTPAdapter):
    """requests' adapter with this context and these pools, also through proxies."""

    def __init__(self, context: ssl.SSLContext, pools: dict[str, type[HTTPConnectionPool]]) -> None:
        """Verify by this context, and connect by these pools."""
        self._context = context
        self._pools = pools
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - requests' own
        """Use them for direct connections."""
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' own
        """Use them for connections through a proxy."""
        kwargs |= {"ssl_context": self._context, "proxy_ssl_context": self._context}
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Name scheme, host and port only: the context says everything about verification."""
        return super().build_connection_pool_key_attributes(*args, **kwargs)[0], {}

    def cert_verify(self, *_: object) -> None:
        """Add no CA bundle to those of the context."""
