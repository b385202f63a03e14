"""Facts about an update that is under way while nodecheck looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.model.node import FileState


@dataclass(frozen=True, slots=True)
class UpdateSign:
    """One sign of an update: the thing that shows it, and a sentence with holder and age."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class UpdateStart:
    """The signs that were left when the looking began, after a wait for the update to end.

    ``files`` are the agent's files at that moment, ``waited`` names what was waited for.
    ``unobserved`` tells what could not be looked at, an age below zero among it.
    """

    signs: tuple[UpdateSign, ...]
    unobserved: tuple[str, ...]
    files: tuple[FileState, ...]
    waited: tuple[UpdateSign, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateWindow:
    """Every sign of an update from the beginning to the end of the looking."""

    signs: tuple[UpdateSign, ...]
    unobserved: tuple[str, ...]
