from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

if sys.platform != "win32":
    pytest.skip("the console of Windows", allow_module_level=True)

assert sys.platform == "win32"  # for the type checker

from nodecheck.host import output, windows_console  # noqa: E402
from nodecheck.host.windows_paths import plain  # noqa: E402

TOP: Final = str(Path(__file__).parents[2])


def written(code: str) -> tuple[bytes, bytes]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"from nodecheck.host.output import *\n{code}"],
        env=os.environ | {"PYTHONPATH": TOP},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    return done.stdout, done.stderr


def test_redirected_output_is_utf_8_with_line_feeds() -> None:
    code = "write_out('é ✔\\n'); write_out('b\\n'); write_error('é\\n')"
    assert written(code) == ("é ✔\nb\n".encode(), "é\n".encode())


def test_a_lone_surrogate_is_escaped() -> None:
    assert written(r"print(write_out('\udc80\n'))")[0].startswith(b"\\udc80\n")


def test_what_is_redirected_takes_neither_colour_nor_symbols() -> None:
    code = "print(takes_colour(), error_takes_escapes(), reads_unicode({}), terminal_width())"
    assert written(code)[0].split() == [b"False", b"False", b"False", b"0"]
    assert windows_console.is_utf8({"WT_SESSION": "x"})


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "report é.json"
    for text in ("one\n", "two\n"):
        output.write_file(plain(str(path)), text)
        assert path.read_bytes() == text.encode()
    assert [item.name for item in tmp_path.iterdir()] == [path.name]
    output.write_file("NUL", "gone")
    with pytest.raises(OSError, match=r".+"):
        output.write_file(str(tmp_path / "no" / "folder"), "x")
