"""Real time daemons in namespaces of their own, and what nodecheck says of them.

``unshare --net --mount --pid --fork --mount-proc python -m tests.discipline_scenarios FOLDER``
prints one line of JSON for each scenario. The daemons may not touch the clock (chronyd -x, ntpd
without CAP_SYS_TIME): for the judge they count as if they might.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nodecheck.checks.clock_discipline import judge
from nodecheck.clock_looks import DISCIPLINE
from nodecheck.host.here import this_host
from nodecheck.model.clock import ClockPolicy
from nodecheck.model.discipline import DisciplineFacts, Running
from nodecheck.probes import clock_discipline
from nodecheck.records import replace
from tests.discipline_builders import measured

if TYPE_CHECKING:
    from collections.abc import Iterator

assert sys.platform != "win32"

SERVER = "10.77.0.1"
LIAR = "10.77.0.3"
CHRONYD = ("/usr/sbin/chronyd", "-4", "-U", "-x", "-d", "-F", "0")
NO_TIME = ("setpriv", "--bounding-set", "-sys_time", "--inh-caps", "-sys_time")
FAST = "iburst minpoll -3 maxpoll -3"


def sh(*command: str) -> None:
    subprocess.run(command, check=True)


class Stage:
    """A network namespace behind this one, in which servers run, and daemons in this one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = 0
        sh("ip", "link", "set", "lo", "up")
        self._far = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        time.sleep(0.3)
        far = str(self._far.pid)
        sh("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", far)
        sh("ip", "addr", "add", "10.77.0.2/24", "dev", "v0")
        sh("ip", "link", "set", "v0", "up")
        for arguments in (f"addr add {SERVER}/24", f"addr add {LIAR}/24", "link set v1 up"):
            words = arguments.replace(" v1 up", "").split()
            tail = ["v1", "up"] if "link" in words else ["dev", "v1"]
            sh("nsenter", "-t", far, "-n", "ip", *words, *tail)
        sh("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
        sh("mkdir", "-m", "750", "/run/chrony")
        sh("mount", "-t", "tmpfs", "tmpfs", "/dev/shm")  # noqa: S108 - faketime's names hold process ids
        self._server = str(folder / "time-server")  # by its own name it would be a second daemon
        shutil.copy(CHRONYD[0], self._server)

    @contextmanager
    def running(self, *command: str, far: bool = False, wait_s: float = 0.7) -> Iterator[None]:
        """Run a daemon for a while."""
        inside = ("nsenter", "-t", str(self._far.pid), "-n") if far else ()
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        whole: list[str] = [*inside, *command]
        daemon = subprocess.Popen(whole, start_new_session=True, **quiet)  # type: ignore[call-overload]
        try:
            time.sleep(wait_s)
            assert daemon.poll() is None, command
            yield
        finally:
            os.killpg(daemon.pid, signal.SIGTERM)  # faketime does not pass signals on
            daemon.wait(10)

    def chronyd(
        self, *lines: str, far: bool = False, fake: str = "", wait_s: float = 0.7
    ) -> AbstractContextManager[None]:
        """Run a chronyd with these lines of configuration."""
        self._number += 1
        config = self.folder / f"chrony{self._number}.conf"
        more = ("user root", f"pidfile {self.folder}/pid{self._number}")
        config.write_text("\n".join((*lines, *more)) + "\n")
        before = ("/usr/bin/faketime", "-f", fake) if fake else ()
        program = self._server if far else CHRONYD[0]
        command = (*before, program, *CHRONYD[1:], "-f", str(config))
        return self.running(*command, far=far, wait_s=wait_s)

    def server(
        self, address: str = SERVER, fake: str = "", stratum: int = 3
    ) -> AbstractContextManager[None]:
        """Run a chronyd that gives the time."""
        lines = (f"bindaddress {address}", "allow", f"local stratum {stratum}", "cmdport 0")
        return self.chronyd(*lines, "bindcmdaddress /", far=True, fake=fake)


def look() -> DisciplineFacts:
    return clock_discipline.look(this_host(), DISCIPLINE, is_ec2=False)


def as_steering(facts: DisciplineFacts) -> DisciplineFacts:
    daemons = tuple(replace(daemon, steers=True) for daemon in facts.running)
    return replace(facts, processes=Running(daemons, facts.processes.seen))


def found_in(facts: DisciplineFacts, offset_s: float | None) -> dict[str, object]:
    verdict = judge(facts, measured(offset_s), ClockPolicy())
    word = facts.word
    return {
        "status": verdict.status.value,
        "reasons": [finding.reason for finding in verdict.findings],
        "message": verdict.message,
        "asked": word.asked if word else "",
        "synchronised": word.synchronised if word else False,
        "source": word.source if word else "",
        "offset_s": word.offset_s if word else 0,
        "bound_s": word.bound_s if word else 0,
        "age_s": (facts.wall_ns - word.updated_ns) / 1e9 if word else 0,
        "states": [source.state for source in word.sources] if word else [],
        "kernel_read": facts.kernel is not None,
        "notes": facts.notes,
    }


Enter = Callable[[AbstractContextManager[None]], None]


def following(stage: Stage, enter: Enter) -> dict[str, object]:
    enter(stage.server())
    enter(stage.chronyd("port 0", f"server {SERVER} {FAST}", "makestep 1 3", wait_s=2.5))
    return found_in(as_steering(look()), 0.0)


def not_steering(stage: Stage, enter: Enter) -> dict[str, object]:
    enter(stage.server())
    enter(stage.chronyd("port 0", f"server {SERVER} {FAST}", wait_s=2.5))
    return found_in(look(), 0.0)


def by_socket(stage: Stage, enter: Enter) -> dict[str, object]:
    enter(stage.server())
    enter(stage.chronyd("port 0", "cmdport 0", f"server {SERVER} {FAST}", wait_s=2.5))
    found = found_in(as_steering(look()), 0.0)
    left = [path.name for path in Path("/run/chrony").iterdir() if "nodecheck" in path.name]
    return found | {"left": left}


def contradicted(stage: Stage, enter: Enter) -> dict[str, object]:
    enter(stage.server())
    enter(stage.chronyd("port 0", f"server {SERVER} {FAST}", wait_s=2.5))
    return found_in(as_steering(look()), 0.4)


def far_off(stage: Stage, enter: Enter, sign: str) -> dict[str, object]:
    enter(stage.server(fake=f"{sign}400s"))
    enter(stage.chronyd("port 0", f"server {SERVER} {FAST}", "makestep 1 0", wait_s=2.5))
    return found_in(as_steering(look()), float(f"{sign}400"))


def sourceless(stage: Stage, enter: Enter) -> dict[str, object]:
    enter(stage.chronyd("port 0"))
    return found_in(as_steering(look()), 0.0)


def own_clock(stage: Stage, enter: Enter) -> dict[str, object]:
    enter(stage.chronyd("port 0", "local stratum 9", wait_s=1.5))
    return found_in(as_steering(look()), 0.0)


def unreachable(stage: Stage, enter: Enter) -> dict[str, object]:
    enter(stage.chronyd("port 0", "server 10.77.0.9 iburst", wait_s=2))
    return found_in(as_steering(look()), 0.0)


def cut_off(stage: Stage, enter: Enter) -> dict[str, object]:
    """The trap: chronyd still calls itself synchronised when its server is long gone."""
    with ExitStack() as servers:
        servers.enter_context(stage.server())
        enter(stage.chronyd("port 0", f"server {SERVER} {FAST}", wait_s=2.5))
    time.sleep(2)
    return found_in(as_steering(look()), 0.0)


def disagreeing(stage: Stage, enter: Enter) -> dict[str, object]:
    enter(stage.server())
    enter(stage.server(LIAR, fake="+100s"))
    lines = (f"server {SERVER} {FAST}", f"server {LIAR} {FAST}")
    enter(stage.chronyd("port 0", *lines, wait_s=2.5))
    return found_in(as_steering(look()), 0.0)


def two_daemons(stage: Stage, enter: Enter) -> dict[str, object]:
    enter(stage.server())
    enter(stage.chronyd("port 0", f"server {SERVER} {FAST}", wait_s=2.5))
    copy = stage.folder / "systemd-timesyncd"
    shutil.copy("/bin/sleep", copy)
    enter(stage.running(str(copy), "100", wait_s=0.1))
    return found_in(as_steering(look()), 0.0)


def command_line(stage: Stage, enter: Enter) -> dict[str, object]:
    """Two runs of the whole program beside a daemon that steers, in name, and one that follows."""
    enter(stage.server())
    enter(stage.chronyd("port 0", f"server {SERVER} {FAST}", wait_s=2.5))
    stand_in = stage.folder / "bin/chronyd"
    stand_in.parent.mkdir()
    shutil.copy("/bin/sleep", stand_in)
    enter(stage.running(str(stand_in), "100", wait_s=0.1))
    variables = {
        **os.environ,
        "NODECHECK_CLOCK_SERVERS": SERVER,
        "NODECHECK_STATE_DIR": str(stage.folder / "state"),
    }
    command = [sys.executable, "-m", "nodecheck", "--only", "clock", "--format", "json"]
    runs = [
        subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        for _ in range(2)
    ]
    report = json.loads(runs[-1].stdout)
    history = json.loads((stage.folder / "state/clock-history.json").read_text())
    return {
        "exit": [done.returncode for done in runs],
        "errors": runs[-1].stderr,
        "checks": {item["id"]: [item["status"], item["message"]] for item in report["checks"]},
        "measurements": len(history["epochs"]),
        "steered": [row[5] for row in history["epochs"]],
    }


def nobody(stage: Stage, enter: Enter) -> dict[str, object]:
    return found_in(look(), 0.0)


def ntpd(stage: Stage, enter: Enter, program: str, lines: str, wait_s: float) -> dict[str, object]:
    enter(stage.server())
    config = stage.folder / "ntp.conf"
    config.write_text(f"{lines}\n")
    enter(stage.running(*NO_TIME, program, "-n", "-N", "-g", "-c", str(config), wait_s=wait_s))
    return found_in(as_steering(look()), 0.0)


LOCAL_QUERIES = "restrict default kod nomodify noquery limited\nrestrict 127.0.0.1\n"
POLLS = f"server {SERVER} iburst minpoll 3 maxpoll 3\n"


def scenarios(program: str) -> dict[str, Callable[[Stage, Enter], dict[str, object]]]:
    found: dict[str, Callable[[Stage, Enter], dict[str, object]]] = {
        "nobody": nobody,
        "following": following,
        "not-steering": not_steering,
        "by-socket": by_socket,
        "contradicted": contradicted,
        "slow": partial(far_off, sign="+"),
        "fast": partial(far_off, sign="-"),
        "sourceless": sourceless,
        "own-clock": own_clock,
        "unreachable": unreachable,
        "cut-off": cut_off,
        "disagreeing": disagreeing,
        "two-daemons": two_daemons,
        "command-line": command_line,
    }
    if program:
        ask = partial(ntpd, program=program)
        found["ntpd-following"] = partial(ask, lines=LOCAL_QUERIES + POLLS, wait_s=12)
        found["ntpd-starting"] = partial(ask, lines=LOCAL_QUERIES + POLLS, wait_s=0.7)
        found["ntpd-sourceless"] = partial(ask, lines=LOCAL_QUERIES, wait_s=0.7)
        found["ntpd-silent"] = partial(ask, lines="restrict default ignore", wait_s=0.7)
    return found


def main(arguments: list[str]) -> int:
    folder, program, *names = arguments
    stage = Stage(Path(folder))
    for name, act in scenarios(program).items():
        if names and name not in names:
            continue
        begun = time.monotonic()
        with ExitStack() as stack:
            found = act(stage, stack.enter_context)
        took_s = round(time.monotonic() - begun, 1)
        print(json.dumps({"name": name, **found, "took_s": took_s}), flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
