"""Make the 38 PE files of the Authenticode acceptance table, with mingw and osslsigncode.

    python -m tests.pe_cases FOLDER

FOLDER/pki gets a throw-away PKI (its root.pem is the one trusted root), FOLDER/pe the files.
Nothing touches a network. ``accept`` is what nodecheck must say where Windows trusts that root and
judges all that it can judge.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.pe_pki import make_pki

COMPILER: Final = "x86_64-w64-mingw32-gcc"
SIGNER: Final = "osslsigncode"
BIG_BYTES: Final = 26_000_000
"""As large as the agent's largest program."""
DAY_S: Final = 86_400
RECENT: Final = -5
WHILE_VALID: Final = -100


@dataclass(frozen=True)
class Case:
    """One file; ``oracle`` and ``with_crl`` are whether osslsigncode accepts it."""

    accept: bool
    oracle: bool
    reason: str = ""
    with_crl: bool | None = None

    @property
    def oracle_with_crl(self) -> bool:
        return self.oracle if self.with_crl is None else self.with_crl


GOOD: Final = Case(accept=True, oracle=True)


def bad(reason: str, *, oracle: bool = False) -> Case:
    return Case(accept=False, oracle=oracle, reason=reason)


# The reason is the one by which nodecheck refuses it even where Windows calls it good, '' where
# only Windows can tell.
CASES: Final = {
    "big_good_ts": GOOD,
    "big_plain": bad("unsigned"),
    "big_tamper": bad("bad-digest"),
    "confus_ts": bad("wrong-publisher", oracle=True),
    "dir_zeroed": bad("unsigned"),
    "ecdsa_ts": GOOD,
    "expired_eviltsa": bad("timestamp-not-verified"),
    "expired_nots": bad("expired"),
    "expired_ts": GOOD,
    "expired_ts_late": bad("timestamp-not-verified"),
    "good_nots": GOOD,
    "good_ts": GOOD,
    "junk_certentry": bad("appended-data"),
    "lifetime_ts": bad("expired", oracle=True),
    "md5_ts": bad("weak-digest", oracle=True),
    "nested_ts": GOOD,
    "noeku_ts": bad("wrong-usage", oracle=True),
    "nointer_nots": bad(""),
    "notyet_nots": bad("not-yet-valid"),
    "otherpub_ts": bad("wrong-publisher", oracle=True),
    "overlay_after": bad("appended-data"),
    "pad3900": bad("appended-data", oracle=True),
    "pagehash_ts": GOOD,
    "plain": bad("unsigned"),
    "revoked_ts": Case(accept=False, oracle=True, with_crl=False),
    "selfsigned_nots": bad("self-issued"),
    "sha1_ts": bad("weak-digest", oracle=True),
    "sha384_ts": GOOD,
    "stripped": bad("unsigned"),
    "tamper_cert": bad("bad-signature"),
    "tamper_checksum": GOOD,
    "tamper_header": bad("bad-digest"),
    "tamper_text": bad("bad-digest"),
    "transplant": bad("bad-digest"),
    "truncated": bad("truncated"),
    "underleaf_ts": bad("self-issued"),
    "untrusted_ts": bad(""),
    "wrongeku_ts": bad("wrong-usage"),
}

# name, leaf, chain sent along, input, digest, day of the timestamp (None: without)
SIGNINGS: Final[tuple[tuple[str, str, str, str, str, int | None], ...]] = (
    ("good_ts", "good", "inter", "plain", "sha256", RECENT),
    ("good_nots", "good", "inter", "plain", "sha256", None),
    ("big_good_ts", "good", "inter", "big_plain", "sha256", RECENT),
    ("pagehash_ts", "good", "inter", "plain", "sha256", RECENT),
    ("sha384_ts", "good", "inter", "plain", "sha384", RECENT),
    ("sha1_ts", "good", "inter", "plain", "sha1", RECENT),
    ("md5_ts", "good", "inter", "plain", "md5", RECENT),
    ("ecdsa_ts", "ecdsa", "inter", "plain", "sha256", RECENT),
    ("expired_nots", "expired", "inter", "plain", "sha256", None),
    ("expired_ts", "expired", "inter", "plain", "sha256", WHILE_VALID),
    ("expired_ts_late", "expired", "inter", "plain", "sha256", RECENT),
    ("expired_eviltsa", "expired", "inter", "plain", "sha256", WHILE_VALID),
    ("lifetime_ts", "lifetime", "inter", "plain", "sha256", WHILE_VALID),
    ("notyet_nots", "notyet", "inter", "plain", "sha256", None),
    ("wrongeku_ts", "wrongeku", "inter", "plain", "sha256", RECENT),
    ("noeku_ts", "noeku", "inter", "plain", "sha256", RECENT),
    ("otherpub_ts", "otherpub", "inter", "plain", "sha256", RECENT),
    ("confus_ts", "confus", "inter", "plain", "sha256", RECENT),
    ("untrusted_ts", "untrusted", "evilinter", "plain", "sha256", RECENT),
    ("selfsigned_nots", "selfsigned", "selfsigned", "plain", "sha256", None),
    ("revoked_ts", "revoked", "inter", "plain", "sha256", RECENT),
    ("underleaf_ts", "underleaf", "leafchain", "plain", "sha256", RECENT),
    ("nointer_nots", "good", "good", "plain", "sha256", None),
    ("nested_ts", "otherpub", "inter", "good_ts", "sha256", RECENT),
)
STAMPS: Final = {case[0]: case[5] for case in SIGNINGS}
MORE: Final = {"pagehash_ts": ("-ph",), "nested_ts": ("-nest",)}

SECURITY: Final = 24 + 112 + 4 * 8
"""From ``PE`` to the entry of the certificate table, in a PE32+ file."""


def missing_tool() -> str:
    """Return what keeps the cases from being made, '' if nothing does."""
    for tool, package in ((COMPILER, "gcc-mingw-w64-x86-64"), (SIGNER, "osslsigncode")):
        if shutil.which(tool) is None:
            return f"{tool} is not installed (Debian package {package})"
    usage = subprocess.run((SIGNER, "sign", "--help"), capture_output=True, text=True, check=False)
    if "-TSA-certs" not in usage.stdout + usage.stderr:
        return "osslsigncode has no timestamp authority of its own (2.9, bookworm-backports, has)"
    return ""


def run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def make_cases(folder: Path) -> None:
    """Make all files of the table."""
    pe, pki = folder / "pe", folder / "pki"
    pe.mkdir(parents=True)
    make_pki(pki)
    _compile(folder)
    for name, leaf, chain, start, digest, day in SIGNINGS:
        run(
            *(SIGNER, "sign", "-certs", pki / f"{leaf}.pem", "-key", pki / f"{leaf}.key"),
            *("-ac", pki / f"{chain}.pem", "-h", digest, *MORE.get(name, ())),
            *(_stamp(pki, name, day) if day is not None else ()),
            *("-in", pe / f"{start}.exe", "-out", pe / f"{name}.exe"),
        )
    run(SIGNER, "remove-signature", "-in", pe / "good_ts.exe", "-out", pe / "stripped.exe")
    make_variants(pe)
    assert {path.stem for path in pe.iterdir()} == set(CASES)


def _compile(folder: Path) -> None:
    source, blob, parts = folder / "hello.c", folder / "blob.bin", folder / "blob.s"
    source.write_text('#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n')
    blob.write_bytes(os.urandom(BIG_BYTES))
    parts.write_text(f'.section .rdata\n.incbin "{blob}"\n')
    run(COMPILER, "-O2", "-s", "-o", folder / "pe/plain.exe", source)
    run(COMPILER, "-O2", "-s", "-o", folder / "pe/big_plain.exe", source, parts)


def _stamp(pki: Path, name: str, day: int) -> tuple[str | Path, ...]:
    certificates, key = (
        ("eviltsa.pem", "eviltsa.key") if "evil" in name else (*("tsachain.pem", "tsa.key"),)
    )
    at = str(int(time.time()) + day * DAY_S)
    return "-TSA-certs", pki / certificates, "-TSA-key", pki / key, "-TSA-time", at


class Image:
    """The places in a signed PE32+ file that the variants change."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        (self.header,) = struct.unpack_from("<I", data, 0x3C)
        self.table, self.table_size = struct.unpack_from("<II", data, self.header + SECURITY)

    def section(self, name: bytes) -> int:
        count, optional_size = struct.unpack_from("<H12xH", self.data, self.header + 6)
        first = self.header + 24 + optional_size
        for index in range(count):
            title, pointer = struct.unpack_from("<8s12xI", self.data, first + 40 * index)
            if title.rstrip(b"\0") == name:
                return int(pointer)
        raise LookupError(name)

    def flipped(self, offset: int, mask: int = 1) -> bytes:
        data = bytearray(self.data)
        data[offset] ^= mask
        return bytes(data)

    def with_table(self, offset: int, size: int) -> bytearray:
        data = bytearray(self.data)
        struct.pack_into("<II", data, self.header + SECURITY, offset, size)
        return data

    def resized(self, table_size: int, entry_size: int) -> bytearray:
        """Return a copy whose certificate table, and whose only entry, claim these sizes."""
        data = self.with_table(self.table, table_size)
        struct.pack_into("<I", data, self.table, entry_size)
        return data


def make_variants(pe: Path) -> None:
    """Make the damaged and forged files out of the signed ones."""
    good = Image((pe / "good_ts.exe").read_bytes())
    big = Image((pe / "big_good_ts.exe").read_bytes())
    plain = Image((pe / "plain.exe").read_bytes())
    (entry_size,) = struct.unpack_from("<I", good.data, good.table)
    extra = b"EVIL" * 256
    grown = good.table_size + len(extra)
    second = struct.pack("<IHH", len(extra), 0x200, 2) + extra[8:]
    stolen = big.data[big.table : big.table + big.table_size]
    aligned = plain.data + b"\0" * (-len(plain.data) % 8)
    signer = good.data.index(b"Amazon.com Services LLC", good.table)
    variants = {
        "tamper_text": good.flipped(good.section(b".text") + 64),
        "tamper_header": good.flipped(good.header + 8),
        "tamper_checksum": good.flipped(good.header + 24 + 64, 0xFF),
        "tamper_cert": good.flipped(signer, ord("A") ^ ord("B")),
        "big_tamper": big.flipped(big.section(b".rdata") + 1_000_000),
        "overlay_after": good.data + b"EVIL" * 1000,
        "truncated": good.data[: good.table + good.table_size // 2],
        "dir_zeroed": bytes(good.with_table(0, 0)),
        "pad3900": bytes(good.resized(grown, entry_size + len(extra))) + extra,
        "junk_certentry": bytes(good.resized(grown, entry_size)) + second,
        "transplant": bytes(Image(aligned).with_table(len(aligned), len(stolen))) + stolen,
    }
    for name, data in variants.items():
        (pe / f"{name}.exe").write_bytes(data)


if __name__ == "__main__":
    make_cases(Path(sys.argv[1]))
