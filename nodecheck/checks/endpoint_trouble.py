"""Say what keeps the agent from using an endpoint, and what was seen of each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from nodecheck.model.verdict import Evidence
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.model.endpoints import EndpointFacts, Reach, Sighting

ADDRESSES_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with one endpoint: reason code, and what was seen."""

    reason: str
    detail: str


def find_trouble(item: Sighting, now: datetime | None) -> Trouble | None:
    """Return what keeps the agent from using an endpoint, None where nothing does."""
    reach = item.reach
    if reach.failure == "tcp-timeout":
        return Trouble(reach.failure, where(item))
    if reach.failure:
        signer = f", signed by {' < '.join(reach.issuers)}" if reach.issuers else ""
        return Trouble(reach.failure, f"{reach.message}{_addresses(reach)}{signer}")
    if reach.is_foreign:
        return Trouble("not-aws", f"{where(item)}: HTTP {reach.status} without an AWS request id")
    return _judge_dates(reach, now, where(item)) if now else None


def _judge_dates(reach: Reach, now: datetime, name: str) -> Trouble | None:
    for begins_s, ends_s, subject in reach.chain:
        if begins_s <= now.timestamp() <= ends_s:
            continue
        expired = now.timestamp() > ends_s
        edge = datetime.fromtimestamp(ends_s if expired else begins_s, UTC)
        word = "expired at" if expired else "is valid only from"
        return Trouble(
            "certificate-expired" if expired else "certificate-not-yet-valid",
            f"{name}: certificate of {subject} {word} {edge:%Y-%m-%d %H:%M:%S} UTC,"
            f" it is {now:%Y-%m-%d %H:%M:%S} UTC",
        )
    return None


def where(item: Sighting) -> str:
    """Return the host with the way there."""
    if item.reach.via:
        return f"{host_of(item)} through the proxy {item.reach.via}"
    return f"{host_of(item)}{_addresses(item.reach)}"


def host_of(item: Sighting) -> str:
    """Return host and port, if any, of an endpoint; a user in front of it is nobody's business."""
    return item.endpoint.url.partition("://")[2].partition("/")[0].rpartition("@")[2]


def _addresses(reach: Reach) -> str:
    if reach.via or not reach.addresses:
        return ""
    return f" ({', '.join(reach.addresses[:ADDRESSES_SHOWN])}, {reach.network})"


def place_of(reach: Reach) -> str:
    """Return by which way an endpoint that answers is reached."""
    if reach.via:
        return f"through the proxy {reach.via}"
    if reach.network == "private" and reach.is_signed_for_aws:
        return "VPC endpoint"
    return reach.network


def gather_evidence(
    facts: EndpointFacts, troubles: dict[str, Trouble | None]
) -> tuple[Evidence, ...]:
    """Return what was seen of every endpoint, whether it counts or not."""
    found = [
        Evidence("region", facts.region, facts.region_source),
        Evidence("reachable", facts.reachable),
    ]
    if facts.proxy_source:
        via = next((item.reach.via for item in facts.sightings if item.reach.via), "not used")
        found.append(Evidence("proxy", via, facts.proxy_source))
    for item in facts.sightings:
        trouble = troubles[item.endpoint.service]
        text = f"{trouble.reason}: {trouble.detail}" if trouble else _answer(item.reach)
        name = host_of(item)
        source = f"{name}, {item.endpoint.origin}" if item.endpoint.origin else name
        found.append(Evidence(item.endpoint.service, text, source))
    return tuple(found)


def _answer(reach: Reach) -> str:
    tls = f"{reach.tls}, issuer {' < '.join(reach.issuers)}" if reach.tls else "plain HTTP, no TLS"
    addresses = ", ".join(reach.addresses[:ADDRESSES_SHOWN])
    place = f"{place_of(reach)}, {addresses}" if addresses and not reach.via else place_of(reach)
    return f"HTTP {reach.status}, {tls}, {place}"
