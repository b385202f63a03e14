$ErrorActionPreference = 'Stop'

if ($Action -eq 'mend-clock') {
  Set-Service -Name W32Time -StartupType Automatic
  Start-Service -Name W32Time
  & w32tm.exe /resync /rediscover /force
  exit $LASTEXITCODE
}
if ($Action -eq 'restart-agent') {
  # The agent runs this script: it is restarted when the script has ended and told of it.
  $run = New-ScheduledTaskAction -Execute 'powershell.exe' -Argument '-NoProfile -Command Restart-Service AmazonSSMAgent'
  $soon = New-ScheduledTaskTrigger -Once -At (Get-Date).AddSeconds(30)
  Register-ScheduledTask -Force -User SYSTEM -TaskName 'nodecheck restart agent' -Action $run -Trigger $soon | Out-Null
  Write-Output 'AmazonSSMAgent restarts in 30 seconds'
  & cmd.exe /c 'exit 0'
  exit $LASTEXITCODE
}
[Console]::Error.WriteLine('Action is mend-clock or restart-agent')
& cmd.exe /c 'exit 64'
exit $LASTEXITCODE
