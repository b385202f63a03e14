"""The bill of materials, and what verifies it, on made-up folders."""

from __future__ import annotations

import copy
import json
import platform
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

from tests.bill_of_materials import load, validate

if sys.platform == "win32":
    pytest.skip("a release is made and verified on Linux", allow_module_level=True)

sbom: Final[Any] = load("sbom")
verifier: Final[Any] = load("verify_release")

BUILT_FROM: Final = """\
toolchain ppbt==0.1.8 --hash=sha256:00
python3.11 python3.11_3.11.2-6+deb12u8.dsc SHA256:{one} OLDER-THAN-3.11.2-6+deb12u9
zlib zlib_1.3.1-1.dsc SHA256:{two}\u0020
openssl options: shared no-tests
  no-ssl3 no-comp
""".format(one="1" * 64, two="2" * 64)
TOLD: Final = {"python": "3.11.2", "zlib": "1.3.1", "expat": "2.5.0", "mpdecimal": "2.5.1"}
TOLD_LINES: Final = {"nodecheck": "1.2.3"} | TOLD
WHEELS: Final = {"botocore": ["botocore"], "certifi": ["certifi"], "_cffi_backend": ["cffi"]}
COMMIT: Final = "a" * 40


def folder_of(path: Path, told: dict[str, str]) -> Path:
    """Return a folder whose program says these versions."""
    (path / "_internal").mkdir(parents=True)
    lines = "".join(f"{name}   {text}\n" for name, text in told.items())
    (path / "nodecheck").write_text(f"#!/bin/sh\ncat <<'E'\n{lines}E\n")
    (path / "nodecheck").chmod(0o755)
    (path / "_internal/base_library.zip").write_bytes(b"zip")
    return path


def bill_of(folder: Path) -> Any:  # noqa: ANN401 - a JSON document
    parts = {part.name: part for part in sbom.interpreter_parts(BUILT_FROM, TOLD)}
    own = sbom.Part("nodecheck", "1.2.3", "pkg:generic/nodecheck@1.2.3", "Apache-2.0")
    own.kind = "application"
    own.properties = {"nodecheck:commit": COMMIT, "nodecheck:built": "2026-11-23 10:00:00 UTC"}
    own.needs = ["python"]
    own.files.append(sbom.file_component(folder, folder / "nodecheck"))
    library = folder / "_internal/base_library.zip"
    parts["python"].files.append(sbom.file_component(folder, library))
    return json.loads(json.dumps(sbom.document(own, parts)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    more = {"commit": COMMIT, "built": "2026-11-23 10:00:00 UTC"}
    return folder_of(tmp_path / "folder", TOLD_LINES | more)


def test_a_bill_follows_cyclonedx_and_is_the_same_each_time(folder: Path) -> None:
    made = bill_of(folder)
    validate(made)
    assert made == bill_of(folder)
    made["components"][0]["licenses"] = [{"license": {"id": "no-such-licence"}}]
    with pytest.raises(jsonschema.ValidationError):
        validate(made)


def test_sources_keep_their_digests_and_what_they_are_older_than(folder: Path) -> None:
    parts = {part["name"]: part for part in bill_of(folder)["components"]}
    assert list(parts) == ["python", "zlib", "expat", "mpdecimal"]
    assert parts["python"]["hashes"] == [{"alg": "SHA-256", "content": "1" * 64}]
    assert "@3.11.2-6%2Bdeb12u8" in parts["python"]["purl"]
    assert {"name": "nodecheck:older-than", "value": "3.11.2-6+deb12u9"} in parts["python"][
        "properties"
    ]
    assert "older-than" not in str(parts["zlib"])


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("nodecheck", "nodecheck"),
        ("_internal/nodecheck/keys/a.asc", "nodecheck"),
        ("_internal/libcrypto.so.3", "openssl"),
        ("_internal/libpython3.11.so.1.0", "python"),
        ("_internal/python3.11/lib-dynload/math.cpython-311-x86_64-linux-gnu.so", "python"),
        ("_internal/botocore/data/endpoints.json", "botocore"),
        ("_internal/_cffi_backend.cpython-311-x86_64-linux-gnu.so", "cffi"),
        ("_internal/libstray.so.1", ""),
        ("_internal/libcrypto.so.3.bak", ""),
        ("stray", ""),
    ],
)
def test_every_file_is_of_one_part_or_of_none(path: str, owner: str) -> None:
    assert sbom.owner_of_file(path, WHEELS) == owner


@pytest.mark.parametrize(
    ("module", "owner"),
    [
        ("nodecheck", "nodecheck"),
        ("json", "python"),
        ("pyimod02_importers", "pyinstaller"),
        ("certifi", "certifi"),
        ("setuptools", ""),
    ],
)
def test_every_module_is_of_one_part_or_of_none(module: str, owner: str) -> None:
    assert sbom.owner_of_module(module, WHEELS) == owner


def test_a_folder_agrees_with_its_bill(folder: Path) -> None:
    made = bill_of(folder)
    assert "2 files" in verifier.check_folder(folder, made)
    assert "7 versions" in verifier.check_words(folder, made, platform.machine())
    assert COMMIT in verifier.check_commit(made, allowed=False)


@pytest.mark.parametrize("change", ["more", "less", "other", "link"])
def test_refuses_files_that_are_more_less_or_others(folder: Path, change: str) -> None:
    made = bill_of(folder)
    library = folder / "_internal/base_library.zip"
    match change:
        case "more":
            (folder / "stray").write_text("x")
        case "less":
            library.unlink()
        case "other":
            library.write_bytes(b"zap")
        case _:
            library.rename(folder.parent / "zip")
            library.symlink_to(folder.parent / "zip")
    with pytest.raises(verifier.RefusedError):
        verifier.check_folder(folder, made)


def test_refuses_a_bill_without_files(tmp_path: Path, folder: Path) -> None:
    made = bill_of(folder)
    (tmp_path / "empty").mkdir()
    for part in (made["metadata"]["component"], *made["components"]):
        part.pop("components", None)
    with pytest.raises(verifier.RefusedError):
        verifier.check_folder(tmp_path / "empty", made)


@pytest.mark.parametrize("change", ["version", "missing", "more", "commit", "own"])
def test_refuses_a_program_that_says_otherwise(folder: Path, change: str) -> None:
    made = copy.deepcopy(bill_of(folder))
    match change:
        case "version":
            made["components"][1]["version"] = "1.2.13"
        case "missing":
            del made["components"][1]
        case "more":
            made["components"].append(made["components"][1] | {"name": "new", "bom-ref": "new"})
        case "commit":
            made["metadata"]["component"]["properties"][1]["value"] = "b" * 40
        case _:
            made["metadata"]["component"]["version"] = "1.2.4"
    with pytest.raises(verifier.RefusedError):
        verifier.check_words(folder, made, platform.machine())


def test_a_program_for_another_machine_is_not_run(folder: Path) -> None:
    (folder / "nodecheck").write_text("#!/bin/sh\nexit 1\n")
    assert verifier.check_words(folder, {}, "s390x").startswith("NOT RUN: it is for s390x")


@pytest.mark.parametrize(
    ("name", "machine"),
    [
        ("nodecheck_0.1.0-1_amd64.deb", "x86_64"),
        ("nodecheck_0.1.0-1_arm64.deb", "aarch64"),
        ("nodecheck-0.1.0-1.x86_64.rpm", "x86_64"),
        ("nodecheck-0.1.0-1.aarch64.rpm", "aarch64"),
    ],
)
def test_a_package_names_its_machine(name: str, machine: str) -> None:
    assert verifier.machine_of(Path(name)) == machine


def test_refuses_sources_that_lack_fixes(folder: Path) -> None:
    made = bill_of(folder)
    with pytest.raises(verifier.RefusedError, match=r"python 3\.11\.2 .there is 3\.11\.2-6"):
        verifier.check_age(made, allowed=False)
    assert verifier.check_age(made, allowed=True).startswith("ALLOWED")
    del made["components"][0]["properties"]
    assert "newest" in verifier.check_age(made, allowed=False)


@pytest.mark.parametrize("commit", ["unknown", "source", f"{COMMIT}-dirty", ""])
def test_refuses_what_is_of_no_commit(folder: Path, commit: str) -> None:
    made = bill_of(folder)
    made["metadata"]["component"]["properties"][1]["value"] = commit
    with pytest.raises(verifier.RefusedError):
        verifier.check_commit(made, allowed=False)


@pytest.mark.parametrize(
    ("sums", "files"),
    [
        ("{a}  a\n", {"a": "1", "b": "2"}),
        ("{a}  a\n{a}  b\n", {"a": "1"}),
        ("{a}  a\n{a}  a\n", {"a": "1"}),
        ("{a}  a\n", {"a": "2"}),
        ("{a}  ../a\n", {"a": "1"}),
        ("{a}  other/a\n", {"other/a": "1"}),
        ("{a}  a\n", {"a": "1", "distributor/b": "2"}),
        ("", {"a": "1"}),
    ],
)
def test_refuses_sums_that_are_not_of_the_files(
    tmp_path: Path, sums: str, files: dict[str, str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "SHA256SUMS").write_text(sums.format(a=sha256(b"1").hexdigest()))
    with pytest.raises(verifier.RefusedError):
        verifier.check_sums(tmp_path)


def test_sums_reach_into_the_folder_of_distributor(tmp_path: Path) -> None:
    (tmp_path / "distributor").mkdir()
    sums = []
    for name in ("a", "distributor/b"):
        (tmp_path / name).write_text(name)
        sums.append(f"{sha256(name.encode()).hexdigest()}  {name}\n")
    (tmp_path / "SHA256SUMS").write_text("".join(sums))
    assert verifier.check_sums(tmp_path).startswith("2 files")


def test_sums_know_of_no_links(tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").write_text("")
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(verifier.RefusedError, match="link"):
        verifier.check_sums(tmp_path)


def test_a_machine_has_one_bill(tmp_path: Path) -> None:
    with pytest.raises(verifier.RefusedError, match="no bill"):
        verifier.read_bills(tmp_path)
    for version in ("1", "2"):
        (tmp_path / f"nodecheck-{version}-linux-x86_64.cdx.json").write_text("{}")
    with pytest.raises(verifier.RefusedError, match="both bills of x86_64"):
        verifier.read_bills(tmp_path)


def test_tells_two_builds_apart(tmp_path: Path) -> None:
    first, second = (folder_of(tmp_path / name, TOLD) for name in ("first", "second"))
    assert "same bytes" in verifier.check_same(first, platform.machine(), [second])
    (second / "nodecheck").write_text("other")
    with pytest.raises(verifier.RefusedError, match="nodecheck"):
        verifier.check_same(first, platform.machine(), [second])
