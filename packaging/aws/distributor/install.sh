#!/bin/sh
# Install nodecheck from the folder that this script is in: verify, put beside, run, change over.
# What was there before stays until the new one has run there, and comes back if it does not.
set -eu
umask 022
cd -- "$(dirname -- "$0")"
say() { printf 'nodecheck install: %s\n' "$*" >&2; }

root=${DESTDIR:-}
home=$root/opt/nodecheck
link=$root/usr/local/bin/nodecheck

sha256sum -c SHA256SUMS >/dev/null || { say "a file is not the one that was packed; nothing was changed" && exit 1; }
packed=$(find nodecheck -type f | wc -l)
listed=$(grep -c '  nodecheck/' SHA256SUMS)
[ "$packed" = "$listed" ] || { say "$packed files, $listed of them listed; nothing was changed" && exit 1; }

# What a killed installation left: the old program is the last one that ran.
if [ -d "$home.old" ]; then rm -rf -- "$home" && mv -- "$home.old" "$home"; fi
rm -rf -- "$home.new"
mkdir -p -- "$root/opt" "$root/usr/local/bin"
cp -R -- nodecheck "$home.new"
chmod -R u=rwX,go=rX -- "$home.new"
chmod 755 -- "$home.new/nodecheck"
[ "$(id -u)" != 0 ] || chown -R 0:0 -- "$home.new"

[ ! -d "$home" ] || mv -- "$home" "$home.old"
mv -- "$home.new" "$home"
if version=$("$home/nodecheck" --version 2>&1); then
  rm -rf -- "$home.old"
  ln -sfn -- /opt/nodecheck/nodecheck "$link"
  say "installed $version"
  exit 0
fi
say "the new program does not run: $version"
rm -rf -- "$home"
if [ -d "$home.old" ]; then mv -- "$home.old" "$home" && say "the one before is back"; fi
exit 1
