"""Windows: PowerShell for Intune. A Win32 app's install, removal and detection, and the same check and mending as a remediation.

ASCII, PowerShell 5.1, no module beyond what Windows has. Detection: exit 0 and a word on stdout means present. Remediation: the
check ends with 1 where there is something to mend.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha1, sha256

from spendgate.mdm.interface import Made
from spendgate.mdm.intunewin import package
from spendgate.mdm.placed import placed
from spendgate.mdm.places import PLACES, System
from spendgate.mdm.rollout import Rollout
from spendgate.mdm.variables import variables

_SYSTEM = System.WINDOWS


def windows(rollout: Rollout) -> Iterator[Made]:
    """The scripts."""
    install, uninstall, check = _install(rollout), _uninstall(rollout), _check(rollout)
    folder = "windows/intune"
    yield Made(
        f"{folder}/install.ps1", install, "the Win32 app's installation, and the remediation's script that mends"
    )
    yield Made(f"{folder}/uninstall.ps1", uninstall, "the Win32 app's removal; restart afterwards")
    app = package("Spendgate", {"install.ps1": install, "uninstall.ps1": uninstall}, "install.ps1")
    yield Made(f"{folder}/spendgate.intunewin", app, "the Win32 app: both scripts, as Intune takes them")
    yield Made(f"{folder}/detect.ps1", _text(check, _DETECTED), "the Win32 app's detection")
    yield Made(
        f"{folder}/remediation-detect.ps1", _text(check, _TO_MEND), "the remediation's check; `install.ps1` mends"
    )


def _install(rollout: Rollout) -> bytes:
    files = [
        f"    @{{ Path = {_quoted(each.path)}; Content = {_quoted(b64encode(each.content).decode())} }}"
        for each in placed(rollout, _SYSTEM)
    ]
    return _text(
        _head(rollout, "Puts everything in place. May be run again: it mends what was changed."),
        _lists("Files", files) + _variables(rollout),
        f"""\
$folder = {_quoted(PLACES[_SYSTEM].folder)}
function Assert-Safe([string] $Path) {{
    $owner = (Get-Acl -LiteralPath $Path).GetOwner([System.Security.Principal.SecurityIdentifier]).Value
    $link = [int]((Get-Item -LiteralPath $Path -Force).Attributes -band [System.IO.FileAttributes]::ReparsePoint)
    if ($link -ne 0 -or @('S-1-5-18', 'S-1-5-32-544') -notcontains $owner) {{
        throw "$Path was made by an account that is no administrator's, or is a link; look at it, remove it, run this again"
    }}
}}
$null = New-Item -ItemType Directory -Force -Path $folder
# By default people may make folders below ProgramData, and own what they made, so that no list of rights holds them:
# nothing is put into such a one. In this one administrators and the system alone may write, everybody may read.
Assert-Safe $folder
$null = & icacls.exe $folder /inheritance:r /grant:r '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F' '*S-1-5-32-545:(OI)(CI)RX'
if ($LASTEXITCODE -ne 0) {{ throw "icacls ended with $LASTEXITCODE" }}
Get-ChildItem -LiteralPath $folder -Force | ForEach-Object {{ Assert-Safe $_.FullName }}
foreach ($file in $Files) {{
    $null = New-Item -ItemType Directory -Force -Path (Split-Path -Parent $file.Path)
    [System.IO.File]::WriteAllBytes($file.Path, [System.Convert]::FromBase64String($file.Content))
}}
if (-not (Test-Path -Path {_quoted(_in_store(rollout))})) {{
    $null = Import-Certificate -FilePath {_quoted(PLACES[_SYSTEM].root)} -CertStoreLocation 'Cert:\\LocalMachine\\Root'
}}
foreach ($name in $Variables.Keys) {{
    [System.Environment]::SetEnvironmentVariable($name, $Variables[$name], 'Machine')
}}
""",
    )


def _uninstall(rollout: Rollout) -> bytes:
    paths = [f"    {_quoted(each.path)}" for each in placed(rollout, _SYSTEM)]
    places = PLACES[_SYSTEM]
    folders = ", ".join(map(_quoted, (places.folder, places.claude_code.rpartition(places.separator)[0])))
    return _text(
        _head(rollout, "Takes everything away, variables first. May be run again. Restart afterwards."),
        _lists("Paths", paths) + _variables(rollout),
        f"""\
foreach ($name in $Variables.Keys) {{
    if ([System.Environment]::GetEnvironmentVariable($name, 'Machine') -eq $Variables[$name]) {{
        [System.Environment]::SetEnvironmentVariable($name, $null, 'Machine')
    }}
}}
if (Test-Path -Path {_quoted(_in_store(rollout))}) {{
    Remove-Item -Path {_quoted(_in_store(rollout))}
}}
foreach ($path in $Paths) {{
    if (Test-Path -LiteralPath $path) {{ Remove-Item -LiteralPath $path -Force }}
}}
foreach ($folder in @({folders})) {{ # what others put there stays
    if ((Test-Path -LiteralPath $folder) -and @(Get-ChildItem -LiteralPath $folder -Force).Count -eq 0) {{
        Remove-Item -LiteralPath $folder -Force
    }}
}}
""",
    )


def _check(rollout: Rollout) -> str:
    sums = [
        f"    @{{ Path = {_quoted(each.path)}; Sha256 = {_quoted(sha256(each.content).hexdigest().upper())} }}"
        for each in placed(rollout, _SYSTEM)
    ]
    body = f"""\
$wrong = @()
foreach ($file in $Files) {{
    if (-not (Test-Path -LiteralPath $file.Path)) {{
        $wrong += "missing: $($file.Path)"
    }}
    elseif ((Get-FileHash -LiteralPath $file.Path -Algorithm SHA256).Hash -ne $file.Sha256) {{
        $wrong += "changed: $($file.Path)"
    }}
}}
if (-not (Test-Path -Path {_quoted(_in_store(rollout))})) {{
    $wrong += 'not trusted: the root'
}}
foreach ($name in $Variables.Keys) {{
    if ([System.Environment]::GetEnvironmentVariable($name, 'Machine') -ne $Variables[$name]) {{
        $wrong += "variable: $name"
    }}
}}
"""
    return _head(rollout, "Names what is missing or changed.") + _lists("Files", sums) + _variables(rollout) + body


_DETECTED = """\
if ($wrong.Count -gt 0) {
    exit 1
}
Write-Output 'in place'
exit 0
"""
_TO_MEND = """\
if ($wrong.Count -gt 0) {
    Write-Output ($wrong -join '; ')
    exit 1
}
Write-Output 'in place'
exit 0
"""


def _head(rollout: Rollout, about: str) -> str:
    return f"""\
# Spendgate on Windows ({rollout.identifier}); made by `spendgate mdm make`.
# {about}
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
"""


def _lists(name: str, items: list[str]) -> str:
    return f"${name} = @(\n" + "\n".join(items) + "\n)\n"


def _variables(rollout: Rollout) -> str:
    held = sorted(variables(rollout, _SYSTEM).items())
    return "$Variables = @{\n" + "".join(f"    {name} = {_quoted(value)}\n" for name, value in held) + "}\n"


def _in_store(rollout: Rollout) -> str:
    """The root's place among the machine's trusted ones: Windows goes by SHA-1 there, as a name and not for security."""
    return rf"Cert:\LocalMachine\Root\{sha1(rollout.root.der, usedforsecurity=False).hexdigest().upper()}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _text(*parts: str) -> bytes:
    """With the line ends that Windows has. The parts are ASCII, so that no encoding can change them."""
    return "".join(parts).replace("\n", "\r\n").encode("ascii")
