"""The published vulnerabilities of the SSM Agent itself, and the first release without each.

Only what was published about the agent's own code stands here. Advisories about libraries that are
built into it (a list as long as its ``go.mod``) do not: an agent that is up to date has those too.
New rows are added by hand, newest first, with a source; ``CHECKED_ON`` is the day on which the
sources were last looked through.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from nodecheck.model.version import AgentVersion
from nodecheck.records import dataclass


@dataclass(frozen=True, slots=True)
class Advisory:
    """One vulnerability: every version below ``fixed`` has it."""

    advisory_id: str
    title: str
    fixed: AgentVersion
    published: date
    source: str


CHECKED_ON: Final = date(2026, 9, 16)

ADVISORIES: Final = (
    Advisory(
        "CVE-2026-89049",
        "port forwarding reaches denied link-local addresses: the role's credentials leak",
        AgentVersion(3, 3, 4851, 0),
        date(2026, 9, 10),
        "https://aws.amazon.com/security/security-bulletins/2026-107-aws/",
    ),
    Advisory(
        "CVE-2026-81849",
        "aws:downloadContent writes files outside its folder: code execution as root",
        AgentVersion(3, 3, 4515, 0),
        date(2026, 8, 28),
        "https://aws.amazon.com/security/security-bulletins/2026-091-aws/",
    ),
    Advisory(
        "path-traversal-2025",
        "a document's plugin id leads out of the orchestration folder (no CVE was given)",
        AgentVersion(3, 3, 1802, 0),
        date(2025, 4, 8),
        "https://cymulate.com/blog/aws-ssm-agent-plugin-id-path-traversal/",
    ),
    Advisory(
        "CVE-2022-29527",
        "a sudoers file that others can write for a moment: any local user becomes root",
        AgentVersion(3, 1, 1208, 0),
        date(2022, 4, 20),
        "https://nvd.nist.gov/vuln/detail/CVE-2022-29527",
    ),
)


def held_by(version: AgentVersion) -> tuple[Advisory, ...]:
    """Return the vulnerabilities that a version has.

    >>> [item.advisory_id for item in held_by(AgentVersion(3, 3, 4850, 9))]
    ['CVE-2026-89049']
    """
    return tuple(item for item in ADVISORIES if version < item.fixed)
