"""A Region on one node: its endpoints on port 443, and a time server.

``python -m tests.region FOLDER`` serves ``FOLDER/bucket``, writes ``FOLDER/ca.pem`` and, once it
answers, ``FOLDER/ready`` with the time server's address; then it stays. The names of the endpoints
lead here by ``/etc/hosts`` (``HOSTS``).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

from tests.aws_server import AwsServer
from tests.ntp_server import Behaviour, NtpServer

REGION: Final = "eu-central-1"
SERVICES: Final = ("ssm", "ssmmessages", "ec2messages", "s3", "kms", "logs", "monitoring")
HOSTS: Final = "".join(f"127.0.0.1 {name}.{REGION}.amazonaws.com\n" for name in SERVICES)


def main(folder: Path) -> None:
    server = AwsServer(
        folder,
        region=REGION,
        port=443,
        serve=folder / "bucket",
        name=f"*.{REGION}.amazonaws.com",
        organisation="Amazon",
    )
    with server, NtpServer(Behaviour()) as ntp:
        (folder / "ready.new").write_text(ntp.name)
        (folder / "ready.new").rename(folder / "ready")
        while True:
            time.sleep(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
