"""Read the operator's key files and assemble the key ring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodecheck.model.errors import ProbeError
from nodecheck.trust.certificate import FILE_LIMIT_BYTES
from nodecheck.trust.key_ring import KeyRing, assemble_ring
from nodecheck.trust.packets import TrustError

if TYPE_CHECKING:
    from nodecheck.host.door import Host
    from nodecheck.model.trust import TrustPolicy


def look(host: Host, policy: TrustPolicy) -> KeyRing:
    """Return the key ring of a policy.

    Raises:
        ProbeError: a key file cannot be read or used; the message names it.
    """
    files = tuple((path, host.files.read(path, FILE_LIMIT_BYTES)) for path in policy.key_files)
    try:
        return assemble_ring(policy, files)
    except TrustError as exc:
        raise ProbeError(str(exc), "key-file-unusable") from exc
