"""Ask the firmware whose machine this is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.errors import ProbeError
from nodecheck.model.identity import Firmware, is_node_id

if TYPE_CHECKING:
    from nodecheck.host.door import Files, Host
    from nodecheck.host.windows_door import Registry

DMI: Final = "/sys/class/dmi/id"
HYPERVISOR_UUID: Final = "/sys/hypervisor/uuid"
BIOS: Final = r"HKLM\HARDWARE\DESCRIPTION\System\BIOS"
LIMIT_BYTES: Final = 4096
AMAZON: Final = "Amazon EC2"
XEN: Final = "Xen"


def look_at_firmware(host: Host) -> Firmware:
    """Return whose machine this is, by its firmware."""
    if host.platform.system == "windows":
        return _of_registry(host.registry)
    return _of_kernel(host.files)


def _of_registry(registry: Registry) -> Firmware:
    """Return what Windows keeps of the firmware; on Xen only the version names Amazon."""
    maker, version = (_value(registry, name) for name in ("SystemManufacturer", "BIOSVersion"))
    if maker == AMAZON or version.lower().endswith(".amazon"):
        return Firmware(is_ec2=True, maker=maker or XEN)
    if maker == XEN:
        maker = ""
    return Firmware(is_ec2=False, maker="".join(filter(str.isprintable, maker))[:60])


def _value(registry: Registry, name: str) -> str:
    try:
        return registry.text(BIOS, name).strip()
    except ProbeError:
        return ""


def _of_kernel(files: Files) -> Firmware:
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
