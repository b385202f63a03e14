"""The proxy through which the SSM Agent reaches AWS, as its service is configured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PROXY_VARIABLES = frozenset({"https_proxy", "no_proxy"})


@dataclass(frozen=True, slots=True)
class AgentProxy:
    """The variables of the agent's service; ``source`` is the file that names the proxy.

    ``https_proxy`` may hold a password: it is not for evidence. It is '' where there is no proxy.
    ``unread`` says which files of the service could not be read.
    """

    https_proxy: str = ""
    no_proxy: str = ""
    source: str = ""
    unread: tuple[str, ...] = ()

    def environment(self, own: Mapping[str, str]) -> Mapping[str, str]:
        """Return the environment by which to reach AWS: our own, or with the agent's proxy.

        >>> agent = AgentProxy("http://squid:3128", "169.254.169.254")
        >>> agent.environment({"PATH": "/bin", "NO_PROXY": "*"})["https_proxy"]
        'http://squid:3128'
        >>> agent.environment({"HTTPS_PROXY": "http://mine"})
        {'HTTPS_PROXY': 'http://mine'}
        """
        has_own = any(name.lower() == "https_proxy" and value for name, value in own.items())
        if has_own or not self.https_proxy:
            return own
        others = {name: own[name] for name in own if name.lower() not in PROXY_VARIABLES}
        return others | {"https_proxy": self.https_proxy, "no_proxy": self.no_proxy}
