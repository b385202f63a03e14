"""The completions in the shells themselves: what is offered after a few words."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from nodecheck.catalogue import BY_ID, SELECTORS
from nodecheck.completion import completion
from nodecheck.model.settings import BY_NAME

if TYPE_CHECKING:
    from pathlib import Path

SINKS: Final = set(BY_NAME["report.sinks"].choices)

BASH: Final = """
source {script}
COMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
compopt() {{ :; }}
_nodecheck
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

ZSH: Final = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1= PS2= ; unsetopt zle_bracketed_paste 2>/dev/null
autoload -Uz compinit && compinit -u -D
zstyle ":completion:*" list-separator " -- "
zstyle ":completion:*" verbose no
bindkey "^I" list-choices; LISTMAX=10000 LINES=500 COLUMNS=60
source {script}; print BEG""IN'
while zpty -r shell line; do [[ $line == *BEGIN* ]] && break; done
zpty -w -n shell {line}$'\\t'
sleep {wait_s}
zpty -w -n shell $'\\C-U'
zpty -w shell 'print E""ND'
while zpty -r shell line; do print -r -- $line; [[ $line == *END* ]] && break; done
"""


def in_bash(script: Path, line: str) -> set[str]:
    words = [word if word == "=" else shlex.quote(word) for word in line.split(" ")]
    program = BASH.format(script=script, words=" ".join(words))
    done = subprocess.run(
        ["bash", "--norc", "-c", program],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
        cwd=script.parent,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def in_fish(script: Path, line: str) -> set[str]:
    program = f"source {script}; complete -C {shlex.quote(line)}"
    done = subprocess.run(
        ["fish", "--no-config", "-c", program],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
        cwd=script.parent,
        env={"HOME": str(script.parent), "PATH": "/usr/bin:/bin"},
    )
    assert done.stderr == ""
    return {row.partition("\t")[0] for row in done.stdout.splitlines()}


def in_zsh(script: Path, line: str) -> set[str]:
    program = ZSH.format(script=script, line=shlex.quote(line), wait_s=1)
    done = subprocess.run(
        ["zsh", "-f", "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=script.parent,
        env={"HOME": str(script.parent), "PATH": "/usr/bin:/bin", "TERM": "dumb"},
    )
    return set(done.stdout.split())


SHELLS: Final = {"bash": in_bash, "zsh": in_zsh, "fish": in_fish}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "offered", "withheld"),
    [
        ("nodecheck ", {"run", "explain", "completion"}, {"clock"}),
        ("nodecheck e", {"explain"}, {"run"}),
        ("nodecheck --only ", set(SELECTORS), {"run"}),
        ("nodecheck run --skip agent.", {"agent.files"}, {"clock.offset"}),
        ("nodecheck --format ", {"json", "junit"}, {"clock"}),
        ("nodecheck --report ", SINKS, {"clock"}),
        ("nodecheck explain ", set(BY_ID), {"clock"}),
        ("nodecheck run --o", {"--only", "--offline", "--output"}, {"--skip"}),
        ("nodecheck --ver", {"--version", "--verbose"}, {"--skip"}),
        ("nodecheck iam --r", {"--report", "--region"}, {"--only"}),
        ("nodecheck config ", {"check", "show"}, {"run", "list"}),
        ("nodecheck completion ", {"bash", "zsh", "fish"}, {"list"}),
        ("nodecheck --config here", {"here.toml"}, {"clock"}),
    ],
)
def test_a_shell_offers_what_fits(
    shell: str, line: str, offered: set[str], withheld: set[str], tmp_path: Path
) -> None:
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}")
    script = tmp_path / "nodecheck.completion"
    script.write_text(completion(shell))
    (tmp_path / "here.toml").touch()
    found = SHELLS[shell](script, line)
    # A list of one is completed on the line itself.
    line_ends = {word for word in found for one in offered if word.endswith(one)}
    assert offered <= found or (shell == "zsh" and len(offered) == 1 and line_ends), found
    assert not withheld & found


@pytest.mark.parametrize("rest", ["--only =", "--only = age"])
def test_bash_takes_an_option_and_its_value_apart(rest: str, tmp_path: Path) -> None:
    script = tmp_path / "nodecheck.completion"
    script.write_text(completion("bash"))
    assert "agent.files" in in_bash(script, f"nodecheck {rest}")
