# shellcheck shell=sh
# Sourced by scripts/build after interpreter.sh: set $python to an environment of the same interpreter for
# arm64. It is cross-built once and kept beside the other; it and PyInstaller, which cannot cross-build, run
# under qemu's emulation, without any registration at the kernel.
for_arm64=${interpreter:?}-aarch64
sysroot=${interpreter%/python}/aarch64/aarch64-linux-gnu/aarch64-linux-gnu/sysroot
made_before=${interpreter%/python}/done/aarch64

has_cross_tools() {
    for tool in gcc objcopy strip; do
        command -v aarch64-linux-gnu-$tool || return
    done
    command -v qemu-aarch64-static
} >/dev/null

has_cross_tools || { install_packages gcc-aarch64-linux-gnu qemu-user-static && has_cross_tools; } ||
    give_up "a cross compiler and an emulator are needed; on Debian or Ubuntu:" \
        "apt-get install gcc-aarch64-linux-gnu qemu-user-static"
emulator=$(command -v qemu-aarch64-static)

make_for_arm64() {
    # The sources that it is made from are unpacked as those of the other were.
    # shellcheck disable=SC2046 # names without spaces
    install_packages $(grep -v '^#' "${recipe:?}/debian-packages.txt") || :
    say "making the portable interpreter for arm64 in ${kept:?} (once, about ten minutes)"
    exec 8<"$kept"
    flock 8
    [ -s "$made_before" ] || "$recipe/build_aarch64.sh" "${interpreter%/python}" >&2 ||
        give_up "the portable interpreter for arm64 could not be made, see above"
    rm -rf -- "${interpreter%/python}/aarch64/build" "${interpreter%/python}/aarch64/deps"
    echo made >"$made_before"
    exec 8<&-
}

[ -s "$made_before" ] || make_for_arm64

# command_file NAME: a command of the environment that does what stdin says.
command_file() {
    { echo '#!/bin/sh' && cat; } >"$venv/$1"
    chmod 755 "$venv/$1"
}

# What python -m venv makes, with the emulator before the interpreter. -0 says what sys.executable is, which
# PyInstaller starts again; glibc 2.17 cannot read this machine's locales. The tools are those that
# PyInstaller calls on what it builds.
make_environment() {
    rm -rf -- "$venv"
    mkdir -p -- "$venv/bin" "$venv/tools" "$venv/lib/python3.11/site-packages"
    printf 'home = %s\ninclude-system-site-packages = false\n' "$for_arm64/bin" >"$venv/pyvenv.cfg"
    command_file bin/python <<W
LC_ALL=C exec "$emulator" -0 "$venv/bin/python" -L "$sysroot" "$for_arm64/bin/python3.11" "\$@"
W
    command_file tools/ldd <<W
exec "$emulator" "$sysroot/lib/ld-linux-aarch64.so.1" \\
    --library-path "$for_arm64/lib:$sysroot/lib64:$sysroot/usr/lib64:$sysroot/lib" --list "\$1"
W
    for tool in objcopy strip; do
        command_file tools/$tool <<W
exec "$(command -v aarch64-linux-gnu-$tool)" "\$@"
W
    done
    "${host:?}" -I -m pip --disable-pip-version-check --quiet --python "$venv/bin/python" install \
        --report "$venv/installed.json" --no-compile \
        --require-hashes --only-binary :all: -r "${lock:?}" >&2
}

venv=${venv%/portable}/arm64
made="${made:?} $emulator $(sha256sum <"${top:?}/scripts/arm64.sh" | cut -c1-16)"
if [ "$(cat -- "$venv/complete" 2>/dev/null)" != "$made" ]; then
    say "setting up $venv"
    make_environment || give_up "could not set up $venv, see above"
    printf '%s\n' "$made" >"$venv/complete"
fi
# shellcheck disable=SC2034 # used by scripts/build
python=$venv/bin/python
PATH=$venv/tools:$PATH
