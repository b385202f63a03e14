"""Judge the image that a process of the agent runs, against digests, files and earlier versions.

Where the signature could not be proven, identity of device and inode shows only that the image is
the file on disk, which is ``unknown``; that it is not that file is proven all the same. Where it is
proven, identity tells this node's agent from a genuine copy that a container runs at the same path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.install import Mounts
from nodecheck.model.verdict import Finding, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.model.history import History
    from nodecheck.model.install import AgentProcess, RunningFacts

_SNAPS: Final = ("/snap/", "/var/lib/snapd/snap/")

ImageProblem = tuple[Status, Finding]


def judge_image(
    process: AgentProcess,
    running: RunningFacts,
    signed: Mapping[str, str] | None,
    history: History,
) -> ImageProblem | None:
    """Return what is wrong with one image, None where it is proven."""
    paths = {path for path, digest in (signed or {}).items() if digest == process.sha256}
    what = f"process {process.pid} ({process.name})"
    if process.image in paths:
        return _copy(process, running)
    if paths:
        text = f"{what} runs a signed image from {process.image}, signed for {min(paths)}"
        return Status.CRIT, Finding("other-path", text, process.image)
    earlier = history.version_of(process.image, process.sha256)
    if earlier and (process.deleted or process.image.startswith(_SNAPS)):
        text = f"{what} still runs version {earlier}, verified earlier; a restart is pending"
        return Status.WARN, Finding("restart-pending", text, process.image)
    if not signed:
        return _unproven(process, running)
    if process.deleted:
        return Status.CRIT, _replaced(process)
    text = f"{what} runs {process.image}, which is none of the signed files"
    return Status.CRIT, Finding("image-not-signed", text, process.image)


def is_covered(process: AgentProcess, running: RunningFacts) -> bool:
    """Tell whether another file is at the image's path now, although the image was not deleted."""
    if process.deleted or process.is_at(running.on_disk):
        return False
    return any(state.path == process.image for state in running.on_disk)


def _copy(process: AgentProcess, running: RunningFacts) -> ImageProblem | None:
    """Return that a signed image is another file than the installed one, in another root."""
    if process.mounts is Mounts.SAME or not is_covered(process, running):
        return None
    what = f"process {process.pid} ({process.name})"
    if process.mounts is Mounts.OTHER:
        text = f"{what} runs a copy of {process.image} in another mount namespace"
        return Status.CRIT, Finding("other-path", text, process.image)
    text = f"{what} runs another file than {process.image}; its mount namespace cannot be seen"
    return Status.UNKNOWN, Finding("unproven", text, process.image)


def _unproven(process: AgentProcess, running: RunningFacts) -> ImageProblem:
    what = f"process {process.pid} ({process.name})"
    if process.deleted or is_covered(process, running):
        return Status.CRIT, _replaced(process)
    if not process.is_at(running.on_disk):
        text = f"{what} runs {process.image}, which is no installed agent"
        return Status.CRIT, Finding("other-path", text, process.image)
    text = f"{what} runs the installed {process.image}, whose signature is not proven"
    return Status.UNKNOWN, Finding("unproven", text, process.image)


def _replaced(process: AgentProcess) -> Finding:
    text = (
        f"process {process.pid} ({process.name}) runs an image that is no longer {process.image}"
        " and is neither a signed one nor of a version that was verified earlier"
    )
    return Finding("image-replaced", text, process.image)
