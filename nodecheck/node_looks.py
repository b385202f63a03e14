"""The probes of the node: who it is, by which credentials, and which endpoints it reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.image import ImageFacts
from nodecheck.plan import Probe
from nodecheck.probes import node_image

if TYPE_CHECKING:
    from nodecheck.plan import Look


def _look_for_leftovers(look: Look) -> ImageFacts:
    """Look only where an image is being built: a node has all of it by right."""
    is_image = look.settings.text("run.stage") == "image"
    return node_image.look(look.host) if is_image else ImageFacts((), ())


NODE_PROBES: Final[tuple[Probe, ...]] = (Probe(ImageFacts, _look_for_leftovers, limit_s=2),)
