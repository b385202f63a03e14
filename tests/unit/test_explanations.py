"""Every explanation has the same sections in the same style."""

from __future__ import annotations

import re

import pytest

from nodecheck.catalogue import CHECKS
from nodecheck.checks import (
    agent_authenticode,
    agent_files,
    agent_signature,
    agent_signing_key,
    agent_snap_signature,
    agent_windows_files,
    agent_windows_running,
)

SECTIONS = ("WHAT IS JUDGED", "LIMITS", "HOW TO MEND", "SOURCES")
EXPLANATIONS = [pytest.param(check.explanation, id=check.check_id) for check in CHECKS]


@pytest.mark.parametrize("text", EXPLANATIONS)
def test_sections_and_lines(text: str) -> None:
    lines = text.splitlines()
    heads = [line for line in lines if line and not line.startswith("  ")]
    assert [line for line in heads if line in SECTIONS] == list(SECTIONS)
    assert all(re.fullmatch("[A-Z ]+", line) for line in heads), heads
    assert max(map(len, lines)) <= 100
    assert not [line for line in lines if line != line.rstrip()]
    for head in heads:
        body = lines[lines.index(head) + 1]
        assert re.match(r"  \S", body), f"{head}: {body!r}"


CODES = {
    agent_authenticode: (
        "not-observed unsupported-signature untrusted-root chain-incomplete not-verified"
        " timestamp-not-verified clock-wrong time-not-known unsigned bad-digest bad-signature"
        " malformed-signature malformed-program truncated kind appended-data weak-digest"
        " self-issued wrong-publisher wrong-usage signer-differs expired not-yet-valid"
        " dated-in-future revoked distrusted refused-by-policy bad-timestamp"
    ),
    agent_windows_files: (
        "unquoted-path not-observed unproven-digests missing start-overridden shadowed writable"
        " owner folder-writable folder-owner folder-link"
    ),
    agent_windows_running: (
        "unproven no-permission hidden-process locked not-running image-not-signed image-replaced"
        " other-path not-root"
    ),
    agent_files: (
        "unit-edited unit-missing start-extended weak-digest not-observed unproven-digests no-files"
        " no-package timeout channel-not-verified update-in-progress digest missing kind"
        " link-target mode setuid capabilities writable owner folder-writable folder-owner"
        " folder-link hard-links start-overridden shadowed unsigned-program"
    ),
    agent_signature: (
        "weak-digest offer-refused not-observed unsupported-signature channel-not-verified"
        " key-ring-due no-package timeout bad-signature unsigned malformed-signature key-not-pinned"
        " key-distrusted dated-before-key dated-after-expiry dated-in-future wrong-package"
    ),
    agent_signing_key: "expiring time-not-known empty-ring expired",
    agent_snap_signature: (
        "not-observed unsupported-signature publisher-not-pinned bad-signature unsigned"
        " wrong-package wrong-revision wrong-publisher dated-in-future mount blob-writable"
    ),
}


@pytest.mark.parametrize("module", CODES, ids=lambda module: module.__name__)
def test_every_reason_code_is_explained(module: object) -> None:
    codes = CODES[module].split()  # type: ignore[index]
    limits = module.EXPLANATION.partition("LIMITS")[2]  # type: ignore[attr-defined]
    for code in codes:
        assert re.search(rf"(?<![\w-]){code}[,:]", limits), code
