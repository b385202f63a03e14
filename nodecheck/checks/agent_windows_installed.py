"""Tell from a Windows node's service and files what is installed there.

An agent is its service and its executable together. One without the other is an installation that
began and did not finish, unless the agent's own updater is at work, which deletes the service and
makes it anew: then nothing is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodecheck.model.agent import Channel, Installation
from nodecheck.model.authenticode import SERVICE, WindowsInstall
from nodecheck.model.install import Damage, InstallSurvey

if TYPE_CHECKING:
    from nodecheck.model.errors import ProbeError

PACKAGE = "Amazon SSM Agent"


def survey_windows(found: WindowsInstall | ProbeError) -> InstallSurvey:
    """Return what is installed, as the other install channels have it.

    The version is that of the service key, else the one that the list of programs names.
    """
    native = Channel.WINDOWS
    if not isinstance(found, WindowsInstall):
        return InstallSurvey((), (f"service and files: {found}",), native=native)
    has_service = found.service is not None
    if not has_service and not found.has_executable:
        return InstallSurvey((), found.unobserved, native=native)
    if found.unobserved:
        return InstallSurvey((_installation(found),), found.unobserved, native=native)
    if has_service and not found.has_executable and not found.is_service_elsewhere:
        damage = Damage(native, SERVICE, f"a service without {found.executable}")
        return InstallSurvey((), (), (damage,), native)
    if not has_service:
        damage = Damage(native, PACKAGE, f"only {found.executable}, without a service")
        return InstallSurvey((), (), (damage,), native)
    return InstallSurvey((_installation(found),), (), native=native)


def _installation(found: WindowsInstall) -> Installation:
    listed = found.listed[0] if len(found.listed) == 1 else ""
    executable = found.executable if found.has_executable or not found.image else found.image
    return Installation(Channel.WINDOWS, found.version or listed, PACKAGE, executable)
