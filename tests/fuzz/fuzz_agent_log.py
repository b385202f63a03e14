"""Damage the logs of agents in every state, and their files beside them.

``python -m tests.fuzz.fuzz_agent_log COUNT [SEED]``: nothing may crash, no secret of a document may
come through, and a log without a connection must not make an ok out of a node that is refused.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from typing import Final

from nodecheck.checks.agent_channel import judge
from nodecheck.model.agent import Channel, Installation, InstallFacts
from nodecheck.model.verdict import Status
from nodecheck.probes.agent_credential_times import read_credentials
from nodecheck.records import replace
from tests.agent_logs import TREES, Tree
from tests.channel_node import look, row, running

INSTALLED: Final = InstallFacts(
    (Installation(Channel.DEB, "3.3.1142.0", "", "/usr/bin/amazon-ssm-agent"),), ()
)
REFUSED: Final = {
    "hibernating-by-skew",
    "hibernating-by-denial",
    "credential-loop",
    "never-answered",
}
ROWS: Final = (row("192.0.2.10", 443, 77), row("198.51.100.7", 443, 78), "")
CONFIG: Final = (
    b'{"SchemaVersion":"1.1","CredentialsExpiresAt":"2026-11-23T13:14:50.123456789Z",'
    b'"CredentialsRetrievedAt":"2026-11-23T12:14:50+01:00","CredentialSource":"SSM"}'
)


def run(count: int, seed: int) -> dict[str, int]:
    """Fuzz ``count`` trees; return what became of them."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, no secret
    counts: Counter[str] = Counter(inputs=count)
    trees = {name: make() for name, make in TREES.items()}
    for number in range(count):
        name = sorted(trees)[number % len(trees)]
        tree = _damage(trees[name], dice)
        rows = dice.choice(ROWS)
        credentials = read_credentials(_broken(CONFIG, dice), "/identity_config.json")
        facts = look(tree, rows, credentials=credentials)
        verdict = judge(INSTALLED, running(tree), facts, None)
        counts[verdict.status.value] += 1
        assert "hunter2" not in repr(verdict), name
        assert len(repr(verdict)) < 20_000, name
        if name in REFUSED and rows != ROWS[0]:
            assert verdict.status is not Status.OK, (name, number, seed)
    return dict(counts)


def _damage(tree: Tree, dice: random.Random) -> Tree:
    changed_s = {
        name: at_s + dice.choice((0, 0, 0, 900, -3600, 10**9, -2 * 10**9))
        for name, at_s in tree.changed_s.items()
    }
    contents = {name: _broken(data, dice) for name, data in tree.contents.items()}
    return replace(tree, contents=contents, changed_s=changed_s)


def _broken(data: bytes, dice: random.Random) -> bytes:
    """Return the data, or noise, or the data with bytes changed, lines moved or the end cut."""
    how = dice.randrange(6)
    if how == 0:
        return dice.randbytes(dice.randrange(400))
    if how == 1:
        return data[: dice.randrange(len(data) + 1)]
    if how == 2:
        lines = data.splitlines(keepends=True)
        place = dice.randrange(len(lines))
        return b"".join((*lines[place:], *lines[:place]))
    changed = bytearray(data)
    for _ in range(dice.choice((0, 1, 30))):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


if __name__ == "__main__":
    result = run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    sys.stdout.write(json.dumps(result) + "\n")
