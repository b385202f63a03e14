"""The checks of the node: who it is, by which credentials, and which endpoints it reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks import node_image
from nodecheck.model.image import ImageFacts
from nodecheck.plan import Check

if TYPE_CHECKING:
    from nodecheck.model.verdict import Verdict
    from nodecheck.plan import Bench


def judge_image(bench: Bench) -> Verdict:
    """Return the verdict of this check on what the probes found."""
    is_image = bench.settings.text("run.stage") == "image"
    return node_image.judge(bench.outcomes.get(ImageFacts), is_image=is_image)


NODE_CHECKS: Final[tuple[Check, ...]] = (
    Check(
        "node.image",
        node_image.QUESTION,
        "Every clone of an image acts with what was baked into it.",
        node_image.EXPLANATION,
        (ImageFacts,),
        judge_image,
    ),
)
