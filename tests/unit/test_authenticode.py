from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509 import CertificateBuilder, Name
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

from nodecheck.checks import agent_authenticode
from nodecheck.checks.agent_authenticode import Timing, judge_program, proven_programs
from nodecheck.checks.authenticode_codes import judge_code
from nodecheck.model.authenticode import (
    ProgramFact,
    PublisherPolicy,
    TrustAnswer,
    WindowsPrograms,
)
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.trust_codes import CHAIN_CODES, Code, effective_code
from nodecheck.model.verdict import SkipReason, Status
from nodecheck.probes import agent_programs
from nodecheck.probes.agent_programs import look_at
from nodecheck.records import replace
from nodecheck.trust.authenticode import read_signature
from nodecheck.trust.der import dotted, read_items
from nodecheck.trust.packets import TrustError
from nodecheck.trust.pe_file import FILE_LIMIT_BYTES, StructureError
from tests import pe_maker
from tests.fake_windows import CORE, FakeProgram, WindowsNode, good
from tests.pe_maker import AMAZON, NOW, Signing, amazon, make_identity, name, root, signed

POLICY = PublisherPolicy()
TIMING = Timing(NOW, is_clock_right=True)
OTHER = make_identity(name("Acme Ltd", "Acme Ltd"), root())
CONFUSING = make_identity(name(AMAZON, "Totally Not Amazon"), root())
EXPIRED = make_identity(name(AMAZON), root(), days=(-400, -30))
EARLY = make_identity(name(AMAZON), root(), days=(30, 400))
LIFETIME = make_identity(
    name(AMAZON), root(), days=(-400, -30), usages=(Usage.CODE_SIGNING, pe_maker.LIFETIME)
)
SERVER = make_identity(name(AMAZON), root(), usages=(Usage.SERVER_AUTH,))
USELESS = make_identity(name(AMAZON), root(), usages=())
SELF = make_identity(name(AMAZON))
FORGER = make_identity(name("Root", "Test"), authority=True, usages=())
BELOW_LEAF = make_identity(name("Amazon Services LLC", "Amazon Services LLC"), amazon())
TWO_NAMES = make_identity(Name([*name(AMAZON), *name(AMAZON, "Totally Not Amazon")]), root())


def fact(
    data: bytes = b"", answer: TrustAnswer | ProbeError | None = None, how: Signing | None = None
) -> ProgramFact:
    """Look at a file of these bytes; without an answer Windows says good of everything."""
    how = how or Signing()
    node = WindowsNode()
    node.files.contents[CORE] = data or signed(how=how)
    node.answers[CORE] = answer or good(how.signer)
    found = look_at(node.host, CORE)
    assert found is not None
    return found


def reason(found: ProgramFact, timing: Timing = TIMING, policy: PublisherPolicy = POLICY) -> str:
    problem = judge_program(found, policy, timing)
    return f"{problem.status.value} {problem.finding.reason}" if problem else "ok"


# What the file itself says.


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("with_rsa", [True, False])
def test_a_good_signature(algorithm: str, with_rsa: bool) -> None:  # noqa: FBT001
    signer = make_identity(name(AMAZON), root(), with_rsa=with_rsa)
    oid = "1.2.840.113549.1.1.1" if with_rsa else "1.2.840.10045.2.1"
    how = Signing(signer, algorithm, signature_oid=oid)
    found = fact(how=how)
    assert found.signature is not None
    assert found.signature.digest_algorithm == algorithm
    assert found.signature.certificate.sha256 == signer.sha256
    assert not found.signature.timestamped
    assert reason(found) == "ok"


def test_a_timestamp_is_seen() -> None:
    found = fact(how=Signing(timestamped=True)).signature
    assert found is not None
    assert found.timestamped


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (Signing(digest=bytes(32)), "bad-digest"),
        (Signing(stated=bytes(32)), "bad-signature"),
        (Signing(algorithm="md5"), "weak-digest"),
        (Signing(algorithm="sha1"), "weak-digest"),
        (Signing(content_algorithm="sha1"), "malformed-signature"),
        (Signing(content_algorithm="sha384"), "malformed-signature"),
        (Signing(signers=2), "malformed-signature"),
        (Signing(signers=0), "malformed-signature"),
        (Signing(bag=()), "malformed-signature"),
        (Signing(bag=(root(),)), "malformed-signature"),
        (Signing(bag=(amazon(),) * 31), "malformed-signature"),
        (Signing(bag=(amazon(), FORGER)), "bad-signature"),
        (Signing(BELOW_LEAF, bag=(BELOW_LEAF, amazon(), root())), "bad-signature"),
        (Signing(content_type="1.2.840.113549.1.7.1"), "malformed-signature"),
        (Signing(OTHER), "wrong-publisher"),
        (Signing(CONFUSING), "wrong-publisher"),
        (Signing(TWO_NAMES), "wrong-publisher"),
        (Signing(SELF, bag=(SELF,)), "self-issued"),
        (Signing(SERVER), "wrong-usage"),
        (Signing(USELESS), "wrong-usage"),
        (Signing(EXPIRED), "expired"),
        (Signing(EARLY), "not-yet-valid"),
        (Signing(LIFETIME, timestamped=True), "expired"),
    ],
)
def test_what_windows_calls_good_is_refused_all_the_same(how: Signing, expected: str) -> None:
    assert reason(fact(how=how)) == f"crit {expected}"


def test_pss_is_not_understood_and_not_bad() -> None:
    found = fact(how=Signing(signature_oid="1.2.840.113549.1.1.10"))
    assert reason(found) == "unknown unsupported-signature"


def test_another_key_signed_it() -> None:
    forged = replace(amazon(), key=OTHER.key)
    assert reason(fact(how=Signing(forged))) == "crit bad-signature"


def test_the_signature_of_another_file() -> None:
    other = pe_maker.pkcs7(pe_maker.program(b"other"), Signing())
    data = pe_maker.with_table(pe_maker.program(), pe_maker.entry(other))
    assert reason(fact(data)) == "crit bad-digest"


@pytest.mark.parametrize("at", [600, 200, pe_maker.SIZE - 1])
def test_a_changed_byte(at: int) -> None:
    data = bytearray(signed())
    data[at] ^= 1
    assert reason(fact(bytes(data))) == "crit bad-digest"


def test_appended_data_is_refused_although_windows_is_content() -> None:
    assert reason(fact(signed() + bytes(8))) == "crit appended-data"


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\x30\x03\x02\x01", b"\x30\x80\0\0", b"\x30\x02\x05\0" * 9),
        *("Подпись".encode(), b"\x30\x82\x10\0" + bytes(0x1000), bytes(range(256))),
    ],
)
def test_a_damaged_object_is_malformed(data: bytes) -> None:
    with pytest.raises(StructureError) as caught:
        read_signature(data)
    assert caught.value.reason == "malformed-signature"


def test_every_cut_of_the_object_is_refused() -> None:
    data = pe_maker.pkcs7(pe_maker.program(), Signing())
    for size in range(0, len(data), 7):
        with pytest.raises(StructureError):
            read_signature(data[:size])


@pytest.mark.parametrize("data", ["3000" * 1001, "1f00", "3081", "308100", "30820001ff", "30ff"])
def test_der_that_is_not_der(data: str) -> None:
    with pytest.raises(TrustError):
        read_items(bytes.fromhex(data))


@pytest.mark.parametrize("content", [b"", b"\x80", b"\x2a" * 65])
def test_damaged_object_identifiers(content: bytes) -> None:
    with pytest.raises(TrustError):
        dotted(content)


def test_signed_data_of_another_kind() -> None:
    data = pe_maker.pkcs7(pe_maker.program(), Signing())
    kinds = (
        (pe_maker.oid("1.2.840.113549.1.7.2"), pe_maker.oid("1.2.840.113549.1.7.1")),
        (pe_maker.oid("1.3.6.1.4.1.311.2.1.4"), pe_maker.oid("1.3.6.1.4.1.311.2.1.5")),
        (pe_maker.oid("1.2.840.113549.1.9.4"), pe_maker.oid("1.2.840.113549.1.9.3")),
        (pe_maker.oid("2.16.840.1.101.3.4.2.1"), pe_maker.oid("2.16.840.1.101.3.4.2.9")),
    )
    reasons = []
    for old, new in kinds:
        with pytest.raises(StructureError) as caught:
            read_signature(data.replace(old, new))
        reasons.append(caught.value.reason)
    assert reasons == [*["malformed-signature"] * 3, "unsupported-signature"]


def test_a_key_of_another_kind_is_not_understood() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    ours = amazon().certificate
    builder = CertificateBuilder(
        ours.issuer, ours.subject, key.public_key(), ours.serial_number
    ).not_valid_before(NOW - timedelta(days=1))
    odd = builder.not_valid_after(NOW + timedelta(days=1)).sign(root().key, hashes.SHA256())
    how = Signing(replace(amazon(), certificate=odd))
    assert reason(fact(how=how)) == "unknown unsupported-signature"


def test_a_certificate_that_cannot_be_read() -> None:
    data = pe_maker.pkcs7(pe_maker.program(), Signing())
    version = b"\xa0\x03\x02\x01\x02"
    with pytest.raises(StructureError, match="cannot be read"):
        read_signature(data.replace(version, version[:-1] + b"\x06"))


def test_an_object_without_its_parts() -> None:
    signed_data = pe_maker.tlv(0x30, pe_maker.tlv(0x02, b"\1"))
    kind = pe_maker.oid("1.2.840.113549.1.7.2")
    data = pe_maker.tlv(0x30, kind, pe_maker.tlv(0xA0, signed_data))
    with pytest.raises(StructureError, match="expected 4 or more"):
        read_signature(data)


def test_an_old_root_that_does_not_say_that_it_is_one() -> None:
    ours = root().certificate
    builder = CertificateBuilder(
        ours.issuer, ours.subject, root().key.public_key(), ours.serial_number
    ).not_valid_before(NOW - timedelta(days=1))
    bare = builder.not_valid_after(NOW + timedelta(days=1)).sign(root().key, hashes.SHA256())
    how = Signing(bag=(amazon(), replace(root(), certificate=bare)))
    assert reason(fact(how=how)) == "ok"


def test_a_file_too_large_to_be_the_agents_is_not_read() -> None:
    class Huge(FakeProgram):
        @property
        def size(self) -> int:
            return FILE_LIMIT_BYTES + 1

    assert agent_programs._digest(Huge(b"")) == ""


def test_what_was_not_read_is_not_verified() -> None:
    assert reason(ProgramFact(CORE)) == "unknown not-verified"


# What Windows says.

ANSWERS = [
    (Code.NO_SIGNATURE, "crit unsigned"),
    (Code.BAD_DIGEST, "crit bad-digest"),
    (Code.DISTRUSTED, "crit distrusted"),
    (Code.REVOKED, "crit revoked"),
    (Code.REVOKED_CERTIFICATE, "crit revoked"),
    (Code.NOT_TRUSTED, "crit refused-by-policy"),
    (Code.CERTIFICATE_SIGNATURE, "crit bad-signature"),
    (Code.COUNTER_SIGNER, "crit bad-timestamp"),
    (Code.TIME_STAMP, "crit bad-timestamp"),
    (Code.BASIC_CONSTRAINTS, "crit bad-signature"),
    (Code.PATH_LENGTH, "crit bad-signature"),
    (Code.WRONG_USAGE, "crit wrong-usage"),
    (Code.PURPOSE, "crit wrong-usage"),
    (Code.MALFORMED, "crit malformed-signature"),
    (Code.EXPIRED, "crit expired"),
    (Code.NESTING, "crit expired"),
    (Code.UNTRUSTED_ROOT, "unknown untrusted-root"),
    (Code.UNTRUSTED_CA, "unknown untrusted-root"),
    (Code.TEST_ROOT, "unknown untrusted-root"),
    (Code.CHAINING, "unknown chain-incomplete"),
    (Code.NO_REVOCATION_CHECK, "unknown not-verified"),
    (Code.REVOCATION_OFFLINE, "unknown not-verified"),
    (Code.REVOCATION_FAILURE, "unknown not-verified"),
    (Code.NO_REVOCATION_DLL, "unknown not-verified"),
    (Code.SECURITY_SETTINGS, "unknown not-verified"),
    (Code.BAD_ALGORITHM, "unknown not-verified"),
    (0x800B0001, "unknown not-verified"),
    (0x800B0003, "unknown not-verified"),
    (0x800B010B, "unknown not-verified"),
    (0x80092003, "unknown not-verified"),
    (0x7A, "unknown not-verified"),
    (1, "unknown not-verified"),
    (0xFFFFFFFF, "unknown not-verified"),
]


@pytest.mark.parametrize(("code", "expected"), ANSWERS)
def test_every_answer_has_a_meaning(code: int, expected: str) -> None:
    found = fact(answer=replace(good(), code=code))
    assert reason(found) == expected
    assert f"{code:#010x}" in judge_program(found, POLICY, TIMING).finding.message  # type: ignore[union-attr]


def test_every_named_code_is_in_the_table() -> None:
    named = {value for key, value in vars(Code).items() if key.isupper() and value}
    assert named <= {code for code, _ in ANSWERS}


@pytest.mark.parametrize(
    "code", [Code.EXPIRED, Code.NESTING, Code.REVOKED, Code.REVOKED_CERTIFICATE]
)
def test_a_wrong_clock_is_no_proof_of_expiry(code: int) -> None:
    found = fact(answer=replace(good(), code=code))
    assert reason(found, Timing(NOW, is_clock_right=False)) == "unknown clock-wrong"


def test_a_wrong_clock_excuses_no_bad_digest() -> None:
    assert judge_code(Code.BAD_DIGEST, is_clock_right=False)[0] is Status.CRIT


@pytest.mark.parametrize(("bits", "code"), CHAIN_CODES)
def test_a_good_answer_does_not_outweigh_the_chain_behind_it(bits: int, code: int) -> None:
    answer = replace(good(), chain_errors=bits)
    assert effective_code(answer) == code
    assert reason(fact(answer=answer)) != "ok"


@pytest.mark.parametrize("errors", [0x1, 0x2, 0x40, 0x0100_0000])
def test_errors_of_time_and_revocation_are_judged_elsewhere(errors: int) -> None:
    assert reason(fact(answer=replace(good(), chain_errors=errors))) == "ok"


def test_a_good_answer_needs_the_state_behind_it() -> None:
    assert reason(fact(answer=TrustAnswer(0))) == "unknown not-verified"
    assert reason(fact(answer=replace(good(), chain_errors=None))) == "unknown not-verified"
    assert reason(fact(answer=replace(good(), signer_sha256=""))) == "unknown not-verified"


def test_windows_must_have_judged_the_same_certificate() -> None:
    assert reason(fact(answer=good(OTHER))) == "crit signer-differs"


def test_windows_that_does_not_answer() -> None:
    assert reason(fact(answer=ProbeError("no wintrust.dll"))) == "unknown not-verified"


# At which time.

STAMP = NOW - timedelta(days=100)


@pytest.mark.parametrize(
    ("signer", "countersigned_at", "now", "expected"),
    [
        (amazon(), None, NOW, "ok"),
        (amazon(), None, None, "unknown time-not-known"),
        (amazon(), STAMP, None, "ok"),
        (EXPIRED, STAMP, NOW, "ok"),
        (EXPIRED, STAMP, None, "ok"),
        (EXPIRED, NOW - timedelta(days=5), NOW, "crit expired"),
        (EXPIRED, NOW - timedelta(days=500), NOW, "crit not-yet-valid"),
        (EXPIRED, None, NOW, "unknown timestamp-not-verified"),
        (EXPIRED, None, STAMP, "ok"),
        (EARLY, None, NOW, "unknown timestamp-not-verified"),
        (amazon(), NOW + timedelta(days=2), NOW, "crit dated-in-future"),
        (amazon(), NOW + timedelta(hours=23), NOW, "ok"),
        (LIFETIME, STAMP, NOW, "crit expired"),
        (LIFETIME, STAMP, None, "unknown time-not-known"),
        (LIFETIME, STAMP, STAMP, "ok"),
    ],
)
def test_validity_is_judged_at_the_time_that_windows_confirmed(
    signer: pe_maker.Identity, countersigned_at: object, now: object, expected: str
) -> None:
    how = Signing(signer, timestamped=True)
    answer = replace(good(signer), countersigned_at=countersigned_at)  # type: ignore[arg-type]
    found = fact(answer=answer, how=how)
    assert reason(found, Timing(now, is_clock_right=False)) == expected  # type: ignore[arg-type]


# Publishers.


def test_the_operator_names_the_publishers() -> None:
    acme = fact(how=Signing(OTHER))
    assert reason(acme, policy=PublisherPolicy(("Acme Ltd",))) == "ok"
    assert reason(fact(), policy=PublisherPolicy(("Acme Ltd",))) == "crit wrong-publisher"
    assert reason(fact(), policy=PublisherPolicy(())) == "crit wrong-publisher"


@pytest.mark.parametrize("text", ["amazon.com services llc", f"{AMAZON} ", f"Not {AMAZON}"])
def test_names_are_matched_whole(text: str) -> None:
    signer = make_identity(name(text, text), root())
    assert reason(fact(how=Signing(signer))) == "crit wrong-publisher"


# The verdict.


def programs(*facts: ProgramFact) -> WindowsPrograms:
    return WindowsPrograms(facts)


def test_ok_has_its_evidence() -> None:
    verdict = agent_authenticode.judge(programs(fact()), POLICY, TIMING)
    assert verdict.status is Status.OK
    evidence = {item.name: item.value for item in verdict.evidence}
    assert evidence["certificate_sha256"] == (amazon().sha256,)
    assert evidence["digest"] == ("sha256",)
    assert evidence["answers"] == ("amazon-ssm-agent.exe 0x00000000 chain 0x0",)
    assert "revocation_not_checked" not in evidence


def test_revocation_that_was_not_checked_is_said() -> None:
    answer = replace(good(), revocation=Code.REVOCATION_OFFLINE)
    verdict = agent_authenticode.judge(programs(fact(answer=answer)), POLICY, TIMING)
    assert verdict.status is Status.OK
    evidence = {item.name: item.value for item in verdict.evidence}
    assert evidence["revocation_not_checked"] == ("amazon-ssm-agent.exe 0x80092013",)


def test_the_worst_executable_decides() -> None:
    unsure = fact(answer=replace(good(), code=Code.UNTRUSTED_ROOT))
    verdict = agent_authenticode.judge(
        programs(fact(), unsure, fact(how=Signing(OTHER))), POLICY, TIMING
    )
    assert (verdict.status, verdict.reason) == (Status.CRIT, "wrong-publisher")
    assert [item.reason for item in verdict.findings] == ["wrong-publisher", "untrusted-root"]
    assert verdict.fixes[1].command.startswith("Get-AuthenticodeSignature 'C:\\Program Files")


def test_no_executable_is_a_skip_and_never_ok() -> None:
    verdict = agent_authenticode.judge(programs(), POLICY, TIMING)
    assert verdict.skip_reason is SkipReason.NOT_APPLICABLE


def test_proven_programs() -> None:
    bad = fact(how=Signing(OTHER))
    unsure = fact(answer=TrustAnswer(0))
    proven = fact()
    assert proven_programs(programs(proven), POLICY, TIMING) == {CORE: proven.sha256}
    assert proven_programs(programs(bad), POLICY, TIMING) == {}
    assert proven_programs(programs(fact(), unsure), POLICY, TIMING) is None


def test_a_locked_or_denied_file_is_unknown() -> None:
    node = WindowsNode()
    node.files.contents[CORE] = Denied(f"{CORE}: access denied")
    found = look_at(node.host, CORE)
    assert found is not None
    assert reason(found) == "unknown not-observed"


@pytest.mark.parametrize("path", ["//server/share/x.exe", "C:/x.exe:stream", "x.exe", ""])
def test_a_path_that_is_no_local_file_is_not_opened(path: str) -> None:
    found = look_at(WindowsNode().host, path)
    assert found is not None
    assert reason(found) == "unknown not-observed"
