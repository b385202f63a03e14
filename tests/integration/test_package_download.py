"""The package of an installed deb, fetched from a server: the Region's bucket, or a mirror."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from nodecheck.aws.download import Downloads
from nodecheck.host.here import this_host
from nodecheck.model.agent import Channel, Installation
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.moment import CorrectedTime
from nodecheck.probes import agent_package
from nodecheck.probes.agent_package import Shelves
from nodecheck.records import replace
from tests.archive_maker import CONTROL, FILES, item, make_deb
from tests.aws_logs import Fault
from tests.aws_server import AwsServer
from tests.fake_host import FakeFiles, FakeState
from tests.trust_maker import make_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nodecheck.host.door import Host
    from nodecheck.model.package import ArchiveFacts

KEY = make_key()
DEB = make_deb()
FOLDER = "3.3.200.0/debian_amd64"
NAME = "amazon-ssm-agent.deb"
LOCAL = f"/var/lib/amazon/ssm/update/amazon-ssm-agent/3.3.200.0/{NAME}"
INSTALLED = Installation(
    Channel.DEB, "3.3.200.0", "amazon-ssm-agent_3.3.200.0-1_amd64", "/usr/bin/amazon-ssm-agent"
)


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    folder = tmp_path / "bucket"
    (folder / FOLDER).mkdir(parents=True)
    put(folder / FOLDER, DEB)
    return folder


@pytest.fixture
def server(tmp_path: Path, bucket: Path) -> Iterator[AwsServer]:
    with AwsServer(tmp_path, serve=bucket) as running:
        yield running


def put(folder: Path, deb: bytes, signature: bytes | None = None) -> None:
    (folder / NAME).write_bytes(deb)
    (folder / f"{NAME}.sig").write_bytes(signature or KEY.detached(deb))


def corrected() -> CorrectedTime:
    return CorrectedTime(time.time_ns(), this_host().clock.monotonic_ns(), 0.5, "test")


def host(server: AwsServer, contents: dict[str, bytes | ProbeError] | None = None) -> Host:
    files = FakeFiles(contents or {})
    environment = server.environment()
    return replace(this_host(), files=files, state=FakeState(), environment=environment)


def look(server: AwsServer, node: Host | None = None, **changes: object) -> ArchiveFacts:
    shelves = Shelves("", server.url, str, "/state", False, 5, corrected)  # noqa: FBT003
    shelves = replace(shelves, **changes)  # type: ignore[arg-type]
    return agent_package.look(node or host(server), KEY.ring(), (INSTALLED,), shelves)


def test_the_bucket_has_the_installed_version(server: AwsServer) -> None:
    (package,) = look(server).packages
    assert package.proven
    assert package.source == f"{server.url}/{FOLDER}/{NAME}"


def test_a_mirror_is_asked_before_the_bucket(server: AwsServer, bucket: Path) -> None:
    (bucket / "mirror").mkdir()
    put(bucket / "mirror", DEB)
    mirror = f"{server.url}/mirror"
    (package,) = look(server, package_dir=mirror, release_url="").packages
    assert package.source == f"{mirror}/{NAME}"
    (package,) = look(server, package_dir=f"{server.url}/absent").packages
    assert package.source.startswith(f"{server.url}/3.3")


def test_the_updaters_package_needs_only_its_signature_fetched(
    server: AwsServer, bucket: Path
) -> None:
    (bucket / FOLDER / NAME).unlink()
    (package,) = look(server, host(server, {LOCAL: DEB})).packages
    assert (package.proven, package.source) == (True, LOCAL)


def test_a_half_fetched_package_of_the_updater_is_told_and_passed_over(server: AwsServer) -> None:
    facts = look(server, host(server, {LOCAL: DEB[:-100]}))
    assert facts.packages[0].proven
    assert LOCAL in facts.refused[0]


def test_what_the_bucket_lacks_or_falsifies(server: AwsServer, bucket: Path) -> None:
    put(bucket / FOLDER, DEB[:-1] + b"\1", KEY.detached(DEB))
    facts = look(server)
    assert (facts.packages, facts.unproven[0].reason) == ((), "no-package")
    assert f"{server.url}/{FOLDER}/{NAME}" in facts.refused[0]
    (bucket / FOLDER / NAME).unlink()
    (missing,) = look(server).unproven
    assert missing.reason == "no-package"
    assert f"{server.url}/{FOLDER}/{NAME}: HTTP status 404" in missing.message
    put(bucket / FOLDER, make_deb(CONTROL.replace(b"200.0-1", b"200.0-2")))
    (missing,) = look(server).unproven
    assert "is amazon-ssm-agent_3.3.200.0-2_amd64, installed" in missing.message
    put(bucket / FOLDER, b"signed nonsense")
    (missing,) = look(server).unproven
    assert "not an ar archive" in missing.message
    put(bucket / FOLDER, DEB, b"x" * 70_000)
    (missing,) = look(server).unproven
    assert "larger than 65536" in missing.message


def test_what_is_on_the_node_is_read_before_a_mirror_is_asked(server: AwsServer) -> None:
    node = host(server, {LOCAL: DEB, f"{LOCAL}.sig": KEY.detached(DEB)})
    (package,) = look(server, node, package_dir=f"{server.url}/mirror").packages
    assert (package.proven, package.source, server.requests) == (True, LOCAL, [])


def test_a_broken_offer_does_not_hide_one_by_a_stranger(server: AwsServer) -> None:
    stranger = make_key(1).detached(DEB)
    contents = {f"/srv/{NAME}": DEB, f"/srv/{NAME}.sig": stranger, LOCAL: DEB[:-100]}
    put_first = {f"/srv/{FOLDER}/{NAME}": DEB[:-9], f"/srv/{FOLDER}/{NAME}.sig": b"x"}
    facts = look(server, host(server, {**put_first, **contents}), package_dir="/srv", offline=True)
    assert facts.packages[0].signature.outcome.value == "unknown-key"
    assert f"/srv/{FOLDER}" in facts.refused[0]


def test_a_body_cut_short_is_no_bad_signature(server: AwsServer) -> None:
    server.logs.faults.append(Fault("cut-body"))
    (missing,) = look(server).unproven
    assert missing.reason == "no-package"
    assert "IncompleteRead" in missing.message


def test_a_slow_server_is_left_in_time(server: AwsServer) -> None:
    server.logs.faults.append(Fault("drip"))
    started = time.monotonic()
    (missing,) = look(server, limit_s=0.7).unproven
    assert (missing.reason, time.monotonic() - started < 1.5) == ("timeout", True)


def test_what_was_refused_is_told_although_another_place_is_late(server: AwsServer) -> None:
    stranger = make_key(1).detached(DEB)
    node = host(server, {f"/srv/{NAME}": DEB, f"/srv/{NAME}.sig": stranger})
    server.logs.faults.append(Fault("drip"))
    facts = look(server, node, package_dir="/srv", limit_s=0.7)
    assert facts.packages[0].signature.outcome.value == "unknown-key"


def test_without_region_network_or_version_nothing_is_asked(server: AwsServer) -> None:
    for changes in ({"offline": True}, {"release_url": ""}):
        (missing,) = look(server, **changes).unproven
        assert missing.reason == "no-package"
    odd = replace(INSTALLED, version="", package="amazon-ssm-agent_1_amd64")
    shelves = Shelves("", server.url, str, "/state", False, 5, corrected)  # noqa: FBT003
    assert agent_package.look(host(server), KEY.ring(), (odd,), shelves).unproven
    assert server.requests == []


def test_the_regions_own_bucket_is_named(server: AwsServer) -> None:
    (missing,) = look(server, release_url="", region=lambda: "eu-west-1", limit_s=2).unproven
    assert "s3.eu-west-1.amazonaws.com/amazon-ssm-eu-west-1/3.3.200.0" in missing.message


def test_without_a_deb_nothing_is_looked_for(server: AwsServer) -> None:
    rpm = replace(INSTALLED, channel=Channel.RPM)
    shelves = Shelves("", server.url, str, "/state", False, 5, corrected)  # noqa: FBT003
    facts = agent_package.look(host(server), KEY.ring(), (rpm,), shelves)
    assert (facts.packages, facts.unproven, server.requests) == ((), (), [])


class ForeignState(FakeState):
    """A state folder that others can write, or that cannot be written."""

    def write(self, folder: str, name: str, content: bytes) -> None:
        msg = f"{folder}/{name}: No space left on device"
        raise ProbeError(msg, "no-state")

    def set_aside(self, folder: str, name: str) -> str:
        msg = f"{folder}/{name}: Read-only file system"
        raise ProbeError(msg, "no-state")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (ProbeError("/state: mode 0777: others can write it", "no-state"), "others can write it"),
        (ProbeError("/state/manifests.json: larger", "too-large"), "Read-only"),
        (b"{}", "Read-only"),
    ],
)
def test_state_that_cannot_be_used_is_noted(
    server: AwsServer, content: bytes | ProbeError, said: str
) -> None:
    state = ForeignState({"/state/manifests.json": content})
    facts = look(server, replace(host(server), state=state))
    assert facts.packages[0].proven
    assert said in str(facts.notes)
    assert "No space left" in str(facts.notes)


def test_a_manifest_that_grew_too_large_is_not_kept(server: AwsServer, bucket: Path) -> None:
    many = [item(f"./{'n' * 200}/{number}", b"x") for number in range(4000)]
    put(bucket / FOLDER, make_deb(files=(*FILES, *many)))
    node = host(server)
    facts = look(server, node)
    assert facts.packages[0].proven
    assert "not kept for the next run: manifests.json: larger" in str(facts.notes)
    assert node.state.contents == {}  # type: ignore[attr-defined]


def test_a_local_package_that_may_not_be_read_is_told(server: AwsServer) -> None:
    node = host(server, {"/srv/a.deb": b"", f"/srv/{NAME}": Denied("permission denied")})
    (missing,) = look(server, node, package_dir="/srv", offline=True).unproven
    assert f"/srv/{NAME}" in missing.message


def fetched(server: AwsServer, path: str, limit_bytes: int = 10_000) -> bytes:
    with Downloads(host(server), corrected()) as downloads:
        url = f"{server.url}/{path}"
        return b"".join(downloads.stream(url, limit_bytes=limit_bytes, timeout_s=2))


def test_streams_are_bounded_and_stay_on_their_host(server: AwsServer) -> None:
    assert fetched(server, f"{FOLDER}/{NAME}") == DEB
    assert fetched(server, f"redirect?/{FOLDER}/{NAME}") == DEB
    with pytest.raises(ProbeError, match=f"larger than {len(DEB) - 1} bytes"):
        fetched(server, f"{FOLDER}/{NAME}", len(DEB) - 1)
    with pytest.raises(ProbeError, match=r"points to another host, https://evil\.example/"):
        fetched(server, "redirect?https://evil.example/x")
    with pytest.raises(ProbeError, match="more than 3 redirects"):
        fetched(server, "redirect?/redirect?/redirect?/redirect?/redirect?/x")
    with pytest.raises(ProbeError, match="HTTP status 404"):
        fetched(server, "absent")


def test_a_large_file_comes_in_small_pieces(server: AwsServer, bucket: Path) -> None:
    size = 8 * 1024 * 1024
    (bucket / "large").write_bytes(b"x" * size)
    with Downloads(host(server), corrected()) as downloads:
        pieces = downloads.stream(f"{server.url}/large", limit_bytes=size, timeout_s=20)
        sizes = [len(piece) for piece in pieces]
    assert (sum(sizes), max(sizes) <= 65_536) == (size, True)
