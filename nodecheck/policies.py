"""The operator's limits, as the parts that judge and deliver take them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nodecheck.model.clock import ClockPolicy
from nodecheck.model.install import VersionPolicy
from nodecheck.model.reporting import CloudWatchPolicy
from nodecheck.model.trust import TrustPolicy
from nodecheck.model.version import AgentVersion

if TYPE_CHECKING:
    from nodecheck.model.settings import Settings


def clock(settings: Settings) -> ClockPolicy:
    """Return how far the clock may be off."""
    return ClockPolicy(settings.number("clock.tolerance_s"), settings.number("clock.warn_s"))


def version(settings: Settings) -> VersionPolicy:
    """Return how old the agent may be."""
    floor = settings.text("agent.min_version")
    return VersionPolicy(
        min_version=AgentVersion.parse(floor) if floor else None,
        max_age_days=int(settings.number("agent.max_age_days")),
        crit_age_days=int(settings.number("agent.crit_age_days")),
    )


def trust(settings: Settings) -> TrustPolicy:
    """Return whose signatures are believed."""
    return TrustPolicy(
        key_files=settings.texts("trust.keys"),
        builtin_keys=settings.switch("trust.builtin_keys"),
        distrust=tuple(_distrusted(text) for text in settings.texts("trust.distrust")),
    )


def _distrusted(text: str) -> tuple[str, datetime | None]:
    fingerprint, _, day = text.partition("@")
    since = datetime.fromisoformat(day).replace(tzinfo=UTC) if day else None
    return fingerprint.upper(), since


def cloudwatch(settings: Settings) -> CloudWatchPolicy:
    """Return where and how reports go to CloudWatch."""
    return CloudWatchPolicy(
        region=settings.text("node.region"),
        log_group=settings.text("report.log_group"),
        namespace=settings.text("report.namespace"),
        tolerance_s=settings.number("clock.tolerance_s"),
    )
