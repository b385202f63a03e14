$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

function Stop-Check([string]$Text) {
  Write-Output "UNKNOWN: nodecheck: $Text"
  [Console]::Error.WriteLine("nodecheck: $Text")
  exit 69
}

# Of PackageSums is known the list, of the list the file; nothing is unpacked before both are right.
function Install-FromUrl {
  $file = 'nodecheck_windows_x86_64.zip'
  $folder = Join-Path $env:SystemRoot ('Temp\nodecheck-' + [guid]::NewGuid())
  New-Item -ItemType Directory -Path $folder | Out-Null
  try {
    [Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
    foreach ($name in 'SHA256SUMS', $file) {
      Invoke-WebRequest -UseBasicParsing -TimeoutSec 300 -Uri "$PackageUrl/$name" -OutFile (Join-Path $folder $name)
      if ($name -eq 'SHA256SUMS') { $expected = $PackageSums }
      else {
        $line = Get-Content (Join-Path $folder 'SHA256SUMS') | Where-Object { $_ -cmatch "^[0-9a-f]{64}  $([regex]::Escape($file))$" }
        $expected = "$line".Split(' ')[0]
      }
      $actual = (Get-FileHash -Algorithm SHA256 (Join-Path $folder $name)).Hash
      if ($actual -ne $expected) { Stop-Check "$name does not have the SHA-256 that was told; nothing was installed" }
    }
    Expand-Archive -Path (Join-Path $folder $file) -DestinationPath (Join-Path $folder 'package')
    Set-Location (Join-Path $folder 'package')
    & powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File .\install.ps1 | Out-Null
    if ($LASTEXITCODE -ne 0) { Stop-Check "$file could not be installed" }
  } catch {
    Stop-Check "cannot install from ${PackageUrl}: $($_.Exception.Message)"
  } finally {
    Set-Location $env:SystemRoot
    Remove-Item -Recurse -Force -ErrorAction SilentlyContinue $folder
  }
}

$nodecheck = Join-Path $env:ProgramFiles 'nodecheck\nodecheck.exe'
if (-not (Test-Path -PathType Leaf $nodecheck)) {
  if ($PackageUrl -eq 'none') { Stop-Check 'it is not installed, and PackageUrl names no place to get it from' }
  if ($PackageSums -eq 'none') { Stop-Check 'PackageUrl needs PackageSums, the SHA-256 of its SHA256SUMS' }
  Install-FromUrl
}

$options = @('run', "--fail-on=$FailOn", "--deadline=$DeadlineSeconds", "--splay=$SplaySeconds")
if ($Stage -eq 'preflight') { $options += '--preflight' }
if ($Stage -eq 'image') { $options += '--ami' }
if ($Detail -eq 'json') { $options += '--format=json' }
elseif ($Detail -eq 'text') { $options += '--color=never' }
else { $options += '--quiet' }
if ($Reports -ne 'none') { $options += "--report=$Reports" }
if ($Only -ne 'all') { $options += "--only=$Only" }
if ($Config -ne 'none') { $options += "--config=$Config" }
# What nodecheck says on stderr is no error of this script.
$ErrorActionPreference = 'Continue'
& $nodecheck @options
exit $LASTEXITCODE
