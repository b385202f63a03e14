"""Planted secrets are found by rule, file and line, and no part of a value is told anywhere."""

from __future__ import annotations

import json
from argparse import Namespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.checks.hygiene_secrets import EXPLANATION, judge
from nodecheck.model.agent_place import LINUX
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.hygiene import Leak, SecretFacts
from nodecheck.model.node import FileKind
from nodecheck.model.secret_rules import scan
from nodecheck.model.settings import DEFAULTS
from nodecheck.probes import hygiene_secrets as probe
from nodecheck.records import replace
from nodecheck.telling import render
from tests.fake_host import FakeFiles, fake_host, file_state
from tests.hygiene_builders import ID, NODE_ID, ORCHESTRATION
from tests.reports import report

SECRET = "q7Rz/Kd83mWxPb+1LhTnVcYs5oGaJe0uXi2FwZkB"  # noqa: S105 - invented, as all below
KEY_ID = "AKIA" + "Q7RZKD23MWXPBLHT"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA" + SECRET * 3
TOKEN = "ghp_" + "q7RzKd83mWxP" * 3
SLACK = "xoxb-" + "123456789012-q7RzKd83mWxP"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJxN1J6In0.q7RzKd83mWxPb1LhTnVcYs5oGaJe0u"
PASSWORD = "q7Rz-Kd83"  # noqa: S105
SCRIPT = f"{ORCHESTRATION}/{ID}/2026-11-22T12-46-40.213Z/step/_script.sh"
STATE = f"{LINUX.instances}/{NODE_ID}/document/state/current/{ID}"

PLANTED = [
    (f"aws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}", "aws-secret-key"),
    (f"AWS_SECRET_ACCESS_KEY={SECRET}", "aws-secret-key"),
    (f'{{"AccessKeyId":"{KEY_ID}","SecretAccessKey":"{SECRET}"}}', "aws-secret-key"),
    (json.dumps(json.dumps({"SecretAccessKey": SECRET})), "aws-secret-key"),
    (f"login {KEY_ID} {SECRET}", "aws-secret-key"),
    (PEM, "private-key"),
    (json.dumps({"runCommand": [f"echo '{PEM}' > key"]}), "private-key"),
    (PEM.replace("RSA PRIVATE KEY-----\n", "PGP PRIVATE KEY BLOCK-----\n\n"), "private-key"),
    (f"git clone https://{TOKEN}:x@host", "github-token"),
    ("github_pat_" + "q7RzKd83mWxP" * 3, "github-token"),
    (f"curl -H 'Authorization: Bearer {SLACK}'", "slack-token"),
    ("https://hooks.slack.com/services/T0123456/B0123456/q7RzKd83mWxPq7RzKd83mWxP", "slack-token"),
    (f"Bearer {JWT}", "jwt"),
    (f"export DB_PASSWORD='{PASSWORD}'", "password-parameter"),
    (f"mysql -u root --password={PASSWORD}", "password-parameter"),
    (f"mysql -u root --password {PASSWORD}", "password-parameter"),
    (json.dumps({"Parameters": {"Password": [PASSWORD]}}), "password-parameter"),
    (json.dumps(json.dumps({"client_secret": PASSWORD})), "password-parameter"),
    (f"$env:API_KEY = '{PASSWORD}'", "password-parameter"),
    (f"psql postgres://app:{PASSWORD}@db/x", "url-password"),
]


@pytest.mark.parametrize(("text", "rule"), PLANTED)
def test_planted_secrets_are_seen(text: str, rule: str) -> None:
    assert rule in {item.rule for item in scan(f"#!/bin/sh\n\n{text}\n")}
    assert all(item.line >= 3 for item in scan(f"#!/bin/sh\n\n{text}\n"))


@pytest.mark.parametrize(
    "text",
    [
        KEY_ID, "AKIAIOSFODNN7EXAMPLE", f"{KEY_ID} in da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "sha256 " + "a1" * 32, "grep -- '-----BEGIN PRIVATE KEY-----' x", "password: incorrect",
        "Password expired 2026-11-23", "PASSWORD=$1", "PASSWORD=${X}", "PASSWORD=%PW%",
        "PASSWORD=$(aws ssm get-parameter --name /a --with-decryption)", "PASSWORD=`cat /x`",
        "password={{ssm-secure:/a/b}}", "password={{ Password }}", '"Password":{"type":"String"}',
        "--password-stdin", "--password $PW", "--password-file /run/secret7", "password=********",
        "password=<your password>", "password = getpass()", "password=/run/secrets/db1",
        "password: null", '"NextToken":"abcdefgh12345"', "https://user@host:8080/x",
        "git@github.com:org/repo7.git", "http://169.254.169.254:80/latest@x",
        "the password for user7 has expired", "PasswordAuthentication no", "xoxb-", "pwd=`pwd`",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x", "password='arn:aws:ssm:x'",
    ],
)  # fmt: skip
def test_what_is_no_secret_raises_no_alarm(text: str) -> None:
    assert scan(text) == ()


def test_the_keys_of_the_documentation_are_known() -> None:
    example = "AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    (seen,) = scan(example)
    assert seen.is_example
    facts = probe.look(fake_host(FakeFiles({SCRIPT: example.encode()})))
    assert facts.leaks == ()
    verdict = judge(facts)
    assert verdict.status.value == "ok"
    assert f"{SCRIPT} line 1" in repr(verdict.evidence)


def test_a_flood_is_bounded() -> None:
    assert len(scan(f"password={PASSWORD}\n" * 5000)) == 100
    assert scan("eyJ" * 100_000 + "://" * 1000 + "AKIA" * 1000) == ()


EVERYTHING = "\n".join(text for text, _ in PLANTED)
PARTS = [
    value[start : start + 6]
    for value in (SECRET, KEY_ID, TOKEN, SLACK, JWT, PASSWORD)
    for start in (0, len(value) // 2)
]


def planted_node() -> FakeFiles:
    log = f"2026-11-23 12:44:50 INFO [x] started with configuration {EVERYTHING}\n"
    return FakeFiles(
        {
            SCRIPT: EVERYTHING.encode(),
            SCRIPT.replace(".sh", ".ps1"): EVERYTHING.encode("utf-8-sig"),
            STATE: json.dumps({"doc": EVERYTHING}).encode(),
            f"{LINUX.data}/localcommands/submitted/x": EVERYTHING.encode(),
            LINUX.log: log.encode(),
            LINUX.error_log: b"nothing here\n",
        }
    )


def test_no_part_of_a_value_is_in_any_format(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = probe.look(fake_host(planted_node()))
    verdict = judge(facts)
    assert {leak.rule for leak in facts.leaks} == {rule for _, rule in PLANTED}
    assert {leak.path for leak in facts.leaks} >= {SCRIPT, STATE, LINUX.log}
    told = repr(facts) + repr(verdict)
    host = fake_host()
    for name in ("text", "json", "nagios", "prometheus", "junit"):
        options = Namespace(
            format=name, verbose=True, quiet=False, color="never", output=None, dry_run=False
        )
        told += render(host, options, report(verdict))
    for part in PARTS:
        assert part not in told


def test_a_name_that_is_a_secret_is_not_shown() -> None:
    path = f"{ORCHESTRATION}/{ID}/password={PASSWORD}/_script.sh"
    facts = probe.look(fake_host(FakeFiles({path: EVERYTHING.encode()})))
    assert facts.leaks
    broken = FakeFiles({path: ProbeError(f"{path}: I/O error")})
    for told in (repr(facts), repr(probe.look(fake_host(broken)))):
        assert PASSWORD not in told


def test_file_and_line_are_right() -> None:
    script = "#!/bin/sh\necho\nexport PASSWORD=" + PASSWORD + "\n"
    (leak,) = probe.look(fake_host(FakeFiles({SCRIPT: script.encode()}))).leaks
    assert leak == Leak("password-parameter", SCRIPT, 3)


def test_lines_of_a_long_log_are_counted_from_its_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe, "LOG_TAIL_BYTES", 3000)
    monkeypatch.setattr(probe, "PIECE_BYTES", 500)
    monkeypatch.setattr(probe, "OVERLAP_BYTES", 200)
    lines = [f"2026-11-23 12:44:50 INFO line {number}" for number in range(1, 301)]
    lines[259] += f" password={PASSWORD}"
    lines[9] += f" password={PASSWORD}"  # before what is searched
    files = FakeFiles({LINUX.log: ("\n".join(lines) + "\n").encode()})
    (leak,) = probe.look(fake_host(files)).leaks
    assert (leak.line, leak.count) == (260, 1)


def test_links_are_not_followed_and_what_is_no_script_is_not_read() -> None:
    link = file_state("x", kind=FileKind.LINK, target="/etc")
    files = FakeFiles({SCRIPT: EVERYTHING.encode()}, {f"{ORCHESTRATION}/{ID}": link})
    assert probe.look(fake_host(files)).files == 0
    output = SCRIPT.replace("_script.sh", "stdout")
    assert probe.look(fake_host(FakeFiles({output: EVERYTHING.encode()}))).files == 0


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\x00" * 1000, "größe=ü".encode("utf-16")])
def test_any_bytes_can_be_searched(content: bytes) -> None:
    facts = probe.look(fake_host(FakeFiles({SCRIPT: content})))
    assert (facts.leaks, facts.files) == ((), 1)


@pytest.mark.parametrize(
    ("name", "value"), [("FILES_LIMIT", 0), ("LIMIT_S", -1), ("ALL_BYTES", 0), ("FILE_BYTES", 3)]
)
def test_a_limit_that_came_first_is_no_ok(
    monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    monkeypatch.setattr(probe, name, value)
    verdict = judge(probe.look(fake_host(FakeFiles({SCRIPT: b"echo hello"}))))
    assert (verdict.status.value, verdict.reason) == ("unknown", "not-searched")


def test_verdicts() -> None:
    facts = SecretFacts(asked=True, files=3, size=1000)
    assert judge(facts).status.value == "ok"
    assert judge(SecretFacts(asked=True)).reason == "not-applicable"  # nothing there is no ok
    skipped = judge(SecretFacts(asked=False))
    assert skipped.reason == "by-request"
    assert "hygiene.scan_secrets is false" in skipped.message
    leaks = tuple(Leak("jwt", f"/x/{number}", 7, 2) for number in range(30))
    found = judge(replace(facts, leaks=leaks, unread=("/y: I/O error",)))
    assert (found.status.value, found.reason) == ("warn", "plain-secret")
    assert found.findings[0].message == "jwt in /x/0 line 7 (2 lines)"
    assert len(found.findings) == 22
    assert DEFAULTS.switch("hygiene.scan_secrets") is False


def test_who_may_not_look_is_told_so() -> None:
    denied = FakeFiles(states={LINUX.instances: Denied("no"), f"{STATE}/x": file_state("x")})
    with pytest.raises(Denied):
        probe.look(fake_host(denied))
    refused = FakeFiles({SCRIPT: Denied(f"{SCRIPT}: permission denied"), STATE: b"{}"})
    verdict = judge(probe.look(fake_host(refused)))
    assert (verdict.status.value, verdict.reason) == ("unknown", "not-searched")


@given(st.binary(max_size=3000))
def test_any_bytes_end_in_facts(data: bytes) -> None:
    probe.look(fake_host(FakeFiles({SCRIPT: data, LINUX.log: data * 3})))


@pytest.mark.parametrize("code", ["plain-secret", "not-searched", "by-request"])
def test_every_code_is_explained(code: str) -> None:
    assert code in EXPLANATION.partition("LIMITS")[2]
