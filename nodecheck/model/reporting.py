"""The operator's choices for reports that leave the node."""

from __future__ import annotations

import re

from nodecheck.records import dataclass

_LOG_GROUP = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}")
_NAMESPACE = re.compile(r"(?!AWS/)[A-Za-z0-9._#:/-]{1,256}")


@dataclass(frozen=True, slots=True)
class CloudWatchPolicy:
    """Where and how one report is sent to CloudWatch Logs.

    ``region`` empty means: the Region of the node. ``timeout_s`` is the time for the whole delivery
    with its retries. ``create_log_group`` allows a missing log group to be made. ``by_status`` adds
    the dimension set [Platform, Status] to the metric Runs: four more billed series for each
    platform. ``per_node`` adds metrics with the dimension NodeId, three billed series for each node
    (cloudwatch-metrics).
    ``fleet_nodes`` is a size of the fleet for which a dry run names the price, 0: some.
    ``agent_credentials`` allows the SSM Agent's own, where botocore's chain finds none.
    """

    region: str = ""
    log_group: str = "/nodecheck"
    namespace: str = "NodeCheck"
    timeout_s: float = 60.0
    create_log_group: bool = False
    by_status: bool = True
    per_node: bool = False
    fleet_nodes: int = 0
    agent_credentials: bool = False

    def __post_init__(self) -> None:
        """Refuse names that CloudWatch refuses, and times that cannot be waited for."""
        if not _LOG_GROUP.fullmatch(self.log_group):
            msg = f"not a log group name: {self.log_group!r}"
            raise ValueError(msg)
        if not _NAMESPACE.fullmatch(self.namespace):
            msg = f"not a metric namespace: {self.namespace!r}"
            raise ValueError(msg)
        _check_timeout(self.timeout_s)


@dataclass(frozen=True, slots=True)
class CompliancePolicy:
    """Where one report is sent as the compliance of its node, and where that is remembered.

    ``region`` empty means: the Region of the node. ``narrowed`` names the flag that left checks out
    of this run, '' where none did: a list that is not whole would hide what is wrong.
    """

    region: str = ""
    timeout_s: float = 60.0
    state_folder: str = ""
    narrowed: str = ""
    agent_credentials: bool = False

    def __post_init__(self) -> None:
        """Refuse a time that cannot be waited for."""
        _check_timeout(self.timeout_s)


def _check_timeout(timeout_s: float) -> None:
    if not 0 < timeout_s <= 60:  # noqa: PLR2004 - the cap of facts: 4 attempts, 60 s
        msg = f"timeout_s is {timeout_s}, allowed is more than 0 and at most 60"
        raise ValueError(msg)
