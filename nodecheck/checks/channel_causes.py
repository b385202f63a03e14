"""Know the errors that keep the agent from AWS, by their texts in its logs, and what mends each.

The texts are those of AWS (error codes), of the AWS SDK for Go, of Go's net and crypto/x509, and of
the kernel, in English whatever the node's language. Sources: the issues of
https://github.com/aws/amazon-ssm-agent named below by number.
"""

from __future__ import annotations

import re
from typing import Final

from nodecheck.records import dataclass

CLOCK: Final = "clock-refused"
ON_THE_WAY: Final = frozenset(
    {"certificate-time", "certificate-untrusted", "certificate-name", "proxy-failed"}
    | {"name-not-found", "connection-refused", "unreachable", "timeout", "connection-closed"}
    | {"throttled"}
)
"""What is over once the endpoints answer; what AWS refuses it refuses again."""


@dataclass(frozen=True, slots=True)
class KnownError:
    """An error: its code, what it says, how to mend it. The first that matches is it.

    ``is_local``: it is about this node's files and does not speak of AWS.
    """

    code: str
    pattern: re.Pattern[str]
    says: str
    mend: str
    is_local: bool = False


def _known(code: str, pattern: str, says: str, mend: str, *, is_local: bool = False) -> KnownError:
    return KnownError(code, re.compile(pattern, re.ASCII), says, mend, is_local)


KNOWN: Final = (
    # 616, 546
    _known(
        CLOCK,
        r"Signature (?:expired|not yet current)|RequestTimeTooSkewed|RequestExpired",
        "AWS refuses the signature for the time of this node's clock",
        "set the clock right (see clock.offset), then restart the agent",
    ),
    _known(
        "certificate-time",
        r"x509: certificate has expired or is not yet valid",
        "the certificate of the endpoint, or of a proxy, is not valid at this node's time",
        "look at the clock first (see clock.offset), then at the proxy's certificate",
    ),
    # 195
    _known(
        "certificate-untrusted",
        r"x509: (?:certificate signed by unknown authority|certificate is not trusted)"
        r"|failed to verify certificate",
        "nobody this node trusts signed the certificate: as a rule a proxy intercepts TLS",
        "exempt the endpoints from interception, or add the proxy's authority to the node's store",
    ),
    _known(
        "certificate-name",
        r"x509: certificate is valid for|x509: cannot validate certificate",
        "another host than the endpoint answers",
        "look at DNS and at Ssm, Mds and Mgs.Endpoint in amazon-ssm-agent.json",
    ),
    # 601, 567, 73
    _known(
        "fingerprint-mismatch",
        r"MachineFingerprintDoesNotMatch",
        "AWS takes this node for another machine: its hardware, or its machine id, has changed",
        "register the node anew (amazon-ssm-agent -register) with a new activation",
    ),
    # 544, 577
    _known(
        "no-host-management",
        r"instance management role is not configured",
        "the account has no Default Host Management role, and the instance profile does not do",
        "attach AmazonSSMManagedInstanceCore to the instance profile, or set up Default Host"
        " Management",
    ),
    # 292, 298, 376, 609
    _known(
        "no-role",
        r"EC2RoleRequestError|no EC2 instance role found",
        "the instance has no role",
        "attach an instance profile with AmazonSSMManagedInstanceCore",
    ),
    _known(
        "metadata-unreachable",
        r"EC2MetadataError|169\.254\.169\.254",
        "the instance metadata service does not answer",
        "look at hop limit, routes and firewalls before 169.254.169.254",
    ),
    # vpc endpoint policies: 374
    _known(
        "endpoint-policy",
        r"no VPC endpoint policy allows",
        "the policy of the VPC endpoint does not allow it",
        "allow it in the policy of the VPC endpoint",
    ),
    # 374, 543; 121 for the gateway's own words
    _known(
        "access-denied",
        r"AccessDenied|not authorized to perform|Unauthorized request|AssumeRoleUnauthorizedAccess"
        r"|AuthorizationFailure|OptInRequired",
        "AWS denies it to the role",
        "attach AmazonSSMManagedInstanceCore to the role of this node",
    ),
    _known(
        "token-expired",
        r"ExpiredToken|security token included in the request is expired",
        "the credentials have expired",
        "look at node.credentials, and at the clock",
    ),
    _known(
        "token-invalid",
        r"UnrecognizedClientException|InvalidClientTokenId"
        r"|security token included in the request is invalid",
        "AWS does not know the credentials",
        "look at node.credentials: keys of another partition or account, or of a node that was"
        " deregistered",
    ),
    _known(
        "instance-unknown",
        r"InvalidInstanceId|InstanceNotFound|InvalidActivation",
        "AWS does not know this node: it was deregistered",
        "register the node anew with a new activation",
    ),
    _known(
        "signature-refused",
        r"InvalidSignatureException|SignatureDoesNotMatch|unable to build RSA signature",
        "the signature does not match: other keys, or a request changed on its way",
        "look at node.credentials and at proxies",
    ),
    # 120; measured at the start of many nodes at once
    _known(
        "throttled",
        r"ThrottlingException|Rate exceeded|due to throttling|TooManyRequests",
        "AWS throttles the account's requests",
        "spread the starts of nodes, or ask AWS for a higher limit",
    ),
    # 226
    _known(
        "proxy-failed",
        r"proxyconnect|Proxy Authentication Required",
        "the proxy does not let the agent through",
        "look at the proxy of the agent's service",
    ),
    # 312, 125
    _known(
        "name-not-found",
        r"no such host|server misbehaving|lookup [^ ]+ on [^ ]+: ",
        "the name of the endpoint is not resolved",
        "look at DNS (/etc/resolv.conf, private DNS of the VPC endpoint)",
    ),
    _known(
        "connection-refused",
        r"connection refused",
        "nothing listens where the endpoint should be",
        "look at firewalls and at the endpoints in amazon-ssm-agent.json",
    ),
    _known(
        "unreachable",
        r"network is unreachable|no route to host",
        "there is no route to the endpoint",
        "look at routes, NAT gateway and VPC endpoints",
    ),
    _known(
        "timeout",
        r"i/o timeout|TLS handshake timeout|Client\.Timeout|deadline exceeded"
        r"|connection timed out",
        "the endpoint does not answer in time",
        "look at security groups, firewalls, NAT gateway and VPC endpoints for port 443",
    ),
    # 330, 677, 262: watches of files, not files or room
    _known(
        "inotify-limit",
        r"add watch: no space left on device|watcher: too many open file",
        "the kernel's limit of file watches is reached",
        "raise fs.inotify.max_user_instances and max_user_watches",
        is_local=True,
    ),
    # 225, 471
    _known(
        "disk-full",
        r"no space left on device",
        "the disk is full",
        "make room (see agent.storage)",
        is_local=True,
    ),
    # 265, 323
    _known(
        "too-many-files",
        r"too many open files",
        "the limit of open files is reached",
        "restart the agent, and update it: versions before 3.0.529.0 leaked files",
        is_local=True,
    ),
    # 256, 353
    _known(
        "websocket-closed",
        r"websocket: |Failed to dial websocket|CreateControlChannel failed",
        "the websocket to ssmmessages does not hold",
        "look at proxies and firewalls that cut long connections, and at the endpoint ssmmessages",
    ),
    _known(
        "role-token-refused",
        r"RequestManagedInstanceRoleToken",
        "AWS gives this node no role token",
        "look at the registration of this node",
    ),
    _known(
        "connection-closed",
        r"connection reset by peer|broken pipe|\bEOF\b|RequestError: send request failed",
        "the connection was cut",
        "look at proxies and firewalls",
    ),
)
"""Special before general: a denial may stand in a failure to fetch a token, and so on."""


def recognise(text: str) -> KnownError | None:
    """Return the known error that a text of the log is, or None.

    >>> text = "RequestError: send request failed caused by: Post: dial tcp: lookup x: no such host"
    >>> recognise(text).code, recognise("Agent's core manager can't be nil")
    ('name-not-found', None)
    """
    return next((known for known in KNOWN if known.pattern.search(text)), None)
