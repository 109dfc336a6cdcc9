# Puts Spendgate @VERSION@ into Program Files and its service up, or an update in its place; made by scripts/package.
# As administrator or the system: powershell.exe -NoProfile -ExecutionPolicy Bypass -File install.ps1 [-Policy FILE] [-Port N] [-AsSystem]
param(
    [string] $Policy = '',
    [int] $Port = 8080,
    [switch] $AsSystem
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
# Intune's agent has 32 bits, and in its PowerShell Program Files would be another folder: the same again with 64.
if ([System.Environment]::Is64BitOperatingSystem -and -not [System.Environment]::Is64BitProcess) {
    $again = @('-NoProfile', '-ExecutionPolicy', 'Bypass', '-File', $PSCommandPath, '-Port', $Port)
    if ($Policy -ne '') { $again += @('-Policy', $Policy) }
    if ($AsSystem) { $again += '-AsSystem' }
    & (Join-Path $env:SystemRoot 'SysNative\WindowsPowerShell\v1.0\powershell.exe') @again
    exit $LASTEXITCODE
}
$program = Join-Path $env:ProgramFiles 'Spendgate'
$new = "$program.new"
$old = "$program.old"
foreach ($folder in @($new, $old)) { # of an installation that was broken off
    if (Test-Path -LiteralPath $folder) { Remove-Item -LiteralPath $folder -Recurse -Force }
}
Add-Type -AssemblyName System.IO.Compression.FileSystem
[System.IO.Compression.ZipFile]::ExtractToDirectory((Join-Path $PSScriptRoot 'program.zip'), $new)
$python = Join-Path $program 'python.exe'
$service = Get-Service -Name 'spendgate' -ErrorAction SilentlyContinue
if ($null -ne $service -and (Test-Path -LiteralPath $python)) { # its files cannot be replaced while it runs
    & $python -m spendgate service stop
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
}
try {
    if (Test-Path -LiteralPath $program) { Rename-Item -LiteralPath $program -NewName (Split-Path -Leaf $old) }
    Rename-Item -LiteralPath $new -NewName (Split-Path -Leaf $program)
}
catch { # another program runs from there, as a person's own spendgate, or a scanner reads what is new: the old one goes on
    if ((Test-Path -LiteralPath $old) -and -not (Test-Path -LiteralPath $program)) {
        Rename-Item -LiteralPath $old -NewName (Split-Path -Leaf $program)
    }
    if ($null -ne $service) { Start-Service -Name 'spendgate' }
    throw
}
# What somebody still reads goes with the next update: the gate does not wait for it.
if (Test-Path -LiteralPath $old) { Remove-Item -LiteralPath $old -Recurse -Force -ErrorAction SilentlyContinue }
$words = @('-m', 'spendgate', 'service', 'install', '--port', $Port)
if ($Policy -ne '') { $words += @('--policy', $Policy) }
if ($AsSystem) { $words += '--as-system' }
& $python @words
exit $LASTEXITCODE
