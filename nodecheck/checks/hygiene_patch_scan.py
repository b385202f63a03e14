"""Judge whether more than one method scans this node for patches.

Each scan overwrites the patch compliance of the one before, also where it used another baseline, so
that with two methods the result is that of whichever ran last (User Guide, "Avoiding unintentional
patch compliance data overwrites").

Methods are told apart by what runs: the document of an association, whether Quick Setup made it,
and the folders of commands, which a maintenance window or a person sent. A method that rests, such
as one that was replaced, does not count. One or none is ``ok`` as far as the log reaches back, and
``unknown`` if that is less than the longest usual time between two scans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.hygiene import DAY_NS, HOST_MANAGEMENT, SCAN_REACH_DAYS, Work
from nodecheck.model.remedy import send_update_fix
from nodecheck.model.schedule import longest_gap_days
from nodecheck.model.verdict import Evidence, Finding, Fix, SkipReason, Status, Verdict
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from nodecheck.model.agent import InstallFacts
    from nodecheck.model.hygiene import Association, AssociationFacts, RunFolders
    from nodecheck.model.node import NodeFacts

ID: Final = "hygiene.patch-scan"
QUESTION: Final = "does only one method scan this node for patches?"
EXPLANATION: Final = """\
WHAT IS JUDGED
  Which methods have scanned this node for patches, as far as the agent's log reaches back and
  folders of runs are left (associations 24 hours, commands 14 days). Each scan overwrites the
  compliance that the one before reported, so that two methods contradict each other:
    patch policy        an association of AWS-RunPatchBaseline that Quick Setup made
    host management     AWS-RunPatchBaselineAssociation, Quick Setup's daily scan
    own association     any other association of a patch document; one that installs and one that
                        scans are one method, two that scan are two
    maintenance window  commands on two days or more; a person may have sent them
  An association that missed two of its runs has been replaced and does not count. Maintenance
  windows and associations cannot be asked for from the node: this is what the node has seen.

LIMITS
  ok       one method or none in the 8 days or more that the log reaches back
  warn     several-methods
  unknown  beyond-retention: one method or none, but the log reaches back less than 8 days, and a
           weekly scan may lie before it, so that the verdict of the run does not count it;
           age-unknown: the clock was not measured, or was set since; not-observed, no-permission:
           a log or folder could not be read, or others can write it

HOW TO MEND
  look     aws ssm describe-instance-associations-status --instance-id ID
  keep     one method; AWS prefers the patch policy of Quick Setup
  own      aws ssm delete-association --association-id ID
  Quick Setup, Host Management: clear "Scan instances for missing patches daily"
  window   aws ssm deregister-task-from-maintenance-window --window-id ID --window-task-id ID

SOURCES
  https://docs.aws.amazon.com/systems-manager/latest/userguide/
    avoid-patch-compliance-overwrites.html
  https://docs.aws.amazon.com/systems-manager/latest/userguide/patch-manager-ssm-documents.html
  https://docs.aws.amazon.com/systems-manager/latest/userguide/systems-manager-best-practices.html
"""

REPEATED_DAYS: Final = 2
_POLICY: Final = "patch policy"
_HOST: Final = "host management"
_WINDOW: Final = "maintenance window or Run Command"


@dataclass(frozen=True, slots=True)
class _Method:
    """One method. ``is_dated`` is false where it is not known whether it still runs."""

    name: str
    detail: str
    association_id: str = ""
    is_dated: bool = True


def judge(
    install: InstallFacts,
    log: AssociationFacts,
    folders: RunFolders,
    node: NodeFacts | None,
    now: datetime | None,
) -> Verdict:
    """Return the verdict; ``now`` is corrected time, None where it is not known."""
    if not install.installations:
        return _nothing_installed(install)
    seen = log.of(Work.PATCH, node.node_id if node else "")
    methods = (*_of_associations(seen, log, now), *_of_folders(seen, folders))
    evidence = _evidence(methods, log, now)
    sure = [item for item in methods if item.is_dated]
    if len(sure) > 1:
        text = f"{_named(sure)} scan this node for patches, each overwrites the other's results"
        finding = Finding("several-methods", text)
        fixes = _fixes(sure, node)
        return Verdict.of(ID, Status.WARN, (finding,), evidence=evidence, fixes=fixes)
    doubt = _doubt(methods, log, folders, now)
    if doubt is not None:
        return Verdict.of(ID, Status.UNKNOWN, (doubt,), evidence=evidence)
    reach_days = log.reach_days(now) or 0.0
    text = f"{_named(methods)} in the {reach_days:.1f} days that the log reaches back"
    return Verdict.ok(ID, text, evidence, limit="one method")


def _nothing_installed(install: InstallFacts) -> Verdict:
    if not install.unobserved:
        return Verdict.skip(ID, SkipReason.NOT_APPLICABLE, "no SSM Agent is installed")
    text = f"cannot tell which agent is installed: {'; '.join(install.unobserved)}"
    return Verdict.of(ID, Status.UNKNOWN, (Finding("not-observed", text),))


def _of_associations(
    seen: tuple[Association, ...], log: AssociationFacts, now: datetime | None
) -> Iterator[_Method]:
    """Yield the methods of associations that still run, or may."""
    running = [item for item in seen if not _rests(item, log, now)]
    own = [item for item in running if not item.is_policy and item.document != HOST_MANAGEMENT]
    scans = [item for item in own if item.operation != "Install"]
    groups = (
        (_POLICY, [item for item in running if item.is_policy][:1]),
        (
            _HOST,
            [item for item in running if not item.is_policy and item.document == HOST_MANAGEMENT],
        ),
        ("own association", scans or own[:1]),
    )
    for name, items in groups:
        for item in items if name != _HOST else items[:1]:
            is_dated = log.age_days(item.at_ns, now) is not None
            detail = f"{item.document}, {item.schedule or 'no schedule'}, last {item.at}"
            yield _Method(name, detail, item.association_id, is_dated)


def _rests(item: Association, log: AssociationFacts, now: datetime | None) -> bool:
    """Tell whether it is proven that an association missed two of its runs."""
    age_days = log.age_days(item.at_ns, now)
    gap_days = longest_gap_days(item.schedule) if item.schedule else None
    return age_days is not None and age_days > 2 * (gap_days or SCAN_REACH_DAYS / 2) + 1


def _of_folders(seen: tuple[Association, ...], folders: RunFolders) -> Iterator[_Method]:
    """Yield what only folders tell of: commands of several days, associations of no log."""
    traces = folders.of(Work.PATCH)
    days = {item.at_ns // DAY_NS for item in traces if not item.is_association}
    if len(days) >= REPEATED_DAYS:
        yield _Method(_WINDOW, f"commands on {len(days)} days")
    named = {item.association_id for item in seen}
    others = {item.owner_id for item in traces if item.is_association} - named
    for owner in sorted(others):
        yield _Method("association", "its document is in no log", owner)


def _doubt(
    methods: tuple[_Method, ...],
    log: AssociationFacts,
    folders: RunFolders,
    now: datetime | None,
) -> Finding | None:
    problems = [*log.unobserved, *([folders.problem] if folders.problem else [])]
    if problems:
        return Finding("not-observed", "; ".join(problems))
    reach_days = log.reach_days(now)
    if len(methods) > 1:
        text = f"{_named(methods)} have scanned this node; whether all still do is not known"
        return Finding("age-unknown", text)
    if reach_days is None:
        text = f"{_named(methods)} in the log; how far it reaches back is not known"
        return Finding("age-unknown", text)
    if reach_days < SCAN_REACH_DAYS:
        text = (
            f"{_named(methods)} in the {reach_days:.1f} days that the log reaches back; a weekly"
            f" scan shows in {SCAN_REACH_DAYS:.0f}"
        )
        return Finding("beyond-retention", text)
    return None


def _named(methods: tuple[_Method, ...] | list[_Method]) -> str:
    names = [
        f"{item.name} {item.association_id}" if item.association_id else item.name
        for item in methods
    ]
    return " and ".join(names) if names else "no patch scan"


def _evidence(
    methods: tuple[_Method, ...], log: AssociationFacts, now: datetime | None
) -> tuple[Evidence, ...]:
    reach_days = log.reach_days(now)
    found = (
        Evidence("methods", tuple(f"{item.name}: {item.detail}" for item in methods)),
        Evidence("log_reaches_back_days", reach_days and round(reach_days, 2)),
        Evidence("logs_read", log.read or ("none",)),
        Evidence("entries_not_understood", log.strange or None),
    )
    return tuple(entry for entry in found if entry.value not in {(), None})


def _fixes(methods: list[_Method], node: NodeFacts | None) -> tuple[Fix, ...]:
    if not send_update_fix(node) or node is None:  # node id or Region have not their form
        return ()
    where = f"--region {node.region}"
    listing = f"aws ssm describe-instance-associations-status --instance-id {node.node_id}"
    fixes = [Fix(f"{listing} {where}")]
    if any(item.name in {_POLICY, _HOST} for item in methods):
        fixes += [
            Fix(f"aws ssm delete-association --association-id {item.association_id} {where}")
            for item in methods
            if item.name == "own association"
        ]
    return tuple(fixes)
