"""The instance metadata service at its own address, honest and broken in every way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nodecheck.host.network import SocketNetwork
from nodecheck.model.errors import ProbeError
from tests.integration.test_clock_scenarios import namespace_command
from tests.metadata_server import PLANTED, ROLE, SECRET, SERVICES, TOKEN

assert sys.platform != "win32"  # tells the type checker which platform this is

ROOT = Path(__file__).parents[2]
MOST_S = 1.9
"""More than a session may take, less than the probes that ask are given."""

EXPECTED = {
    "honest": "",
    "no-role": "",
    "hop-limit": "metadata-hop-limit",
    "silent": "metadata-no-reply",
    "disabled": "metadata-disabled",
    "v1-404": "metadata-v1-only",
    "v1-405": "metadata-v1-only",
    "broken": "metadata-error",
    "page": "foreign-responder",
    "no-life": "foreign-responder",
    "redirect": "foreign-responder",
    "not-http": "foreign-responder",
    "dripping": "metadata-no-reply",
    "page-later": "metadata-error",
    "cut": "metadata-error",
    "huge": "foreign-responder",
    "other-name": "",
    "other-node": "",
    "refused": "metadata-refused",
    "no-route": "metadata-unreachable",
    "dropped": "metadata-timeout",
}


@pytest.fixture(scope="module")
def told() -> dict[str, dict[str, object]]:
    command = [*namespace_command(), sys.executable, "-m", "tests.metadata_server", *EXPECTED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {row["name"]: row for row in rows}


def test_every_stand_in_is_asked() -> None:
    assert set(EXPECTED) == set(SERVICES)


@pytest.mark.parametrize("name", EXPECTED)
def test_faults_are_told_apart_in_time(name: str, told: dict[str, dict[str, object]]) -> None:
    found = told[name]
    assert found["reason"] == EXPECTED[name], found
    took_s = found["took_s"]
    assert isinstance(took_s, float)
    assert took_s < MOST_S


@pytest.mark.parametrize("name", EXPECTED)
def test_no_secret_is_kept(name: str, told: dict[str, dict[str, object]]) -> None:
    kept = json.dumps(told[name])
    assert not [text for text in (TOKEN, SECRET, "ASIAPLANTED") if text in kept]


def test_an_honest_service_tells_role_and_expiry(told: dict[str, dict[str, object]]) -> None:
    assert told["honest"]["role"] == ROLE
    assert "datetime(2026, 11, 23, 18, 0" in str(told["honest"]["says"])
    assert told["no-role"]["role"] == ""
    assert told["other-name"]["server"] == "envoy"
    assert "board is that of" in str(told["other-node"]["doubt"])


ROUTED = """\
mount -t tmpfs tmpfs /run
for name in imds box; do ip netns add $name; ip -n $name link set lo up; done
ip link add a0 type veth peer name a1 netns imds
ip link add b0 type veth peer name b1 netns box
ip address add 10.9.0.1/24 dev a0
ip address add 10.9.1.1/24 dev b0
ip link set a0 up
ip link set b0 up
ip -n imds address add 10.9.0.2/24 dev a1
ip -n imds address add 169.254.169.254/32 dev a1
ip -n imds link set a1 up
ip -n imds route add default via 10.9.0.1
ip -n box address add 10.9.1.2/24 dev b1
ip -n box link set b1 up
ip -n box route add default via 10.9.1.1
ip route add 169.254.169.254/32 via 10.9.0.2
echo 1 > /proc/sys/net/ipv4/ip_forward
mkfifo /run/end
ip netns exec imds $PYTHON -m tests.metadata_server --serve < /run/end > /run/told &
exec 3> /run/end
until grep -q serving /run/told; do sleep 0.05; done
$PYTHON -m tests.metadata_server --ask
ip netns exec box $PYTHON -m tests.metadata_server --ask
exec 3>&-
"""


def test_a_hop_limit_of_1_seen_from_the_instance_and_from_a_container_on_it() -> None:
    if os.geteuid():
        pytest.skip("needs root: three network namespaces are made")
    done = subprocess.run(
        ["unshare", "--net", "--mount", "/bin/sh", "-ec", ROUTED],
        cwd=ROOT,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    instance, container = (json.loads(line)["reason"] for line in done.stdout.splitlines())
    assert (instance, container) == ("", "metadata-hop-limit")


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"AWS_EC2_METADATA_DISABLED": "True"}, "switched-off"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://a:{PLANTED}@[::1"}, "metadata-error"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{PLANTED}:x"}, "metadata-error"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://a:{PLANTED}@127.0.0.1:1"}, "refused"),
    ],
)
def test_the_variables_of_aws(variables: dict[str, str], reason: str) -> None:
    with pytest.raises(ProbeError) as told:
        SocketNetwork(variables).metadata("/latest/meta-data/")
    assert told.value.reason.removeprefix("metadata-") == reason.removeprefix("metadata-")
    assert PLANTED not in str(told.value)


def test_never_asks_by_version_1(told: dict[str, dict[str, object]]) -> None:
    requests = {name: row["requests"] for name, row in told.items()}
    for name, asked in requests.items():
        assert not asked or asked[0] == "PUT /latest/api/token", name  # type: ignore[index]
    assert requests["disabled"] == ["PUT /latest/api/token"]
