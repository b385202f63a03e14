from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from nodecheck.catalogue import CHECKS, SELECTORS
from nodecheck.completion import commands
from nodecheck.host.door import SETTINGS_FILE
from nodecheck.model.settings import DEFAULTS, KEYS
from nodecheck.settings import load
from scripts import make_texts
from tests.fake_host import FakeFiles, fake_host, file_state

if TYPE_CHECKING:
    from pathlib import Path

AGAIN = "no longer current; make it anew: python -m scripts.make_texts"


@pytest.mark.parametrize("path", make_texts.TEXTS, ids=lambda path: path.name)
def test_a_text_that_is_made_is_current(path: Path) -> None:
    assert path.read_text("utf-8") == make_texts.TEXTS[path](), AGAIN


def test_the_readme_has_a_row_for_each_check_and_system() -> None:
    """The parity of the systems is what the catalogue says, nothing else."""
    table = make_texts.table_of_checks()
    assert table in make_texts.README.read_text("utf-8")
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    assert len(rows) == len(CHECKS)
    assert {cell.strip(" |") for row in rows for cell in row[2:]} == {"yes", "-"}


def test_the_settings_file_changes_nothing() -> None:
    assert not any(tomllib.loads(make_texts.settings_file()).values())


def test_every_line_of_the_settings_file_is_a_default() -> None:
    head, waivers, example = make_texts.settings_file().partition("#[[waivers]]\n")
    lines = [
        line[1:] if line[:1] == "#" and line[1:2] != " " else line for line in head.splitlines()
    ]
    text = "\n".join(lines) + "\n" + (waivers + example).replace("#", "")
    files = FakeFiles({SETTINGS_FILE: text.encode()}, {SETTINGS_FILE: file_state(SETTINGS_FILE)})
    settings = load(fake_host(files), SELECTORS)
    assert settings.values == DEFAULTS.values
    from_file = {name for name, origin in settings.origins.items() if origin != "default"}
    assert from_file == {key.name for key in KEYS}
    assert [waiver.check for waiver in settings.waivers] == ["agent.version"]


def test_the_manual_page_has_every_command_and_option() -> None:
    page = make_texts.manual_page().replace("\\-", "-")
    for command in commands():
        assert f".B nodecheck {command.name}\n" in page
        for word in command.options:
            assert "--help" in word.names or word.names[-1] in page
