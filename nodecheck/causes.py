"""What explains what: the finding of one check that makes the trouble of others."""

from __future__ import annotations

from typing import Final

from nodecheck.plan import Cause

CAUSES: Final = (
    Cause(
        "agent.signature",
        (
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
        ),
        ("agent.files", "agent.running"),
        ("unproven-digests", "unproven", "no-package", "timeout"),
    ),
    Cause(
        "clock.offset",
        ("no-source", "sources-disagree", "timeout", "before-known-past"),
        ("agent.signing-key",),
        ("time-not-known",),
    ),
    Cause(
        "clock.offset",
        ("no-source", "sources-disagree", "before-known-past", "beyond-tolerance"),
        ("clock.forecast",),
    ),
    Cause("clock.discipline", ("will-not-step", "contradicted"), ("clock.offset",)),
    Cause(
        "clock.discipline",
        (
            "no-daemon",
            "not-steering",
            "no-source-configured",
            "source-unreachable",
            "no-source-selected",
        ),
        ("clock.forecast",),
    ),
)
