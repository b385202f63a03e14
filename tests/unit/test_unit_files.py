"""Everything that systemd reads before it starts the agent, and who may change it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nodecheck.host.folders import look_above, look_behind
from nodecheck.host.unit_files import look_at_start
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.node import FileKind
from nodecheck.model.unit_file import UNIT_FOLDERS, drop_in_names
from nodecheck.records import replace
from tests.fake_host import FakeFiles
from tests.unit.test_agent_files import AGENT, CLI, DROP_IN, UNIT, Node, facts, found, package

if TYPE_CHECKING:
    from nodecheck.model.package import PackageFacts

NAME = "amazon-ssm-agent.service"
EVIL = b"[Service]\nExecStart=/opt/evil\n"
GOOD = b"[Service]\nExecStart=/usr/bin/amazon-ssm-agent\n"
LINK = FileKind.LINK


def moved(folder: str) -> tuple[Node, PackageFacts]:
    """Return a node whose package has its unit file in another folder, and that package."""
    path = f"{folder}/{NAME}"
    files = tuple(
        replace(file, path=path) if file.path == UNIT else file for file in package().files
    )
    node = Node()
    node.remove(UNIT)
    node.write(path, GOOD)
    return node, facts(replace(package(), files=files))


@pytest.mark.parametrize("folder", UNIT_FOLDERS)
@pytest.mark.parametrize(
    "name", [f"{NAME}.d", "amazon-ssm-.service.d", "amazon-.service.d", "service.d"]
)
def test_drop_ins_of_every_folder(folder: str, name: str) -> None:
    node = Node()
    node.write(f"{folder}/{name}/x.conf", EVIL)
    assert found(node.judge()) == [("start-overridden", f"{folder}/{name}/x.conf")]


@pytest.mark.parametrize("folder", ["/usr/lib/systemd/system", "/usr/local/lib/systemd/system"])
def test_a_unit_file_that_outranks_the_packages_own(folder: str) -> None:
    for higher in UNIT_FOLDERS[: UNIT_FOLDERS.index(folder)]:
        node, rpm = moved(folder)
        assert node.judge(rpm).status.value == "ok"
        path = f"{higher}/{NAME}"
        node.write(path, EVIL)
        assert found(node.judge(rpm)) == [("start-overridden", path), ("shadowed", path)]
        node.write(path, GOOD)
        assert found(node.judge(rpm)) == [("shadowed", path)]


@pytest.mark.parametrize("folder", UNIT_FOLDERS[UNIT_FOLDERS.index("/etc/systemd/system") + 1 :])
def test_a_unit_file_that_the_packages_own_outranks(folder: str) -> None:
    node = Node()
    node.write(f"{folder}/{NAME}", EVIL)
    assert node.judge().status.value == "ok"


def test_a_signed_unit_file_outside_the_search_path_starts_nothing() -> None:
    node, rpm = moved("/opt")
    assert node.judge(rpm).status.value == "ok"
    path = f"/run/systemd/generator.late/{NAME}"
    node.write(path, GOOD)
    assert found(node.judge(rpm)) == [("shadowed", path)]


def test_masks_and_links_to_the_own_unit_file_outrank_nothing() -> None:
    node, rpm = moved("/usr/lib/systemd/system")
    path = f"/etc/systemd/system/{NAME}"
    for target in ("/dev/null", "../../../usr/lib/systemd/system/" + NAME):
        node.set(path, kind=LINK, target=target)
        assert node.judge(rpm).status.value == "ok", target
    node.write(path, b"")
    assert node.judge(rpm).status.value == "ok"
    node.set(path, kind=LINK, target="/usr/lib/systemd/system/other.service")
    assert node.judge(rpm).reason == "shadowed"


def test_what_is_started_where_the_packages_unit_file_is_gone() -> None:
    node = Node()
    node.remove(UNIT)
    path = f"/usr/lib/systemd/system/{NAME}"
    node.write(path, GOOD)
    assert found(node.judge()) == [("unit-missing", UNIT)]
    node.write(path, EVIL)
    assert found(node.judge()) == [("start-overridden", path), ("unit-missing", UNIT)]
    node.write(f"/run/systemd/generator/{NAME}", GOOD)
    assert found(node.judge()) == [("unit-missing", UNIT)]


def test_drop_ins_of_an_alias() -> None:
    node = Node()
    path = "/run/systemd/system/more.service.d/x.conf"
    node.write(path, EVIL)
    assert node.judge().status.value == "ok"
    node.set("/etc/systemd/system/ssm.service", kind=LINK, target=NAME)
    node.set("/usr/lib/systemd/system/more.service", kind=LINK, target="/x/ssm.service")
    assert found(node.judge()) == [("start-overridden", path)]


def test_a_drop_in_that_another_replaces_is_not_read() -> None:
    lower = f"/usr/lib/systemd/system/{NAME}.d/override.conf"
    node = Node()
    node.write(lower, EVIL)
    node.set(DROP_IN, kind=LINK, target="/dev/null")
    assert node.judge().status.value == "ok"
    node.write(DROP_IN, b"[Service]\nNice=1\n")
    assert node.judge().status.value == "ok"
    node.set(DROP_IN, kind=FileKind.FOLDER)
    assert found(node.judge()) == [("start-overridden", lower)]
    node.set(DROP_IN, kind=LINK, target="/absent")
    assert found(node.judge()) == [("start-overridden", lower)]
    node.remove(DROP_IN)
    node.write("/etc/systemd/system/service.d/override.conf", b"[Service]\nNice=1\n")
    node.write(f"/etc/systemd/system.control/{NAME}.d/override.conf", b"[Service]\nNice=1\n")
    assert found(node.judge()) == [("start-overridden", lower)]  # older ones do not read those


def test_a_drop_in_behind_a_link_is_read_and_its_file_judged() -> None:
    node = Node()
    node.set(DROP_IN, kind=LINK, mode=0o777, target="/srv/x")
    node.write("/srv/x", b"[Service]\nNice=1\n")
    assert node.judge().status.value == "ok"
    node.set("/srv", kind=FileKind.FOLDER, mode=0o777)
    assert found(node.judge()) == [("folder-writable", "/srv")]
    node.write("/srv/x", EVIL)
    assert ("start-overridden", DROP_IN) in found(node.judge())
    node.set("/srv/x", kind=LINK, target="x")
    assert "not-observed" in [reason for reason, _ in found(node.judge())]


ABOVE = "/etc/systemd/system/amazon-ssm-agent.service.d"
MANAGER = "/etc/systemd/system.conf"
JSON = "/etc/amazon/ssm/amazon-ssm-agent.json"
SEELOG = "/etc/amazon/ssm/seelog.xml"


@pytest.mark.parametrize("path", [DROP_IN, MANAGER, f"{MANAGER}.d/x.conf", JSON, SEELOG])
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mode": 0o646}, "writable"),
        ({"mode": 0o664}, "writable"),
        ({"mode": 0o644, "uid": 7}, "owner"),
    ],
)
def test_who_may_write_to_what_is_read(path: str, changes: dict[str, object], reason: str) -> None:
    node = Node()
    node.write(path, b"[Service]\n")
    assert node.judge().status.value == "ok"
    node.set(path, **changes)
    verdict = node.judge()
    assert (verdict.status.value, found(verdict)) == ("crit", [(reason, path)])
    assert verdict.fixes[0].command.endswith(f"'{path}'")


@pytest.mark.parametrize(
    "folder",
    [
        ABOVE,
        "/run/systemd/system.control/amazon-.service.d",
        "/etc/systemd/system.attached",
        "/etc/systemd/system",
        "/etc/systemd/system.conf.d",
        "/run/systemd",
        "/etc",
        "/etc/amazon/ssm",
        "/etc/amazon",
    ],
)
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mode": 0o777}, "folder-writable"),
        ({"mode": 0o1777}, "folder-writable"),
        ({"mode": 0o775, "gid": 50}, "folder-writable"),
        ({"uid": 7}, "folder-owner"),
    ],
)
def test_who_may_add_a_file_that_would_be_read(
    folder: str, changes: dict[str, object], reason: str
) -> None:
    node = Node()
    for path in ("/run", "/usr/local/lib", "/usr/lib"):
        node.set(path, kind=FileKind.FOLDER)
    node.set(folder, kind=FileKind.FOLDER, **changes)
    assert (reason, folder) in found(node.judge())
    assert len(node.judge().findings) == 1


@pytest.mark.parametrize(
    ("mode", "gid", "reason"),
    [
        (0o2775, 50, "ok"),
        (0o775, 60, "folder-writable"),
        (0o777, 50, "folder-writable"),
    ],
)
@pytest.mark.parametrize(
    "deeper", ["/usr/local", "/usr/local/lib", "/usr/local/lib/systemd/system"]
)
def test_debians_group_for_local_software(mode: int, gid: int, reason: str, deeper: str) -> None:
    node = Node()
    node.set("/usr/lib", kind=FileKind.FOLDER)
    node.set(deeper, kind=FileKind.FOLDER)
    node.set("/usr/local", kind=FileKind.FOLDER, mode=mode, gid=gid)
    assert node.judge().reason == reason


def test_links_above_what_is_read_are_followed() -> None:
    node = Node()
    node.set("/usr/local", kind=LINK, target="../var/usrlocal")
    node.set("/var/usrlocal", kind=FileKind.FOLDER)
    assert node.judge().status.value == "ok"
    node.set("/var", kind=FileKind.FOLDER, mode=0o777)
    assert found(node.judge()) == [("folder-writable", "/var")]


@pytest.mark.parametrize(
    "path",
    [
        MANAGER,
        "/run/systemd/system.conf",
        f"{MANAGER}.d/x.conf",
        "/run/systemd/system.conf.d/x.conf",
        "/usr/lib/systemd/system.conf.d/x.conf",
        "/usr/local/lib/systemd/system.conf.d/x.conf",
    ],
)
@pytest.mark.parametrize("key", ["DefaultEnvironment", "ManagerEnvironment"])
def test_variables_that_the_manager_gives_to_all(path: str, key: str) -> None:
    node = Node()
    node.write(path, f"[Manager]\n{key}=LANG=C\nLogLevel=info\n".encode())
    assert node.judge().status.value == "ok"
    node.write(path, f"[Manager]\n{key}=LANG=C LD_PRELOAD=/x.so\n".encode())
    verdict = node.judge()
    assert (verdict.status.value, found(verdict)) == ("crit", [("start-overridden", path)])


def test_settings_that_cannot_be_read_are_unknown() -> None:
    for path in (MANAGER, f"/usr/lib/systemd/system/{NAME}.d", "/etc/systemd/system"):
        node = Node()
        node.states[path] = Denied(f"{path}: permission denied")
        if path == MANAGER:
            assert node.judge().reason == "not-observed"
            continue

        class Closed(Node):
            def listing(self, path: str, limit: int, *, closed: str = path) -> tuple[str, ...]:
                if path == closed:
                    message = f"{path}: permission denied"
                    raise Denied(message)
                return super().listing(path, limit)

        assert Closed().judge().reason == "not-observed"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (CLI, "ok"),
        ("../../bin/ssm-cli", "ok"),
        ("../sbin/ssm-cli", "ok"),
        ("/absent", "shadowed"),
        (AGENT, "ok"),
        ("/opt/evil", "shadowed"),
    ],
)
def test_links_in_the_search_path_lead_where_they_lead(target: str, reason: str) -> None:
    node = Node()
    node.write("/opt/evil", b"evil", 0o755)
    node.set("/usr/local/sbin/ssm-cli", kind=LINK, target=CLI)
    node.set("/usr/local/bin/ssm-cli", kind=LINK, target=target)
    assert node.judge().reason == reason


def test_a_folder_link_does_not_make_a_foreign_program_the_agents() -> None:
    """``/usr/local/bin`` is ``/opt/a/b``: its ``../../bin/ssm-cli`` is not that of ``/usr``."""
    node = Node()
    node.set("/usr/local/bin", kind=LINK, target="/opt/a/b")
    node.set("/usr/local/bin/ssm-cli", kind=LINK, target="../../bin/ssm-cli")
    node.set("/opt/a/b/ssm-cli", kind=LINK, target="../../bin/ssm-cli")
    node.write("/opt/bin/ssm-cli", b"evil", 0o755)
    assert found(node.judge()) == [("shadowed", "/usr/local/bin/ssm-cli")]


def test_links_without_end() -> None:
    files = Node()
    files.set("/a", kind=LINK, target="b")
    files.set("/b", kind=LINK, target="./a")
    unobserved: list[str] = []
    assert look_behind(files, "/a", unobserved) is None
    assert unobserved == ["/a: more than 40 symbolic links"]
    for number in range(50):
        files.set(f"/l{number}", kind=LINK, target=f"/l{number + 1}")
    look_above(files, ["/l0/x"], unobserved)
    assert unobserved[1:] == ["/l40: more than 40 symbolic links above files"]


def test_an_error_behind_a_link_is_noted() -> None:
    files = FakeFiles({"/f": ProbeError("/f: input/output error")})
    notes: list[str] = []
    assert look_behind(files, "/f", notes) is None
    assert look_at_start(FakeFiles(), NAME, (), notes).units == ()
    assert notes == ["/f: input/output error"]


def test_names_of_drop_in_folders() -> None:
    assert drop_in_names("a.service") == ("a.service.d", "service.d")
    assert drop_in_names(NAME)[1:] == ("amazon-ssm-.service.d", "amazon-.service.d", "service.d")
