from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from nodecheck.model.agent_place import WINDOWS, place_of
from nodecheck.model.errors import ProbeError, SinkError
from nodecheck.model.node import FileKind
from nodecheck.model.verdict import SkipReason, Status, Verdict
from nodecheck.records import replace
from nodecheck.sinks import inventory
from tests.fake_host import FakeFiles, FakeState, fake_host, file_state
from tests.reports import bad, ok, report

if TYPE_CHECKING:
    from nodecheck.host.door import Host
    from nodecheck.model.node import FileState

NODE = "i-0123456789abcdef0"
INVENTORY = f"/var/lib/amazon/ssm/{NODE}/inventory"
CONFIG = "/etc/amazon/ssm/amazon-ssm-agent.json"
FOLDERS = ("/", "/var", "/var/lib", "/var/lib/amazon", "/var/lib/amazon/ssm",
           f"/var/lib/amazon/ssm/{NODE}", INVENTORY)  # fmt: skip


def node(contents: dict[str, bytes | ProbeError] | None = None, **states: Any) -> Host:  # noqa: ANN401
    made: dict[str, FileState | ProbeError] = {
        path: file_state(path, kind=FileKind.FOLDER, mode=0o700) for path in FOLDERS
    }
    made |= {path.replace("__", "/"): state for path, state in states.items()}
    return fake_host(FakeFiles(contents or {}, made))


def kept(host: Host) -> dict[str, bytes | ProbeError]:
    assert isinstance(host.state, FakeState)
    return host.state.contents


def taken_by_agent(content: bytes) -> dict[str, str]:
    """Apply the agent's own rules (customGatherer.go) and return the attributes."""
    document = json.loads(content)
    assert document["TypeName"].startswith("Custom:")
    assert len(document["TypeName"].encode()) <= 100
    assert document["SchemaVersion"] == "1.0"
    attributes: dict[str, str] = document["Content"]
    assert len(attributes) <= 50
    for name, value in attributes.items():
        assert 1 <= len(name.encode()) <= 64
        assert isinstance(value, str)
        assert len(value.encode()) <= 4096
    return attributes


def test_the_file_is_where_the_agent_looks_and_as_it_wants_it() -> None:
    host = node()
    told = inventory.deliver(report(ok("clock.offset"), bad("agent.files", Status.CRIT)), host)
    assert told.detail == f"{INVENTORY}/custom/NodeCheck.json"
    (content,) = kept(host).values()
    assert isinstance(content, bytes)
    assert taken_by_agent(content) == {
        "Verdict": "crit",
        "NodeCheckVersion": "0.1.0",
        "AgentFiles": "crit beyond-tolerance",
        "ClockOffset": "ok",
    }


def test_no_value_that_changes_from_run_to_run_is_in_it() -> None:
    other = report(moment=report().run.started_at.replace(year=2030), clock=None)
    assert inventory.document(report()) == inventory.document(other)


def test_more_checks_than_there_is_room_leave_out_the_mildest_and_say_so() -> None:
    checks = [ok(f"node.good{number}") for number in range(60)]
    made = report(*checks, bad("agent.files", Status.CRIT), bad("clock.offset", Status.WARN))
    attributes = taken_by_agent(inventory.document(made).encode())
    assert len(attributes) == 50
    assert attributes["ChecksLeftOut"] == "15"
    assert (attributes["AgentFiles"], attributes["ClockOffset"]) == (
        "crit beyond-tolerance",
        "warn beyond-tolerance",
    )


def test_hostile_names_and_reasons_stay_within_the_limits() -> None:
    skip = Verdict.skip("node.x", SkipReason.OFFLINE, "offline")
    made = report(
        bad("\u202e\n", Status.CRIT, "é" * 5000), bad("a." + "b" * 200, Status.WARN, "\x00"), skip
    )
    attributes = taken_by_agent(inventory.document(made).encode())
    assert attributes["NodeX"] == "skip offline"
    assert attributes["Check"].startswith("crit ???")


@pytest.mark.parametrize(
    "state",
    [
        file_state(INVENTORY, kind=FileKind.FOLDER, mode=0o777),
        file_state(INVENTORY, kind=FileKind.FOLDER, mode=0o700, uid=1000),
        file_state(INVENTORY, kind=FileKind.FILE, mode=0o600),
    ],
)
def test_a_folder_that_others_can_change_is_not_written_to(state: Any) -> None:  # noqa: ANN401
    host = node(**{INVENTORY.replace("/", "__"): state})
    with pytest.raises(SinkError, match=r"inventory: owner .* others can write there"):
        inventory.deliver(report(), host)
    assert not kept(host)


def test_a_node_on_which_the_agent_never_ran_gets_no_folder() -> None:
    host = fake_host()
    with pytest.raises(SinkError, match="not there: the SSM Agent has not run as this node"):
        inventory.deliver(report(), host)
    assert not kept(host)


@pytest.mark.parametrize(("count", "is_taken"), [(19, True), (20, False), (40, False)])
def test_with_more_than_twenty_files_the_agent_takes_none(count: int, *, is_taken: bool) -> None:
    names = [f"{INVENTORY}/custom/{number}.json" for number in range(count)]
    others = [f"{INVENTORY}/custom/NodeCheck.json", f"{INVENTORY}/custom/readme.txt"]
    host = node(dict.fromkeys([*names, *others], b"{}"))
    if is_taken:
        assert inventory.deliver(report(), host)
        return
    with pytest.raises(
        SinkError, match=f"has {count} .json files of others; with one more than 20"
    ):
        inventory.deliver(report(), host)
    assert not kept(host)


@pytest.mark.parametrize("node_id", [None, "", "../../../etc", "i-0/../../x", "i-XYZ", "node"])
def test_without_an_id_of_systems_manager_there_is_no_folder(node_id: str | None) -> None:
    made = report()
    with pytest.raises(SinkError, match="has no id of Systems Manager"):
        inventory.deliver(replace(made, node=replace(made.node, node_id=node_id)), node())


def test_only_root_writes() -> None:
    with pytest.raises(SinkError, match="only root"):
        inventory.deliver(report(), replace(node(), privileged=False))


def test_a_run_that_left_checks_out_overwrites_nothing() -> None:
    with pytest.raises(SinkError, match="--only left checks out"):
        inventory.deliver(report(), node(), "--only")
    assert "would fail: not sent: --only" in inventory.dry_run(report(), "--only")


@pytest.mark.parametrize(
    "name", ["CustomInventoryDefaultLocation", "custominventorydefaultlocation"]
)
def test_the_agents_configuration_may_name_another_folder(name: str) -> None:
    config = json.dumps({"ssm": {name: "/srv/inventory/"}}).encode()
    host = node({CONFIG: config}, __srv=file_state("/srv", kind=FileKind.FOLDER))
    assert inventory.deliver(report(), host).detail == "/srv/inventory/NodeCheck.json"


@pytest.mark.parametrize(
    "config", [b"{", b"[" * 5000, b'{"Ssm": {"CustomInventoryDefaultLocation": "here"}}',
               b'{"Ssm": {"CustomInventoryDefaultLocation": 7}}', b"\xff\xfe"]
)  # fmt: skip
def test_a_configuration_that_is_not_understood_is_not_guessed(config: bytes) -> None:
    host = node({CONFIG: config})
    with pytest.raises(SinkError, match="amazon-ssm-agent"):
        inventory.deliver(report(), host)
    assert not kept(host)


@pytest.mark.parametrize("config", [b"{}", b"[]", b"null", b'{"Ssm": null}', b'{"Ssm": []}'])
def test_a_configuration_that_says_nothing_changes_nothing(config: bytes) -> None:
    told = inventory.deliver(report(), node({CONFIG: config}))
    assert told.detail.startswith(INVENTORY)


def test_windows_has_a_data_root_of_its_own() -> None:
    assert place_of("windows") is WINDOWS
    made = report()
    made = replace(made, node=replace(made.node, platform="windows"))
    assert inventory.folder_of(made) == (
        f"C:/ProgramData/Amazon/SSM/InstanceData/{NODE}/inventory/custom"
    )


def test_a_dry_run_shows_the_file_and_that_it_costs_nothing() -> None:
    text = inventory.dry_run(report())
    assert f"to {INVENTORY}/custom/NodeCheck.json" in text
    assert inventory.document(report()).strip() in text
    assert "IAM policy: none" in text
    assert "0.00 USD" in text
