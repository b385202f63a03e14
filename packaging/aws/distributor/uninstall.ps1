# Remove the program. Settings and state (ProgramData\nodecheck) stay: Distributor also uninstalls
# before it installs another version.
$ErrorActionPreference = 'Stop'
foreach ($suffix in '', '.new', '.old') {
  $folder = (Join-Path $env:ProgramFiles 'nodecheck') + $suffix
  if (Test-Path -LiteralPath $folder) { Remove-Item -Recurse -Force -LiteralPath $folder }
}
& cmd.exe /c 'exit 0'
exit $LASTEXITCODE
