# An update in place is an installation: the version before stays until the new one has run.
& (Join-Path $PSScriptRoot 'install.ps1')
exit $LASTEXITCODE
