#!/bin/sh
# An update in place is an installation: the version before stays until the new one has run.
exec sh "$(dirname -- "$0")/install.sh"
