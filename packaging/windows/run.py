"""Run a Windows program in a lane: python run.py LANE PROGRAM [ARGUMENT]...

``python run.py LANE --stop`` ends everything that runs there. Standard input is empty. Standard
output and error go through pipes: CPython under Wine 8 stops with "[WinError 6] Invalid handle"
when either is a plain file. The end of the pipes is not waited for, because Wine's own services
may have inherited them. Wine cuts exit codes to 8 bits: 3010 arrives as 194. Everything runs as
LocalSystem, because the lane has a server of its own (``system_user.py``); as a person, as Wine has
it, where LANE_USER is ``person``. Stop the one before the other is started.
"""

import os
import select
import shutil
import signal
import subprocess
import sys

POLL_S = 0.02
SERVER_STAYS_S = 60
"""How long the server waits for the next program: wine64 alone would start the distribution's."""


def program(name: str) -> str:
    """Return where Debian has a program of Wine."""
    return shutil.which(name) or f"/usr/lib/wine/{name}"


def relay(child: "subprocess.Popen[bytes]") -> None:
    """Pass on what the child writes, until it has ended and all of it is passed on."""
    if child.stdout is None or child.stderr is None:
        return
    ways = {child.stdout.fileno(): 1, child.stderr.fileno(): 2}
    while ways:
        has_ended = child.poll() is not None  # asked first: by then all of it is in the pipes
        ready, _, _ = select.select(list(ways), [], [], 0 if has_ended else POLL_S)
        if has_ended and not ready:
            return
        for source in ready:
            data = os.read(source, 65536)
            if not data:
                del ways[source]
            while data:
                try:
                    data = data[os.write(ways[source], data) :]
                except OSError:  # nobody reads: the child is not kept from writing
                    break


def main(lane: str, *command: str) -> int:
    """Run it and return its exit code."""
    environment = {
        **os.environ,
        "WINEPREFIX": f"{lane}/prefix",
        "WINEARCH": "win64",
        "HOME": f"{lane}/home",
        "DISPLAY": "",
        "WINEDEBUG": os.environ.get("WINEDEBUG", "-all"),
        "WINEDLLOVERRIDES": "mscoree=;mshtml=;winemenubuilder.exe=",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    is_person = os.environ.get("LANE_USER") == "person"
    server = program("wineserver64") if is_person else f"{lane}/wineserver64"
    if command == ("--stop",):
        subprocess.run([server, "-k", "-w"], env=environment, check=False)
        return 0
    # One that runs already goes on. A pipe would be open for as long as the server is.
    nothing = subprocess.DEVNULL
    start = [server, f"-p{SERVER_STAYS_S}"]
    subprocess.run(
        start, env=environment, stdin=nothing, stdout=nothing, stderr=nothing, check=False
    )
    child = subprocess.Popen(
        [program("wine64"), *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: child.kill())
    relay(child)
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
