"""An rpm database that somebody else is writing, and headers that only RPM 6 can sign."""

from __future__ import annotations

import base64
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from nodecheck.checks import agent_signature
from nodecheck.model.agent import InstallFacts
from nodecheck.model.errors import ProbeError
from nodecheck.model.package import gather
from nodecheck.model.trust import TrustPolicy
from nodecheck.probes import agent_rpm
from nodecheck.records import replace
from tests.fake_host import fake_host
from tests.trust_maker import make_blob, make_key, signed_blob, split_blob, strings

if sys.platform != "win32":
    from nodecheck.host.posix_files import PosixFiles

if TYPE_CHECKING:
    from pathlib import Path

    from nodecheck.model.trust import RpmFacts

assert sys.platform != "win32"

KEY = make_key()
BLOB = signed_blob(KEY)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "var/lib/rpm/rpmdb.sqlite"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("create table Packages (hnum integer primary key, blob blob)")
        made.execute("create table Name (key text, hnum integer)")
        made.execute("insert into Packages values (1, ?)", (BLOB,))
        made.execute("insert into Name values ('amazon-ssm-agent', 1)")
    return path


def look(database: Path) -> RpmFacts:
    host = replace(fake_host(), files=PosixFiles(str(database.parents[3])))
    return agent_rpm.look(host, KEY.ring())


def test_a_database_at_rest(database: Path) -> None:
    assert look(database).packages[0].proven


def test_a_writer_with_a_log_is_read_past(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("pragma journal_mode = wal")
        writer.execute("insert into Packages values (2, x'00')")
        writer.execute("begin immediate")
        writer.execute("update Packages set blob = x'00' where hnum = 1")
        assert look(database).packages[0].proven


def test_an_exclusive_lock_on_a_log_is_not_observed(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("pragma journal_mode = wal")
        writer.execute("pragma locking_mode = exclusive")
        writer.execute("insert into Packages values (2, x'00')")
        with pytest.raises(ProbeError, match="locked"):
            look(database)


def test_an_unfinished_transaction_in_the_file_itself_is_not_believed(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("pragma journal_mode = delete")
        writer.execute("pragma cache_size = 1")
        writer.execute("begin exclusive")
        writer.execute("delete from Packages")
        writer.execute("delete from Name")
        for number in range(50):  # more than the cache holds: it is written before the commit
            row = (number, b"x" * 9000)
            writer.execute("insert into Packages values (?, ?)", row)
        with pytest.raises(ProbeError):
            look(database)


def test_a_header_signed_for_rpm_6_alone_is_unknown(database: Path) -> None:
    region, tail = split_blob(BLOB)
    version_6 = base64.b64encode(b"\xc2\x06\x06\x00\x1b\x0c\x00\x00").decode()
    rest = [tag for tag in tail if tag[0] not in {267, 268}]
    blob = make_blob(region, [*rest, strings(278, version_6)])
    with closing(sqlite3.connect(database)) as made, made:
        made.execute("update Packages set blob = ?", (blob,))
    rpm = look(database)
    assert not rpm.packages[0].proven
    install = InstallFacts(rpm.installations, ())
    policy = TrustPolicy(builtin_keys=False)
    facts = gather(rpm)
    verdict = agent_signature.judge(install, facts, KEY.ring().facts, policy, None)
    assert (verdict.status.value, verdict.reason) == ("unknown", "unsupported-signature")
    assert "RPM 6" in verdict.message
