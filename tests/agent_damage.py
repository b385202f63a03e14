"""What is done to an installed agent in the acceptance tables of every package format."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

from tests import rpm_maker
from tests.rpm_maker import CONF

if TYPE_CHECKING:
    from pathlib import Path

AGENT: Final = "usr/bin/amazon-ssm-agent"


def row_00(_shop: object, root: Path) -> None:
    """Nothing."""


def row_07(_shop: object, root: Path) -> None:
    (root / "usr/bin/ssm-session-worker").unlink()


def row_08(_shop: object, root: Path) -> None:
    folder = root / "etc/systemd/system/amazon-ssm-agent.service.d"
    folder.mkdir(parents=True)
    (folder / "x.conf").write_text("[Service]\nExecStart=\nExecStart=/opt/evil\n")


def row_09(_shop: object, root: Path) -> None:
    (root / "usr/local/bin").mkdir(parents=True)
    shutil.copy("/bin/true", root / "usr/local/bin/amazon-ssm-agent")


def row_10(_shop: object, root: Path) -> None:
    (root / AGENT).chmod(0o777)


def row_11(_shop: object, root: Path) -> None:
    (root / "usr/bin").chmod(0o777)


def row_12(_shop: object, root: Path) -> None:
    rpm_maker.run("chown", "65534", root / AGENT)


def row_13(_shop: object, root: Path) -> None:
    (root / AGENT).chmod(0o4755)


def row_14(_shop: object, root: Path) -> None:
    rpm_maker.run("setcap", "cap_sys_admin+ep", root / AGENT)


def row_15(_shop: object, root: Path) -> None:
    (root / AGENT).rename(root / "usr/copy")
    (root / AGENT).symlink_to("../copy")


def row_16(_shop: object, root: Path) -> None:
    (root / "usr/bin").rename(root / "usr/elsewhere")
    (root / "usr/bin").symlink_to("elsewhere")


def row_17(_shop: object, root: Path) -> None:
    os.link(root / AGENT, root / "kept")


def row_18(_shop: object, root: Path) -> None:
    (root / CONF[1:]).write_text("edited by the administrator\n")
