"""Whole runs around an update: what is remembered, and what a held lock keeps back."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import rpm_maker
from tests.updated_node import Run, Versions, outcome

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(bool(rpm_maker.missing()), reason=f"needs {rpm_maker.missing()}")

TOP = Path(__file__).parents[2]
AGENT = "/usr/bin/amazon-ssm-agent"
START = f"{AGENT} 300 & agent=$!; sleep 0.3\n"
RESTART = f"kill $agent; {START}"
FLIP = "printf X | dd of=/usr/bin/ssm-cli bs=1 seek=50000 conv=notrunc status=none\n"
HOLD = """
import fcntl, sys, time
file = open("/var/lib/rpm/.rpm.lock", "w")
fcntl.lockf(file, fcntl.LOCK_EX)
time.sleep(float(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    return Versions.make(tmp_path_factory.mktemp("update"), "3.3.100.0", "3.3.200.0")


@pytest.fixture
def runs(versions: Versions, tmp_path: Path) -> Callable[..., list[Run]]:
    def run(*scripts: str) -> list[Run]:
        only = "agent.signature,agent.files,agent.running"
        return versions.run(
            tmp_path, scripts, NODECHECK_RUN_OFFLINE="true", NODECHECK_RUN_ONLY=only
        )

    return run


def test_an_update_is_a_pending_restart_only_after_a_run_that_verified(
    runs: Callable[..., list[Run]],
) -> None:
    damaged = "printf x > /var/lib/nodecheck/verified.json\n"
    first, updated, restarted, again, aside = runs(
        f"OLD{START}", "NEW", RESTART, f"OLD{RESTART}NEW", damaged
    )
    assert outcome(first, "agent.running") == "ok ok"
    assert outcome(updated, "agent.running") == "warn restart-pending"
    assert "3.3.100.0" in updated["agent.running"]["message"]
    assert outcome(restarted, "agent.running") == "ok ok"
    assert outcome(again, "agent.running") == "warn restart-pending"
    assert outcome(aside, "agent.running") == "crit image-replaced"
    assert all(outcome(run, "agent.files") == "ok ok" for run in (first, updated, restarted))


def test_an_old_image_that_was_never_verified_is_critical(
    runs: Callable[..., list[Run]],
) -> None:
    (found,) = runs(f"OLD{START}NEW")
    assert outcome(found, "agent.running") == "crit image-replaced"


def test_a_held_lock_keeps_back_what_is_bad_and_says_who_holds_it(
    runs: Callable[..., list[Run]],
) -> None:
    python = shlex.quote(sys.executable)
    hold = f"{python} -c {shlex.quote(HOLD)}"
    tampered, locked, released = runs(
        f"OLD{START}{FLIP}",
        f"{hold} 300 & holder=$!; sleep 0.5\n",
        f"kill $holder; {hold} 1.5 & sleep 0.3\n",
    )
    assert outcome(tampered, "agent.files") == "crit digest"
    assert outcome(locked, "agent.files") == "unknown update-in-progress"
    message = locked["agent.files"]["message"]
    for word in ("judged crit", "/usr/bin/ssm-cli", "/var/lib/rpm/.rpm.lock", "which runs for"):
        assert word in message
    assert outcome(locked, "agent.signature") == "ok ok"
    assert outcome(released, "agent.files") == "crit digest"  # looked at after the lock was gone
