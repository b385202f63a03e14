"""Ask the firmware whose machine this is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.errors import ProbeError
from nodecheck.model.identity import Firmware, is_node_id

if TYPE_CHECKING:
    from nodecheck.host.door import Files

DMI: Final = "/sys/class/dmi/id"
HYPERVISOR_UUID: Final = "/sys/hypervisor/uuid"
LIMIT_BYTES: Final = 4096
AMAZON: Final = "Amazon EC2"
XEN: Final = "Xen"


def look_at_firmware(files: Files) -> Firmware:
    """Return whose machine the firmware (Nitro, bare metal) or the hypervisor (Xen) says this is.

    Earlier instances of EC2 call themselves Xen, like others; only the UUID tells, and what nobody
    may read tells nothing.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/identify_ec2_instances.html
    """
    maker = _line(files, f"{DMI}/sys_vendor")
    uuids = [_line(files, path).lower() for path in (HYPERVISOR_UUID, f"{DMI}/product_uuid")]
    if maker == AMAZON or any(uuid.startswith("ec2") for uuid in uuids):
        tag = _line(files, f"{DMI}/board_asset_tag")
        return Firmware(is_ec2=True, maker=maker or XEN, board_id=tag if is_node_id(tag) else "")
    if maker == XEN and not any(uuids):
        maker = ""
    return Firmware(is_ec2=False, maker="".join(filter(str.isprintable, maker))[:60])


def _line(files: Files, path: str) -> str:
    try:
        return files.read(path, LIMIT_BYTES).decode("utf-8", "replace").strip()
    except ProbeError:
        return ""
