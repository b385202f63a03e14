say() { printf '%s\n' "UNKNOWN: nodecheck: $*"; printf '%s\n' "nodecheck: $*" >&2; }
give_up() { say "$*"; exit 69; }

# Set $nodecheck to the installed program.
find_nodecheck() {
  for nodecheck in "$(command -v nodecheck)" /usr/bin/nodecheck /usr/local/bin/nodecheck /opt/nodecheck/nodecheck; do
    [ -f "$nodecheck" ] && [ -x "$nodecheck" ] && return
  done
  return 1
}

# Of PackageSums is known the list, of the list the file; nothing is unpacked before both are right.
install_from_url() {
  case $(uname -m) in
    x86_64) file=nodecheck_linux_x86_64.tar.gz ;;
    aarch64) file=nodecheck_linux_arm64.tar.gz ;;
    *) give_up "there is no package for $(uname -m)" ;;
  esac
  umask 022
  folder=$(mktemp -d /var/tmp/nodecheck.XXXXXXXX) || give_up "cannot make a folder in /var/tmp"
  trap 'rm -rf -- "$folder"' EXIT
  cd "$folder" || exit 69
  fetch SHA256SUMS
  echo "$SSM_PackageSums  SHA256SUMS" | sha256sum -c >/dev/null 2>&1 ||
    give_up "$SSM_PackageUrl/SHA256SUMS does not have the SHA-256 of PackageSums; nothing was installed"
  fetch "$file"
  sed -n "/^[0-9a-f]\{64\}  $file\$/p" SHA256SUMS >sum
  { [ -s sum ] && sha256sum -c sum >/dev/null 2>&1; } ||
    give_up "$file does not have the SHA-256 that SHA256SUMS tells; nothing was installed"
  tar -xzf "$file" || give_up "cannot unpack $file"
  sh ./install.sh >&2 || give_up "$file could not be installed"
  cd / && rm -rf -- "$folder"
  trap - EXIT
}

fetch() {
  if command -v curl >/dev/null; then
    curl --proto =https --proto-redir =https --silent --show-error --fail --location --retry 2 --max-time 300 --output "$1" "$SSM_PackageUrl/$1"
  else
    wget --quiet --timeout=60 --tries=3 --output-document="$1" "$SSM_PackageUrl/$1"
  fi || give_up "cannot fetch $SSM_PackageUrl/$1"
}

if ! find_nodecheck; then
  [ "$SSM_PackageUrl" != none ] || give_up "it is not installed, and PackageUrl names no place to get it from"
  [ "$SSM_PackageSums" != none ] || give_up "PackageUrl needs PackageSums, the SHA-256 of its SHA256SUMS"
  install_from_url
  find_nodecheck || give_up "it was installed and is not there"
fi

set -- run "--fail-on=$SSM_FailOn" "--deadline=$SSM_DeadlineSeconds" "--splay=$SSM_SplaySeconds"
case $SSM_Stage in
  preflight) set -- "$@" --preflight ;;
  image) set -- "$@" --ami ;;
esac
case $SSM_Detail in
  json) set -- "$@" --format=json ;;
  text) set -- "$@" --color=never ;;
  *) set -- "$@" --quiet ;;
esac
[ "$SSM_Reports" = none ] || set -- "$@" "--report=$SSM_Reports"
[ "$SSM_Only" = all ] || set -- "$@" "--only=$SSM_Only"
[ "$SSM_Config" = none ] || set -- "$@" "--config=$SSM_Config"
exec "$nodecheck" "$@"
