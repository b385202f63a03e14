"""A node whose agent's logs and connections are those of a tree."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from nodecheck.model.channel import AgentCredentials, ChannelFacts, Way
from nodecheck.model.install import AgentProcess, RunningFacts
from nodecheck.model.node import FileKind
from nodecheck.probes import agent_channel
from tests.fake_host import FakeClock, FakeFiles, fake_host, file_state

if TYPE_CHECKING:
    from nodecheck.host.door import Host
    from tests.agent_logs import Tree

LOGS: Final = "/var/log/amazon/ssm"
CORE_PID, WORKER_PID = 100, 101
UPTIME_S: Final = 1_000_000.0
MESSAGES: Final = Way(
    "ssmmessages",
    "ssmmessages.eu-west-1.amazonaws.com",
    443,
    ("192.0.2.10", "2001:db8::10"),
    carries="ssmmessages",
)
OLDER: Final = Way(
    "ec2messages",
    "ec2messages.eu-west-1.amazonaws.com",
    443,
    ("192.0.2.20",),
    carries="ec2messages",
)
WAYS: Final = (MESSAGES, OLDER)


def process(name: str, pid: int) -> AgentProcess:
    image = f"/usr/bin/{name}"
    return AgentProcess(pid, name, image, False, 1, pid, "a" * 64, "amazon-ssm-agent.service", 0)  # noqa: FBT003


def running(tree: Tree) -> RunningFacts:
    found = [process("amazon-ssm-agent", CORE_PID)]
    if tree.worker_began_s is not None:
        found.append(process("ssm-agent-worker", WORKER_PID))
    return RunningFacts(tuple(found), (), ())


def row(ip: str, port: int, inode: int, *, state: str = "01", retransmits: int = 0) -> str:
    """Return a row of the kernel's table."""
    packed = ip_address(ip).packed
    words = [packed[at : at + 4][::-1].hex().upper() for at in range(0, len(packed), 4)]
    local = "0" * len(words) * 8
    return (
        f"   0: {local}:D431 {''.join(words)}:{port:04X} {state} 00000000:00000000"
        f" 00:00000000 {retransmits:08X}     0        0 {inode} 1 0000000000000000 20 4 30 10 -1\n"
    )


def host_of(tree: Tree, rows: str = "", pid: int = WORKER_PID) -> Host:
    """Return the node; the sockets of the rows belong to one process."""
    files = FakeFiles()
    for name, content in tree.contents.items():
        path = f"{LOGS}/{name}"
        files.contents[path] = content
        changed_ns = int(tree.changed_s[name] * 1e9)
        files.states[path] = file_state(path, size=len(content), mtime_ns=changed_ns)
    files.contents["/proc/uptime"] = f"{UPTIME_S} 1.0\n".encode()
    for number, began_s in ((CORE_PID, tree.core_began_s), (WORKER_PID, tree.worker_began_s)):
        if began_s is None:
            continue
        ticks = int((UPTIME_S - (tree.now_s - began_s)) * 100)
        files.contents[f"/proc/{number}/stat"] = f"{number} (a) S {'0 ' * 18}{ticks} 0".encode()
        table = rows if number == pid else ""
        v4 = "".join(line for line in table.splitlines(keepends=True) if len(line.split()[2]) < 20)
        v6 = "".join(line for line in table.splitlines(keepends=True) if len(line.split()[2]) > 20)
        files.contents[f"/proc/{number}/net/tcp"] = v4.encode()
        files.contents[f"/proc/{number}/net/tcp6"] = v6.encode()
        link(files, f"/proc/{number}/fd/0", "/dev/null")
        for line in table.splitlines():
            inode = line.split()[9]
            link(files, f"/proc/{number}/fd/{inode}", f"socket:[{inode}]")
    return fake_host(files, FakeClock(wall=int(tree.now_s * 1e9)))


def link(files: FakeFiles, path: str, target: str) -> None:
    files.states[path] = file_state(path, kind=FileKind.LINK, target=target)


def look(
    tree: Tree,
    rows: str = "",
    pid: int = WORKER_PID,
    ways: tuple[Way, ...] = WAYS,
    credentials: AgentCredentials = AgentCredentials(),  # noqa: B008 - frozen
) -> ChannelFacts:
    return agent_channel.look(host_of(tree, rows, pid), running(tree), ways, credentials)
