"""WinVerifyTrust of the lane, and what nodecheck makes of its answers.

Wine's WinVerifyTrust tells a missing signature and a wrong digest, and calls everything else good:
the chain that it leaves behind is right all the same. Nothing here shows that real Windows trusts a
file; what is shown is that nodecheck does not trust one because Wine does.
"""

# ruff: noqa: E402 - not before it is known that this is Windows

from __future__ import annotations

import ctypes
import hashlib
import os
import struct
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from nodecheck.records import replace

if sys.platform != "win32":
    pytest.skip("WinVerifyTrust is of Windows", allow_module_level=True)

assert sys.platform == "win32"  # for the type checker

import winreg

from nodecheck.checks.agent_authenticode import Timing, judge_program
from nodecheck.host.windows_files import WindowsFiles
from nodecheck.host.wintrust import WinTrust
from nodecheck.model.authenticode import PublisherPolicy
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.trust_codes import Code
from nodecheck.probes.agent_programs import look_at
from nodecheck.trust.authenticode import read_signature
from nodecheck.trust.pe_file import image_digest, read_pe
from tests.fake_host import fake_host
from tests.pe_cases import CASES
from tests.pe_maker import Signing, signed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.model.authenticode import ProgramFact

FOLDER: Final = os.environ.get("NODECHECK_PE_CASES", "")
with_cases = pytest.mark.skipif(
    not FOLDER, reason="NODECHECK_PE_CASES names no folder; scripts/windows test makes it"
)

# What Wine 8 gets wrong: it does not know ECDSA, and neither timestamps nor revocation.
TOO_STRICT: Final = {"ecdsa_ts", "expired_ts"}
TOO_MILD: Final = {"revoked_ts"}

ROOTS: Final = r"SOFTWARE\Microsoft\SystemCertificates\Root\Certificates"


def look_at_case(name: str) -> ProgramFact:
    return look(f"{FOLDER}/pe/{name}.exe")


@pytest.fixture(scope="module", autouse=True)
def _trusted_root() -> Iterator[None]:
    """Have the lane trust the root of the cases; a process reads its roots once, at its first."""
    if not FOLDER:
        yield
        return
    der = Path(FOLDER, "pki/root.der").read_bytes()
    thumbprint = hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()
    # CERT_CERT_PROP_ID, encoding, length (MS-GPEF 2.2.1.2)
    blob = struct.pack("<III", 32, 1, len(der)) + der
    place = f"{ROOTS}\\{thumbprint}"
    with winreg.CreateKey(winreg.HKEY_LOCAL_MACHINE, place) as key:
        winreg.SetValueEx(key, "Blob", 0, winreg.REG_BINARY, blob)
    yield
    winreg.DeleteKey(winreg.HKEY_LOCAL_MACHINE, place)


def look(path: str) -> ProgramFact:
    """Look at a file as the probe does, by the real files and the real WinVerifyTrust."""
    host = replace(fake_host(), files=WindowsFiles(), programs=WinTrust())
    found = look_at(host, path.replace("\\", "/"))
    assert found is not None, path
    return found


def judge(found: ProgramFact) -> str:
    """Return why a file is refused, 'ok' where it is not."""
    timing = Timing(datetime.now(UTC), is_clock_right=True)
    problem = judge_program(found, PublisherPolicy(), timing)
    return problem.finding.reason if problem else "ok"


@with_cases
@pytest.mark.parametrize("name", CASES)
def test_what_is_good_passes_and_nothing_else(name: str) -> None:
    """Of all that Wine calls good only what it cannot know of slips through: revocation."""
    case, reason = CASES[name], judge(look_at_case(name))
    expected = (case.accept and name not in TOO_STRICT) or name in TOO_MILD
    assert (reason == "ok") is expected, reason
    if case.reason:
        assert reason == case.reason


@with_cases
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("good_ts", Code.GOOD),
        ("plain", Code.NO_SIGNATURE),
        ("dir_zeroed", Code.NO_SIGNATURE),
        ("tamper_text", Code.BAD_DIGEST),
        ("big_tamper", Code.BAD_DIGEST),
        ("transplant", Code.BAD_DIGEST),
    ],
)
def test_the_codes_that_wine_can_tell(name: str, code: int) -> None:
    answer = look_at_case(name).answer
    assert answer is not None
    assert answer.code == code


@with_cases
def test_the_state_names_signer_and_chain() -> None:
    for name, errors in (("untrusted_ts", 0x10000), ("selfsigned_nots", 0x20), ("tamper_cert", 8)):
        found = look_at_case(name)
        assert found.answer is not None
        assert found.answer.chain_errors is not None
        assert found.answer.chain_errors & errors
        if found.signature:
            assert found.answer.signer_sha256 == found.signature.certificate.sha256


def test_reads_a_real_signature() -> None:
    """The interpreter is signed by the Python Software Foundation, with a timestamp."""
    found = look(sys.executable)
    assert found.signature is not None
    assert found.signature.certificate.organizations == ("Python Software Foundation",)
    assert found.signature.timestamped
    assert found.answer is not None
    assert found.answer.code == Code.GOOD
    assert found.answer.signer_sha256 == found.signature.certificate.sha256
    assert judge(found) == "wrong-publisher"


def test_reads_every_program_of_the_interpreter() -> None:
    folder = Path(sys.executable).parent
    files = [*folder.glob("*.dll"), *folder.glob("DLLs/*.pyd"), *folder.glob("DLLs/*.dll")]
    assert len(files) > 20
    for file in files:
        with WinTrust().open(file.as_posix()) as program:
            structure = read_pe(program)
            signature = read_signature(structure.signature)
            digest = image_digest(program, structure, signature.digest_algorithm).hex()
            assert digest == signature.digest, file


def test_a_file_made_without_any_tool(tmp_path: Path) -> None:
    """The maker of the unit tests writes what Windows, too, reads as a signature."""
    file = tmp_path / "made.exe"
    file.write_bytes(signed(how=Signing()))
    found = look(str(file))
    assert found.signature is not None
    assert found.answer is not None
    assert found.answer.code != Code.NO_SIGNATURE


@pytest.mark.parametrize("name", ["with blank.exe", "ünïcode-程序.exe", "x" * 200 + ".exe"])
def test_names_of_files(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    folder = tmp_path
    if len(name) > 100:
        folder = tmp_path / ("y" * 100)
        Path(f"\\\\?\\{folder}").mkdir()
        file = folder / name
    Path(f"\\\\?\\{file}").write_bytes(Path(sys.executable).read_bytes())
    found = look(str(file))
    assert found.answer is not None
    assert found.answer.code == Code.GOOD


def test_nobody_writes_to_a_file_while_it_is_open(tmp_path: Path) -> None:
    file = tmp_path / "held.exe"
    file.write_bytes(b"MZ")
    trust = WinTrust()
    with trust.open(file.as_posix()) as program:
        with pytest.raises(PermissionError):
            file.write_bytes(b"other")
        with pytest.raises(PermissionError):
            file.unlink()
        assert program.read_at(0, 10) == b"MZ"
    file.write_bytes(b"other")
    with file.open("r+b"), pytest.raises(ProbeError), trust.open(file.as_posix()):
        pass


def test_what_is_not_there(tmp_path: Path) -> None:
    trust = WinTrust()
    with pytest.raises(Absent), trust.open(f"{tmp_path.as_posix()}/none.exe"):
        pass
    with pytest.raises(ProbeError), trust.open(tmp_path.as_posix()):
        pass


def test_the_state_is_closed_again() -> None:
    def handles() -> int:
        count = ctypes.c_ulong()
        kernel = ctypes.WinDLL("kernel32")
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        kernel.GetProcessHandleCount.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
        kernel.GetProcessHandleCount(kernel.GetCurrentProcess(), ctypes.byref(count))
        return count.value

    trust, path = WinTrust(), Path(sys.executable).as_posix()
    for _ in range(3):
        with trust.open(path) as program:
            program.ask()
    before = handles()
    for _ in range(20):
        with trust.open(path) as program:
            program.ask()
    assert handles() <= before + 2
