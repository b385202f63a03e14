"""What the agent's log and its folders prove of associations, and what they do not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.model.agent_place import LINUX
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.hygiene import AssociationFacts, RunFolders, Trace, Work
from nodecheck.model.node import FileKind, FileState
from nodecheck.probes import hygiene_folders, hygiene_log
from tests.fake_host import FakeFiles, fake_host, file_state
from tests.hygiene_builders import (
    ID,
    NODE_ID,
    NOW,
    ORCHESTRATION,
    OTHER_ID,
    UPDATE,
    clock,
    days,
    entry,
    line,
    log_files,
)


def look(files: FakeFiles) -> AssociationFacts:
    return hygiene_log.look(fake_host(files, clock()))


def test_an_entry_tells_document_schedule_time_and_result() -> None:
    facts = look(log_files(line(days(40)) + entry(days(9)) + line(days(1))))
    (found,) = facts.of(Work.UPDATE)
    assert (found.association_id, found.document, found.schedule) == (
        ID, "AWS-UpdateSSMAgent", "rate(14 days)",
    )  # fmt: skip
    assert found.status == "Success"
    assert facts.age_days(found.at_ns, NOW) == pytest.approx(9, abs=0.01)
    assert facts.reach_days(NOW) == pytest.approx(40, abs=0.01)
    assert facts.unobserved == ()
    assert facts.strange == 0


def test_the_last_run_of_each_association_counts() -> None:
    text = entry(days(23)) + entry(days(9), DetailedStatus="Failed")
    text += entry(days(5), association_id=OTHER_ID) + entry(days(3), "AWS-GatherSoftwareInventory")
    first, second = look(log_files(text)).of(Work.UPDATE)
    assert (first.association_id, second.association_id) == (OTHER_ID, ID)
    assert second.status == "Failed"


def test_rolled_logs_reach_further_back() -> None:
    rolled = {
        "amazon-ssm-agent.log.2": line(days(20)) + entry(days(16), "AWS-RunPatchBaseline"),
        "amazon-ssm-agent.log.1": line(days(60)),
        "amazon-ssm-agent.log.old": line(days(300)),
        "errors.log.1": line(days(300)),
    }
    facts = look(log_files(line(days(10)), rolled))
    assert len(facts.of(Work.PATCH)) == 1
    assert facts.reach_days(NOW) == pytest.approx(60, abs=0.01)
    assert len(facts.read) == 3


def test_no_older_log_is_read_than_matters() -> None:
    rolled = {"amazon-ssm-agent.log.1": line(days(60)) + entry(days(50))}
    assert len(look(log_files(line(days(10)) + entry(days(9)), rolled)).read) == 1
    assert len(look(log_files(line(days(8)) + entry(days(7)), rolled)).read) == 2
    assert len(look(log_files(line(days(38)), rolled)).read) == 1
    assert len(look(log_files(line(days(36)), rolled)).read) == 2


def test_a_document_of_ones_own_with_the_plugin_updates_too() -> None:
    (found,) = look(log_files(entry(days(1), "Company-Update", document=UPDATE))).of(Work.UPDATE)
    assert found.document == "Company-Update"
    steps = json.dumps({"mainSteps": [{"action": "aws:updateSsmAgent", "name": "x"}]})
    assert look(log_files(entry(days(1), "Company-Update", document=steps))).of(Work.UPDATE)
    script = json.dumps({"mainSteps": [{"inputs": {"runCommand": ["echo aws:updateSsmAgent"]}}]})
    assert not look(log_files(entry(days(1), "Company-Echo", document=script))).of(Work.UPDATE)


INVENTED = '{"Association":{"Name":"AWS-UpdateSSMAgent","AssociationId":"' + ID + '"}}'


@pytest.mark.parametrize(
    "text",
    [
        line(days(1), f"[w] output: Next scheduled association is {INVENTED}"),
        line(days(1), f"Next scheduled association is {INVENTED}", "ERROR"),
        f"Next scheduled association is {INVENTED}\n",
        line(days(1), "[w] document: {") + f"  Next scheduled association is {INVENTED}\n}}\n",
        line(days(1), '[w] plugin {"x":"Next scheduled association is ' + INVENTED + '"}'),
        line(days(1), "[" + "a" * 300 + f"] Next scheduled association is {INVENTED}"),
    ],
)
def test_the_same_words_in_what_others_wrote_prove_nothing(text: str) -> None:
    facts = look(log_files(text))
    assert facts.associations == ()
    assert facts.strange == 0


@pytest.mark.parametrize(
    "broken",
    [
        entry(days(1))[:-40],
        entry(days(1)).replace('"Association": {', '"Association": [', 1),
        entry(days(1), name=["AWS-UpdateSSMAgent"]),  # type: ignore[arg-type]
        entry(days(1), association_id="'; reboot; '"),
        entry(days(1)).replace('"AssociationId"', '"AssociationId'),
        line(days(1), "Next scheduled association is {" + '"PatchBaseline":{' * 90_000),
        line(days(1), 'Next scheduled association is {"UpdateSSMAgent":\x00\xff'),
    ],
)
def test_what_is_cut_or_invented_is_counted_and_never_a_fact(broken: str) -> None:
    facts = look(log_files(broken))
    assert facts.associations == ()
    assert facts.strange == 1
    assert "1 entries are not understood" in facts.unobserved[0]
    healthy = look(log_files(broken + line(days(0.5)) + entry(days(0.4))))
    assert len(healthy.associations) == 1
    assert (healthy.strange, healthy.unobserved) == (1, ())


def test_an_entry_on_one_line_is_read_as_well() -> None:
    assert look(log_files(line(days(1), f"Next scheduled association is {INVENTED}"))).associations


@pytest.mark.parametrize("block", range(3000, 5000, 90))
def test_an_entry_across_blocks_is_found_once_and_whole(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(hygiene_log, "BLOCK_BYTES", block)
    monkeypatch.setattr(hygiene_log, "ENTRY_BYTES", 2000)
    ids = [f"{number:08x}{ID[8:]}" for number in range(40)]
    text = "".join(entry(days(9), association_id=name) + line(days(8)) * 7 for name in ids)
    facts = look(log_files(text))
    assert sorted(item.association_id for item in facts.associations) == ids
    assert facts.strange == 0


def test_texts_of_the_node_are_shown_without_secrets_and_controls() -> None:
    text = entry(days(1), schedule="rate(14 days)\x1b[2J password=hunter2222 " + "x" * 9999)
    (found,) = look(log_files(text)).associations
    assert "\x1b" not in found.schedule
    assert "hunter" not in found.schedule
    assert len(found.schedule) <= 200


@pytest.mark.parametrize(("uid", "mode"), [(1000, 0o600), (0, 0o622), (0, 0o666)])
def test_a_log_that_others_can_write_proves_nothing(uid: int, mode: int) -> None:
    files = log_files(entry(days(1)))
    files.states[LINUX.log] = file_state(LINUX.log, uid=uid, mode=mode)
    facts = look(files)
    assert facts.associations == ()
    assert "others can write it, so that it proves nothing" in facts.unobserved[0]


def test_absence_and_refusal_are_not_the_same() -> None:
    assert "not there" in look(FakeFiles()).unobserved[0]
    denied = Denied(f"{LINUX.log}: permission denied")
    with pytest.raises(Denied):
        look(FakeFiles({LINUX.log: denied}, {LINUX.log: denied}))


def test_a_stamp_that_fits_no_zone_has_no_age() -> None:
    files = log_files(line(days(40)) + entry(days(9)))
    later = int(NOW.timestamp() + 400) * 10**9
    files.states[LINUX.log] = file_state(LINUX.log, mode=0o600, mtime_ns=later)
    facts = look(files)
    assert facts.associations[0].at_ns is None
    assert facts.reach_days(NOW) is None


def test_ages_need_a_clock_that_agrees_with_the_true_time() -> None:
    facts = look(log_files(line(days(40))))
    assert facts.reach_days(None) is None
    assert facts.reach_days(NOW + days(0.9)) == pytest.approx(40, abs=0.01)
    assert facts.reach_days(NOW + days(2)) is None  # the clock was wrong, then or now
    assert facts.reach_days(NOW - days(41)) is None


def test_no_more_is_read_than_there_is_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hygiene_log, "READ_LIMIT_S", -1)
    facts = look(log_files(line(days(40)) + entry(days(9))))
    assert (facts.begins_ns, facts.read) == (None, ())


RUN = "2026-11-22T12-46-40.213Z"


def folders(*paths: str) -> RunFolders:
    states: dict[str, FileState | ProbeError]
    states = {path: file_state(path, mtime_ns=5 * 10**18) for path in paths}
    return hygiene_folders.look(fake_host(FakeFiles(states=states), clock()))


def test_folders_tell_commands_from_associations() -> None:
    found = folders(
        f"{ORCHESTRATION}/{ID}/{RUN}/awsupdateSsmAgent/stdout",
        f"{ORCHESTRATION}/{ID}/not-a-run/PatchLinux/_script.sh",
        f"{ORCHESTRATION}/{OTHER_ID}/awsrunShellScript/PatchLinux/stdout",
        f"{ORCHESTRATION}/{OTHER_ID}/awsrunShellScript/else/stdout",
        f"{ORCHESTRATION}/no-id/PatchLinux/stdout",
        f"{ORCHESTRATION}/{ID}/2026-99-99T12-46-40.213Z/PatchLinux/stdout",
        f"{LINUX.instances}/quoted'\"; reboot/document/orchestration/{ID}/PatchWindows/x",
    )
    update, *patches = sorted(found.traces, key=lambda item: item.work.value, reverse=True)
    assert update == Trace(ID, Work.UPDATE, is_association=True, at_ns=1795351600 * 10**9)
    assert {(item.owner_id, item.is_association) for item in patches} == {
        (OTHER_ID, False), (ID, False),
    }  # fmt: skip
    assert found.problem == ""
    assert found.of(Work.UPDATE) == (update,)


def test_links_are_not_followed_and_problems_are_told() -> None:
    path = f"{ORCHESTRATION}/{ID}"
    link = file_state(path, kind=FileKind.LINK, target="/elsewhere")
    files = FakeFiles(states={path: link, f"{path}/PatchLinux/x": file_state("x")})
    assert hygiene_folders.look(fake_host(files, clock())).traces == ()
    bad = FakeFiles(states={ORCHESTRATION: ProbeError("I/O error"), f"{path}/x": file_state("x")})
    assert hygiene_folders.look(fake_host(bad, clock())).problem == "I/O error"
    denied = FakeFiles(states={ORCHESTRATION: Denied("no"), f"{path}/x": file_state("x")})
    with pytest.raises(Denied):
        hygiene_folders.look(fake_host(denied, clock()))
    assert hygiene_folders.look(fake_host(FakeFiles(), clock())).problem == ""


def test_counting_folders_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hygiene_folders, "LIMIT_S", -1)
    assert "not all entries" in folders(f"{ORCHESTRATION}/{ID}/PatchLinux/x").problem


@given(st.binary(max_size=400), st.integers(0, 3))
def test_any_bytes_around_an_entry_end_in_facts(noise: bytes, place: int) -> None:
    good = entry(days(1)).encode()
    parts = [good, b"Next scheduled association is {", good[: len(good) // 2]]
    parts.insert(place, noise)
    text = b"\n".join(parts) + b"\n" + line(days(0.5)).encode()
    files = FakeFiles({LINUX.log: text})
    facts = look(files)
    assert {item.document for item in facts.associations} <= {"AWS-UpdateSSMAgent"}


def test_a_log_from_another_node_is_not_of_this_one() -> None:
    facts = look(log_files(entry(days(1), InstanceId="i-0fedcba9876543210")))
    assert facts.of(Work.UPDATE)
    assert facts.of(Work.UPDATE, NODE_ID) == ()
