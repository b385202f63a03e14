"""The agent's own configuration, read as Go's encoding/json reads it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.model.agent_config import DEFAULT_ORDER, AgentConfig
from nodecheck.model.agent_config_parse import mgs_host
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.node import Platform
from nodecheck.probes.agent_config import LIMIT_BYTES, look, read
from nodecheck.records import replace
from tests.fake_host import FakeFiles, fake_host

PATH = "/etc/amazon/ssm/amazon-ssm-agent.json"
FULL = {
    "Profile": {"ShareCreds": False, "ShareProfile": "ops"},
    "Mds": {"CommandWorkersLimit": 5, "Endpoint": "http://127.0.0.1:8443"},
    "Ssm": {"Endpoint": "http://127.0.0.1:8443", "HealthFrequencyMinutes": 5},
    "Mgs": {"Region": "eu-west-2", "Endpoint": "https://127.0.0.1:8444"},
    "Agent": {"Region": "eu-west-1", "ServiceDomain": "example.test", "SelfUpdate": True},
    "Os": {"Lang": "en-US"},
    "S3": {"Endpoint": "s3.example.test", "Region": "", "LogBucket": ""},
    "Kms": {"Endpoint": "kms.example.test"},
    "Identity": {"ConsumptionOrder": ["OnPrem"], "CustomIdentities": [{"InstanceID": "i-1"}]},
}


def said(document: object) -> AgentConfig:
    return read(json.dumps(document).encode(), PATH)


def test_everything_that_is_known() -> None:
    assert said(FULL) == AgentConfig(
        path=PATH,
        region="eu-west-1",
        service_domain="example.test",
        ssm_endpoint="http://127.0.0.1:8443",
        mds_endpoint="http://127.0.0.1:8443",
        mgs_endpoint="https://127.0.0.1:8444",
        mgs_region="eu-west-2",
        s3_endpoint="s3.example.test",
        kms_endpoint="kms.example.test",
        share_credentials=False,
        share_profile="ops",
        self_update=True,
        order=("OnPrem",),
    )


def test_without_a_file_the_agent_runs_on_its_defaults() -> None:
    assert look(fake_host()) == AgentConfig()


def test_the_folder_beside_the_program_comes_first() -> None:
    files = FakeFiles(
        {
            PATH: b'{"Agent": {"Region": "eu-west-1"}}',
            "/usr/bin/configuration/amazon-ssm-agent.json": b'{"Agent": {"Region": "eu-west-2"}}',
        }
    )
    assert look(fake_host(files)).region == "eu-west-2"


def test_windows_has_a_place_of_its_own() -> None:
    files = FakeFiles(
        {"C:/Program Files/Amazon/SSM/amazon-ssm-agent.json": b'{"Ssm": {"Endpoint": "x"}}'}
    )
    host = replace(fake_host(files), platform=Platform("windows", "Windows", "AMD64"))
    assert look(host).ssm_endpoint == "x"


@pytest.mark.parametrize(
    "content", [Denied(f"{PATH}: permission denied"), b" " * (LIMIT_BYTES + 1), b"[" * 100_000]
)
def test_what_is_there_and_cannot_be_read_is_not_absent(content: bytes | ProbeError) -> None:
    with pytest.raises(ProbeError):
        look(fake_host(FakeFiles({PATH: content})))


@pytest.mark.parametrize(
    ("document", "region"),
    [
        ({"agent": {"REGION": "eu-west-1"}}, "eu-west-1"),
        ({"Agent": {"Region": None}}, ""),
        ({"Agent": None}, ""),
        ({"Agent": {"Nonsense": [1], "Region": "x"}, "More": 7}, "x"),
        (None, ""),
        ({}, ""),
        ({"Agent": {"Region": "\ud800"}}, "?"),
    ],
)
def test_names_without_case_and_unknown_ones_skipped(document: object, region: str) -> None:
    config = said(document)
    assert (config.region, config.refused, config.problems) == (region, "", ())


def test_an_object_that_comes_twice_adds_to_the_first() -> None:
    config = read(
        b'{"Agent": {"Region": "a", "ServiceDomain": "d"}, "agent": {"region": "b"}}', PATH
    )
    assert (config.region, config.service_domain) == ("b", "d")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not JSON"),
        (b'{"Agent": {"Region": "eu-we', "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        ('{"Agent": {}}'.encode("utf-16"), "not JSON"),
        (b'{"Agent": {"Region": NaN}}', "not JSON"),
        (b'{"Agent": {}} x', "not JSON"),
        (b"<config/>", "not JSON"),
        ("{«Agent»: {}}".encode(), "not JSON"),
        (b"[]", "the whole is not an object"),
        (b'{"Agent": "eu-west-1"}', "Agent is not an object"),
        (b'{"Agent": {"Region": 1}}', "Agent.Region is not a string"),
        (b'{"agent": {"selfupdate": "true"}}', "Agent.SelfUpdate is not true or false"),
        (b'{"Ssm": {"HealthFrequencyMinutes": "5"}}', "HealthFrequencyMinutes is not a whole"),
        (b'{"Ssm": {"HealthFrequencyMinutes": 5.0}}', "HealthFrequencyMinutes is not a whole"),
        (b'{"Ssm": {"HealthFrequencyMinutes": true}}', "HealthFrequencyMinutes is not a whole"),
        (b'{"Identity": {"ConsumptionOrder": "EC2"}}', "ConsumptionOrder is not a list"),
        (b'{"Identity": {"ConsumptionOrder": [1]}}', "ConsumptionOrder is not a list"),
    ],
)
def test_what_go_refuses_keeps_the_agent_from_starting(content: bytes, words: str) -> None:
    config = read(content, PATH)
    assert words in config.refused
    assert config.refused.startswith(f"{PATH}: ")
    assert config.refused.endswith("the agent does not start")
    assert len(config.problems) == 1


def test_a_wrong_value_leaves_the_others() -> None:
    config = said({"Agent": {"Region": 7, "ServiceDomain": "d"}, "Ssm": {"Endpoint": "e"}})
    assert (config.region, config.service_domain, config.ssm_endpoint) == ("", "d", "e")
    assert config.order == DEFAULT_ORDER


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("https://a.example:8444", "a.example:8444"),
        ("http://a.example", "a.example"),
        ("a.example", "a.example"),
        ("a.example/path", "a.example"),
        ("127.0.0.1:8444", None),
        ("a.example:443", None),
        ("https://", None),
        ("https://[::1]:1/x", "[::1]:1"),
    ],
)
def test_a_port_without_a_scheme_is_silently_ignored(endpoint: str, host: str | None) -> None:
    assert mgs_host(endpoint) == host
    config = said({"Mgs": {"Endpoint": endpoint}})
    assert bool(config.problems) == (host is None)
    assert not config.refused


@given(st.binary(max_size=200))
def test_the_reader_never_crashes(content: bytes) -> None:
    assert isinstance(read(content, PATH), AgentConfig)
