"""Versions of the SSM Agent: four numbers, compared as numbers.

Source of the form: agent/updateutil/updates3util/updates3util.go of aws/amazon-ssm-agent.
Everything else is refused, because a version that is guessed is a wrong one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

_FORM: Final = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})")


@dataclass(frozen=True, slots=True, order=True)
class AgentVersion:
    """One version, as in 3.3.1142.0.

    >>> AgentVersion.parse("3.3.987.0") < AgentVersion.parse("3.3.1142.0")
    True
    """

    major: int
    minor: int
    build: int
    revision: int

    @classmethod
    def parse(cls, text: str) -> AgentVersion:
        """Return the version that this text is, without anything around it.

        Raises:
            ValueError: the text is not four numbers with dots between them.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            msg = f"not a version of four numbers: {text[:40]!r}"
            raise ValueError(msg)
        return cls(*(int(number) for number in match.groups()))

    def __str__(self) -> str:
        """Return the four numbers with dots between them."""
        return f"{self.major}.{self.minor}.{self.build}.{self.revision}"


def releases_behind(
    installed: AgentVersion, offered: AgentVersion, known: Iterable[AgentVersion]
) -> int:
    """Return how many known releases are newer than the installed one, up to the offered one.

    >>> old, new = AgentVersion(3, 3, 1, 0), AgentVersion(3, 3, 9, 0)
    >>> releases_behind(old, new, [old, AgentVersion(3, 3, 5, 0), AgentVersion(4, 0, 0, 0)])
    2
    """
    return len({version for version in (*known, offered) if installed < version <= offered})
