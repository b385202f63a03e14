"""Prove what the digests of an agent cost: time beside openssl, and memory whatever the package.

``python -m tests.prove.prove_digests COUNT`` makes a stand-in of true size (six programs, 108 MB)
and its deb. Each round digests all of it as a run does, and by ``openssl dgst -sha256``, one right
after the other. The exit code is 1 where the median takes more than 1.5 times as long, or where a
process that verifies the deb, or a deb that unpacks to ten times as much, holds more than 40 MB.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests import deb_maker, rpm_maker
from tests.archive_maker import deb_members, make_ar

if sys.platform != "win32":
    from nodecheck.host.posix_files import PosixFiles

assert sys.platform != "win32"

PROGRAM_BYTES = 18 * 1024 * 1024
TIMES_LIMIT = 1.5
MEMORY_LIMIT_MB = 40
ROUNDS_PER = 50
"""Runs that one round stands for: each reads 108 MB."""

VERIFY = r"""
import re, sys, time
from nodecheck.host.posix_files import PosixFiles
from nodecheck.model.trust import TrustPolicy
from nodecheck.trust.archive import PACKAGE_LIMIT_BYTES
from nodecheck.trust.deb_package import prove_deb
from nodecheck.trust.key_ring import assemble_ring
package, key = sys.argv[1:]
ring = assemble_ring(TrustPolicy(builtin_keys=False), ((key, open(key, "rb").read()),))
began = time.perf_counter()
chunks = PosixFiles().chunks(package, PACKAGE_LIMIT_BYTES)
try:
    prove_deb(open(package + ".sig", "rb").read(), chunks, ring, package).package.proven
except Exception as exc:
    print(exc, file=sys.stderr)
took_s = time.perf_counter() - began
# ru_maxrss would be that of the process which started this one (getrusage(2), execve(2)).
print(took_s, int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]) / 1024)
"""


def gather_code() -> bytes:
    """Return machine code of this machine, as long as one program: it packs as the agent does."""
    found = bytearray()
    for path in sorted(Path("/usr/bin").iterdir()):
        if path.is_file():
            found += path.read_bytes()
        if len(found) >= PROGRAM_BYTES:
            break
    return bytes(found[:PROGRAM_BYTES]).ljust(PROGRAM_BYTES, b"\1")


def verify(package: Path, key: Path) -> tuple[float, float]:
    """Return the seconds and the most memory, in MB, of a process that verifies a deb."""
    words = [sys.executable, "-c", VERIFY, str(package), str(key)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    seconds, memory = done.stdout.split()
    return float(seconds), float(memory)


def digest(paths: list[Path]) -> float:
    """Return the seconds that the digests of all files take, read anew."""
    files = PosixFiles()
    began = time.perf_counter()
    for path in paths:
        files.digest(str(path), "sha256")
    return time.perf_counter() - began


def ask_openssl(paths: list[Path]) -> float:
    """Return the seconds that openssl takes for the same files."""
    began = time.perf_counter()
    subprocess.run(["openssl", "dgst", "-sha256", *paths], capture_output=True, check=True)
    return time.perf_counter() - began


def make_bomb(folder: Path, key: rpm_maker.SigningKey) -> Path:
    """Return a signed deb whose data unpacks to more than any agent has."""
    bomb = gzip.compress(b"\0" * (1 << 30), 1)
    package = folder / "bomb.deb"
    package.write_bytes(make_ar([*deb_members()[:2], ("data.tar.gz", bomb)]))
    return deb_maker.sign(package, key)


def run(rounds: int) -> tuple[dict[str, float], bool]:
    """Return what was measured, and whether it is within the limits."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key = rpm_maker.make_key(folder / "signer", "signer")
        (folder / "key.asc").write_bytes(key.public)
        (folder / "code").write_bytes(gather_code())
        package = deb_maker.build(folder / "build", "3.3.1.0", 0, folder / "code")
        deb_maker.sign(package, key)
        paths = sorted((folder / "build/source/usr/bin").iterdir())
        pairs = [(digest(paths), ask_openssl(paths)) for _ in range(rounds)]
        seconds, memory = verify(package, folder / "key.asc")
        _, bomb_memory = verify(make_bomb(folder, key), folder / "key.asc")
        ratio = median(mine / theirs for mine, theirs in pairs)
        counted = {
            "rounds": rounds,
            "installed_mb": round(sum(path.stat().st_size for path in paths) / 1e6),
            "deb_mb": round(package.stat().st_size / 1e6, 1),
            "digests_ms": round(median(mine for mine, _ in pairs) * 1e3, 1),
            "openssl_ms": round(median(theirs for _, theirs in pairs) * 1e3, 1),
            "times_openssl": round(ratio, 2),
            "deb_verified_ms": round(seconds * 1e3),
            "memory_mb": round(memory, 1),
            "bomb_memory_mb": round(bomb_memory, 1),
        }
    return counted, ratio <= TIMES_LIMIT and max(memory, bomb_memory) <= MEMORY_LIMIT_MB


if __name__ == "__main__":
    result, holds = run(max(3, int(sys.argv[1]) // ROUNDS_PER))
    sys.stdout.write(json.dumps(result) + "\n")
    sys.exit(not holds)
