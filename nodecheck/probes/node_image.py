"""Look for what an image must not carry: registration, credentials, logs and data of its builder.

Keys of a hybrid node's agent, and of every AWS SDK under root, lie in the home of its user. Only
names are looked at; what is in a vault, a credentials file or a log is never read. Places:
agent/appconfig/constants_unix.go, agent/fingerprint and core/ipc of aws/amazon-ssm-agent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent_place import place_of
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.image import Baked, ImageFacts, Leftover
from nodecheck.model.node import FileKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.host.door import Files, Host

ENTRIES_LIMIT: Final = 10_000
NODE_FOLDER: Final = re.compile(r"m?i-[0-9a-f]{8,17}")


def look(host: Host) -> ImageFacts:
    """Return what is there; where it could not be looked, that is noted."""
    place = place_of(host.platform.system)
    unread: list[str] = []
    sight = _Sight(host.files, unread)
    data, logs = place.data, place.logs
    homes = tuple(f"{place.home}/.aws/{name}" for name in ("credentials", "config"))
    found = (
        *sight.present(Baked.REGISTRATION, place.registration),
        *sight.contents(Baked.REGISTRATION, f"{place.vault}/Store"),
        *sight.present(Baked.CREDENTIALS, place.credentials, *homes),
        *sight.contents(Baked.LOGS, logs),
        *sight.contents(Baked.LOGS, place.audits),
        *(
            item
            for item in sight.contents(Baked.DATA, place.instances)
            if NODE_FOLDER.fullmatch(item.path.rpartition("/")[2])
        ),
        *sight.present(Baked.DATA, place.identity_config),
    )
    return ImageFacts(found, (data, logs, *homes), tuple(dict.fromkeys(unread)))


class _Sight:
    """Looks at names; absent ones are nothing, others that fail are noted."""

    def __init__(self, files: Files, unread: list[str]) -> None:
        self._files = files
        self._unread = unread

    def present(self, kind: Baked, *paths: str) -> Iterator[Leftover]:
        for path in paths:
            try:
                state = self._files.state(path)
            except Absent:
                continue
            except ProbeError as exc:
                self._unread.append(str(exc))
                continue
            if state.kind is not FileKind.FILE or state.size:
                yield Leftover(kind, path)

    def contents(self, kind: Baked, folder: str) -> Iterator[Leftover]:
        """Yield what is in a folder; a file without content is nothing."""
        try:
            names = self._files.listing(folder, ENTRIES_LIMIT)
        except Absent:
            return
        except ProbeError as exc:
            self._unread.append(str(exc))
            return
        yield from self.present(kind, *(f"{folder}/{name}" for name in names))
