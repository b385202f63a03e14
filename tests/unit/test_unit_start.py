"""What systemd reads in a unit file, and which of it changes what is started.

The rows marked in the comments were held against ``systemd-analyze verify`` of systemd 252.
"""

from __future__ import annotations

import pytest

from nodecheck.checks.unit_start import judge_manager, judge_unit
from nodecheck.model.unit_file import UnitFile, parse_unit

CORE = "/usr/bin/amazon-ssm-agent"
PROGRAMS = frozenset({CORE, "/usr/bin/ssm-cli"})
EVIL = ("ExecStart", "/opt/evil")


@pytest.mark.parametrize(
    "text",
    [
        "ExecStart=/opt/evil",
        "X=y \\\\\nExecStart=/opt/evil",  # an even number of backslashes joins nothing
        "X=y \\ \nExecStart=/opt/evil",  # nor does one that a blank follows
        "X=y \\\x0b\nExecStart=/opt/evil",
        "# note\rExecStart=/opt/evil\r",  # a carriage return ends a line, also a comment
        "# note\0ExecStart=/opt/evil",
        "\ufeffExecStart=/opt/evil",
        " \tExecStart \t= /opt/evil \t",
        "Exec\\\nX=1\nExecStart=\\\n# between\n/opt/evil",
    ],
)
def test_systemd_would_start_it(text: str) -> None:
    assert EVIL in parse_unit(text)


@pytest.mark.parametrize(
    "text",
    [
        "# ExecStart=/opt/evil",
        "; ExecStart=/opt/evil",
        "X=y \\\nExecStart=/opt/evil",
        "X=y \\\\\\\nExecStart=/opt/evil",
        "[ExecStart=/opt/evil]",
        "\x0bExecStart=/opt/evil",
        "ExecStart",
        "",
    ],
)
def test_systemd_would_not_start_it(text: str) -> None:
    assert EVIL not in parse_unit(text)


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("ExecStart", "", None),
        ("ExecStart", CORE, None),
        ("ExecStart", f"-{CORE}", None),
        ("ExecStart", f'"{CORE}"', None),
        ("ExecStart", f"'{CORE}'", None),
        ("ExecStart", f'"{CORE} "', "crit"),
        ("ExecStart", f'"{CORE}"evil', "crit"),
        ("ExecStart", f"@{CORE} {CORE}", "warn"),
        ("ExecStart", "/usr/bin/ssm-cli", "crit"),
        ("ExecStart", f"{CORE} ; /opt/evil", "crit"),
        ("ExecStart", f"{CORE} ;", "crit"),
        ("ExecStart", "/usr/bin/%p", "crit"),
        ("ExecStart", f"{CORE} -register", "warn"),
        ("ExecStartPost", "/usr/bin/ssm-cli 0 ; /opt/evil", "warn"),
        ("ExecStartPre", "/usr/bin/ssm-cli 0", None),
        ("ExecStopPost", "/opt/other", "warn"),
        ("Environment", "https_proxy=http://proxy:3128", None),
        ("Environment", "A=100%%", None),
        ("Environment", "LD_PRELOAD=/opt/evil.so", "crit"),
        ("Environment", "A=1 LD_LIBRARY_PATH=/opt", "crit"),
        ("Environment", "LD%i_PRELOAD=/opt/evil.so", "crit"),
        ("Environment", "LD\\x5fPRELOAD=/opt/evil.so", "crit"),
        ("Environment", "PATH=/opt", "crit"),
        ("Environment", '"LD_"PRELOAD=/opt/evil.so', "crit"),  # quotes vanish wherever they stand
        ("Environment", "L'D_PRELOA'D=/opt/evil.so", "crit"),
        ("Environment", "HOST=%H https_proxy=http://u:%%40@p", None),
        ("Environment", "HOST=%H %i=1", "crit"),
        ("Environment", "A=1 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin", None),
        ("Environment", '"PATH=/usr/bin:/bin" A=1', None),
        ("Environment", 'PATH="/bin"', None),
        ("Environment", "PATH=/usr/bin:/opt", "crit"),
        ("Environment", "PATH=/usr/bin:", "crit"),
        ("Environment", "PATH=/usr/bin LD_AUDIT=/x.so", "crit"),
        ("Environment", '"PATH=/usr/bin LD_AUDIT=/x.so"', "crit"),
        ("PassEnvironment", "HOME https_proxy", None),
        ("PassEnvironment", "HOME LD_PRELOAD", "crit"),
        ("PassEnvironment", '"LD_"PRELOAD', "crit"),
        ("EnvironmentFile", "/etc/sysconfig/x", "warn"),
        ("RootDirectory", "/opt", "crit"),
        ("Restart", "always", None),
    ],
)
def test_what_a_setting_changes(key: str, value: str, status: str | None) -> None:
    found = judge_unit(UnitFile("/etc/x.conf", ((key, value),)), PROGRAMS)
    assert [problem.status.value for problem in found] == ([status] if status else [])


@pytest.mark.parametrize(
    ("key", "value", "is_found"),
    [
        ("DefaultEnvironment", "LD_PRELOAD=/x.so", True),
        ("ManagerEnvironment", "A=1 PATH=/opt", True),
        ("DefaultEnvironment", "A=1 PATH=/usr/bin", False),
        ("DefaultEnvironment", "", False),
        ("LogLevel", "LD_PRELOAD=/x.so", False),
    ],
)
def test_what_the_manager_gives_to_all(key: str, value: str, is_found: bool) -> None:  # noqa: FBT001
    found = judge_manager(UnitFile("/etc/systemd/system.conf", ((key, value),)))
    assert [problem.status.value for problem in found] == ["crit"] * is_found
    assert all(problem.finding.reason == "start-overridden" for problem in found)
