"""What the Region's bucket offers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from nodecheck.aws.release_places import places
from nodecheck.model.agent import Channel, Installation
from nodecheck.model.agent_config import AgentConfig
from nodecheck.model.errors import ProbeError
from nodecheck.model.offer import Listed, Mark, ReleaseFacts, Reply, Stored
from nodecheck.model.version import AgentVersion
from nodecheck.probes import agent_release

BASE = "https://s3.eu-west-1.amazonaws.com/amazon-ssm-eu-west-1"
LINUX = "amazon-ssm-agent-linux-amd64.tar.gz"


def v(text: str) -> AgentVersion:
    return AgentVersion.parse(text)


def manifest(**archives: object) -> bytes:
    """A manifest as AWS writes it, with other packages and archives around the agent's."""
    files = [
        {"Name": "amazon-ssm-agent-linux-386.tar.gz", "AvailableVersions": entries("9.9.9.9")},
        *({"Name": name, "AvailableVersions": listed} for name, listed in archives.items()),
    ]
    updater = [{"Name": LINUX, "AvailableVersions": entries("8.8.8.8")}]
    return json.dumps(
        {
            "SchemaVersion": "1.0",
            "UriFormat": "https://bucket/{PackageName}/{PackageVersion}/{FileName}",
            "Packages": [
                {"Name": "amazon-ssm-agent-updater", "Files": updater},
                {"Name": "amazon-ssm-agent", "Files": files},
            ],
        }
    ).encode()


def entries(*versions: str, status: str = "Active") -> list[dict[str, str]]:
    return [{"Version": text, "Checksum": "0" * 64, "Status": status} for text in versions]


@dataclass
class Bucket:
    """Objects by path, and what was asked for."""

    objects: dict[str, bytes | int | ProbeError]
    days: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __call__(self, method: str, url: str, limit_bytes: int) -> Reply:
        path = url.removeprefix(BASE + "/")
        self.asked.append(f"{method} {path}")
        if method == "HEAD":
            day = self.days.get(path)
            return Reply(200 if day else 403, {"last-MODIFIED": day or ""}, b"")
        found = self.objects.get(path, 403)
        if isinstance(found, ProbeError):
            raise found
        if isinstance(found, int):
            return Reply(found, {}, b"<Error><Code>AccessDenied</Code></Error>")
        if len(found) > limit_bytes:
            msg = "too large"
            raise ProbeError(msg, "too-large")
        return Reply(200, {}, found)


def look(
    bucket: Bucket, installed: str = "3.3.1.0", channel: Channel = Channel.RPM, arch: str = "x86_64"
) -> ReleaseFacts:
    installation = Installation(channel, installed, "", "/usr/bin/amazon-ssm-agent")
    return agent_release.look(bucket, BASE + "/", installation, arch)


def bucket(version: object = b"3.3.3.0\n", listing: object = None) -> Bucket:
    if listing is None:
        listing = manifest(**{LINUX: entries("3.3.1.0", "3.3.2.0", "3.3.3.0")})
    objects = {"latest/VERSION": version, "ssm-agent-manifest.json": listing}
    return Bucket(objects)  # type: ignore[arg-type]


def test_reads_version_manifest_and_days() -> None:
    shelf = bucket()
    day = "Tue, 08 Sep 2026 10:11:12 GMT"
    shelf.days = {f"3.3.{n}.0/linux_amd64/amazon-ssm-agent.rpm": day for n in (1, 2, 3)}
    stored_at = datetime(2026, 9, 8, 10, 11, 12, tzinfo=UTC)
    versions = [v(f"3.3.{n}.0") for n in (1, 2, 3)]
    assert look(shelf) == ReleaseFacts(
        offered=v("3.3.3.0"),
        offered_url=f"{BASE}/latest/VERSION",
        manifest=tuple(Listed(version, Mark.ACTIVE) for version in versions),
        manifest_url=f"{BASE}/ssm-agent-manifest.json",
        stored=tuple(Stored(version, stored_at) for version in versions),
        package_url=f"{BASE}/3.3.3.0/linux_amd64/amazon-ssm-agent.rpm",
        unread=(),
    )


@pytest.mark.parametrize(
    ("installed", "dated"),
    [
        ("3.3.3.0", []),
        ("3.3.4.0", []),
        ("", []),
        ("3.3.2.0", ["3.3.2.0", "3.3.3.0"]),
        ("3.3.1.0", ["3.3.1.0", "3.3.2.0", "3.3.3.0"]),
        ("1.0.0.0", ["1.0.0.0", "3.3.1.0", "3.3.3.0"]),
    ],
)
def test_asks_only_for_the_days_it_needs(installed: str, dated: list[str]) -> None:
    shelf = bucket()
    look(shelf, installed)
    heads = [ask.split()[1].split("/")[0] for ask in shelf.asked if ask.startswith("HEAD")]
    assert heads == dated


@pytest.mark.parametrize(
    ("channel", "arch", "archive", "package"),
    [
        (Channel.RPM, "x86_64", LINUX, "linux_amd64/amazon-ssm-agent.rpm"),
        (Channel.RPM, "aarch64", "amazon-ssm-agent-linux-arm64.tar.gz",
         "linux_arm64/amazon-ssm-agent.rpm"),
        (Channel.DEB, "x86_64", "amazon-ssm-agent-ubuntu-amd64.tar.gz",
         "debian_amd64/amazon-ssm-agent.deb"),
        (Channel.SNAP, "AARCH64", "amazon-ssm-agent-ubuntu-arm64.tar.gz",
         "debian_arm64/amazon-ssm-agent.deb"),
        (Channel.BY_HAND, "i686", "amazon-ssm-agent-linux-386.tar.gz",
         "linux_386/amazon-ssm-agent.rpm"),
        (Channel.WINDOWS, "AMD64", "amazon-ssm-agent-windows-amd64.zip",
         "windows_amd64/AmazonSSMAgentSetup.exe"),
    ],
)  # fmt: skip
def test_names_objects_of_this_platform(
    channel: Channel, arch: str, archive: str, package: str
) -> None:
    content = manifest(**{archive: entries("3.3.3.0")})
    facts = look(bucket(listing=content), "3.3.3.0", channel, arch)
    assert facts.package_url == f"{BASE}/3.3.3.0/{package}"
    assert facts.manifest_url
    assert facts.mark(v("3.3.3.0")) in {Mark.ACTIVE, None}


def test_marks_of_the_manifest() -> None:
    words = {"Active": Mark.ACTIVE, "": Mark.ACTIVE, "Inactive": Mark.INACTIVE,
             "DEPRECATED": Mark.DEPRECATED, "Foo": Mark.OTHER}  # fmt: skip
    listed = [
        {"Version": f"3.3.{n}.0", "Status": word} for n, word in enumerate(words)
    ] + [{"version": "3.3.9.0"}]  # fmt: skip
    found = agent_release.parse_manifest(manifest(**{LINUX: listed}), LINUX)
    assert [item.mark for item in found] == [*words.values(), Mark.ACTIVE]


def test_an_entry_that_is_no_version_is_left_out() -> None:
    content = manifest(**{LINUX: [*entries("1.1", "latest"), *entries("3.3.1.0")]})
    found = agent_release.parse_manifest(content, LINUX)
    assert found == (Listed(v("3.3.1.0"), Mark.ACTIVE),)


def test_decoding_does_not_regard_case() -> None:
    content = manifest(**{LINUX: entries("3.3.1.0", status="Deprecated")})
    for name in (b"Packages", b"Files", b"AvailableVersions", b"Version", b"Status", b"Name"):
        content = content.replace(b'"%s"' % name, b'"%s"' % name.swapcase())
    assert agent_release.parse_manifest(content, LINUX) == (Listed(v("3.3.1.0"), Mark.DEPRECATED),)


GOOD = manifest(**{LINUX: entries("3.3.1.0")})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe\x00garbage",
        "<html>Anmeldung für Gäste 接続</html>".encode(),
        b"[" * 100_000,
        GOOD[:-40],
        GOOD.replace(b"3.3.1.0", b"3.3.1"),
        GOOD.replace(b'"3.3.1.0"', b"3.31"),
        GOOD.replace(b'"Active"', b"1"),
        GOOD.replace(b'"amazon-ssm-agent"', b'"amazon-cloudwatch-agent"'),
        GOOD.replace(LINUX.encode(), b"amazon-ssm-agent-linux-arm64.tar.gz"),
        b'{"Packages": [1]}',
        b'{"Packages": {"Name": "amazon-ssm-agent"}}',
        b'{"Packages": [{"Name": "amazon-ssm-agent", "Files": null}]}',
        b" " * (agent_release.MANIFEST_LIMIT_BYTES + 1),
    ],
)
def test_a_bad_manifest_is_told_and_version_stands(content: bytes) -> None:
    facts = look(bucket(listing=content), "3.3.3.0")
    assert (facts.offered, facts.manifest, facts.manifest_url) == (v("3.3.3.0"), (), "")
    assert len(facts.unread) == 1
    assert "ssm-agent-manifest.json" in facts.unread[0]


BAD_VERSIONS = [
    b"",
    b"3.3.3",
    b"3.3.3.0 4.0.0.0",
    b"v3.3.3.0",
    "\uff13.3.3.0".encode(),
    b"\xff\xfe3.3.3.0",
    b"<html>please log in</html>",
    b"3.3.3.0" + b"\n" * 2000,
    404,
    ProbeError("no route"),
]


@pytest.mark.parametrize("version", BAD_VERSIONS)
def test_without_version_the_newest_active_release_counts(version: object) -> None:
    listed = [*entries("3.3.1.0", "3.3.10.0", "3.3.9.0"), *entries("3.3.11.0", status="Inactive")]
    facts = look(bucket(version, manifest(**{LINUX: listed})))
    assert facts.offered == v("3.3.10.0")
    assert facts.offered_url == facts.manifest_url
    assert "latest/VERSION" in facts.unread[0]


@pytest.mark.parametrize("version", BAD_VERSIONS)
@pytest.mark.parametrize(
    "listing", [b"x", 503, manifest(**{LINUX: entries("3.3.1.0", status="Deprecated")})]
)
def test_with_neither_nothing_is_known(version: object, listing: object) -> None:
    with pytest.raises(ProbeError) as caught:
        look(bucket(version, listing))
    assert caught.value.reason == "release-unreachable"
    assert "VERSION" in str(caught.value)


@pytest.mark.parametrize("day", ["", "yesterday", "Tue, 99 Sep 2026 10:11:12 GMT", "0" * 5000])
def test_a_day_that_is_none_is_told(day: str) -> None:
    shelf = bucket()
    shelf.days = {"3.3.1.0/linux_amd64/amazon-ssm-agent.rpm": day}
    facts = look(shelf)
    assert facts.stored == ()
    assert len(facts.unread) == 3


def test_a_day_in_another_zone_becomes_utc() -> None:
    shelf = bucket()
    shelf.days = {"3.3.1.0/linux_amd64/amazon-ssm-agent.rpm": "Tue, 08 Sep 2026 23:30:00 -0800"}
    assert look(shelf).stored[0].stored_at == datetime(2026, 9, 9, 7, 30, tzinfo=UTC)


REGION_BASE = "https://s3.eu-west-1.amazonaws.com/amazon-ssm-eu-west-1/"


@pytest.mark.parametrize(
    ("setting", "config", "expected"),
    [
        ("", AgentConfig(), (REGION_BASE,)),
        ("https://mirror/x", AgentConfig(s3_endpoint="s3.example"), ("https://mirror/x",)),
        ("", AgentConfig(s3_endpoint="s3.example"),
         ("https://s3.example/amazon-ssm-eu-west-1/", REGION_BASE)),
        ("", AgentConfig(s3_endpoint="http://s3.example:8080/"),
         ("http://s3.example:8080/amazon-ssm-eu-west-1/", REGION_BASE)),
        ("", AgentConfig(service_domain="example.org"),
         ("https://s3.eu-west-1.example.org/amazon-ssm-eu-west-1/", REGION_BASE)),
        ("", AgentConfig(region="cn-north-1"),
         ("https://s3.cn-north-1.amazonaws.com.cn/amazon-ssm-cn-north-1/",)),
    ],
)  # fmt: skip
def test_where_it_asks(setting: str, config: AgentConfig, expected: tuple[str, ...]) -> None:
    assert places(setting, "eu-west-1", config) == expected


@pytest.mark.parametrize("region", ["", "mars", "eu-west-1.evil.example", "eu-west-1/x"])
def test_without_a_region_it_asks_nowhere(region: str) -> None:
    with pytest.raises(ProbeError) as caught:
        places("", region, AgentConfig())
    assert caught.value.reason == "no-region"
