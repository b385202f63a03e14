from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nodecheck.model.errors import SinkError
from nodecheck.model.report import NodeIdentity
from nodecheck.model.reporting import CloudWatchPolicy
from nodecheck.sinks import cloudwatch
from nodecheck.sinks.emf import emf_line
from nodecheck.sinks.price import estimate
from tests.fake_host import fake_host
from tests.reports import report
from tests.sending import deliver

POLICY = CloudWatchPolicy()
MOMENT_MS = 1_795_446_000_000
ROOT = Path(__file__).parents[2]


def node(node_id: str | None = None, region: str | None = None) -> NodeIdentity:
    return NodeIdentity(node_id, None, region, None, "linux", "Debian", "x86_64")


def test_a_dry_run_shows_the_exact_payload_the_rights_and_the_price() -> None:
    text = cloudwatch.dry_run(report(), POLICY)
    assert emf_line(report(), POLICY, MOMENT_MS) in text.splitlines()
    policy = json.loads(text[text.index("{\n") : text.index("\n}\n") + 2])
    (statement,) = policy["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Action": ["logs:PutLogEvents", "logs:CreateLogStream"],
        "Resource": "arn:aws:logs:eu-central-1:123456789012:log-group:/nodecheck:log-stream:*",
    }
    assert re.findall(r"([\d,]+) nodes?: +([\d,.]+) USD", text) == [
        ("1", "4.20"),
        ("1,000", "9.42"),
        ("100,000", "110.28"),
    ]


def test_a_dry_run_says_what_would_stop_the_delivery() -> None:
    text = cloudwatch.dry_run(report(node=node(), corrected=None), POLICY)
    assert "would be kept, not sent: the true time could not be measured" in text
    assert "would be kept, not sent: the Region is unknown: set node.region or AWS_REGION" in text
    assert '"arn:aws:logs:*:*:log-group:/nodecheck:log-stream:*"' in text


def test_the_right_to_make_groups_is_asked_for_only_where_it_is_used() -> None:
    allowed = CloudWatchPolicy(create_log_group=True, region="cn-north-1")
    statements = cloudwatch.iam_policy(report(), allowed)["Statement"]
    assert isinstance(statements, list)
    assert statements[1]["Action"] == ["logs:CreateLogGroup"]
    assert statements[1]["Resource"].startswith("arn:aws-cn:logs:cn-north-1:123456789012:")
    assert "logs:CreateLogGroup" not in cloudwatch.dry_run(report(), POLICY)


@pytest.mark.parametrize("region", ["", None, "mars", "eu-west-1.evil.example"])
def test_without_a_region_nothing_is_sent(region: str | None) -> None:
    made = report(node=node("i-0", region))
    with pytest.raises(SinkError, match="Region"):
        deliver(made, POLICY, fake_host())


@pytest.mark.parametrize(
    ("node_id", "stream"),
    [
        ("mi-0123456789abcdef0", "mi-0123456789abcdef0"),
        ("a:b*c d\n", "a-b-c-d-"),
        ("", "run-01JD0000000000000000000000"),
        (None, "run-01JD0000000000000000000000"),
        ("x" * 600, "x" * 512),
    ],
)
def test_the_stream_is_named_after_the_node(node_id: str | None, stream: str) -> None:
    assert cloudwatch.stream_name(report(node=node(node_id))) == stream


@pytest.mark.parametrize(
    "wrong",
    [
        {"log_group": "/node check"},
        {"log_group": ""},
        {"log_group": "x" * 513},
        {"namespace": "AWS/EC2"},
        {"namespace": "a b"},
        {"timeout_s": 0},
        {"timeout_s": 61},
        {"timeout_s": float("nan")},
    ],
)
def test_a_policy_refuses_nonsense(wrong: dict[str, float | str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        CloudWatchPolicy(**wrong)  # type: ignore[arg-type]


def test_a_fleet_pays_for_bytes_and_a_node_for_series() -> None:
    node_price, fleet = estimate(1, 1_374, POLICY), estimate(100_000, 1_374, POLICY)
    assert (node_price.series, fleet.series) == (14, 28)
    assert node_price.series_usd == pytest.approx(4.20)
    assert fleet.logs_usd == pytest.approx(100_000 * 1_460 * 1_400 * 0.502 / 1e9)
    assert estimate(1, 0, CloudWatchPolicy(by_status=False)).series == 10


HEAVY = ("botocore", "requests", "urllib3", "cryptography", "ssl", "certifi", "http.client")


def test_nothing_heavy_is_imported_before_a_delivery() -> None:
    names = "nodecheck.sinks.cloudwatch", "nodecheck.aws.download", "nodecheck.aws.client"
    code = f"import sys, {', '.join(names)}; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, cwd=ROOT
    )
    assert not set(HEAVY) & set(ran.stdout.split())
