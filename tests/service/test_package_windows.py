"""The package of the gate for Windows: its contents, of a made-up Python and made-up wheels, and its scripts as text.

What is in it of others' is not run: neither Windows nor PowerShell was there, nor PSScriptAnalyzer.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts/parts/windows"
sys.path.insert(0, str(ROOT / "scripts"))
try:
    from parts import package_windows, wheels_windows
    from parts.package_tree import project
    from parts.sbom import Pinned, read
finally:
    sys.path.pop(0)

NUMBER = f"{sys.version_info.major}{sys.version_info.minor}"
LOCK = (ROOT / "requirements.lock").read_text()
NEEDS = {
    "mitmproxy": ("pydivert; sys_platform == 'win32'", "uvloop; sys_platform == 'linux'", "ldap3; extra == 'more'")
}
"""What the made-up wheels say that they need."""


def python(folder: Path, *left_out: str) -> Path:
    """A ZIP with the names of python.org's, and nothing of it."""
    made = folder / "python-embed-amd64.zip"
    names = ("python.exe", f"python{NUMBER}.dll", f"python{NUMBER}.zip", "LICENSE.txt", f"python{NUMBER}._pth")
    with ZipFile(made, "w") as found:
        for name in names:
            if name not in left_out:
                found.writestr(name, "made up")
    return made


def wheel(folder: Path, name: str, version: str) -> None:
    """One module, a licence, a program that is not wanted, and what it needs."""
    about = f"{name.replace('-', '_')}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {each}\n" for each in NEEDS.get(name, ()))
    files = {
        f"{name.replace('-', '_')}.py": "x = 1\n",
        f"{about}/METADATA": f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nLicense: MIT\n{needs}\n",
        f"{about}/licenses/LICENSE": "made up",
        f"{about[: -len('.dist-info')]}.data/scripts/run.exe": "",
        f"{about[: -len('.dist-info')]}.data/platlib/{name}.pyd": "",
    }
    files[f"{about}/RECORD"] = "".join(f"{each},,\n" for each in [*files, f"{about}/RECORD"])
    with ZipFile(folder / f"{name.replace('-', '_')}-{version}-py3-none-win_amd64.whl", "w") as made:
        for each, text in files.items():
            made.writestr(each, text)


def fetched(packages: Iterable[Pinned], folder: Path) -> None:
    """In place of the registry."""
    for each in packages:
        wheel(folder, each.name, each.version)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A package."""
    folder = tmp_path_factory.mktemp("made")
    found: tuple[Path, Path, Path] = package_windows.make(python(folder), folder / "dist", fetched)
    return found


def test_it_holds_a_python_the_product_and_what_it_needs_there(made: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """Each wheel that the lock has for Windows, and none of another system's, an extra's or a test's; bytecode beside."""
    with ZipFile(made[2]) as whole:
        assert whole.namelist() == ["install.ps1", "program.zip", "uninstall.ps1"]
        whole.extract("program.zip", tmp_path)
    with ZipFile(tmp_path / "program.zip") as program:
        names = program.namelist()
        assert program.read(f"python{NUMBER}._pth").decode() == f"python{NUMBER}.zip\r\n.\r\nimport site\r\n"
        assert "LICENSE.txt" in program.read("copyright.txt").decode()
    tops = {name for name in names if "/" not in name}
    assert tops == {
        "python.exe", f"python{NUMBER}.dll", f"python{NUMBER}.zip", "LICENSE.txt", f"python{NUMBER}._pth",
        "copyright.txt", "spendgate.cmd", "VERSION",
    }  # fmt: skip
    inside = {name.removeprefix("Lib/site-packages/") for name in names if "/" in name}
    tracked = {"spendgate/__main__.py", "spendgate/default.yaml", "spendgate/service/windows_host.py"}
    assert tracked <= inside
    assert f"spendgate/service/__pycache__/windows_host.cpython-{NUMBER}.pyc" in inside
    direct = (Requirement(each) for each in project()["project"]["dependencies"])
    wanted = {canonicalize_name(each.name) for each in direct} | {"pydivert"}
    came = {
        canonicalize_name(re.sub(r"-[^-]+\.dist-info/METADATA$", "", each)) for each in inside if "/METADATA" in each
    }
    assert came == wanted
    assert {"pywin32.pyd", "pywin32.py"} <= inside
    assert not any("run.exe" in each or ".data/" in each for each in inside)


def test_intune_gets_the_same_and_what_detects_it(made: tuple[Path, Path, Path]) -> None:
    """`mdm/test_intunewin` opens what is made so; the version is the product's in all of them."""
    with ZipFile(made[0]) as outer:
        detection = outer.read("IntuneWinPackage/Metadata/Detection.xml").decode()
    assert "<SetupFile>install.ps1</SetupFile>" in detection
    version = project()["project"]["version"]
    assert f"-ne '{version}'".encode() in made[1].read_bytes()
    assert made[0].name == f"spendgate-{version}-win-amd64.intunewin"


def test_the_same_makes_the_same_bytes() -> None:
    """Whatever the order and the day, for a reviewer to hold a package against."""
    files = {"b": b"2" * 99, "a/c": b"1"}
    once = package_windows.zipped(files)
    assert package_windows.zipped(dict(reversed(files.items()))) == once
    with ZipFile(io.BytesIO(once)) as found:
        assert {each.date_time for each in found.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_what_is_no_such_python_is_told(tmp_path: Path) -> None:
    """With the name of what is wanted."""
    with pytest.raises(ValueError, match=r"python\d+\.dll is not in it"):
        package_windows.unpack(python(tmp_path, f"python{NUMBER}.dll"), tmp_path / "tree")
    (tmp_path / "no.zip").write_text("x")
    with pytest.raises(ValueError, match=r"no\.zip"):
        package_windows.unpack(tmp_path / "no.zip", tmp_path / "tree")


def test_what_the_lock_has_not_or_did_not_come_is_told(tmp_path: Path) -> None:
    """A package without a wheel for Windows would be missing on the laptop."""
    with pytest.raises(ValueError, match="no nobodys for Windows"):
        wheels_windows.gathered(["nobodys"], LOCK, tmp_path / "p", tmp_path / "w", fetched)
    with pytest.raises(ValueError, match="1 packages were asked for, and 0 wheels came"):
        wheels_windows.gathered(["h11"], LOCK, tmp_path / "p", tmp_path / "w", lambda *_: None)


def test_a_name_that_leads_out_is_refused(tmp_path: Path) -> None:
    """Its hash says whose it is, not what is in it."""
    with ZipFile(tmp_path / "a.whl", "w") as found:
        found.writestr("../b.py", "")
    with pytest.raises(ValueError, match="leads out"):
        wheels_windows.unpacked(tmp_path / "a.whl", tmp_path / "p")


def test_the_lock_has_every_package_that_windows_alone_needs() -> None:
    """pywin32 is pinned for it, and for no other system."""
    found = {each.name: each for each in read(LOCK)}
    assert found["pywin32"].marker == "sys_platform == 'win32'"


@pytest.mark.parametrize("name", ["install.ps1", "uninstall.ps1", "detect.ps1"])
def test_scripts_are_what_windows_powershell_reads(name: str) -> None:
    """ASCII, CRLF, strict, stopping at the first fault; every bracket and quote has its other half, no cmdlet but known ones."""
    text = package_windows.script(name, "1.2").decode("ascii")
    assert text.count("\n") == text.count("\r\n") > 9
    assert "@VERSION@" not in text
    assert "$ErrorActionPreference = 'Stop'" in text
    assert "Set-StrictMode -Version Latest" in text
    code = "\n".join(line.partition("#")[0] for line in text.splitlines())
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", code)
    assert "'" not in bare and '"' not in bare
    for left, right in ("()", "{}", "[]"):
        assert bare.count(left) == bare.count(right), left
    known = {
        "Set-StrictMode", "Join-Path", "Test-Path", "Remove-Item", "Add-Type", "Get-Service", "Start-Service", "Rename-Item",
        "Split-Path", "Get-Content", "Write-Output", "Get-CimInstance",
    }  # fmt: skip
    assert set(re.findall(r"\b[A-Z][a-z]+-[A-Z][A-Za-z]+\b", bare)) <= known


def test_scripts_call_the_service_in_order() -> None:
    """The program is put there before the service, and taken away after it; what failed goes no further."""
    install, uninstall = (package_windows.script(name, "1").decode() for name in ("install.ps1", "uninstall.ps1"))
    order = (
        "ExtractToDirectory",
        "service stop",
        "Rename-Item -LiteralPath $new",
        "'install', '--port'",
        "& $python @words",
    )
    places = [install.index(each) for each in order]
    assert places == sorted(places)
    assert "'spendgate', 'service', 'uninstall'" in uninstall
    assert uninstall.index("if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }") < uninstall.index("foreach ($folder")


def test_an_update_that_fails_leaves_the_old_program_running() -> None:
    """Whichever of the two renames fails; and an old folder that somebody still reads keeps nobody from starting the new one."""
    install = package_windows.script("install.ps1", "1").decode()
    tried, _, rest = install.partition("try {")[2].partition("catch {")
    mended, _, after = rest.partition("    throw")
    assert tried.count("Rename-Item") == install.count("Rename-Item") - 1 == 2
    back = ("Rename-Item -LiteralPath $old -NewName (Split-Path -Leaf $program)", "Start-Service -Name 'spendgate'")
    assert 0 < mended.index(back[0]) < mended.index(back[1])
    removed = next(line for line in after.splitlines() if "Remove-Item -LiteralPath $old" in line)
    assert "-ErrorAction SilentlyContinue" in removed


def test_a_removal_whose_program_has_gone_takes_the_service_away() -> None:
    """Detection goes by the program: Intune would call it removed, and a service that cannot start would stay."""
    uninstall = package_windows.script("uninstall.ps1", "1").decode()
    gone = uninstall.partition("else {")[2].partition("foreach")[0]
    assert gone.index("$left.PathName.Contains($python)") < gone.index("sc.exe') delete spendgate")
