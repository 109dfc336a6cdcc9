# Takes Spendgate's service and program away; made by scripts/package. May be run again.
# As administrator or the system: powershell.exe -NoProfile -ExecutionPolicy Bypass -File uninstall.ps1 [-DropLedger]
# The ledger stays, administrators' alone, unless -DropLedger is said: bills come after a laptop is given back.
param(
    [switch] $DropLedger
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
if ([System.Environment]::Is64BitOperatingSystem -and -not [System.Environment]::Is64BitProcess) {
    $again = @('-NoProfile', '-ExecutionPolicy', 'Bypass', '-File', $PSCommandPath)
    if ($DropLedger) { $again += '-DropLedger' }
    & (Join-Path $env:SystemRoot 'SysNative\WindowsPowerShell\v1.0\powershell.exe') @again
    exit $LASTEXITCODE
}
$program = Join-Path $env:ProgramFiles 'Spendgate'
$python = Join-Path $program 'python.exe'
if (Test-Path -LiteralPath $python) {
    $words = @('-m', 'spendgate', 'service', 'uninstall')
    if (-not $DropLedger) { $words += '--keep-ledger' }
    & $python @words
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
}
else { # its program was taken away by somebody else; a service that starts another one stays
    $left = Get-CimInstance -ClassName Win32_Service -Filter "Name='spendgate'"
    if ($null -ne $left -and $left.PathName.Contains($python)) {
        & (Join-Path $env:SystemRoot 'System32\sc.exe') delete spendgate
        if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
    }
}
foreach ($folder in @($program, "$program.new", "$program.old")) {
    if (Test-Path -LiteralPath $folder) { Remove-Item -LiteralPath $folder -Recurse -Force }
}
exit 0
