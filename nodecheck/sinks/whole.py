"""Keep a run that left checks out from overwriting what a whole run found."""

from __future__ import annotations

from nodecheck.model.errors import SinkError


def refuse_narrowed(flags: str) -> None:
    """Refuse to overwrite, where flags left checks out.

    Raises:
        SinkError: they did.
    """
    if flags:
        msg = (
            f"not sent: {flags} left checks out, and a list that is not whole would overwrite, and "
            "hide, what is wrong with the rest"
        )
        raise SinkError(msg)
