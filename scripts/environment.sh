# shellcheck shell=sh
# Sourced by the scripts beside it, which set $top, the checkout. Makes a Python environment from a
# locked, hashed list of dependencies; stdout stays the caller's, all words go to stderr.

say() { printf 'nodecheck: %s\n' "$*" >&2; }

# 69: a service that is needed is not available (sysexits.h).
give_up() {
    say "$@"
    exit 69
}

# environment NAME: set $python to an interpreter that has what NAME's lock lists, and the checkout's
# packages, on its path. Environments are folders of .venv, or of NODECHECK_VENV. A finished one holds a
# copy of its lock with the same time, which the shell compares without starting a process.
environment() {
    top=${top:?}
    case $1 in
    run) lock=$top/requirements.lock ;;
    *) lock=$top/requirements-$1.lock ;;
    esac
    venv=${NODECHECK_VENV:-$top/.venv}/$1
    case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
    python=$venv/bin/python
    is_ready || make_ready
}

# -nt and -ot are not in POSIX before 2024, but in dash, bash, ksh and busybox.
# shellcheck disable=SC3013
is_ready() {
    [ -x "$python" ] && [ -f "$venv/complete" ] &&
        ! [ "$venv/complete" -nt "$lock" ] && ! [ "$venv/complete" -ot "$lock" ] &&
        IFS= read -r made_for <"$venv/checkout" && [ "$made_for" = "$top" ]
} 2>/dev/null

# One at a time, under a lock on the folder itself, which a killed set-up's children hold on to. What a
# killed set-up left is cleared away; a finished environment of a touched lock or moved checkout is kept.
make_ready() {
    { mkdir -p -- "$venv" && [ -w "$venv" ]; } 2>/dev/null ||
        give_up "cannot write $venv; set NODECHECK_VENV to a folder that can be written"
    command -v flock >/dev/null || give_up "flock is needed; on Debian or Ubuntu: apt-get install util-linux"
    exec 9<"$venv"
    flock -n 9 || { say "waiting for another set-up of $venv" && flock 9; } || give_up "cannot lock $venv"
    if ! is_ready; then
        has_dependencies || install_dependencies
        mark_ready || give_up "could not finish $venv"
    fi
    exec 9<&-
}

has_dependencies() {
    [ -x "$python" ] && [ "$(cat -- "$venv/complete" 2>/dev/null)" = "$(cat -- "$lock")" ]
}

mark_ready() {
    for packages in "$venv"/lib/python3.*/site-packages; do
        printf '%s\n' "$top" >"$packages/nodecheck.pth" || return
    done
    printf '%s\n' "$top" >"$venv/checkout" &&
        cp -p -- "$lock" "$venv/complete.new" && mv -f -- "$venv/complete.new" "$venv/complete"
}

install_dependencies() {
    find_python || install_python ||
        give_up "Python 3.11, 3.12 or 3.13 with venv is needed; on Debian or Ubuntu:" \
            "apt-get install python3 python3-venv"
    say "setting up $venv with $base (once, about a minute)"
    "$base" -I -m venv --clear "$venv" >&2 || give_up "could not make $venv with $base"
    "$python" -I -m pip --disable-pip-version-check --quiet install --require-hashes \
        --only-binary :all: -r "$lock" >&2 ||
        give_up "could not install ${lock##*/}, see above: no network, no wheel, or not the locked hash"
}

# Set $base to an interpreter that runs, is of the right age and can make environments. A name may be a
# shim that fails. NODECHECK_PYTHON names another one.
find_python() {
    for name in ${NODECHECK_PYTHON:-python3.13 python3.12 python3.11 python3}; do
        base=$("$name" -I -c '
import sys, ensurepip, venv
print(sys.executable if (3, 11) <= sys.version_info < (3, 14) else "")' 2>/dev/null) &&
            [ -n "$base" ] && return
    done
    return 1
}

# The release's own Python, or else the one that it has beside it (Ubuntu 22.04 has 3.10 and 3.11).
install_python() {
    for version in '' .13 .12 .11; do
        install_packages "python3$version" "python3$version-venv" && find_python && return
    done
    return 1
}

# install_packages PACKAGE...: fails when this is not Debian or its kin, or the user not root.
install_packages() {
    { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } || return
    say "installing $* (apt-get)"
    export DEBIAN_FRONTEND=noninteractive
    [ -n "${updated:-}" ] || apt-get -qq update >&2 || say "apt-get update failed"
    updated=yes
    without_services apt-get -qq -o DPkg::Lock::Timeout=120 install --yes --no-install-recommends -- "$@" >&2
}

# Packages bring time daemons and exporters that tests start by themselves: the machine keeps its own.
# policy-rc.d is how Debian asks whether a service may be started. One that is there is the owner's word,
# unless it is what a killed run of this left.
without_services() {
    policy=/usr/sbin/policy-rc.d
    if { [ -e "$policy" ] && ! grep -q 'nodecheck tests' "$policy"; } ||
        ! printf '#!/bin/sh\nexit 101 # nodecheck tests\n' >"$policy" || ! chmod 755 "$policy"; then
        "$@"
        return
    fi
    code=0
    "$@" || code=$?
    rm -f -- "$policy"
    return "$code"
}

# The commit of the checkout, with "-dirty" when tracked files differ from it.
commit_id() {
    { [ -e "$top/.git" ] && git -C "$top" describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null; } ||
        echo unknown
}
