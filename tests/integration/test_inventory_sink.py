"""The inventory file in a real folder: owner, mode, whole content, and what stops it."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from nodecheck.host.here import this_host
from nodecheck.model.errors import SinkError
from nodecheck.records import replace
from nodecheck.sinks import inventory
from tests.reports import report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nodecheck.model.report import Report

if sys.platform == "win32":
    pytest.skip("owners and modes of POSIX", allow_module_level=True)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may write the agent's files")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the agent's folder of a node that this machine is not."""
    import shutil
    from pathlib import Path

    data = Path("/var/lib/amazon/ssm")
    made = next((item for item in reversed([data, *data.parents]) if not item.exists()), None)
    node = data / "i-0fedcba9876543210"
    (node / "inventory").mkdir(parents=True, mode=0o700)
    yield node / "inventory"
    shutil.rmtree(made or node)


def made() -> Report:
    told = report()
    return replace(told, node=replace(told.node, node_id="i-0fedcba9876543210"))


def test_the_file_is_roots_own_and_whole(place: Path) -> None:
    for _ in range(2):
        told = inventory.deliver(made(), this_host())
    file = place / "custom" / "NodeCheck.json"
    assert told.detail == str(file)
    assert (file.stat().st_uid, file.stat().st_mode & 0o7777) == (0, 0o600)
    assert (place / "custom").stat().st_mode & 0o7777 == 0o700
    assert json.loads(file.read_text())["TypeName"] == "Custom:NodeCheck"
    assert list((place / "custom").iterdir()) == [file]


def test_a_link_in_its_place_is_replaced_not_followed(place: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (place / "custom").mkdir(mode=0o700)
    (place / "custom" / "NodeCheck.json").symlink_to(victim)
    (place / "custom" / ".NodeCheck.json.new").symlink_to(victim)
    inventory.deliver(made(), this_host())
    assert victim.read_text() == "mine"
    assert not (place / "custom" / "NodeCheck.json").is_symlink()


def test_a_folder_that_leads_elsewhere_is_not_written_to(place: Path, tmp_path: Path) -> None:
    (place / "custom").symlink_to(tmp_path)
    with pytest.raises(SinkError, match="not a folder"):
        inventory.deliver(made(), this_host())
    assert not list(tmp_path.iterdir())


def test_a_folder_of_somebody_else_is_not_written_to(place: Path) -> None:
    os.chown(place, 65534, 0)
    with pytest.raises(SinkError, match="owner 65534"):
        inventory.deliver(made(), this_host())


def test_a_read_only_disk_is_said(place: Path) -> None:
    (place / "custom").mkdir()
    (place / "custom" / ".NodeCheck.json.new").mkdir()  # cannot be unlinked
    with pytest.raises(SinkError, match=r"NodeCheck\.json: Is a directory"):
        inventory.deliver(made(), this_host())
