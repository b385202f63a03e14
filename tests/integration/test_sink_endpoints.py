"""Where each sink connects: by botocore's rules for partitions, FIPS, dual-stack, overrides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nodecheck.host.here import this_host
from nodecheck.model.errors import SinkError
from nodecheck.records import replace
from tests import sending
from tests.aws_rules import ACCESS_KEY, SECRET_KEY
from tests.aws_sinks import SINKS, Hasty, effective, true_report
from tests.fake_host import FakeNetwork

if TYPE_CHECKING:
    from nodecheck.host.door import Address
    from tests.aws_sinks import AwsSink


class Names(FakeNetwork):
    """Knows no name, and remembers what was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_up: set[tuple[str, int]] = set()

    def resolve(self, name: str, port: int) -> tuple[Address, ...]:
        self.looked_up.add((name, port))
        return super().resolve(name, port)


def target(sink: AwsSink, region: str) -> tuple[str, int]:
    """Return the one name and port to which a delivery would connect."""
    network = Names()
    host = replace(this_host(), network=network, clock=Hasty())
    settings = effective("/nonexistent", node__region=region)
    made = true_report()
    consignment = sending.consignment(made, sink.queue.render(settings, made), 5)
    with pytest.raises(SinkError, match=f"no answer from {sink.service}: https?://"):
        list(sink.queue.send(host, settings, consignment))
    (found,) = network.looked_up
    return found


@pytest.fixture(autouse=True)
def _no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("AWS_") or "PROXY" in name.upper()]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("HOME", "/nonexistent")


@pytest.mark.parametrize("sink", SINKS, ids=lambda sink: sink.name)
@pytest.mark.parametrize(
    ("region", "environment", "name"),
    [
        ("eu-central-1", {}, "{service}.eu-central-1.amazonaws.com"),
        ("cn-north-1", {}, "{service}.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", {}, "{service}.us-gov-west-1.amazonaws.com"),
        ("us-iso-east-1", {}, "{service}.us-iso-east-1.c2s.ic.gov"),
        ("eusc-de-east-1", {}, "{service}.eusc-de-east-1.amazonaws.eu"),
        (
            "us-east-1",
            {"AWS_USE_FIPS_ENDPOINT": "true"},
            "{service}-fips.us-east-1.amazonaws.com",
        ),
        ("us-east-1", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "{service}.us-east-1.api.aws"),
        (
            "us-east-1",
            {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true"},
            "{service}-fips.us-east-1.api.aws",
        ),
        ("us-east-1", {"AWS_ENDPOINT_URL": "https://all.example"}, "all.example"),
    ],
)
def test_the_endpoint_is_botocores(
    monkeypatch: pytest.MonkeyPatch,
    sink: AwsSink,
    region: str,
    environment: dict[str, str],
    name: str,
) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    expected = name.format(service=sink.host_name)
    if expected == "monitoring-fips.us-gov-west-1.amazonaws.com":
        expected = "monitoring.us-gov-west-1.amazonaws.com"
    assert target(sink, region) == (expected, 443)


@pytest.mark.parametrize("sink", SINKS, ids=lambda sink: sink.name)
def test_an_endpoint_of_one_service_wins_over_that_of_all(
    monkeypatch: pytest.MonkeyPatch, sink: AwsSink
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://all.example")
    monkeypatch.setenv(sink.variable, "http://one.example:8080")
    assert target(sink, "eu-central-1") == ("one.example", 8080)
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert target(sink, "eu-central-1") == (f"{sink.host_name}.eu-central-1.amazonaws.com", 443)
