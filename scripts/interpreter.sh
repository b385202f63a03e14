# shellcheck shell=sh
# Sourced by scripts/build after environment.sh: set $python to an environment of the portable interpreter
# that has what the build's lock lists. The interpreter is made once for each recipe and kept in
# NODECHECK_INTERPRETERS, by default a folder of the user's cache; the environment in .venv/portable.
recipe=${top:?}/packaging/interpreter
kept=${NODECHECK_INTERPRETERS:-${XDG_CACHE_HOME:-${HOME:-$top}/.cache}/nodecheck}
recipe_id=$(cat -- "$recipe"/*.sh "$recipe"/*.txt "$recipe"/*.patch | sha256sum | cut -c1-16)
interpreter=$kept/interpreter-$recipe_id/python

make_interpreter() {
    [ "$(uname -m)" = x86_64 ] ||
        give_up "the portable interpreter is made on x86_64 machines; see scripts/build --host-python"
    # shellcheck disable=SC2046 # names without spaces
    install_packages $(grep -v '^#' "$recipe/debian-packages.txt") || :
    say "making the portable interpreter in $kept (once, about ten minutes)"
    mkdir -p -- "$kept"
    # Two builds at once would work in one folder.
    exec 8<"$kept"
    flock 8
    # Where the archive does not serve its newest version, verify-release refuses what comes out.
    ALLOW_OLDER=1 "$recipe/build.sh" "$kept/interpreter-$recipe_id" >&2 ||
        give_up "the portable interpreter could not be made, see above; or: scripts/build --host-python"
    rm -rf -- "$kept/interpreter-$recipe_id/toolchain"
    find "$kept/interpreter-$recipe_id/build" -mindepth 1 -maxdepth 1 ! -name sqlite3 -exec rm -rf -- {} +
    exec 8<&-
}

if ! [ -x "$interpreter/bin/python3.11" ] || ! [ -s "$kept/interpreter-$recipe_id/done/check" ]; then
    make_interpreter
fi

# It has no pip: the build environment's own installs into it, only wheels that need no newer C library.
host=$python
venv=${NODECHECK_VENV:-$top/.venv}/portable
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
lock=$top/requirements-build.lock
made=$recipe_id-$(sha256sum <"$lock" | cut -c1-16)-reported
if [ "$(cat -- "$venv/complete" 2>/dev/null)" != "$made" ]; then
    say "setting up $venv"
    {
        "$interpreter/bin/python3.11" -I -m venv --without-pip --clear "$venv" >&2 &&
            "$host" -I -m pip --disable-pip-version-check --quiet --python "$venv/bin/python" install \
                --report "$venv/installed.json" \
                --require-hashes --only-binary :all: -r "$lock" >&2 &&
            printf '%s\n' "$made" >"$venv/complete"
    } || give_up "could not set up $venv, see above"
fi
python=$venv/bin/python
