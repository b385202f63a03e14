"""node.endpoints: which endpoints, by which proxy, and what becomes of each way to fail."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.checks import node_endpoints as check
from nodecheck.model.agent_config import AgentConfig
from nodecheck.model.agent_proxy import AgentProxy, is_direct
from nodecheck.model.endpoints import Endpoint, EndpointFacts, Need, Reach, Sighting
from nodecheck.model.errors import ProbeError
from nodecheck.model.verdict import Status, Verdict
from nodecheck.probes.node_endpoints import look, used
from nodecheck.records import replace
from tests.fake_host import FakeNetwork, fake_host

NOW: Final = datetime(2026, 11, 23, tzinfo=UTC)
NOW_S: Final = int(NOW.timestamp())
DAY: Final = 86400
AMAZON: Final = ("Amazon RSA 2048 M02 (Amazon)", "Amazon Root CA 1 (Amazon)")
ZSCALER: Final = ("Zscaler Intermediate (Zscaler Inc.)", "Zscaler Root CA (Zscaler Inc.)")
CHAIN: Final = ((NOW_S - DAY, NOW_S + DAY, "ssm.eu-west-1.amazonaws.com"),)
FINE: Final = Reach(
    addresses=("52.94.1.2",),
    tls="TLSv1.3",
    chain=CHAIN,
    issuers=AMAZON,
    status=404,
    headers={"x-amzn-requestid": "1"},
)
SERVICES: Final = ("ssm", "ssmmessages", "ec2messages", "s3", "kms", "logs", "monitoring")


def failed(reason: str, message: str = "host:443: bad luck") -> Reach:
    return Reach(reason, message, addresses=("10.0.0.9",))


def facts(config: AgentConfig | None = None, /, **reaches: Reach) -> EndpointFacts:
    endpoints = used(config or AgentConfig(), "eu-west-1")
    sightings = tuple(
        Sighting(item, reaches.get(item.service.replace("-", "_"), FINE)) for item in endpoints
    )
    return EndpointFacts("eu-west-1", "AWS_REGION", sightings)


def judged(now: datetime | None = NOW, /, **reaches: Reach) -> Verdict:
    return check.judge(facts(**reaches), now)


def hosts(config: AgentConfig, region: str = "eu-west-1") -> dict[str, str]:
    return {item.service: item.url for item in used(config, region)}


def test_healthy() -> None:
    verdict = judged()
    assert verdict.status is Status.OK
    assert verdict.message == "ssm, ssmmessages, ec2messages, s3 answer in eu-west-1 (public)"
    seen = {item.name: item.value for item in verdict.evidence}
    assert set(SERVICES) <= set(seen)
    assert seen["ssm"] == (
        "HTTP 404, TLSv1.3, issuer Amazon RSA 2048 M02 (Amazon) < Amazon Root CA 1 (Amazon),"
        " public, 52.94.1.2"
    )
    assert facts().reachable is True


def test_private_addresses_with_amazons_chain_are_a_vpc_endpoint() -> None:
    inside = replace(FINE, addresses=("10.0.1.5", "10.0.2.5"))
    verdict = judged(**dict.fromkeys(SERVICES, inside))
    assert verdict.message.endswith("(VPC endpoint)")
    own = replace(inside, issuers=("Lab (Lab)",))
    config = AgentConfig(ssm_endpoint="https://ssm.lab")
    assert "(private, public)" in check.judge(facts(config, ssm=own), NOW).message


FAILURES: Final = (
    "dns-failed",
    "tcp-refused",
    "tcp-timeout",
    "tcp-unreachable",
    "proxy-unreachable",
    "proxy-refused",
    "proxy-authentication",
    "tls-untrusted",
    "tls-failed",
    "no-reply",
    "bad-url",
)


@pytest.mark.parametrize("reason", FAILURES)
def test_a_needed_endpoint_that_fails_is_crit(reason: str) -> None:
    verdict = judged(ssm=failed(reason))
    assert (verdict.status, verdict.reason) == (Status.CRIT, reason)
    assert verdict.message.startswith("ssm: ")
    assert facts(ssm=failed(reason)).reachable is False


@pytest.mark.parametrize("reason", FAILURES)
def test_one_message_channel_is_enough(reason: str) -> None:
    alone = judged(ssmmessages=failed(reason))
    assert (alone.status, alone.reason) == (Status.WARN, reason)
    assert judged(ec2messages=failed(reason)).status is Status.OK
    both = judged(ssmmessages=failed(reason), ec2messages=failed(reason))
    assert (both.status, both.reason, len(both.findings)) == (Status.CRIT, reason, 1)
    assert both.message.startswith("ssmmessages, ec2messages: ")
    assert facts(ssmmessages=failed(reason)).reachable is True
    assert facts(ssmmessages=failed(reason), ec2messages=failed(reason)).reachable is False


@pytest.mark.parametrize("reason", FAILURES)
def test_the_bucket_is_a_warning_and_the_rest_evidence(reason: str) -> None:
    assert judged(s3=failed(reason)).status is Status.WARN
    verdict = judged(kms=failed(reason), logs=failed(reason), monitoring=failed(reason))
    assert verdict.status is Status.OK
    assert {item.name: str(item.value) for item in verdict.evidence}["kms"].startswith(reason)


def test_a_bucket_that_denies_is_named() -> None:
    verdict = judged(s3=replace(FINE, status=403))
    assert (verdict.status, verdict.reason) == (Status.WARN, "updates-denied")


@pytest.mark.parametrize("reason", ["proxy-not-understood", "not-observed"])
def test_what_nodecheck_could_not_look_at_is_unknown(reason: str) -> None:
    verdict = judged(ssm=failed(reason))
    assert (verdict.status, verdict.reason) == (Status.UNKNOWN, reason)
    assert judged(s3=failed(reason)).status is Status.UNKNOWN
    assert facts(ssm=failed(reason)).reachable is None


def test_a_proxy_that_nobody_could_read_of_excuses() -> None:
    blind = replace(facts(ssm=failed("tcp-timeout")), unread=("/etc/x.conf: permission denied",))
    verdict = check.judge(blind, NOW)
    assert verdict.status is Status.UNKNOWN
    assert {item.reason for item in verdict.findings} == {"tcp-timeout", "proxy-unread"}
    assert blind.reachable is None
    assert check.judge(replace(facts(), unread=blind.unread), NOW).status is Status.OK


@pytest.mark.parametrize(
    ("begins", "ends", "reason"),
    [(-9, -1, "certificate-expired"), (1, 9, "certificate-not-yet-valid")],
)
def test_dates_are_judged_at_corrected_time(begins: int, ends: int, reason: str) -> None:
    link = (NOW_S + begins * DAY, NOW_S + ends * DAY, "x.example")
    dated = replace(FINE, chain=(*CHAIN, link))
    verdict = judged(ssm=dated)
    assert (verdict.status, verdict.reason) == (Status.CRIT, reason)
    assert "2026-11-23 00:00:00 UTC" in verdict.message


def test_without_corrected_time_dates_prove_nothing() -> None:
    verdict = judged(None)
    assert (verdict.status, verdict.reason) == (Status.UNKNOWN, "time-not-known")
    assert judged(None, ssm=failed("dns-failed")).status is Status.CRIT
    plain = Reach(addresses=("127.0.0.1",), status=400)
    lab = dict.fromkeys(("ssm", "ssmmessages", "ec2messages"), plain)
    assert judged(None, **lab).status is Status.OK


PORTALS: Final = {
    "page of a proxy that intercepts": replace(
        FINE, issuers=ZSCALER, status=503, headers={"content-type": "text/html"}
    ),
    "redirect": Reach(status=302, headers={"location": "http://portal/"}),
    "page": Reach(status=200, headers={"content-type": "text/html"}),
    "network authentication": Reach(status=511, headers={"content-type": "text/html"}),
    "block page": replace(
        FINE, issuers=ZSCALER, status=403, headers={"content-type": "text/html; charset=utf-8"}
    ),
}


@pytest.mark.parametrize("name", PORTALS)
def test_portals_and_filters_are_not_aws(name: str) -> None:
    verdict = judged(ssm=PORTALS[name])
    assert (verdict.status, verdict.reason) == (Status.CRIT, "not-aws")


ANSWERS: Final = {
    "of AWS": FINE,
    "of S3": replace(
        FINE, status=307, headers={"x-amz-request-id": "1", "content-type": "text/html"}
    ),
    "of AWS by its chain": replace(FINE, status=302, headers={}),
    "of a stand-in": Reach(status=501, headers={"content-type": "text/html"}),
    "of a stand-in that refuses": Reach(status=400),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(name: str) -> None:
    assert judged(ssm=ANSWERS[name]).status is Status.OK


def test_who_intercepts_is_named() -> None:
    untrusted = replace(
        failed("tls-untrusted", "ssm:443: certificate refused: unable to get local issuer"),
        issuers=ZSCALER,
    )
    assert "Zscaler Root CA (Zscaler Inc.)" in judged(ssm=untrusted).message
    trusted = replace(FINE, issuers=ZSCALER)
    verdict = judged(ssm=trusted, kms=trusted)
    assert (verdict.status, verdict.reason) == (Status.WARN, "intercepted")
    assert verdict.message.startswith("ssm: ssm.eu-west-1.amazonaws.com")
    assert "Zscaler Root CA" in verdict.message


@pytest.mark.parametrize(
    "issuer",
    [
        "Amazon RSA 2048 M02 (Amazon)",
        "Starfield Services Root (Starfield Technologies, Inc.)",
        "DigiCert Secure Site Pro CN CA G3 (DigiCert Inc)",
    ],
)
def test_authorities_that_sign_for_aws(issuer: str) -> None:
    assert judged(ssm=replace(FINE, issuers=(issuer,))).status is Status.OK


def test_what_is_merely_presented_is_signed_for_nobody() -> None:
    assert FINE.is_signed_for_aws
    assert not replace(FINE, chain=()).is_signed_for_aws


def test_a_name_that_only_mentions_amazon_is_not_amazons() -> None:
    for issuer in ("Amazon (Evil Corp)", "Amazon", "Evil (Not Amazon)"):
        assert judged(ssm=replace(FINE, issuers=(issuer,))).reason == "intercepted"


def test_own_names_may_be_signed_by_anybody() -> None:
    config = AgentConfig(service_domain="aws.lab.test")
    own = replace(FINE, issuers=("Lab CA (Lab)",))
    found = facts(config, **dict.fromkeys(SERVICES, own))
    assert check.judge(found, NOW).status is Status.OK


def test_what_the_agent_makes_of_its_configuration() -> None:
    ignored = replace(facts(), problems=("/x.json: Mgs.Endpoint is ignored",))
    assert check.judge(ignored, NOW).reason == "agent-config-ignored"
    refused = replace(ignored, refused="/x.json: not JSON: the agent does not start")
    verdict = check.judge(refused, NOW)
    assert (verdict.status, verdict.reason) == (Status.WARN, "agent-config-refused")
    assert len(verdict.findings) == 1


def test_a_proxy_is_mended_where_it_is_named() -> None:
    bad = replace(failed("proxy-authentication"), via="squid:3128")
    found = replace(facts(ssm=bad), proxy_source="/etc/systemd/system/x.d/p.conf")
    commands = [fix.command for fix in check.judge(found, NOW).fixes]
    assert commands == ["systemctl edit amazon-ssm-agent", "systemctl restart amazon-ssm-agent"]
    snap = replace(found, proxy_source="/etc/systemd/system/snap.amazon-ssm-agent.x.d/p.conf")
    assert "snap.amazon-ssm-agent" in check.judge(snap, NOW).fixes[0].command


def test_the_way_through_a_proxy_is_said() -> None:
    proxied = replace(FINE, via="squid:3128", addresses=("10.0.0.2",))
    verdict = judged(**dict.fromkeys(SERVICES, proxied))
    assert verdict.message.endswith("(through the proxy squid:3128)")
    assert "10.0.0.2" not in repr(verdict)
    denied = judged(s3=replace(proxied, status=403))
    assert "s3.eu-west-1.amazonaws.com through the proxy squid:3128: HTTP 403" in denied.message


@pytest.mark.parametrize(
    ("addresses", "network"),
    [
        ((), ""),
        (("10.0.0.1",), "private"),
        (("100.64.0.1", "fd00::1%eth0"), "private"),
        (("52.94.1.2", "2600::1"), "public"),
        (("10.0.0.1", "52.94.1.2"), "mixed"),
        (("junk",), "public"),
    ],
)
def test_networks(addresses: tuple[str, ...], network: str) -> None:
    assert Reach(addresses=addresses).network == network


def test_every_reason_code_is_explained() -> None:
    limits = check.EXPLANATION.partition("LIMITS")[2].partition("HOW TO MEND")[0]
    codes = (
        "updates-denied intercepted agent-config-refused agent-config-ignored no-region"
        " time-not-known proxy-unread proxy-not-understood not-observed bad-ca-bundle"
        " certificate-expired certificate-not-yet-valid not-aws"
    )
    for code in [*FAILURES, *codes.split()]:
        assert re.search(rf"(?<![\w-]){code}(?![\w-])", limits), code


@pytest.mark.parametrize(
    ("region", "domain"),
    [
        ("eu-west-1", "amazonaws.com"),
        ("us-gov-west-1", "amazonaws.com"),
        ("cn-north-1", "amazonaws.com.cn"),
        ("us-iso-east-1", "c2s.ic.gov"),
        ("us-isob-east-1", "sc2s.sgov.gov"),
        ("us-isof-south-1", "csp.hci.ic.gov"),
        ("eu-isoe-west-1", "cloud.adc-e.uk"),
        ("eusc-de-east-1", "amazonaws.eu"),
    ],
)
def test_partitions(region: str, domain: str) -> None:
    found = hosts(AgentConfig(), region)
    assert tuple(found) == SERVICES
    assert found["ssm"] == f"https://ssm.{region}.{domain}/"
    assert found["s3"] == f"https://s3.{region}.{domain}/amazon-ssm-{region}/latest/VERSION"


def test_overrides() -> None:
    config = AgentConfig(
        service_domain="lab.test",
        ssm_endpoint="http://127.0.0.1:8443",
        mds_endpoint="127.0.0.1:8443",
        mgs_endpoint="http://127.0.0.1:8444",
        s3_endpoint="s3.lab.test",
        kms_endpoint="https://kms.lab.test",
    )
    assert hosts(config) == {
        "ssm": "http://127.0.0.1:8443",
        "ssmmessages": "https://127.0.0.1:8444",
        "ec2messages": "https://127.0.0.1:8443",
        "s3": "https://s3.eu-west-1.lab.test/amazon-ssm-eu-west-1/latest/VERSION",
        "s3-output": "https://s3.lab.test",
        "kms": "https://kms.lab.test",
        "logs": "https://logs.eu-west-1.lab.test/",
        "monitoring": "https://monitoring.eu-west-1.lab.test/",
    }


def test_an_override_that_the_agent_ignores_is_not_asked() -> None:
    found = hosts(AgentConfig(mgs_endpoint="127.0.0.1:8444", mgs_region="eu-west-2"))
    assert found["ssmmessages"] == "https://ssmmessages.eu-west-2.amazonaws.com/"


@pytest.mark.parametrize("region", ["", "mars", "eu-west-1.evil.example", "eu-west-1/"])
def test_without_a_region_nothing_is_named(region: str) -> None:
    with pytest.raises(ProbeError) as caught:
        used(AgentConfig(), region)
    assert caught.value.reason == "no-region"


def test_overrides_alone_need_no_region() -> None:
    config = AgentConfig(ssm_endpoint="http://a", mds_endpoint="http://b")
    assert list(hosts(config, "")) == ["ssm", "ec2messages"]
    verdict = check.judge(EndpointFacts("", "", ()), NOW)
    assert verdict.status is Status.UNKNOWN


def test_the_agents_region_wins() -> None:
    config = AgentConfig(path="/x.json", region="eu-west-2")
    found = look(fake_host(), config, AgentProxy(), ("eu-west-1", "AWS_REGION"))
    assert (found.region, found.region_source) == ("eu-west-2", "Agent.Region in /x.json")
    assert found.sightings[0].endpoint == Endpoint(
        "ssm", "https://ssm.eu-west-2.amazonaws.com/", Need.CORE
    )


def test_the_agents_proxy_counts_and_not_ours() -> None:
    network = FakeNetwork()
    host = fake_host(network=network, environment={"HTTPS_PROXY": "http://mine:1"})
    proxy = AgentProxy("http://u:secret@squid:3128", "ssm.eu-west-1.amazonaws.com", "/p.conf")
    config = AgentConfig(mds_endpoint="http://lab:1", s3_endpoint="https://[::1")
    found = look(host, config, proxy, ("eu-west-1", ""))
    asked = {target.url: target.proxy for target in network.targets}
    assert asked["https://ssm.eu-west-1.amazonaws.com/"] == ""
    assert asked["https://kms.eu-west-1.amazonaws.com/"] == "http://u:secret@squid:3128"
    assert asked["http://lab:1"] == ""
    assert found.proxy_source == "/p.conf"
    assert "secret" not in repr(check.judge(found, NOW)) + repr(network.targets)


def test_a_proxy_that_could_not_be_looked_for_is_said() -> None:
    found = look(fake_host(), AgentConfig(), ProbeError("too slow"), ("eu-west-1", ""))
    assert found.unread == ("too slow",)


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("", "ssm.a.com", False),
        ("", "localhost", True),
        ("", "127.0.0.9", True),
        ("", "::1", True),
        ("*", "ssm.a.com", True),
        ("b.com,*", "10.0.0.1", True),
        ("a.com", "a.com", True),
        ("a.com", "ssm.a.com", True),
        ("a.com", "ssma.com", False),
        (".a.com", "a.com", False),
        (".a.com", "ssm.a.com", True),
        ("*.a.com", "a.com", False),
        ("*.a.com", "ssm.a.com", True),
        (" A.com , b.com", "ssm.a.com", True),
        ("b.com a.com", "ssm.a.com", False),
        ("a.com:443", "ssm.a.com", True),
        ("a.com:80", "ssm.a.com", False),
        (".a.com:443", "ssm.a.com", True),
        (":443", "ssm.a.com", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.5/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/255.0.0.0", "10.1.2.3", False),
        ("10.0.0.0/99", "10.1.2.3", False),
        ("fd00::/8", "fd00::5", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("10.1.2.3:80", "10.1.2.3", False),
        ("::ffff:10.1.2.3", "10.1.2.3", True),
        ("[fd00::5]:443", "fd00::5", True),
        ("[fd00::5]:80", "fd00::5", False),
        ("fd00::5", "fd00::5", True),
        ("[fd00::5]", "fd00::5", False),
        (".2.3", "10.1.2.3", False),
        ("169.254.169.254", "ssm.a.com", False),
    ],
)
def test_no_proxy_as_go_reads_it(no_proxy: str, host: str, *, direct: bool) -> None:
    assert is_direct(no_proxy, host, 443) is direct


@given(st.text(), st.text())
def test_no_proxy_never_crashes(no_proxy: str, host: str) -> None:
    assert is_direct(no_proxy, host, 443) in {True, False}
