"""Completions for bash, zsh and fish, made of the parser, the catalogue and the settings.

Sources: bash(1), "Programmable Completion"; zshcompsys(1), ``_arguments``; complete(1) of fish.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from nodecheck.arguments import command_line
from nodecheck.catalogue import BY_ID, SELECTORS
from nodecheck.model.settings import BY_NAME
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT: Final = "run"
"""The command that options without a command belong to."""

FILES: Final = "files"

_VALUES: Final = {
    "--only": SELECTORS,
    "--skip": SELECTORS,
    "--report": BY_NAME["report.sinks"].choices,
    "check": tuple(BY_ID),
}


@dataclass(frozen=True, slots=True)
class Word:
    """An option with its spellings, or a positional without any.

    ``values`` are what it takes, ``files`` says that it takes a file, ``name`` is how the help
    calls the value; '' where there is none. ``many`` options may be repeated.
    """

    names: tuple[str, ...]
    meaning: str
    name: str = ""
    values: tuple[str, ...] = ()
    files: bool = False
    many: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """One command with all its words."""

    name: str
    meaning: str
    words: tuple[Word, ...]

    @property
    def options(self) -> tuple[Word, ...]:
        """Return the words that begin with a dash."""
        return tuple(word for word in self.words if word.names)

    @property
    def positionals(self) -> tuple[Word, ...]:
        """Return the others."""
        return tuple(word for word in self.words if not word.names)


def commands() -> tuple[Command, ...]:
    """Return every command, as the parser knows it."""
    found: list[Command] = []
    everywhere: list[Word] = []
    for action in _actions(command_line()):
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - has no public name
            meanings = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            for name, parser in action.choices.items():
                words = tuple(_word(item) for item in _actions(parser))
                more = everywhere if name == DEFAULT else ()
                found.append(Command(name, meanings[name], (*words, *more)))
        elif "--help" not in action.option_strings:
            everywhere.append(_word(action))
    return tuple(found)


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    shown = parser._actions  # noqa: SLF001 - argparse has no public way to list them
    return [action for action in shown if action.help != argparse.SUPPRESS]


def _word(action: argparse.Action) -> Word:
    key = action.option_strings[-1] if action.option_strings else action.dest
    takes = action.nargs != 0
    metavar = action.metavar if isinstance(action.metavar, str) else "VALUE"
    return Word(
        names=tuple(action.option_strings),
        meaning=action.help or "",
        name=metavar if takes else "",
        values=tuple(action.choices or _VALUES.get(key, ())),
        files=metavar == "FILE",
        many=type(action).__name__ == "_AppendAction",
    )


def completion(shell: str) -> str:
    """Return the completions for one shell."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands())


def _bash(found: tuple[Command, ...]) -> str:
    values: dict[tuple[str, ...], list[str]] = {}
    first = [command.name for command in found]
    cases = []
    for command in found:
        for word in command.options:
            if word.name:
                key = word.values or (FILES,) * word.files
                values.setdefault(key, []).extend(f"{command.name}:{name}" for name in word.names)
        more = first if command.name == DEFAULT else []
        offered = [*_choices(command), *_names(command), *more]
        cases.append(f"        {command.name}) words='{' '.join(offered)}' ;;\n")
    after = "".join(
        f"        {'|'.join(dict.fromkeys(keys))}) {_bash_values(key)} ;;\n"
        for key, keys in values.items()
    )
    return f"""\
# bash completion for nodecheck: nodecheck completion bash
_nodecheck() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}}
    local command={DEFAULT} words=
    # bash takes --option=value apart.
    [[ $word != = ]] || word=
    [[ $before != = ]] || before=${{COMP_WORDS[COMP_CWORD - 2]}}
    COMPREPLY=()
    if ((COMP_CWORD > 1)); then
        case ${{COMP_WORDS[1]}} in {"|".join(first)}) command=${{COMP_WORDS[1]}} ;; esac
    fi
    case $command:$before in
{after}        *) case $command in
{"".join("    " + case for case in cases)}        esac
        ((COMP_CWORD == 1)) || [[ $command != {DEFAULT} ]] || words=${{words%% {first[0]} *}} ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -F _nodecheck nodecheck
"""


def _bash_values(key: tuple[str, ...]) -> str:
    if key == (FILES,):
        return 'compopt -o filenames && COMPREPLY=($(compgen -f -- "$word")) && return'
    return f"words='{' '.join(key)}'"


def _choices(command: Command) -> Iterable[str]:
    return (value for word in command.positionals for value in word.values)


def _names(command: Command) -> Iterable[str]:
    return (name for word in command.options for name in word.names)


def _zsh(found: tuple[Command, ...]) -> str:
    offered = "\n".join(f"        {_quoted(f'{item.name}:{item.meaning}')}" for item in found)
    cases = ""
    for command in found:
        words = "".join(f" \\\n                {spec}" for spec in _zsh_words(command))
        cases += f"        {command.name})\n            _arguments{words} ;;\n"
    return f"""\
#compdef nodecheck
# zsh completion for nodecheck: nodecheck completion zsh
_nodecheck() {{
    local command={DEFAULT}
    local -a commands=(
{offered}
    )
    if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
        _describe command commands
        return
    fi
    if (( CURRENT > 2 )) && (( $commands[(I)$words[2]:*] )); then
        command=$words[2]
        shift words
        (( CURRENT-- ))
    fi
    case $command in
{cases}    esac
}}
# Loaded from fpath it is called, sourced it is registered.
if [[ $funcstack[1] == _nodecheck ]]; then _nodecheck "$@"; else compdef _nodecheck nodecheck; fi
"""


def _zsh_words(command: Command) -> Iterable[str]:
    for word in command.words:
        action = f"({' '.join(word.values)})" if word.values else "_files" if word.files else ""
        value = f":{_plain(word.name)}:{action}" if word.name else ""
        if not word.names:
            yield _quoted(f"1{value}")
            continue
        others = "*" if word.many else f"({' '.join(word.names)})"
        for name in word.names:
            equals = "=" if word.name and name.startswith("--") else ""
            yield _quoted(f"{others}{name}{equals}[{_plain(word.meaning)}]{value}")


def _plain(text: str) -> str:
    """Return a text without the characters that ``_arguments`` gives a meaning to.

    >>> _plain("host:port [x]")
    'host port (x)'
    """
    return text.translate(str.maketrans("[]:", "() "))


def _fish(found: tuple[Command, ...]) -> str:
    others = " ".join(item.name for item in found if item.name != DEFAULT)
    lines = [
        "# fish completion for nodecheck: nodecheck completion fish",
        "complete -c nodecheck -f",
    ]
    for command in found:
        begin = "complete -c nodecheck -n __fish_use_subcommand"
        lines.append(f"{begin} -a {command.name} -d {_quoted(command.meaning)}")
    for command in found:
        is_it = f"__fish_seen_subcommand_from {command.name}"
        if command.name == DEFAULT:
            is_it = f"not __fish_seen_subcommand_from {others}"
        begin = f"complete -c nodecheck -n {_quoted(is_it)}"
        for word in command.words:
            if word.names:
                lines.append(f"{begin} {_fish_option(word)}")
            elif word.values:
                lines.append(f"{begin} -a {_quoted(' '.join(word.values))}")
    return "\n".join(lines) + "\n"


def _fish_option(word: Word) -> str:
    spelled = " ".join(
        f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in word.names
    )
    takes = f" -x -a {_quoted(' '.join(word.values))}" if word.values else " -x" * bool(word.name)
    return f"{spelled}{' -r -F' if word.files else takes} -d {_quoted(word.meaning)}"


def _quoted(text: str) -> str:
    r"""Return a text as one word of bash, zsh and fish.

    >>> print(_quoted("the agent's"))
    'the agent'\''s'
    """
    return "'" + text.replace("'", "'\\''") + "'"
