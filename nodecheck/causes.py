"""What explains what: the finding of one check that makes the trouble of others.

Of several causes of one finding the first in this table counts, so roots stand before what follows
from them: the clock, the installation, room, files, the way to AWS, credentials, the service.
"""

from __future__ import annotations

from typing import Final

from nodecheck.plan import Cause

UNMEASURED: Final = ("no-source", "sources-disagree", "before-known-past")
NOT_STEERED: Final = (
    "no-daemon",
    "not-steering",
    "no-source-configured",
    "source-unreachable",
    "no-source-selected",
)
UNPROVEN: Final = (
    "bad-signature",
    "unsigned",
    "malformed-signature",
    "unsupported-signature",
    "key-not-pinned",
    "key-ring-due",
    "key-distrusted",
    "wrong-package",
    "no-package",
    "timeout",
    *("bad-digest", "malformed-program", "truncated", "appended-data", "weak-digest"),
    *("self-issued", "wrong-publisher", "wrong-usage", "signer-differs", "expired"),
    *("not-yet-valid", "revoked", "distrusted", "refused-by-policy", "bad-timestamp"),
    *("untrusted-root", "chain-incomplete", "not-verified", "timestamp-not-verified"),
    *("clock-wrong", "time-not-known"),
)
NO_ROOM: Final = ("full", "no-inodes", "read-only")
UPDATE_FAILED: Final = ("update-failed", "rolled-back", "rollback-failed", "half-done")
UNREACHABLE: Final = (
    "dns-failed",
    "tcp-refused",
    "tcp-timeout",
    "tcp-unreachable",
    "proxy-unreachable",
    "proxy-refused",
    "proxy-authentication",
    "tls-untrusted",
    "tls-failed",
    "certificate-expired",
    "certificate-not-yet-valid",
    "no-reply",
    "not-aws",
)
NO_METADATA: Final = (
    "metadata-refused",
    "metadata-disabled",
    "metadata-hop-limit",
    "metadata-v1-only",
)
NO_REGION: Final = (
    *NO_METADATA,
    "foreign-responder",
    "metadata-timeout",
    "metadata-unreachable",
    "metadata-no-reply",
    "metadata-error",
)
"""An instance learns its Region from its metadata alone."""
UNSEEN: Final = ("no-permission", "not-understood", "not-observed")
NO_ROLE: Final = ("no-instance-profile", "role-refused")
EXPIRED: Final = ("expired", "never-retrieved")
DOWN: Final = (
    "not-running",
    "unit-missing",
    "unit-broken",
    "masked",
    "failed",
    "start-limit-hit",
    "auto-restart",
    "restart-loop",
    "reboot-requested",
)
ENDS_AT_ONCE: Final = ("not-running", "failed", "auto-restart", "restart-loop")
"""What becomes of an agent that finds no identity, or refuses its configuration: it ends."""
NO_WORKER: Final = ("worker-missing", "worker-starting", "left-over-worker")
NO_CHANNEL: Final = (
    "hibernating",
    "hibernating-while-reachable",
    "credentials-refused",
    "never-connected",
    "no-connection",
    "silent",
    "unproven",
)

CAUSES: Final = (
    Cause(
        "clock.discipline",
        ("will-not-step", "contradicted", "secure-time-wrong"),
        ("clock.offset",),
    ),
    Cause("clock.offset", (*UNMEASURED, "beyond-tolerance"), ("clock.forecast",)),
    Cause("clock.discipline", NOT_STEERED, ("clock.forecast",)),
    Cause("clock.offset", (*UNMEASURED, "timeout"), ("agent.signing-key",), ("time-not-known",)),
    Cause("clock.offset", (*UNMEASURED, "timeout"), ("node.credentials",), ("time-not-known",)),
    Cause(
        "clock.offset",
        (*UNMEASURED, "timeout", "beyond-tolerance"),
        ("hygiene.agent-update", "hygiene.patch-scan"),
        ("age-unknown",),
    ),
    Cause("agent.update", UPDATE_FAILED, ("hygiene.agent-update",), ("last-run-failed",)),
    Cause("agent.service", DOWN, ("hygiene.agent-update",), ("overdue",)),
    Cause(
        "clock.offset",
        (*UNMEASURED, "timeout", "beyond-tolerance"),
        ("agent.signature",),
        ("time-not-known", "clock-wrong"),
    ),
    Cause(
        "clock.offset",
        ("beyond-tolerance",),
        ("node.credentials",),
        (*EXPIRED, "clock-disagrees", "awaited"),
    ),
    Cause("clock.offset", ("beyond-tolerance",), ("agent.service",), NO_WORKER),
    Cause(
        "clock.offset", ("beyond-tolerance",), ("agent.channel",), ("clock-refused", *NO_CHANNEL)
    ),
    Cause(
        "agent.installed",
        ("half-installed",),
        ("agent.service",),
        (*DOWN, "worker-missing"),
    ),
    Cause(
        "agent.installed",
        ("several-installations",),
        ("agent.service",),
        ("other-unit", "second-core", "several-workers", "left-over-worker"),
    ),
    Cause(
        "agent.signature", UNPROVEN, ("agent.files",), ("unproven-digests", "no-package", "timeout")
    ),
    Cause("agent.signature", UNPROVEN, ("agent.running",), ("unproven", "timeout")),
    Cause("agent.storage", NO_ROOM, ("agent.update",), UPDATE_FAILED),
    Cause(
        "agent.storage",
        NO_ROOM,
        ("agent.service",),
        ("failed", "start-limit-hit", "auto-restart", "restart-loop", "worker-missing"),
    ),
    Cause(
        "agent.files",
        ("missing", "digest", "kind", "mode", "start-overridden"),
        ("agent.service",),
        (*DOWN, "worker-missing", "not-root"),
    ),
    Cause(
        "agent.update",
        UPDATE_FAILED,
        ("agent.version", "agent.advisory"),
        ("behind", "far-behind", "deprecated", "vulnerable"),
    ),
    Cause("agent.update", UPDATE_FAILED, ("agent.service",), (*DOWN, "other-unit")),
    Cause(
        "node.credentials",
        (*NO_METADATA, "foreign-responder"),
        ("node.identity",),
        (*NO_METADATA, "foreign-responder", "not-registered"),
    ),
    Cause("node.identity", ("not-registered",), ("node.credentials",), ("no-identity",)),
    Cause("node.identity", ("not-registered",), ("agent.service",), (*ENDS_AT_ONCE, *NO_WORKER)),
    Cause("node.identity", ("not-registered",), ("agent.channel",), NO_CHANNEL),
    Cause("node.endpoints", UNREACHABLE, ("agent.service",), NO_WORKER, only_crit=True),
    Cause("node.endpoints", UNREACHABLE, ("agent.channel",), NO_CHANNEL, only_crit=True),
    Cause(
        "node.endpoints",
        (*UNREACHABLE, "updates-denied"),
        ("agent.version",),
        ("offered-version-unknown", "manifest-not-read", "age-unknown"),
    ),
    Cause("node.credentials", NO_REGION, ("node.endpoints",), ("no-region",)),
    Cause("node.identity", UNSEEN, ("node.endpoints",), ("no-region",)),
    Cause("node.endpoints", ("no-region",), ("agent.version",), ("offered-version-unknown",)),
    Cause("node.credentials", (*NO_METADATA, *NO_ROLE), ("agent.channel",), NO_CHANNEL),
    Cause("node.endpoints", ("agent-config-refused",), ("agent.service",), ENDS_AT_ONCE),
    Cause("agent.service", DOWN, ("agent.running", "agent.channel"), ("not-running",)),
    Cause("agent.service", DOWN, ("node.credentials",), EXPIRED),
    Cause("agent.running", ("not-running",), ("agent.channel",), ("not-running",)),
    Cause("agent.running", ("not-running",), ("node.credentials",), EXPIRED),
    Cause(
        "agent.channel",
        ("clock-refused", "credentials-refused"),
        ("agent.service", "node.credentials"),
        ("worker-missing", *EXPIRED),
    ),
    Cause(
        "agent.service",
        ("worker-missing", "suspended", "left-over-worker", "several-workers", "second-core"),
        ("agent.channel",),
        ("worker-absent", *NO_CHANNEL),
    ),
    Cause(
        "agent.running",
        ("restart-pending",),
        ("agent.version", "agent.advisory"),
        ("running-older", "still-running"),
    ),
)
