"""What can be wrong with the credentials of the agent, each as a problem with its fix."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from nodecheck.checks.clock_words import human
from nodecheck.checks.identity_problems import close_fix
from nodecheck.checks.proof import Problem, problem
from nodecheck.model.credential_sight import DHMC_SOURCE
from nodecheck.model.credentials import DEFAULT_PROFILE, ROOTS, SHARED
from nodecheck.model.errors import ProbeError
from nodecheck.model.identity import EC2, ON_PREM
from nodecheck.model.verdict import Finding, Status

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.model.credential_sight import Sight
    from nodecheck.model.credentials import CredentialsFile
    from nodecheck.model.identity import RuntimeIdentity

NEVER_YEAR: Final = 1970
"""Go writes a time that was never set as the year 1."""

AWAITED: Final = timedelta(minutes=5)
"""After its start the agent may try for as long before credentials count as never retrieved."""


def expiry(sight: Sight) -> list[Problem]:
    """Return what is wrong with the times that the agent noted."""
    runtime = sight.runtime
    if runtime is None:
        text = "the agent noted no credentials: it did not start since it was registered"
        is_registered = sight.acting.kind == ON_PREM
        return [problem(Status.UNKNOWN, "not-started", text)] if is_registered else []
    if runtime.expires_at is None:
        text = "identity_config.json does not say when the credentials expire"
        return [problem(Status.UNKNOWN, "not-understood", text)]
    if runtime.expires_at.year < NEVER_YEAR:
        return _never(runtime, sight)
    return [] if sight.is_valid_now else [_not_valid(runtime, runtime.expires_at, sight)]


def _not_valid(runtime: RuntimeIdentity, expires_at: datetime, sight: Sight) -> Problem:
    if sight.now is None:
        text = f"the credentials expire at {spell(expires_at)}, the true time is not known"
        return problem(Status.UNKNOWN, "time-not-known", text)
    ago = human((sight.now - expires_at).total_seconds())
    text = f"the credentials of the agent expired {ago} ago, at {spell(expires_at)}"
    if _by_own_clock(runtime) and expires_at > sight.files.local_now:
        # Of an instance profile the agent notes 30 minutes from now, by the node's own clock.
        text += "; by the node's clock, which is wrong, they did not"
        return problem(Status.UNKNOWN, "clock-disagrees", text)
    return problem(Status.CRIT, "expired", f"{text}: it does not get new ones")


def _never(runtime: RuntimeIdentity, sight: Sight) -> list[Problem]:
    if runtime.kind != ON_PREM:
        if runtime.kind == EC2 and not sight.is_default_host and not runtime.credential_source:
            return []  # agents before 3.2 noted nothing here: the instance metadata must tell
        text = "the agent noted no credentials: Systems Manager may refuse the role"
        return [problem(Status.UNKNOWN, "never-retrieved", text)]
    if isinstance(sight.config, ProbeError) or not sight.config.share_credentials:
        text = "the agent keeps its credentials to itself (Profile.ShareCreds), so that their"
        return [problem(Status.UNKNOWN, "not-shared", f"{text} expiry cannot be seen")]
    if sight.now is None or not sight.now - runtime.written_at > AWAITED:
        text = "the agent has no credentials yet; it is given 5 minutes from its start"
        return [problem(Status.UNKNOWN, "awaited", text)]
    text = f"the agent has never got credentials since its start at {spell(runtime.written_at)}"
    return [problem(Status.CRIT, "never-retrieved", text)]


def _by_own_clock(runtime: RuntimeIdentity) -> bool:
    return runtime.kind == EC2 and runtime.credential_source != DHMC_SOURCE


def files(sight: Sight) -> list[Problem]:
    """Return what is wrong with the credentials files that are there."""
    found = [item for file in sight.files.files for item in _file(file, sight)]
    for item in sight.files.unread:
        if item.path not in _agents_own(sight):
            continue  # whatever else root keeps there, the agent does not read it
        advice = "; run as root to see it" if item.reason == "no-permission" else ""
        text = f"cannot be seen: {item.message}{advice}"
        found.append(problem(Status.UNKNOWN, item.reason, text, item.path))
    return found


def _agents_own(sight: Sight) -> set[str]:
    """Return the file from which the agent's workers read credentials, if there is one."""
    return {sight.runtime.share_file} if sight.runtime else set()


def _file(item: CredentialsFile, sight: Sight) -> list[Problem]:
    file, found = item.file, list[Problem]()
    if file.state is None:
        text = f"{file.path}, from which the agent's workers read credentials, is not there"
        return [problem(Status.CRIT, "shared-file-missing", text, file.path)]
    if file.is_open or (file.laxity and file.name != ROOTS):
        status = Status.CRIT if file.is_open else Status.WARN
        who = "every user can read it" if file.is_open else "a closed folder still protects it"
        finding = Finding("credentials-exposed", f"{file.path} {file.laxity}: {who}", file.path)
        found.append(Problem(status, finding, close_fix(file.path)))
    profile = DEFAULT_PROFILE
    if file.name == SHARED and sight.runtime:
        profile = sight.runtime.share_profile or DEFAULT_PROFILE
    is_static = any(own.name == profile and own.is_static for own in item.profiles)
    if is_static and (file.name == SHARED or sight.acting.kind == EC2):
        instead = "the agent's own" if file.name == SHARED else "the role of the instance"
        text = f"profile {profile} of {file.path} holds long-lived keys, which win over {instead}"
        found.append(problem(Status.WARN, "static-keys", text, file.path))
    return found


def spell(time: datetime) -> str:
    """Return a time in words."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
