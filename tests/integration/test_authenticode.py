"""Signed programs made by mingw and osslsigncode, judged with osslsigncode as the oracle."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from nodecheck.checks.agent_authenticode import Timing, judge_program
from nodecheck.model.authenticode import PublisherPolicy, TrustAnswer
from nodecheck.model.trust_codes import Code
from nodecheck.model.verdict import Status
from nodecheck.probes.agent_programs import look_at
from nodecheck.records import replace
from nodecheck.trust.authenticode import read_signature
from nodecheck.trust.pe_file import StructureError, image_digest, read_pe
from tests.fake_windows import CORE, WindowsNode
from tests.pe_cases import CASES, SIGNER, STAMPS, make_cases, missing_tool
from tests.pe_maker import Bytes

if TYPE_CHECKING:
    from pathlib import Path

    from nodecheck.checks.proof import Problem
    from nodecheck.model.authenticode import ProgramFact

MISSING = missing_tool()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

POLICY = PublisherPolicy()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pe") / "cases"
    make_cases(made)
    return made


def verify(folder: Path, name: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
    root, file = folder / "pki/root.pem", folder / f"pe/{name}.exe"
    roots = ("-CAfile", root, "-TSA-CAfile", root)
    return subprocess.run(
        (SIGNER, "verify", *roots, "-ignore-cdp", *options, "-in", file),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=60,
    )


def is_accepted(folder: Path, name: str, *, with_crl: bool) -> bool:
    lists = folder / "pki/all.crl.pem"
    crl = ("-CRLfile", lists, "-TSA-CRLfile", lists) if with_crl else ("-ignore-crl",)
    return verify(folder, name, *crl).returncode == 0


def look(folder: Path, name: str, answer: TrustAnswer | None = None) -> ProgramFact:
    """Look at a file; without an answer Windows says good of whatever signed it."""
    node = WindowsNode()
    node.files.contents[CORE] = (folder / f"pe/{name}.exe").read_bytes()
    found = look_at(node.host, CORE)
    assert found is not None
    signer = found.signature.certificate.sha256 if found.signature else ""
    answer = answer or TrustAnswer(Code.GOOD, chain_errors=0)
    return replace(found, answer=replace(answer, signer_sha256=signer))


def judge(found: ProgramFact) -> Problem | None:
    return judge_program(found, POLICY, Timing(datetime.now(UTC), is_clock_right=True))


@pytest.mark.parametrize("name", CASES)
def test_the_table_is_what_the_oracle_says(folder: Path, name: str) -> None:
    case = CASES[name]
    assert is_accepted(folder, name, with_crl=False) is case.oracle
    assert is_accepted(folder, name, with_crl=True) is case.oracle_with_crl


@pytest.mark.parametrize("name", CASES)
def test_the_digest_is_the_one_that_the_oracle_calculates(folder: Path, name: str) -> None:
    said = verify(folder, name, "-ignore-crl").stdout
    calculated = re.search(r"Calculated message digest *: ([0-9A-F]+)", said)
    stated = re.search(r"Current message digest *: ([0-9A-F]+)", said)
    source = Bytes((folder / f"pe/{name}.exe").read_bytes())
    try:
        structure = read_pe(source)
        signature = read_signature(structure.signature)
    except StructureError:
        assert not CASES[name].accept
        return
    assert calculated is not None
    assert stated is not None
    own = image_digest(source, structure, signature.digest_algorithm).hex()
    assert own == calculated[1].lower()
    assert signature.digest == stated[1].lower()


@pytest.mark.parametrize("name", CASES)
def test_accepts_what_must_be_accepted_and_nothing_else(folder: Path, name: str) -> None:
    """Windows is played by osslsigncode, which knows the root and the revocation lists."""
    day = STAMPS.get(name)
    stamp = None if day is None else datetime.now(UTC) + timedelta(days=day)
    answer = TrustAnswer(Code.UNTRUSTED_ROOT, chain_errors=0x20)
    if is_accepted(folder, name, with_crl=True):
        answer = TrustAnswer(Code.GOOD, chain_errors=0, countersigned_at=stamp)
    problem = judge(look(folder, name, answer))
    assert (problem is None) is CASES[name].accept, problem


@pytest.mark.parametrize("name", CASES)
def test_a_windows_that_calls_everything_good_is_not_believed(folder: Path, name: str) -> None:
    """As WinVerifyTrust of Wine does: only what a chain or a list could tell slips through."""
    case, problem = CASES[name], judge(look(folder, name))
    only_windows_can_tell = name in {"nointer_nots", "untrusted_ts", "revoked_ts"}
    confirmed_by_windows = name == "expired_ts"
    if confirmed_by_windows:
        assert problem is not None
        assert problem.finding.reason == "timestamp-not-verified"
        return
    assert (problem is None) is (case.accept or only_windows_can_tell), problem
    if problem is not None:
        assert problem.finding.reason == case.reason
        assert problem.status is not Status.WARN
