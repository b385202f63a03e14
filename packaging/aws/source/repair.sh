# Start a unit that is there under the first of these names.
start_first() {
  for unit in "$@"; do
    systemctl cat "$unit" >/dev/null 2>&1 || continue
    systemctl unmask "$unit" && systemctl enable "$unit" && systemctl restart "$unit"
    return
  done
  return 1
}

mend_clock() {
  if command -v chronyc >/dev/null; then
    systemctl is-active --quiet chronyd || systemctl is-active --quiet chrony || start_first chronyd chrony || return
    chronyc -n burst 4/4 >/dev/null || :
    chronyc waitsync 12 && chronyc makestep
  else
    start_first systemd-timesyncd ntpsec ntpd ntp || { echo 'no time daemon is installed' >&2 && return 1; }
  fi
}

# The agent runs this script: it is restarted when the script has ended and told of it.
restart_agent() {
  if command -v snap >/dev/null && snap list amazon-ssm-agent >/dev/null 2>&1; then
    unit=snap.amazon-ssm-agent.amazon-ssm-agent.service
  else
    unit=amazon-ssm-agent.service
  fi
  systemctl cat "$unit" >/dev/null || return
  systemd-run --on-active=15 --timer-property=AccuracySec=1s systemctl restart "$unit" &&
    echo "$unit restarts in 15 seconds"
}

case $SSM_Action in
  mend-clock) mend_clock ;;
  restart-agent) restart_agent ;;
  *) echo 'Action is mend-clock or restart-agent' >&2; exit 64 ;;
esac || exit 1
