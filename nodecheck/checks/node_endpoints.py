"""Judge whether the agent can reach the endpoints that it uses, and who answers there.

Each endpoint was asked by the agent's own settings. ``crit`` needs a needed one that failed in a
stage that is named; the dates of certificates are judged at corrected time, never by the local
clock, and without corrected time not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks import windows_fix
from nodecheck.checks.endpoint_trouble import (
    Trouble,
    find_trouble,
    gather_evidence,
    place_of,
    where,
)
from nodecheck.model.endpoints import TIMEOUT_S, UNCLEAR, Need, is_public_name
from nodecheck.model.verdict import Finding, Fix, Status, Verdict
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from nodecheck.model.endpoints import EndpointFacts, Sighting

ID: Final = "node.endpoints"
QUESTION: Final = "does the agent reach the endpoints that it uses, and who answers there?"
EXPLANATION: Final = """\
WHAT IS JUDGED
  The endpoints of this agent: SERVICE.REGION.DOMAIN with the domain of the partition, or what
  amazon-ssm-agent.json says instead (Ssm.Endpoint, Mgs.Endpoint, Mds.Endpoint, S3.Endpoint,
  Kms.Endpoint, Agent.Region, Agent.ServiceDomain). All are asked side by side within 2 s: name, TCP
  or CONNECT through the proxy of the agent's service (NO_PROXY as Go reads it), TLS, one HEAD. The
  agent's environment counts, nodecheck's own does not. Chain and host name are verified against the
  system's CA bundle (or SSL_CERT_FILE of the service); dates are judged at corrected time, so that
  it works with a clock that is years off.

  needed   ssm, and one of ssmmessages and ec2messages: since 3.3.40.0 the agent prefers the first
           and falls back to the second (before 3.1.821.0 commands came by the second only)
  updates  s3: the Region's bucket, without which the agent is not updated
  evidence kms (encrypted sessions), logs and monitoring (output of sessions and commands), and the
           bucket endpoint of S3.Endpoint: whether they are used is decided outside the node

  Who answers is told by AWS's request id, or by a chain of Amazon, Starfield or DigiCert. Private
  addresses with such a chain are those of a VPC endpoint.

LIMITS
  ok       all needed endpoints and s3 answer, with certificates that are valid now
  warn     s3 fails by one of the codes under crit, or ssmmessages alone does (commands come by
           ec2messages, Session Manager does not work); updates-denied: s3 answers 403;
           intercepted: a trusted certificate of a public AWS name that none of AWS's authorities
           signed, so somebody in between reads and may change everything; agent-config-refused:
           with this amazon-ssm-agent.json the agent will not start again; agent-config-ignored
  unknown  no-region; time-not-known: nobody could tell the time to judge the certificates at;
           proxy-unread: needed endpoints fail without a proxy, and a file that may name one could
           not be read; proxy-not-understood: a kind of proxy that nodecheck does not speak;
           not-observed; bad-ca-bundle; no-permission
  crit     a needed endpoint fails: dns-failed, tcp-refused, tcp-timeout, tcp-unreachable,
           proxy-unreachable, proxy-refused, proxy-authentication (407), tls-untrusted (the issuer
           is named: it is who intercepts), tls-failed, certificate-expired,
           certificate-not-yet-valid, no-reply, not-aws (a portal, filter or web server answers),
           bad-url

HOW TO MEND
  dns-failed        give the VPC's resolver, or enable private DNS of the VPC endpoints
  tcp-timeout       allow TCP 443 out; at VPC endpoints their security group must let this node in
  tls-untrusted     exempt AWS from inspection, or add the CA: update-ca-certificates (Debian),
                    update-ca-trust (Red Hat, Amazon Linux); then restart the agent
  proxy-...         systemctl edit amazon-ssm-agent: https_proxy, no_proxy=169.254.169.254
  intercepted       exempt AWS's endpoints from TLS inspection at the proxy
  updates-denied    let the policy of the S3 endpoint allow s3:GetObject on amazon-ssm-REGION
  no-region         give --region, or set node.region or AWS_REGION
  Restart the agent afterwards: it may hibernate for up to an hour.

SOURCES
  https://docs.aws.amazon.com/systems-manager/latest/userguide/ and there
  systems-manager-setting-up-messageAPIs.html, setup-create-vpc.html, configure-proxy-ssm-agent.html
  https://www.amazontrust.com/repository/
  https://pkg.go.dev/golang.org/x/net/http/httpproxy
  https://github.com/aws/amazon-ssm-agent: common/identity/endpoint/endpoint.go,
  agent/session/config/config.go, core/app/bootstrap/bootstrap.go
"""

LIMIT: Final = "ssm, one of ssmmessages and ec2messages, and s3 answer"
DENIED: Final = 403

_PHRASES: Final = {
    "dns-failed": "the name does not resolve",
    "tcp-refused": "the connection is refused",
    "tcp-timeout": f"no TCP connection within {TIMEOUT_S} s",
    "tcp-unreachable": "no way there",
    "proxy-unreachable": "the agent's proxy cannot be reached",
    "proxy-refused": "the agent's proxy refuses the way",
    "proxy-authentication": "the agent's proxy wants to know who asks (407)",
    "proxy-not-understood": "the agent's proxy is of another kind",
    "tls-untrusted": "the certificate is not trusted",
    "tls-failed": "no TLS handshake",
    "no-reply": "no answer to HTTP",
    "not-aws": "somebody else than AWS answers",
    "bad-url": "the configured endpoint is no URL",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A trouble of one service, as bad as it is for the agent."""

    status: Status
    service: str
    trouble: Trouble


def judge(facts: EndpointFacts, now: datetime | None) -> Verdict:
    """Return the verdict; ``now`` is corrected time, None where it is not known."""
    troubles = {item.endpoint.service: find_trouble(item, now) for item in facts.sightings}
    problems = [
        *_needed(facts, troubles),
        *_others(facts, troubles),
        *_configuration(facts),
        *([] if now else _undated(facts, troubles)),
    ]
    problems.sort(key=lambda problem: -problem.status.severity)
    evidence = gather_evidence(facts, troubles)
    if not problems:
        return Verdict.ok(ID, _healthy(facts), evidence, LIMIT)
    return Verdict.of(
        ID,
        problems[0].status,
        tuple(_grouped(problems)),
        evidence=evidence,
        limit=LIMIT,
        fixes=_fixes(facts, problems),
    )


def _needed(facts: EndpointFacts, troubles: dict[str, Trouble | None]) -> Iterator[Problem]:
    """Yield what is wrong with ssm and the message channels: one channel is enough."""
    channels = facts.of(Need.CHANNEL)
    if not facts.of(Need.CORE) or not channels:
        yield Problem(Status.UNKNOWN, "", Trouble("not-observed", "no endpoint was looked at"))
    failed = [item for item in channels if troubles[item.endpoint.service]]
    is_cut_off = len(failed) == len(channels)
    for item in (*facts.of(Need.CORE), *failed):
        trouble = troubles[item.endpoint.service]
        is_spare = item in failed and not is_cut_off
        if trouble is None or (is_spare and item.endpoint.service != "ssmmessages"):
            continue
        if is_spare:
            text = f"{trouble.detail}; commands come by ec2messages, Session Manager does not work"
            trouble = Trouble(trouble.reason, text)
        status = Status.WARN if is_spare else Status.CRIT
        if trouble.reason in UNCLEAR or (facts.unread and not is_spare):
            status = Status.UNKNOWN
        yield Problem(status, item.endpoint.service, trouble)
        if facts.unread and not is_spare:
            text = f"a proxy may be named where nobody could look: {'; '.join(facts.unread)}"
            yield Problem(Status.UNKNOWN, "", Trouble("proxy-unread", text))


def _others(facts: EndpointFacts, troubles: dict[str, Trouble | None]) -> Iterator[Problem]:
    """Yield what is wrong with the bucket of updates, and who reads along."""
    for item in facts.of(Need.UPDATES):
        trouble = troubles[item.endpoint.service]
        if trouble is None and item.reach.status == DENIED:
            trouble = Trouble("updates-denied", f"{where(item)}: HTTP 403, updates will fail")
        if trouble is not None:
            status = Status.UNKNOWN if trouble.reason in UNCLEAR else Status.WARN
            yield Problem(status, item.endpoint.service, trouble)
    for item in facts.sightings:
        if item.endpoint.need is not Need.OPTIONAL and _is_intercepted(item):
            detail = f"{where(item)}: trusted, but signed by {' < '.join(item.reach.issuers)}"
            yield Problem(Status.WARN, item.endpoint.service, Trouble("intercepted", detail))


def _is_intercepted(item: Sighting) -> bool:
    reach = item.reach
    return bool(reach.chain) and is_public_name(item.endpoint.url) and not reach.is_signed_for_aws


def _configuration(facts: EndpointFacts) -> Iterator[Problem]:
    if facts.refused:
        yield Problem(Status.WARN, "", Trouble("agent-config-refused", facts.refused))
        return
    for text in facts.problems:
        yield Problem(Status.WARN, "", Trouble("agent-config-ignored", text))


def _undated(facts: EndpointFacts, troubles: dict[str, Trouble | None]) -> Iterator[Problem]:
    """Yield that dates could not be judged where everything else of a needed one is right."""
    needed = (*facts.of(Need.CORE), *facts.of(Need.CHANNEL))
    if any(item.reach.chain and not troubles[item.endpoint.service] for item in needed):
        text = "the time is not known, so the dates of the certificates are not judged"
        yield Problem(Status.UNKNOWN, "", Trouble("time-not-known", text))


def _grouped(problems: list[Problem]) -> Iterator[Finding]:
    """Yield one finding for each way to fail, with the services that share it."""
    groups: dict[tuple[Status, str], list[Problem]] = {}
    for problem in problems:
        groups.setdefault((problem.status, problem.trouble.reason), []).append(problem)
    for (_, reason), members in groups.items():
        services = ", ".join(member.service for member in members if member.service)
        phrase = _PHRASES.get(reason, "")
        head = ": ".join(part for part in (services, phrase) if part)
        detail = members[0].trouble.detail
        yield Finding(reason, f"{head}: {detail}" if head else detail)


def _healthy(facts: EndpointFacts) -> str:
    needed = [item for item in facts.sightings if item.endpoint.need is not Need.OPTIONAL]
    names = ", ".join(item.endpoint.service for item in needed if item.is_reached)
    places = {place_of(item.reach) for item in needed if item.is_reached}
    region = f" in {facts.region}" if facts.region else ""
    return f"{names} answer{region} ({', '.join(sorted(places))})"


def _fixes(facts: EndpointFacts, problems: list[Problem]) -> tuple[Fix, ...]:
    """Return what can be done on the node itself: most of it is the network's."""
    reasons = {problem.trouble.reason for problem in problems}
    if not any(reason.startswith("proxy-") for reason in reasons) or not facts.proxy_source:
        return ()
    if facts.proxy_source.startswith("HKLM"):
        return windows_fix.PROXY
    unit = "amazon-ssm-agent"
    if "snap." in facts.proxy_source:
        unit = "snap.amazon-ssm-agent.amazon-ssm-agent"
    return (Fix(f"systemctl edit {unit}"), Fix(f"systemctl restart {unit}", disruptive=True))
