"""The scenarios in which NTP clients are known to give wrong answers, as one table.

The same table runs on loopback ports, and in a network namespace with Amazon's own addresses and
port 123: ``unshare --net python -m tests.clock_scenarios NUMBER...`` prints one line of JSON each.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass

from nodecheck.checks.clock_offset import judge
from nodecheck.host.local_clock import SystemClock
from nodecheck.model.time_server import parse_server
from nodecheck.model.verdict import Status, Verdict
from nodecheck.probes.clock_sources import discover
from tests.clock_builders import POLICY, measure, network_host
from tests.ntp_server import Behaviour, NtpServer, Origin

YEAR_S = 365 * 86400
OK, WARN, CRIT, UNKNOWN = Status.OK, Status.WARN, Status.CRIT, Status.UNKNOWN
HONEST = Behaviour()
NAMESPACE_ADDRESSES = ("169.254.169.123", "10.77.0.1", "10.77.0.2")
AMAZON_V6 = "fd00:ec2::123"


@dataclass(frozen=True)
class Scenario:
    """Servers, the verdict there must be, what its line must say, and the true offset."""

    number: int
    servers: tuple[Behaviour, ...]
    status: Status
    says: str = ""
    offset_s: float | None = None
    most_s: float = 2.2
    is_v6: bool = False


def one(number: int, how: Behaviour, status: Status, **more: object) -> Scenario:
    offset_s = None if status is UNKNOWN else how.offset_s
    return Scenario(number, (how,), status, **{"offset_s": offset_s, **more})  # type: ignore[arg-type]


def lies(offset_s: float, stratum: int = 2) -> Behaviour:
    return Behaviour(offset_s=offset_s, stratum=stratum)


SCENARIOS = (
    one(1, HONEST, OK),
    one(2, lies(0.8), OK, says="slow"),
    one(3, lies(120), WARN, says=" slow"),
    one(4, lies(-400), CRIT, says="6 min 40 s fast"),
    one(5, lies(YEAR_S), CRIT, says="slow"),
    one(6, lies(15 * YEAR_S), CRIT, says="slow"),
    one(7, Behaviour(leap=3), UNKNOWN, says="not synchronised: leap 3"),
    one(8, Behaviour(leap=3, stratum=16), UNKNOWN, says="not synchronised"),
    one(9, Behaviour(stratum=16), UNKNOWN, says="stratum 16"),
    one(10, Behaviour(stratum=0), UNKNOWN, says="not synchronised"),
    one(11, Behaviour(stratum=0, leap=3, reference=b"RATE"), UNKNOWN, says="kiss-o'-death RATE"),
    one(
        12,
        Behaviour(stratum=0, reference=b"DENY", offset_s=-400),
        UNKNOWN,
        says="kiss-o'-death DENY",
    ),
    one(13, Behaviour(is_silent=True), UNKNOWN, says="no answer"),
    Scenario(14, (), UNKNOWN, "nothing listens", most_s=0.8),
    one(16, Behaviour(delay_in_s=0.2), OK),
    one(17, Behaviour(jitter_s=0.1), OK),
    one(18, Behaviour(offset_s=1800, origin=Origin.RANDOM), UNKNOWN, says="bad-origin"),
    one(19, Behaviour(origin=Origin.ZERO), UNKNOWN, says="bad-origin"),
    one(20, Behaviour(origin=Origin.STALE), UNKNOWN, says="bad-origin"),
    one(21, Behaviour(forged_first_offset_s=1000), OK),
    one(22, Behaviour(forged_port_offset_s=1000), OK),
    one(23, Behaviour(mode=3), UNKNOWN, says="bad-mode"),
    one(24, Behaviour(is_without_transmit=True), UNKNOWN, says="zero-timestamp"),
    one(25, Behaviour(length=40), UNKNOWN, says="short-reply"),
    one(26, Behaviour(root_dispersion_s=20), UNKNOWN, says="20.0 s off"),
    one(27, Behaviour(root_dispersion_s=3), OK, says="± 3.0 s"),
    one(28, Behaviour(foreign_packets=8), UNKNOWN, says="bad-origin"),
    one(29, lies(120), WARN, is_v6=True),
    Scenario(30, (lies(1000), HONEST, HONEST), OK, "not believed", 0),
    Scenario(31, (lies(1000, stratum=1), HONEST, HONEST), OK, "not believed", 0),
    Scenario(32, (HONEST, lies(1000)), UNKNOWN, "sources disagree"),
    Scenario(33, (lies(1000), lies(-400), lies(77)), UNKNOWN, "sources disagree"),
)


@dataclass(frozen=True)
class Outcome:
    verdict: Verdict
    took_s: float

    def value(self, name: str) -> object:
        return next((item.value for item in self.verdict.evidence if item.name == name), None)


def run(scenario: Scenario, *, in_namespace: bool = False) -> Outcome:
    """Start the servers, measure against them, and judge."""
    with ExitStack() as stack:
        names = []
        for index, how in enumerate(scenario.servers):
            ip, port = ("::1" if scenario.is_v6 else "127.0.0.1"), 0
            if in_namespace:
                ip, port = AMAZON_V6 if scenario.is_v6 else NAMESPACE_ADDRESSES[index], 123
            names.append(stack.enter_context(NtpServer(how, ip, port)).name)
        host = network_host()
        if in_namespace and len(names) < 2:  # as on EC2 without any configuration
            servers = discover(host, (), is_ec2=True).servers
        else:
            servers = tuple(parse_server(name) for name in names or ("127.0.0.1:9",))
        clock = SystemClock()
        begun_ns = clock.monotonic_ns()
        facts = measure(host, servers)
        took_s = (clock.monotonic_ns() - begun_ns) / 1e9
    return Outcome(judge(facts, POLICY), took_s)


def problems(scenario: Scenario, outcome: Outcome) -> list[str]:
    """Return what is wrong with an outcome; empty when all is as it must be."""
    verdict, found = outcome.verdict, []
    if verdict.status is not scenario.status:
        found.append(f"{verdict.status.value}, expected {scenario.status.value}")
    if scenario.says not in verdict.message:
        found.append(f"does not say {scenario.says!r}")
    if outcome.took_s > scenario.most_s:
        found.append(f"took {outcome.took_s:.1f} s")
    offset_s, bound_s = outcome.value("offset_s"), outcome.value("bound_s")
    if scenario.offset_s is None:
        found.extend([f"offset {offset_s}"] if offset_s is not None else [])
    elif not (isinstance(offset_s, float) and isinstance(bound_s, float)):
        found.append("no offset")
    elif abs(offset_s - scenario.offset_s) > bound_s:
        found.append(f"truth {scenario.offset_s} is outside {offset_s} +- {bound_s}")
    return [f"{text}: {verdict.message}" for text in found]


def main(numbers: list[int]) -> None:
    """Give this (new) network namespace Amazon's addresses and run scenarios in it."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for ip in NAMESPACE_ADDRESSES:
        subprocess.run(["ip", "address", "add", f"{ip}/32", "dev", "lo"], check=True)
    subprocess.run(
        ["ip", "-6", "address", "add", f"{AMAZON_V6}/128", "dev", "lo", "nodad"], check=True
    )
    for scenario in SCENARIOS:
        if scenario.number in numbers:
            begun_ns = time.monotonic_ns()
            found = problems(scenario, run(scenario, in_namespace=True))
            took_ms = (time.monotonic_ns() - begun_ns) // 1_000_000
            print(json.dumps({"number": scenario.number, "problems": found, "ms": took_ms}))  # noqa: T201


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]])
