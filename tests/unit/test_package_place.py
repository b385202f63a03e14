from __future__ import annotations

import pytest

from nodecheck.model.agent import Channel, Installation
from nodecheck.model.package_place import BINARIES, DEB, Place, find_places
from nodecheck.model.setting_values import checked
from nodecheck.model.settings import BY_NAME

INSTALLED = Installation(
    Channel.DEB, "3.3.1.0", "amazon-ssm-agent_3.3.1.0-1_amd64", "/usr/bin/amazon-ssm-agent"
)
BY_HAND = Installation(Channel.BY_HAND, "", "amazon-ssm-agent", "/usr/local/bin/amazon-ssm-agent")
UPDATER = "/var/lib/amazon/ssm/update/amazon-ssm-agent/3.3.1.0"


def packages(installed: Installation, package_dir: str, base: str) -> list[str]:
    return [place.package for place in find_places(installed, package_dir, base)]


def test_places_of_a_deb_in_their_order() -> None:
    url = f"https://b/3.3.1.0/debian_amd64/{DEB}"
    assert find_places(INSTALLED, "/srv/", "https://b/") == (
        Place(f"/srv/3.3.1.0/debian_amd64/{DEB}", f"/srv/3.3.1.0/debian_amd64/{DEB}.sig"),
        Place(f"/srv/{DEB}", f"/srv/{DEB}.sig"),
        Place(f"{UPDATER}/{DEB}", f"{UPDATER}/{DEB}.sig"),
        Place(f"{UPDATER}/{DEB}", f"{url}.sig"),
        Place(url, f"{url}.sig"),
    )
    assert packages(INSTALLED, "", "") == [f"{UPDATER}/{DEB}"]


def test_without_a_version_only_the_operators_folder_is_left() -> None:
    odd = Installation(Channel.DEB, "", "amazon-ssm-agent_1_amd64", "")
    assert packages(odd, "/srv", "https://b") == [f"/srv/{DEB}"]
    assert packages(odd, "", "https://b") == []


def test_places_of_a_copy_made_by_hand_and_of_other_channels() -> None:
    assert packages(BY_HAND, "/srv", "https://b")[:2] == [
        f"/srv/{BINARIES}",
        f"/srv/linux_amd64/{BINARIES}",
    ]
    assert packages(BY_HAND, "", "https://b") == []
    rpm = Installation(Channel.RPM, "3.3.1.0", "x", "")
    assert packages(rpm, "/srv", "https://b") == []


def test_what_needs_the_network() -> None:
    here, there = "/a", "https://b"
    assert not Place(here, here).remote
    assert Place(here, there).remote
    assert Place(there, there).remote


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("/srv/3.3.1.0/x", "3.3.1.0"),
        ("/srv/1.2.3.4.5/x", ""),
        ("/srv/x", ""),
        ("http://192.0.2.7/x", ""),
        ("https://192.0.2.7:8443/3.3.1.0/x", "3.3.1.0"),
    ],
)
def test_the_version_in_a_path(path: str, version: str) -> None:
    assert Place(path, "").version == version


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("", True),
        ("/srv/packages", True),
        ("https://mirror.example/ssm", True),
        ("srv/packages", False),
        ("ftp://mirror.example", False),
    ],
)
def test_the_setting_takes_a_folder_or_a_url(value: str, good: bool) -> None:  # noqa: FBT001
    key = BY_NAME["trust.package_dir"]
    if good:
        assert checked(key, value) == value
    else:
        with pytest.raises(ValueError, match=value):
            checked(key, value)
