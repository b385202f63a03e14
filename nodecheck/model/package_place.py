"""Where the signed package of an installed agent may be had, in the order of asking."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent import Channel
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.model.agent import Installation

DEB: Final = "amazon-ssm-agent.deb"
BINARIES: Final = "amazon-ssm-agent-binaries.tar.gz"
UPDATER_FOLDER: Final = "/var/lib/amazon/ssm/update/amazon-ssm-agent"
"""The updater keeps the folder of the installed version (agent/updateutil of the agent)."""

_DEB_ARCHITECTURES: Final = {"i386": "386", "armhf": "arm"}
_LINUX_FOLDERS: Final = ("linux_amd64", "linux_arm64", "linux_386", "linux_arm")
_VERSION: Final = re.compile(r"(?<![\d.])\d+(?:\.\d+){3}(?![\d.])")
_HOST: Final = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


@dataclass(frozen=True, slots=True)
class Place:
    """A package file and its detached signature, each an absolute path or an HTTP(S) URL."""

    package: str
    signature: str

    @property
    def remote(self) -> bool:
        """Tell whether the network is needed to look there."""
        return not (self.package.startswith("/") and self.signature.startswith("/"))

    @property
    def version(self) -> str:
        """Return the version that the place is named after, '' where it is not.

        >>> Place("/srv/3.3.987.0/amazon-ssm-agent-binaries.tar.gz", "").version
        '3.3.987.0'
        >>> Place("http://192.0.2.7/ssm/amazon-ssm-agent-binaries.tar.gz", "").version
        ''
        """
        found = _VERSION.findall(_HOST.sub("", self.package))
        return found[-1] if found else ""


def find_places(installed: Installation, package_dir: str, release_base: str) -> tuple[Place, ...]:
    """Return every place for this installation: the operator's, the updater's, the Region's."""
    own = package_dir.rstrip("/")
    if installed.channel is Channel.BY_HAND:
        folders = [own, *(f"{own}/{folder}" for folder in _LINUX_FOLDERS)] if own else []
        return tuple(_beside(f"{folder}/{BINARIES}") for folder in folders)
    version, tail = installed.version, f"{deb_folder(installed.package)}/{DEB}"
    if installed.channel is not Channel.DEB or not version:
        return (_beside(f"{own}/{DEB}"),) if own and installed.channel is Channel.DEB else ()
    places = [_beside(f"{own}/{version}/{tail}"), _beside(f"{own}/{DEB}")] if own else []
    local = f"{UPDATER_FOLDER}/{version}/{DEB}"
    places.append(_beside(local))
    if release_base:
        url = f"{release_base.rstrip('/')}/{version}/{tail}"
        places += [Place(local, f"{url}.sig"), _beside(url)]
    return tuple(places)


def deb_folder(package: str) -> str:
    """Return the bucket's folder for a deb of this name.

    >>> deb_folder("amazon-ssm-agent_3.3.1.0-1_arm64")
    'debian_arm64'
    """
    arch = package.rpartition("_")[2]
    return f"debian_{_DEB_ARCHITECTURES.get(arch, arch)}"


def _beside(package: str) -> Place:
    return Place(package, f"{package}.sig")
