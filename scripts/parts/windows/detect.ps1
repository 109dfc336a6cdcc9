# Whether Spendgate @VERSION@ and its service are here; made by scripts/package. Exit 0 and a word on stdout: they are.
# In Intune: run it in 64 bits.
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$version = Join-Path (Join-Path $env:ProgramFiles 'Spendgate') 'VERSION'
if (-not (Test-Path -LiteralPath $version)) { exit 1 }
if ((Get-Content -LiteralPath $version -TotalCount 1) -ne '@VERSION@') { exit 1 }
if ($null -eq (Get-Service -Name 'spendgate' -ErrorAction SilentlyContinue)) { exit 1 }
Write-Output 'Spendgate @VERSION@'
exit 0
