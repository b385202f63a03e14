"""The scenarios in which NTP clients are known to give wrong answers, as one table.

Each runs in a network namespace with Amazon's own addresses and port 123:
``unshare --net python -m tests.clock_scenarios NAME...`` prints one line of JSON each.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from nodecheck.checks.clock_offset import judge
from nodecheck.model.time_server import parse_server
from nodecheck.model.verdict import Status, Verdict
from nodecheck.probes.clock_sources import discover
from tests.chronyd import chronyd
from tests.clock_builders import POLICY, ShiftedClock, measure, network_host
from tests.ntp_server import Behaviour, NtpServer, Origin

YEAR_S = 365 * 86400
OK, WARN, CRIT, UNKNOWN = Status.OK, Status.WARN, Status.CRIT, Status.UNKNOWN
HONEST = Behaviour()
AMAZON_V4, AMAZON_V6 = "169.254.169.123", "fd00:ec2::123"
ADDRESSES = (AMAZON_V4, "10.77.0.1", "10.77.0.2")
NTP_PORT = 123


@dataclass(frozen=True)
class Daemon:
    """A real chronyd: shifted as libfaketime says, or without a time of its own."""

    fake: str = ""
    has_time: bool = True


@dataclass(frozen=True)
class Scenario:
    """Servers, the verdict there must be, what it must say, and the true offset.

    ``ahead_s`` is how wrong the local clock is, ``seed`` decides which packets are lost.
    """

    name: str
    servers: tuple[Behaviour, ...]
    status: Status
    says: str = ""
    offset_s: float | None = None
    most_s: float = 2.2
    is_v6: bool = False
    ahead_s: float = 0.0
    seed: int = 7
    daemon: Daemon | None = None


def one(name: str, how: Behaviour, status: Status, **more: object) -> Scenario:
    offset_s = None if status is UNKNOWN else how.offset_s
    return Scenario(name, (how,), status, **{"offset_s": offset_s, **more})  # type: ignore[arg-type]


def real(name: str, daemon: Daemon, status: Status, **more: object) -> Scenario:
    return Scenario(name, (), status, daemon=daemon, **more)  # type: ignore[arg-type]


def lies(offset_s: float, stratum: int = 2) -> Behaviour:
    return Behaviour(offset_s=offset_s, stratum=stratum)


SCENARIOS = (
    one("1", HONEST, OK),
    one("2", lies(0.8), OK, says="slow"),
    one("3", lies(120), WARN, says=" slow"),
    one("4", lies(-400), CRIT, says="6 min 40 s fast"),
    one("5", lies(YEAR_S), CRIT, says="slow"),
    one("6", lies(15 * YEAR_S), CRIT, says="slow"),
    one("7", Behaviour(leap=3), UNKNOWN, says="not synchronised: leap 3"),
    one("8", Behaviour(leap=3, stratum=16), UNKNOWN, says="not synchronised"),
    one("9", Behaviour(stratum=16), UNKNOWN, says="stratum 16"),
    one("10", Behaviour(stratum=0), UNKNOWN, says="not synchronised"),
    one("11", Behaviour(stratum=0, leap=3, reference=b"RATE"), UNKNOWN, says="kiss-o'-death RATE"),
    one(
        "12",
        Behaviour(stratum=0, reference=b"DENY", offset_s=-400),
        UNKNOWN,
        says="kiss-o'-death DENY",
    ),
    one("13", Behaviour(is_silent=True), UNKNOWN, says="no answer"),
    Scenario("14", (), UNKNOWN, "nothing listens", most_s=0.8),
    *(
        one(f"15.{number}", Behaviour(loss=0.5), OK, seed=number, most_s=3)
        for number in range(1, 13)
    ),
    one("16", Behaviour(delay_in_s=0.2), OK),
    one("17", Behaviour(jitter_s=0.1), OK),
    one("18", Behaviour(offset_s=1800, origin=Origin.RANDOM), UNKNOWN, says="bad-origin"),
    one("19", Behaviour(origin=Origin.ZERO), UNKNOWN, says="bad-origin"),
    one("20", Behaviour(origin=Origin.STALE), UNKNOWN, says="bad-origin"),
    one("21", Behaviour(forged_first_offset_s=1000), OK, says="bad-origin 4"),
    one("22", Behaviour(forged_port_offset_s=1000), OK),
    one("23", Behaviour(mode=3), UNKNOWN, says="bad-mode"),
    one("24", Behaviour(is_without_transmit=True), UNKNOWN, says="zero-timestamp"),
    one("25", Behaviour(length=40), UNKNOWN, says="short-reply"),
    one("26", Behaviour(root_dispersion_s=20), UNKNOWN, says="20.0 s off"),
    one("27", Behaviour(root_dispersion_s=3), OK, says="± 3.0 s"),
    one("28", Behaviour(foreign_packets=8), UNKNOWN, says="bad-origin"),
    one("29", lies(120), WARN, is_v6=True),
    Scenario("30", (lies(1000), HONEST, HONEST), OK, f"not believed: {AMAZON_V4}", 0),
    Scenario("31", (lies(1000, stratum=1), HONEST, HONEST), OK, f"not believed: {AMAZON_V4}", 0),
    Scenario("32", (HONEST, lies(1000)), UNKNOWN, "sources disagree"),
    Scenario("33", (lies(1000), lies(-400), lies(77)), UNKNOWN, "sources disagree"),
    one("clock-in-2040", HONEST, CRIT, ahead_s=14 * YEAR_S, offset_s=-14 * YEAR_S, says="fast"),
    real("chronyd-400", Daemon("-400s"), CRIT, offset_s=-400, says="6 min 40 s fast"),
    real("chronyd+120", Daemon("+120s"), WARN, offset_s=120, says="2 min 0 s slow"),
    real("chronyd-lost", Daemon(has_time=False), UNKNOWN, says="not synchronised"),
)


@dataclass(frozen=True)
class Outcome:
    verdict: Verdict
    took_s: float

    def value(self, name: str) -> object:
        return next((item.value for item in self.verdict.evidence if item.name == name), None)

    @property
    def words(self) -> str:
        said = [item.message for item in self.verdict.findings] or [self.verdict.message]
        return "; ".join([*said, *map(str, (item.value for item in self.verdict.evidence))])


def run(scenario: Scenario) -> Outcome:
    """Start the servers on Amazon's addresses, measure as an EC2 instance would, and judge."""
    with ExitStack() as stack:
        for index, how in enumerate(scenario.servers):
            ip = AMAZON_V6 if scenario.is_v6 else ADDRESSES[index]
            server = stack.enter_context(NtpServer(how, ip, NTP_PORT))
            server._random = random.Random(scenario.seed)  # noqa: S311 - a repeatable network
        if scenario.daemon:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            fake, local = scenario.daemon.fake, scenario.daemon.has_time
            stack.enter_context(chronyd(folder, NTP_PORT, fake, local=local, ip=AMAZON_V4))
        host = network_host(ShiftedClock(scenario.ahead_s))
        servers = discover(host, (), is_ec2=True).servers  # as on EC2 without any configuration
        if len(scenario.servers) > 1:
            servers = tuple(map(parse_server, ADDRESSES[: len(scenario.servers)]))
        begun_ns = host.clock.monotonic_ns()
        facts = measure(host, servers)
        took_s = (host.clock.monotonic_ns() - begun_ns) / 1e9
    return Outcome(judge(facts, POLICY), took_s)


def problems(scenario: Scenario, outcome: Outcome) -> list[str]:
    """Return what is wrong with an outcome; empty when all is as it must be."""
    verdict, found = outcome.verdict, []
    if verdict.status is not scenario.status:
        found.append(f"{verdict.status.value}, expected {scenario.status.value}")
    if scenario.says not in outcome.words:
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
    return [f"{text}: {outcome.words}" for text in found]


def main(names: list[str]) -> None:
    """Give this (new) network namespace Amazon's addresses and run scenarios in it."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for ip in ADDRESSES:
        subprocess.run(["ip", "address", "add", f"{ip}/32", "dev", "lo"], check=True)
    subprocess.run(
        ["ip", "-6", "address", "add", f"{AMAZON_V6}/128", "dev", "lo", "nodad"], check=True
    )
    by_name = {scenario.name: scenario for scenario in SCENARIOS}
    for name in names:
        outcome = run(by_name[name])
        found = problems(by_name[name], outcome)
        print(json.dumps({"name": name, "problems": found, "took_s": outcome.took_s}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
