# Install nodecheck from the folder that this script is in: verify, put beside, run, change over.
# What was there before stays until the new one has run there, and comes back if it does not.
$ErrorActionPreference = 'Stop'
Set-Location $PSScriptRoot
$target = Join-Path $env:ProgramFiles 'nodecheck'
$fresh = "$target.new"
$old = "$target.old"

function Stop-Install([string]$Text) {
  [Console]::Error.WriteLine("nodecheck install: $Text")
  exit 1
}

$listed = @(Get-Content 'SHA256SUMS' | Where-Object { $_ })
foreach ($line in $listed) {
  $sum, $name = $line -split '  ', 2
  if (-not (Test-Path -PathType Leaf -LiteralPath $name)) { Stop-Install "$name is missing; nothing was changed" }
  if ((Get-FileHash -Algorithm SHA256 -LiteralPath $name).Hash -ne $sum) { Stop-Install "$name is not the file that was packed; nothing was changed" }
}
$packed = @(Get-ChildItem -Recurse -File -LiteralPath 'nodecheck').Count
$expected = @($listed | Where-Object { $_ -match '  nodecheck/' }).Count
if ($packed -ne $expected) { Stop-Install "$packed files, $expected of them listed; nothing was changed" }

# What a killed installation left: the old program is the last one that ran.
if (Test-Path -LiteralPath $old) {
  if (Test-Path -LiteralPath $target) { Remove-Item -Recurse -Force -LiteralPath $target }
  Move-Item -LiteralPath $old -Destination $target
}
if (Test-Path -LiteralPath $fresh) { Remove-Item -Recurse -Force -LiteralPath $fresh }
Copy-Item -Recurse -LiteralPath 'nodecheck' -Destination $fresh
if (Test-Path -LiteralPath $target) { Move-Item -LiteralPath $target -Destination $old }
Move-Item -LiteralPath $fresh -Destination $target

$ErrorActionPreference = 'Continue'
$version = & (Join-Path $target 'nodecheck.exe') --version
if ($LASTEXITCODE -eq 0) {
  if (Test-Path -LiteralPath $old) { Remove-Item -Recurse -Force -LiteralPath $old }
  Write-Output "nodecheck install: installed $version"
} else {
  Remove-Item -Recurse -Force -LiteralPath $target
  if (Test-Path -LiteralPath $old) { Move-Item -LiteralPath $old -Destination $target }
  [Console]::Error.WriteLine('nodecheck install: the new program does not run; what was there before is back')
  & cmd.exe /c 'exit 1'
}
exit $LASTEXITCODE
