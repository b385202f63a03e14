"""Find the signed package of an installed deb, or of a copy made by hand, and prove it.

dpkg keeps no signature, so the package itself must be had once: from the manifest that an earlier
run verified, a folder or mirror that the operator names, the updater's folder, the Region's bucket.
What proves nothing is passed over for the next place, and told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.aws.download import Downloads
from nodecheck.aws.endpoints import release_url
from nodecheck.model.agent import Channel
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.package import ArchiveFacts, Unproven
from nodecheck.model.package_place import find_places
from nodecheck.model.trust import SignatureOutcome
from nodecheck.records import dataclass, replace
from nodecheck.trust import manifest
from nodecheck.trust.archive import PACKAGE_LIMIT_BYTES, SIGNATURE_LIMIT_BYTES
from nodecheck.trust.binaries import prove_binaries
from nodecheck.trust.deb_package import prove_deb
from nodecheck.trust.packets import TrustError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nodecheck.host.door import Host
    from nodecheck.model.agent import Installation
    from nodecheck.model.moment import CorrectedTime
    from nodecheck.model.package_place import Place
    from nodecheck.model.trust import SignedPackage
    from nodecheck.trust.archive import Proof
    from nodecheck.trust.key_ring import KeyRing
    from nodecheck.trust.manifest import Kept

CHANNELS: Final = (Channel.DEB, Channel.BY_HAND)
_BROKEN: Final = (SignatureOutcome.BAD, SignatureOutcome.MALFORMED, SignatureOutcome.UNSIGNED)


@dataclass(frozen=True, slots=True)
class Shelves:
    """Where packages may be looked for, and for how long.

    ``release_url`` is the operator's, else that of ``region`` is asked; ``offline`` forbids the
    network. ``region`` and ``corrected``, the time that judges certificates, wait until they know.
    """

    package_dir: str
    release_url: str
    region: Callable[[], str]
    state_folder: str
    offline: bool
    limit_s: float
    corrected: Callable[[], CorrectedTime | None]


def look(
    host: Host, ring: KeyRing, installations: tuple[Installation, ...], shelves: Shelves
) -> ArchiveFacts:
    """Return the signed package of each installation that has none on the node."""
    wanted = tuple(item for item in installations if item.channel in CHANNELS)
    if not wanted:
        return ArchiveFacts((), (), "")
    search = _Search(host, ring, shelves)
    try:
        found = tuple(search.find(item) for item in wanted)
    finally:
        search.close()
    return ArchiveFacts(
        packages=tuple(item for item in found if not isinstance(item, Unproven)),
        unobserved=(),
        source="signed package",
        unproven=tuple(item for item in found if isinstance(item, Unproven)),
        refused=tuple(search.refused),
        notes=tuple(search.notes),
    )


class _Search:
    """The search of one run: what was kept, one set of connections, one deadline."""

    def __init__(self, host: Host, ring: KeyRing, shelves: Shelves) -> None:
        self._host = host
        self._ring = ring
        self._shelves = shelves
        self._ends_ns = host.clock.monotonic_ns() + int(shelves.limit_s * 1e9)
        self._downloads: Downloads | None = None
        self.notes: list[str] = []
        self.refused: list[str] = []
        self._kept = self._read_kept()

    def find(self, installed: Installation) -> SignedPackage | Unproven:
        """Return the proven package, else one that a key disowns, else why there is none."""
        kept = [item for item in self._kept if item.label == installed.package]
        for package in (item.package(self._ring) for item in kept):
            if package is not None:
                return package
            self.notes.append(f"{installed.package}: its key is no longer believed; looked anew")
        refused: list[SignedPackage] = []
        missing: list[str] = []
        try:
            for place in self._places(installed):
                package = self._try(installed, place, missing)
                if package is not None and package.proven:
                    self._tell(refused)
                    self.notes += missing
                    return package
                refused += [package] if package is not None else []
        except _LateError as exc:
            missing.append(str(exc))
            return self._choose(refused) or self._unproven(installed, "timeout", missing)
        return self._choose(refused) or self._unproven(installed, "no-package", missing)

    def _choose(self, refused: list[SignedPackage]) -> SignedPackage | None:
        """Return the first whole offer; what is merely broken says nothing about the node."""
        whole = [item for item in refused if item.signature.outcome not in _BROKEN]
        self._tell([item for item in refused if item not in whole[:1]])
        return whole[0] if whole else None

    def _tell(self, refused: list[SignedPackage]) -> None:
        self.refused += [f"{item.label}: {item.signature.detail}" for item in refused]

    def close(self) -> None:
        """Close the connections."""
        if self._downloads is not None:
            self._downloads.close()

    def _places(self, installed: Installation) -> Iterator[Place]:
        """Return the places on the node, the operator's mirror, then what needs the Region."""
        shelves = self._shelves
        near = find_places(installed, shelves.package_dir, "")
        asked = [place for place in near if not (place.remote and shelves.offline)]
        yield from sorted(asked, key=lambda place: place.remote)
        if shelves.offline or installed.channel is not Channel.DEB:
            return
        region = "" if shelves.release_url else shelves.region()
        base = shelves.release_url or (release_url(region) if region else "")
        for place in find_places(installed, shelves.package_dir, base):
            if place not in near:
                yield place

    def _try(
        self, installed: Installation, place: Place, missing: list[str]
    ) -> SignedPackage | None:
        """Return the package of one place, None where it has none that is the installed one."""
        if not self._is_there(place.package):
            return None
        try:
            signature = b"".join(self._chunks(place.signature, SIGNATURE_LIMIT_BYTES))
            proof = self._prove(installed, place, signature)
        except (ProbeError, TrustError) as exc:
            self._check_time()
            missing.append(str(exc) if place.package in str(exc) else f"{place.package}: {exc}")
            return None
        package = proof.package
        if installed.channel is Channel.BY_HAND:
            return replace(package, version=place.version)
        if package.proven and package.label != installed.package:
            missing.append(f"{place.package}: is {package.label}, installed {installed.package}")
            return None
        if package.proven:
            self._keep(manifest.keep(package, proof.sha256, signature))
        return package

    def _is_there(self, package: str) -> bool:
        """Tell whether there is something to read, as far as the node itself can tell."""
        if not package.startswith("/"):
            return True
        try:
            self._host.files.state(package)
        except Absent:
            return False
        except ProbeError:
            return True  # reading it says what is wrong
        return True

    def _prove(self, installed: Installation, place: Place, signature: bytes) -> Proof:
        chunks = self._chunks(place.package, PACKAGE_LIMIT_BYTES)
        if installed.channel is Channel.DEB:
            return prove_deb(signature, chunks, self._ring, place.package)
        executable = installed.executable
        return prove_binaries(signature, chunks, self._ring, place.package, executable)

    def _chunks(self, where: str, limit_bytes: int) -> Iterator[bytes]:
        self._check_time()
        if where.startswith("/"):
            source = self._host.files.chunks(where, limit_bytes, follow=True)
        else:
            source = self._open().stream(where, limit_bytes=limit_bytes, timeout_s=self._left_s())
        for chunk in source:
            self._check_time()
            yield chunk

    def _open(self) -> Downloads:
        if self._downloads is None:
            self._downloads = Downloads(self._host, self._shelves.corrected())
        return self._downloads

    def _left_s(self) -> float:
        return (self._ends_ns - self._host.clock.monotonic_ns()) / 1e9

    def _check_time(self) -> None:
        if self._left_s() <= 0:
            msg = f"no whole package in {self._shelves.limit_s:.1f} s"
            raise _LateError(msg)

    def _read_kept(self) -> tuple[Kept, ...]:
        state, folder = self._host.state, self._shelves.state_folder
        try:
            return manifest.parse(state.read(folder, manifest.NAME, manifest.LIMIT_BYTES))
        except Absent:
            return ()
        except TrustError as exc:
            self.notes.append(f"{manifest.NAME}: {exc}; not believed")
        except ProbeError as exc:
            self.notes.append(f"{exc}; not believed")
            if exc.reason != "too-large":
                return ()
        try:
            self.notes.append(f"set aside as {state.set_aside(folder, manifest.NAME)}")
        except ProbeError as exc:
            self.notes.append(str(exc))
        return ()

    def _keep(self, new: Kept) -> None:
        self._kept = manifest.add(self._kept, new)
        content = manifest.dump(self._kept)
        try:
            if len(content) > manifest.LIMIT_BYTES:
                msg = f"{manifest.NAME}: larger than {manifest.LIMIT_BYTES} bytes"
                raise ProbeError(msg)  # noqa: TRY301 - not kept, for one reason or another
            self._host.state.write(self._shelves.state_folder, manifest.NAME, content)
        except ProbeError as exc:
            self.notes.append(f"{new.label}: not kept for the next run: {exc}")

    def _unproven(self, installed: Installation, reason: str, missing: list[str]) -> Unproven:
        what = installed.package if installed.channel is Channel.DEB else installed.executable
        text = f"{what}: no signed package to compare it with"
        if installed.channel is Channel.BY_HAND and not self._shelves.package_dir:
            text += "; its version is not known, name its archive by trust.package_dir"
        if self._shelves.offline:
            text += "; the network was not asked (offline)"
        said = "; ".join((*missing, *self.notes))
        return Unproven(installed, reason, f"{text}: {said}" if said else text)


class _LateError(Exception):
    """The time of this search is over."""
