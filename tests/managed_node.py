"""A node that says who it is: agent's files, firmware, instance metadata and a right time server.

Runs in a mount and network namespace of its own, prepared by ``prepare``:
``python -m tests.managed_node SERVICE ARGUMENTS...`` runs nodecheck once for each line of arguments
that stdin holds and prints one JSON object with what each wrote.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from nodecheck.records import replace
from tests.metadata_server import (
    CREDENTIALS,
    PATHS,
    PLANTED,
    ROLE,
    SERVICES,
    MetadataServer,
)
from tests.ntp_server import Behaviour, NtpServer

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA: Final = "/var/lib/amazon/ssm"
HYBRID: Final = "mi-0123456789abcdef0"
AGENT: Final = "/usr/bin/amazon-ssm-agent"
SECRETS: Final = f"""\
[default]
aws_access_key_id = ASIA{PLANTED}
aws_secret_access_key = {PLANTED}
"""
SESSION: Final = f"aws_session_token = {PLANTED}\n"
PREPARE: Final = """\
ip link set lo up
ip address add 169.254.169.254/32 dev lo
mount -t tmpfs tmpfs /sys/class
mkdir -p /sys/class/dmi/id
rm -rf /var/lib/amazon /root/.aws
mkdir -m 700 -p /var/lib/amazon/ssm/Vault/Store /var/lib/amazon/ssm/runtimeconfig
mkdir -m 700 -p /root/.aws /root/state
umask 077
printf '#!/bin/sh\\n' > /usr/bin/amazon-ssm-agent; chmod 755 /usr/bin/amazon-ssm-agent
"""


def prepare(vendor: str, files: Mapping[str, str], more: str = "") -> str:
    """Return the script that makes the node; the paths of files are absolute."""
    lines = [PREPARE, f"echo {shlex.quote(vendor)} > /sys/class/dmi/id/sys_vendor"]
    lines += [f"printf %s {shlex.quote(text)} > {path}" for path, text in files.items()]
    return "\n".join([*lines, more, ""])


def acting(node_id: str, kind: str, expires_in: timedelta, **more: str) -> str:
    """Return an ``identity_config.json`` whose credentials expire then."""
    now = datetime.now(UTC)
    members = {
        "SchemaVersion": "1.1",
        "InstanceId": node_id,
        "IdentityType": kind,
        "ShareFile": "",
        "ShareProfile": "",
        "CredentialsExpiresAt": f"{now + expires_in:%Y-%m-%dT%H:%M:%SZ}",
        "CredentialsRetrievedAt": f"{now - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
        "CredentialSource": "EC2",
    }
    return json.dumps(members | more)


def hybrid_files(
    expires_in: timedelta = timedelta(minutes=30),
    data: str = DATA,
    instances: str = DATA,
    shared: str = "/root/.aws/credentials",
) -> dict[str, str]:
    """Return the files of a registered hybrid node; where they are differs by platform."""
    more = {"ShareFile": shared, "CredentialSource": "SSM"}
    key = f"{instances}/Vault/Store/RegistrationKey"
    return {
        f"{data}/runtimeconfig/identity_config.json": acting(HYBRID, "OnPrem", expires_in, **more),
        f"{instances}/registration": json.dumps(
            {"ManagedInstanceID": HYBRID, "Region": "eu-west-1"}
        ),
        f"{instances}/Vault/Manifest": json.dumps({"RegistrationKey": key}),
        key: json.dumps({"privateKey": PLANTED * 100}),
        shared: SECRETS + SESSION,
    }


def main(name: str) -> None:
    """Start the stand-ins, run nodecheck and print what it wrote."""
    later = f"{datetime.now(UTC) + timedelta(hours=6):%Y-%m-%dT%H:%M:%SZ}"
    lease = CREDENTIALS.replace("2026-11-23T18:00:00Z", later)
    told = {}
    with ExitStack() as stack:
        service = SERVICES[name]
        if service is not None:
            if service.paths == PATHS:
                paths = PATHS | {f"/latest/meta-data/iam/security-credentials/{ROLE}": lease}
                service = replace(service, paths=paths)
            stack.enter_context(MetadataServer(service))
        time = stack.enter_context(NtpServer(Behaviour()))
        start = [sys.executable, "-m", "nodecheck", "--only", "node.identity,node.credentials"]
        for line in sys.stdin.read().splitlines():
            done = subprocess.run(
                [*start, *shlex.split(line)],
                env={
                    "PATH": "/usr/bin:/bin",
                    "NODECHECK_CLOCK_SERVERS": f"127.0.0.1:{time.port}",
                    "NODECHECK_STATE_DIR": "/root/state",
                },
                capture_output=True,
                text=True,
                check=False,
            )
            told[line] = [done.returncode, done.stdout, done.stderr]
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
