"""The structures of WinVerifyTrust and of the state that it leaves, as far as they are read.

Source: wintrust.h and wincrypt.h of the Windows SDK.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import wintypes

assert sys.platform == "win32"  # noqa: S101 - tells the type checker which platform this is


class FileInfo(ctypes.Structure):
    """WINTRUST_FILE_INFO: the file that is judged."""

    _fields_ = (
        ("cbStruct", wintypes.DWORD),
        ("pcwszFilePath", wintypes.LPCWSTR),
        ("hFile", wintypes.HANDLE),
        ("pgKnownSubject", ctypes.c_void_p),
    )


class Settings(ctypes.Structure):
    """WINTRUST_SIGNATURE_SETTINGS: which of several signatures is judged."""

    _fields_ = (
        ("cbStruct", wintypes.DWORD),
        ("dwIndex", wintypes.DWORD),
        ("dwFlags", wintypes.DWORD),
        ("cSecondarySigs", wintypes.DWORD),
        ("dwVerifiedSigIndex", wintypes.DWORD),
        ("pCryptoPolicy", ctypes.c_void_p),
    )


class TrustData(ctypes.Structure):
    """WINTRUST_DATA, with the member that Windows 8 added."""

    _fields_ = (
        ("cbStruct", wintypes.DWORD),
        ("pPolicyCallbackData", ctypes.c_void_p),
        ("pSIPClientData", ctypes.c_void_p),
        ("dwUIChoice", wintypes.DWORD),
        ("fdwRevocationChecks", wintypes.DWORD),
        ("dwUnionChoice", wintypes.DWORD),
        ("pFile", ctypes.POINTER(FileInfo)),
        ("dwStateAction", wintypes.DWORD),
        ("hWVTStateData", wintypes.HANDLE),
        ("pwszURLReference", wintypes.LPCWSTR),
        ("dwProvFlags", wintypes.DWORD),
        ("dwUIContext", wintypes.DWORD),
        ("pSignatureSettings", ctypes.POINTER(Settings)),
    )


class TrustStatus(ctypes.Structure):
    """CERT_CHAIN_CONTEXT as far as its errors."""

    _fields_ = (
        ("cbSize", wintypes.DWORD),
        ("dwErrorStatus", wintypes.DWORD),
        ("dwInfoStatus", wintypes.DWORD),
    )


class CertContext(ctypes.Structure):
    """CERT_CONTEXT as far as the encoded certificate."""

    _fields_ = (
        ("dwCertEncodingType", wintypes.DWORD),
        ("pbCertEncoded", ctypes.c_void_p),
        ("cbCertEncoded", wintypes.DWORD),
    )


class ProviderCert(ctypes.Structure):
    """CRYPT_PROVIDER_CERT as far as its certificate."""

    _fields_ = (("cbStruct", wintypes.DWORD), ("pCert", ctypes.POINTER(CertContext)))


class ProviderSigner(ctypes.Structure):
    """CRYPT_PROVIDER_SGNR."""

    _fields_ = (
        ("cbStruct", wintypes.DWORD),
        ("sftVerifyAsOf", wintypes.FILETIME),
        ("csCertChain", wintypes.DWORD),
        ("pasCertChain", ctypes.c_void_p),
        ("dwSignerType", wintypes.DWORD),
        ("psSigner", ctypes.c_void_p),
        ("dwError", wintypes.DWORD),
        ("csCounterSigners", wintypes.DWORD),
        ("pasCounterSigners", ctypes.c_void_p),
        ("pChainContext", ctypes.POINTER(TrustStatus)),
    )
