#!/bin/sh
# Remove the program. Settings (/etc/nodecheck) and state (/var/lib/nodecheck) stay: Distributor also
# uninstalls before it installs another version.
set -eu
root=${DESTDIR:-}
link=$root/usr/local/bin/nodecheck
[ "$(readlink -- "$link" || :)" != /opt/nodecheck/nodecheck ] || rm -f -- "$link"
rm -rf -- "$root/opt/nodecheck" "$root/opt/nodecheck.new" "$root/opt/nodecheck.old"
