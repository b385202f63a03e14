from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from nodecheck.checks import agent_signature, agent_signing_key
from nodecheck.model.agent import Channel, Installation, InstallFacts
from nodecheck.model.package import PackageFacts, Unproven
from nodecheck.model.trust import (
    KeyFacts,
    PinnedKey,
    SignatureFact,
    SignatureOutcome,
    SignedPackage,
    Trust,
    TrustPolicy,
)
from nodecheck.records import replace

if TYPE_CHECKING:
    from nodecheck.model.verdict import Verdict

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 23, tzinfo=UTC)
POLICY = TrustPolicy()
KEY = PinnedKey("A" * 40, Trust.SSM_AGENT, "SSM Agent", NOW - 200 * DAY, NOW + 200 * DAY)
KEYS = KeyFacts((KEY,))
GOOD = SignatureFact(
    SignatureOutcome.GOOD, "made by a pinned key", "A" * 40, "sha256", NOW - 100 * DAY, KEY
)
PACKAGE = SignedPackage(
    Channel.RPM,
    "amazon-ssm-agent",
    "3.3.1.0",
    "amazon-ssm-agent-3.3.1.0-1.x86_64",
    "x86_64",
    (),
    GOOD,
    "/var/lib/rpm/rpmdb.sqlite",
)
RPM = Installation(Channel.RPM, "3.3.1.0", PACKAGE.label, "/usr/bin/amazon-ssm-agent")
NOTHING = InstallFacts((), ())


def facts(*packages: SignedPackage, unobserved: tuple[str, ...] = ()) -> PackageFacts:
    return PackageFacts(packages, unobserved, "rpmdb.sqlite")


def judge(
    signature: SignatureFact = GOOD,
    keys: KeyFacts = KEYS,
    now: datetime | None = NOW,
    name: str = "amazon-ssm-agent",
) -> Verdict:
    rpm = facts(replace(PACKAGE, signature=signature, name=name))
    return agent_signature.judge(InstallFacts((RPM,), ()), rpm, keys, POLICY, now)


def signed(**changes: object) -> SignatureFact:
    return replace(GOOD, **changes)  # type: ignore[arg-type]


def test_good() -> None:
    verdict = judge()
    assert verdict.status.value == "ok"
    key, day = KEY.fingerprint[-16:], f"{GOOD.created_at:%Y-%m-%d}"
    assert verdict.message == f"signed by SSM Agent, key ...{key}, on {day}"
    names = {item.name: item.value for item in verdict.evidence}
    assert names["digest"] == "sha256"
    assert names["judged_at"] == NOW.isoformat()
    assert "key_expired_since" not in names


def test_key_that_expired_since_is_a_note() -> None:
    old = replace(KEY, expires_at=NOW - DAY)
    verdict = judge(signed(key=old))
    assert verdict.status.value == "ok"
    assert any(item.name == "key_expired_since" for item in verdict.evidence)


OUTCOMES = {
    SignatureOutcome.BAD: ("crit", "bad-signature"),
    SignatureOutcome.UNSIGNED: ("crit", "unsigned"),
    SignatureOutcome.MALFORMED: ("crit", "malformed-signature"),
    SignatureOutcome.UNSUPPORTED: ("unknown", "unsupported-signature"),
    SignatureOutcome.UNKNOWN_KEY: ("crit", "key-not-pinned"),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_no_other_outcome_is_ok(outcome: SignatureOutcome) -> None:
    for now in (NOW, None):
        verdict = judge(SignatureFact(outcome, "said so", "B" * 16), now=now)
        assert verdict.status.value != "ok"
        if now:
            assert (verdict.status.value, verdict.reason) == OUTCOMES[outcome]
            assert verdict.findings[0].message.startswith(PACKAGE.label)
    assert {*OUTCOMES, SignatureOutcome.GOOD} == {*SignatureOutcome}


@pytest.mark.parametrize(
    ("signature", "status", "reason"),
    [
        (signed(algorithm="sha1"), "warn", "weak-digest"),
        (signed(created_at=KEY.created_at), "ok", "ok"),
        (signed(created_at=KEY.created_at - timedelta(seconds=1)), "crit", "dated-before-key"),
        (signed(created_at=NOW + 201 * DAY), "crit", "dated-after-expiry"),
        (signed(key=replace(KEY, distrusted_after=NOW - 101 * DAY)), "crit", "key-distrusted"),
        (signed(key=replace(KEY, distrusted_after=NOW - 99 * DAY)), "ok", "ok"),
        (signed(created_at=NOW + DAY), "ok", "ok"),
        (signed(created_at=NOW + DAY + timedelta(seconds=1)), "crit", "dated-in-future"),
        (signed(algorithm="sha1", created_at=NOW + 201 * DAY), "crit", "dated-after-expiry"),
    ],
)
def test_dates_and_digests(signature: SignatureFact, status: str, reason: str) -> None:
    verdict = judge(signature)
    assert (verdict.status.value, verdict.reason) == (status, reason)
    if status != "ok":
        assert verdict.fixes


def test_package_of_another_name_in_the_agents_place() -> None:
    verdict = judge(name="bash")
    assert (verdict.status.value, verdict.reason) == ("crit", "wrong-package")


STRANGER = SignatureFact(SignatureOutcome.UNKNOWN_KEY, "not pinned", "B" * 40, "sha256", NOW - DAY)


@pytest.mark.parametrize(
    ("days_left", "status", "reason"),
    [
        (61, "crit", "key-not-pinned"),
        (60, "unknown", "key-ring-due"),
        (-5, "unknown", "key-ring-due"),
    ],
)
def test_stranger(days_left: int, status: str, reason: str) -> None:
    keys = KeyFacts((replace(KEY, expires_at=NOW + days_left * DAY),))
    verdict = judge(STRANGER, keys)
    assert (verdict.status.value, verdict.reason) == (status, reason)
    assert "B" * 40 in verdict.message


def test_stranger_without_time_or_ring_is_unknown() -> None:
    assert judge(STRANGER, now=None).reason == "key-ring-due"
    assert judge(STRANGER, KeyFacts(())).reason == "key-ring-due"
    forever = KeyFacts((replace(KEY, expires_at=None),))
    assert judge(STRANGER, forever).reason == "key-not-pinned"


def test_bad_signature_stays_crit_while_the_ring_is_due() -> None:
    keys = KeyFacts((replace(KEY, expires_at=NOW - DAY),))
    assert judge(signed(outcome=SignatureOutcome.BAD), keys).status.value == "crit"


def test_no_agent_is_skipped_and_an_unseen_one_is_not() -> None:
    nothing = facts()
    verdict = agent_signature.judge(NOTHING, nothing, KEYS, POLICY, NOW)
    assert verdict.reason == "not-applicable"
    unseen = InstallFacts((), ("/var/lib/snapd: permission denied",))
    assert agent_signature.judge(unseen, nothing, KEYS, POLICY, NOW).reason == "not-observed"
    damaged = facts(unobserved=("rpmdb.sqlite: header of 0 bytes",))
    assert agent_signature.judge(NOTHING, damaged, KEYS, POLICY, NOW).status.value == "unknown"


def test_installed_by_rpm_but_no_header_is_unknown() -> None:
    verdict = agent_signature.judge(InstallFacts((RPM,), ()), facts(), KEYS, POLICY, NOW)
    assert (verdict.status.value, verdict.reason) == ("unknown", "not-observed")


@pytest.mark.parametrize("channel", [Channel.DEB, Channel.SNAP, Channel.BY_HAND])
def test_other_channels_are_unknown(channel: Channel) -> None:
    install = InstallFacts((replace(RPM, channel=channel),), ())
    verdict = agent_signature.judge(install, facts(), KEYS, POLICY, NOW)
    assert (verdict.status.value, verdict.reason) == ("unknown", "channel-not-verified")
    assert verdict.fixes
    assert "by by-hand" not in verdict.message


def test_another_channel_beside_a_good_rpm_is_unknown() -> None:
    install = InstallFacts((RPM, replace(RPM, channel=Channel.SNAP)), ())
    verdict = agent_signature.judge(install, facts(PACKAGE), KEYS, POLICY, NOW)
    assert verdict.reason == "channel-not-verified"


def test_the_worst_copy_comes_first() -> None:
    bad = replace(PACKAGE, signature=signed(outcome=SignatureOutcome.BAD))
    weak = replace(PACKAGE, signature=signed(algorithm="sha1"))
    rpm = facts(PACKAGE, weak, bad)
    verdict = agent_signature.judge(InstallFacts((RPM,), ()), rpm, KEYS, POLICY, NOW)
    assert (verdict.status.value, verdict.reason) == ("crit", "bad-signature")
    assert len(verdict.findings) == 2


def test_fix_follows_package_and_machine() -> None:
    bad = signed(outcome=SignatureOutcome.BAD)
    for arch, folder in (("aarch64", "linux_arm64"), ("i386", "linux_386"), ("x86_64", "amd64")):
        rpm = facts(replace(PACKAGE, signature=bad, arch=arch))
        verdict = agent_signature.judge(NOTHING, rpm, KEYS, POLICY, NOW)
        assert folder in verdict.fixes[0].command
    rpm = facts(replace(PACKAGE, signature=bad, label="amazon-ssm-agent-3.3.1.0-1.amzn2023.x86_64"))
    verdict = agent_signature.judge(NOTHING, rpm, KEYS, POLICY, NOW)
    assert verdict.fixes[0].command == "yum reinstall -y amazon-ssm-agent"


def test_without_a_key_there_is_no_date_to_refuse() -> None:
    fact = SignatureFact(SignatureOutcome.UNSIGNED, "x")
    assert (fact.refusal, fact.believed, fact.weak) == ("", False, False)


def test_a_key_without_expiry_has_no_such_evidence() -> None:
    verdict = judge(signed(key=replace(KEY, expires_at=None)))
    assert verdict.status.value == "ok"
    assert "key_expires_at" not in [item.name for item in verdict.evidence]


def test_a_good_signature_needs_key_and_date() -> None:
    with pytest.raises(ValueError, match="pinned key"):
        SignatureFact(SignatureOutcome.GOOD, "x")


@pytest.mark.parametrize(
    ("days_left", "status", "reason"),
    [
        (61.0, "ok", "ok"),
        (60.0, "warn", "expiring"),
        (7.01, "warn", "expiring"),
        (7.0, "crit", "expiring"),
        (0.0, "crit", "expiring"),
        (-0.01, "crit", "expired"),
    ],
)
def test_signing_key(days_left: float, status: str, reason: str) -> None:
    keys = KeyFacts((replace(KEY, expires_at=NOW + days_left * DAY),))
    verdict = agent_signing_key.judge(InstallFacts((RPM,), ()), keys, POLICY, NOW)
    assert (verdict.status.value, verdict.reason) == (status, reason)


def test_signing_key_without_time_is_unknown() -> None:
    verdict = agent_signing_key.judge(InstallFacts((RPM,), ()), KEYS, POLICY, None)
    assert (verdict.status.value, verdict.reason) == ("unknown", "time-not-known")


def test_signing_key_that_never_expires_needs_no_time() -> None:
    keys = KeyFacts((replace(KEY, expires_at=None),))
    verdict = agent_signing_key.judge(InstallFacts((RPM,), ()), keys, POLICY, None)
    assert verdict.status.value == "ok"


def test_empty_ring_is_unknown() -> None:
    linux = KeyFacts((replace(KEY, trust=Trust.AMAZON_LINUX),))
    for keys in (KeyFacts(()), linux):
        verdict = agent_signing_key.judge(InstallFacts((RPM,), ()), keys, POLICY, NOW)
        assert (verdict.status.value, verdict.reason) == ("unknown", "empty-ring")


@pytest.mark.parametrize("channel", [None, Channel.SNAP, Channel.WINDOWS])
def test_signing_key_does_not_matter_here(channel: Channel | None) -> None:
    found = (replace(RPM, channel=channel),) if channel else ()
    verdict = agent_signing_key.judge(InstallFacts(found, ()), KEYS, POLICY, NOW)
    assert verdict.reason == "not-applicable"


@pytest.mark.parametrize(
    ("channel", "reason", "fix"),
    [
        (Channel.DEB, "no-package", "/3.3.1.0/debian_arm64/amazon-ssm-agent.deb"),
        (Channel.DEB, "timeout", "nodecheck --deadline"),
        (Channel.BY_HAND, "no-package", "amazon-ssm-agent-binaries.tar.gz"),
        (Channel.SNAP, "no-package", ""),
    ],
)
def test_without_its_package_an_agent_is_unknown_with_what_to_do(
    channel: Channel, reason: str, fix: str
) -> None:
    item = Installation(channel, "3.3.1.0", "amazon-ssm-agent_3.3.1.0-1_arm64", "/usr/bin/x")
    unproven = PackageFacts((), (), "", (Unproven(item, reason, "no package"),))
    verdict = agent_signature.judge(InstallFacts((item,), ()), unproven, KEYS, POLICY, NOW)
    assert (verdict.status.value, verdict.reason) == ("unknown", reason)
    assert [fix in item.command for item in verdict.fixes] == ([True] if fix else [])


def test_rpm_fix_is_not_offered_for_a_deb() -> None:
    bad = signed(outcome=SignatureOutcome.BAD)
    deb = replace(
        PACKAGE, channel=Channel.DEB, label="amazon-ssm-agent_3.3.1.0-1_i386", signature=bad
    )
    verdict = agent_signature.judge(NOTHING, facts(deb), KEYS, POLICY, NOW)
    assert "/3.3.1.0/debian_386/amazon-ssm-agent.deb" in verdict.fixes[0].command
    hand = replace(deb, channel=Channel.BY_HAND)
    assert agent_signature.judge(NOTHING, facts(hand), KEYS, POLICY, NOW).fixes


def test_a_refused_offer_beside_a_good_one_warns() -> None:
    found = replace(facts(PACKAGE), refused=("/srv/x.deb: bad",), notes=("set aside",))
    verdict = agent_signature.judge(InstallFacts((RPM,), ()), found, KEYS, POLICY, NOW)
    assert (verdict.status.value, verdict.reason) == ("warn", "offer-refused")
    assert any(item.name == "notes" for item in verdict.evidence)
