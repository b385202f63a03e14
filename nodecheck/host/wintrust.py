"""Ask Windows whom a program is signed by: WinVerifyTrust, and the state that it leaves.

Each file is opened once, for reading, so that nobody can write to it meanwhile, and that handle is
what Windows verifies. No window is shown and the network is not used, because to fetch a root or a
revocation list would change the node: what Windows has not got is told by its code. The first call
asks for revocation of the whole chain, as far as Windows has kept lists; where it has none, a
second one judges without. The state is closed again whatever happened.

Sources: WinVerifyTrust, WINTRUST_DATA, WTHelperProvDataFromStateData, CRYPT_PROVIDER_SGNR of
learn.microsoft.com; wintrust.h, softpub.h and wincrypt.h of the Windows SDK.
"""

# ruff: noqa: E402 - the type checker must know the platform before the imports

from __future__ import annotations

import ctypes
import hashlib
import msvcrt
import os
import sys
from contextlib import contextmanager
from ctypes import wintypes
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from nodecheck.records import dataclass, replace

assert sys.platform == "win32"  # noqa: S101 - tells the type checker which platform this is

from nodecheck.host.windows_calls import KERNEL, failure
from nodecheck.host.windows_paths import native
from nodecheck.host.wintrust_layout import (
    FileInfo,
    ProviderCert,
    ProviderSigner,
    Settings,
    TrustData,
)
from nodecheck.model.authenticode import TrustAnswer
from nodecheck.model.errors import ProbeError
from nodecheck.model.trust_codes import REVOCATION_UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

_INVALID_HANDLE: Final = ctypes.c_void_p(-1).value
_GENERIC_READ: Final = 0x8000_0000
_SHARE_READ: Final = 1
_OPEN_EXISTING: Final = 3
_OPEN_REPARSE_POINT: Final = 0x0020_0000

_GENERIC_VERIFY_V2: Final = bytes.fromhex("6bc5aa0044cdd0118cc200c04fc295ee")
_NOBODY: Final = wintypes.HWND(-1)
"""No user is there to be asked."""
_NO_WINDOW: Final = 2
_FILE: Final = 1
_VERIFY: Final = 1
_CLOSE: Final = 2
_REVOKE_NONE: Final = 0
_REVOKE_WHOLE_CHAIN: Final = 1
_NO_REVOCATION: Final = 0x10
_CHAIN_WITHOUT_ROOT: Final = 0x80
_CACHE_ONLY: Final = 0x1000
_ONE_SIGNATURE: Final = 1
"""WSS_VERIFY_SPECIFIC: the signature of dwIndex, here the first, and no other in its place."""
_FILETIME_START: Final = datetime(1601, 1, 1, tzinfo=UTC)
_CERTIFICATE_LIMIT_BYTES: Final = 64 * 1024


class WinTrust:
    """Opens programs, and asks WinVerifyTrust about them."""

    def __init__(self) -> None:
        """Load the library out of the system's folder, and from nowhere else."""
        # LOAD_LIBRARY_SEARCH_SYSTEM32
        self._wintrust = ctypes.WinDLL("wintrust", winmode=0x800)
        self._wintrust.WinVerifyTrust.argtypes = (
            *(wintypes.HWND, ctypes.c_char_p, ctypes.POINTER(TrustData)),
        )
        self._wintrust.WinVerifyTrust.restype = wintypes.LONG
        self._state = self._wintrust.WTHelperProvDataFromStateData
        self._state.argtypes, self._state.restype = (wintypes.HANDLE,), ctypes.c_void_p
        self._signer = self._wintrust.WTHelperGetProvSignerFromChain
        self._signer.argtypes = (*(ctypes.c_void_p, wintypes.DWORD, wintypes.BOOL, wintypes.DWORD),)
        self._signer.restype = ctypes.POINTER(ProviderSigner)
        self._certificate = self._wintrust.WTHelperGetProvCertFromChain
        self._certificate.argtypes = (ctypes.POINTER(ProviderSigner), wintypes.DWORD)
        self._certificate.restype = ctypes.POINTER(ProviderCert)

    @contextmanager
    def open(self, path: str) -> Iterator[OpenProgram]:
        """Open a program."""
        handle = KERNEL.CreateFileW(
            native(path),
            _GENERIC_READ,
            _SHARE_READ,
            None,
            _OPEN_EXISTING,
            _OPEN_REPARSE_POINT,
            None,
        )
        if handle in {None, _INVALID_HANDLE}:
            raise failure(path)
        descriptor = msvcrt.open_osfhandle(handle, os.O_RDONLY | os.O_BINARY)
        try:
            yield OpenProgram(self, path, descriptor)
        finally:
            os.close(descriptor)

    def ask(self, path: str, handle: int) -> TrustAnswer:
        """Return what Windows says of an open file."""
        first = self._verify(path, handle, _REVOKE_WHOLE_CHAIN, _CHAIN_WITHOUT_ROOT)
        if first.code not in REVOCATION_UNKNOWN:
            return first
        second = self._verify(path, handle, _REVOKE_NONE, _NO_REVOCATION)
        return replace(second, revocation=first.code)

    def _verify(self, path: str, handle: int, revocation: int, flags: int) -> TrustAnswer:
        file = FileInfo(ctypes.sizeof(FileInfo), path, handle, None)
        settings = Settings(ctypes.sizeof(Settings), 0, _ONE_SIGNATURE)
        data = TrustData(
            cbStruct=ctypes.sizeof(TrustData),
            dwUIChoice=_NO_WINDOW,
            fdwRevocationChecks=revocation,
            dwUnionChoice=_FILE,
            pFile=ctypes.pointer(file),
            dwStateAction=_VERIFY,
            dwProvFlags=_CACHE_ONLY | flags,
            pSignatureSettings=ctypes.pointer(settings),
        )
        verify = self._wintrust.WinVerifyTrust
        try:
            code = verify(_NOBODY, _GENERIC_VERIFY_V2, ctypes.byref(data)) & 0xFFFF_FFFF
            return self._read_state(code, data.hWVTStateData)
        finally:
            data.dwStateAction = _CLOSE
            verify(_NOBODY, _GENERIC_VERIFY_V2, ctypes.byref(data))

    def _read_state(self, code: int, state: int | None) -> TrustAnswer:
        provider = self._state(state) if state else None
        signer = self._signer(provider, 0, False, 0) if provider else None  # noqa: FBT003 - BOOL
        if not signer:
            return TrustAnswer(code)
        counter = self._signer(provider, 0, True, 0)  # noqa: FBT003 - as above
        signed_at = None
        if counter and not counter.contents.dwError:
            signed_at = _instant(counter.contents.sftVerifyAsOf)
        chain = signer.contents.pChainContext
        return TrustAnswer(
            code,
            signer_sha256=_digest(self._certificate(signer, 0)),
            chain_errors=chain.contents.dwErrorStatus if chain else None,
            countersigned_at=signed_at,
        )


@dataclass(frozen=True, slots=True)
class OpenProgram:
    """A program that is open."""

    trust: WinTrust
    path: str
    descriptor: int

    @property
    def size(self) -> int:
        """Return its size in bytes."""
        return os.fstat(self.descriptor).st_size

    def read_at(self, offset: int, size: int) -> bytes:
        """Return these bytes."""
        try:
            os.lseek(self.descriptor, offset, os.SEEK_SET)
            parts = list[bytes]()
            while size and (part := os.read(self.descriptor, size)):
                parts.append(part)
                size -= len(part)
        except OSError as exc:
            msg = f"{self.path}: cannot be read ({exc.strerror})"
            raise ProbeError(msg) from exc
        return b"".join(parts)

    def ask(self) -> TrustAnswer:
        """Return what Windows says of this very file."""
        return self.trust.ask(native(self.path), msvcrt.get_osfhandle(self.descriptor))


def _instant(time: wintypes.FILETIME) -> datetime | None:
    ticks = time.dwHighDateTime << 32 | time.dwLowDateTime
    try:
        return _FILETIME_START + timedelta(microseconds=ticks // 10)
    except OverflowError:
        return None


def _digest(found: ctypes._Pointer[ProviderCert]) -> str:
    """Return the SHA-256 of a certificate, '' where there is none."""
    if not found or not found.contents.pCert:
        return ""
    context = found.contents.pCert.contents
    if not context.pbCertEncoded or context.cbCertEncoded > _CERTIFICATE_LIMIT_BYTES:
        return ""
    encoded = ctypes.string_at(context.pbCertEncoded, context.cbCertEncoded)
    return hashlib.sha256(encoded).hexdigest()
