from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING

import pytest

from nodecheck.aws import agent_credentials
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.node import FileKind, FileState
from tests.fake_host import FakeFiles, fake_host, file_state

if TYPE_CHECKING:
    from nodecheck.host.door import Host

CONFIG = "/var/lib/amazon/ssm/runtimeconfig/identity_config.json"
HOSTS = "/var/lib/amazon/ssm/credentials"
SHARED = "/root/.aws/credentials"
SECRET = "s3cr3t+of/nobody"  # noqa: S105 - of nobody
KEYS = f"aws_access_key_id = ASIAEXAMPLE\naws_secret_access_key = {SECRET}\n"
PROFILE = f"[default]\n{KEYS}aws_session_token = tok%en\n"


def node(**files: str) -> Host:
    """Return a node with these files of the agent, root's own."""
    paths = {"config": CONFIG, "hosts": HOSTS, "shared": SHARED}
    contents = {paths[name]: text.encode() for name, text in files.items()}
    states: dict[str, FileState | ProbeError] = {
        path: file_state(path, mode=0o600) for path in contents
    }
    return fake_host(FakeFiles(contents, states))  # type: ignore[arg-type]


def config(**members: object) -> str:
    return json.dumps({"SchemaVersion": "1.1", "IdentityType": "OnPrem", **members})


def test_a_hybrid_node_shares_a_file_and_a_profile() -> None:
    host = node(
        config=config(ShareFile=SHARED, ShareProfile="ssm"),
        shared="[default]\naws_access_key_id = other\n" + PROFILE.replace("default", "ssm"),
    )
    found = agent_credentials.find(host)
    assert found is not None
    assert (found.access_key, found.secret_key, found.token) == ("ASIAEXAMPLE", SECRET, "tok%en")
    assert found.source == "the SSM Agent (/root/.aws/credentials, profile ssm)"


def test_default_host_management_has_a_file_of_its_own() -> None:
    found = agent_credentials.find(
        node(config=config(ShareFile="", ShareProfile=""), hosts=PROFILE)
    )
    assert found is not None
    assert found.source == "the SSM Agent (/var/lib/amazon/ssm/credentials, profile default)"


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"config": config()},
        {"config": config(ShareFile=SHARED)},
        {"config": config(ShareFile="credentials"), "hosts": "[other]\n" + KEYS},
        {"config": config(ShareFile=7)},
        {"config": config(ShareFile=SHARED), "shared": PROFILE.replace("default", "other")},
        {"config": "[]"},
        {"hosts": "[other]\n" + KEYS},
    ],
)
def test_an_agent_that_left_none_is_none(files: dict[str, str]) -> None:
    assert agent_credentials.find(node(**files)) is None


@pytest.mark.parametrize(
    "files",
    [
        {"config": "{"},
        {"config": "[" * 4_000},
        {"hosts": KEYS},
        {"hosts": f"[default]\n{SECRET}"},
        {"hosts": f"{SECRET} = 1\n"},
        {"hosts": "[default]\naws_access_key_id = x\n"},
        {"hosts": "[default"},
        {"hosts": "[default]\n" + "x = y\n" * 20_000},
    ],
)
def test_what_is_not_understood_is_said_without_its_content(files: dict[str, str]) -> None:
    with pytest.raises(ProbeError) as caught:
        agent_credentials.find(node(**files))
    assert not isinstance(caught.value, Absent)
    assert SECRET not in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "state",
    [
        file_state(HOSTS, mode=0o666),
        file_state(HOSTS, mode=0o620),
        file_state(HOSTS, mode=0o600, uid=1000),
        file_state(HOSTS, mode=0o777, kind=FileKind.LINK),
    ],
)
def test_a_file_that_others_can_write_is_not_believed(state: FileState) -> None:
    host = fake_host(FakeFiles({HOSTS: PROFILE.encode()}, {HOSTS: state}))
    with pytest.raises(ProbeError, match="not the agent's own"):
        agent_credentials.find(host)


def test_no_secret_is_in_what_is_shown_of_them() -> None:
    found = agent_credentials.find(node(hosts=PROFILE))
    assert SECRET not in repr(found)
    assert "tok" not in repr(found).replace("token", "")
