"""The ways in which a run can be told that something went wrong.

What becomes of each is decided in one place, ``run.py`` and ``cli.py``: an unobserved node is
``unknown``, an undelivered report is spooled or said so, a wrong request never starts a run.
"""


class ProbeError(Exception):
    """The node could not be observed: tool absent, timeout, access denied, output not understood.

    The message names what was looked at, where, and why that failed. ``reason`` is the stable code
    that the report carries.
    """

    def __init__(self, message: str, reason: str = "not-observed") -> None:
        """Keep the sentence for people and the code for machines."""
        super().__init__(message)
        self.reason = reason


class Busy(Exception):  # noqa: N818 - a state of the node, not an error
    """Another run holds the lock; the message names it."""


class SinkError(Exception):
    """The report could not be delivered."""


class UsageError(Exception):
    """The command line asks for something impossible."""


class ConfigError(Exception):
    """The settings are wrong; ``problems`` holds one sentence for every mistake found."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        """Keep every problem, so that the operator can mend them in one go."""
        super().__init__("; ".join(problems))
        self.problems = problems


class Absent(ProbeError):  # noqa: N818 - a proven fact, named after the thing
    """The thing looked for is proven not to be there; a probe may turn this into a fact."""


class Denied(ProbeError):  # noqa: N818 - as above
    """This user may not look: running as root (or administrator) would tell."""

    def __init__(self, message: str) -> None:
        """Carry the reason code of a missing permission."""
        super().__init__(message, "no-permission")
