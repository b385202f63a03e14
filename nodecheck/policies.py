"""The operator's limits, as the parts that judge and deliver take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.acting import IdentityPolicy
from nodecheck.model.authenticode import PublisherPolicy
from nodecheck.model.clock import ClockPolicy
from nodecheck.model.install import VersionPolicy
from nodecheck.model.limits import Limits
from nodecheck.model.reporting import CloudWatchPolicy, CompliancePolicy
from nodecheck.model.setting_forms import parse_distrust, parse_version
from nodecheck.model.snap import SnapPin, SnapPolicy
from nodecheck.model.trust import TrustPolicy

if TYPE_CHECKING:
    from nodecheck.model.settings import Settings
    from nodecheck.model.skew import SkewFacts


DELIVERY_LIMIT_S: Final = 60.0
"""Most that four attempts of one delivery may take."""


def clock(settings: Settings, seen: SkewFacts | None = None) -> ClockPolicy:
    """Return how far the clock may be off: as the operator says, else as AWS was seen to say."""
    tolerance_s, warn_s = settings.number("clock.tolerance_s"), settings.number("clock.warn_s")
    source = ClockPolicy().source
    if settings.origins["clock.tolerance_s"] != "default":
        source = "clock.tolerance_s"
    elif seen is not None and seen.refusal is not None:
        tolerance_s = seen.refusal.tolerance_s
        source = f"error text of AWS in {seen.source}"
    storage_s = seen.storage_tolerance_s if seen is not None else None
    if storage_s is None:
        storage_s = ClockPolicy().storage_tolerance_s
    return ClockPolicy(tolerance_s, min(warn_s, tolerance_s), storage_s, source)


def version(settings: Settings) -> VersionPolicy:
    """Return how old the agent may be."""
    floor = settings.text("agent.min_version")
    return VersionPolicy(
        min_version=parse_version(floor) if floor else None,
        max_age_days=int(settings.number("agent.max_age_days")),
        crit_age_days=int(settings.number("agent.crit_age_days")),
    )


def trust(settings: Settings) -> TrustPolicy:
    """Return whose signatures are believed."""
    return TrustPolicy(
        key_files=settings.texts("trust.keys"),
        builtin_keys=settings.switch("trust.builtin_keys"),
        distrust=tuple(parse_distrust(text) for text in settings.texts("trust.distrust")),
    )


def publishers(settings: Settings) -> PublisherPolicy:
    """Return which organisations may have signed the agent on Windows."""
    return PublisherPolicy(settings.texts("trust.publishers"))


def snaps(settings: Settings) -> SnapPolicy:
    """Return which snaps are believed to be Amazon's."""
    pins = (text.split("@", 1) for text in settings.texts("trust.snap_ids"))
    return SnapPolicy(tuple(SnapPin(snap_id, publisher_id) for snap_id, publisher_id in pins))


def cloudwatch(settings: Settings, limit_s: float = DELIVERY_LIMIT_S) -> CloudWatchPolicy:
    """Return where and how reports go to CloudWatch, within this many seconds."""
    return CloudWatchPolicy(
        region=settings.text("node.region"),
        log_group=settings.text("report.log_group"),
        namespace=settings.text("report.namespace"),
        timeout_s=min(limit_s, DELIVERY_LIMIT_S),
        per_node=settings.switch("report.per_node_metrics"),
        fleet_nodes=int(settings.number("report.fleet_nodes")),
        agent_credentials=settings.switch("report.use_agent_credentials"),
    )


def compliance(
    settings: Settings, limit_s: float = DELIVERY_LIMIT_S, state_folder: str = ""
) -> CompliancePolicy:
    """Return where and how compliance is told, within this many seconds."""
    return CompliancePolicy(
        region=settings.text("node.region"),
        timeout_s=min(limit_s, DELIVERY_LIMIT_S),
        state_folder=state_folder,
        narrowed=narrowed(settings),
        agent_credentials=settings.switch("report.use_agent_credentials"),
    )


def narrowed(settings: Settings) -> str:
    """Return the flags that leave checks out of this run, '' where there are none.

    Settings decide which checks a node's list has; a flag that leaves some out of one run does not.
    """
    names = ("only", "skip", "stage")
    flags = [name for name in names if settings.origins[f"run.{name}"] == "flag"]
    return ", ".join(f"--{name}" for name in flags if settings.values[f"run.{name}"])


def limits(settings: Settings) -> Limits:
    """Return what the formats tell beside the values."""
    days, keys = version(settings), TrustPolicy()
    return Limits(
        clock_warn_s=settings.number("clock.warn_s"),
        behind_warn_days=days.max_age_days,
        behind_crit_days=days.crit_age_days,
        key_warn_days=keys.warn_days,
        key_crit_days=keys.crit_days,
        fail_on=settings.text("run.fail_on"),
    )


def identity(settings: Settings) -> IdentityPolicy:
    """Return the only account and Region that the node may belong to."""
    return IdentityPolicy(
        account=settings.text("node.expected_account"),
        region=settings.text("node.expected_region"),
        configured_region=settings.text("node.region"),
    )
