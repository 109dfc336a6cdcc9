"""The checkout as a package of Windows, made on any system: `C:\\Program Files\\Spendgate` with a Python of its own, and scripts.

The interpreter is python.org's embeddable package, a ZIP file that whoever makes the package brings: it is taken as it is, but
for the list of its paths (`python3NN._pth`), which lets `site` in. Wheels are Windows' of the hash lock (`wheels_windows`).
Bytecode comes with it, as in the other packages, so that the ZIP has to be of the Python that makes it. Never run on Windows.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import py_compile
import sys
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from parts.package_tree import copy_product, copyright_file, project, texts_of, write
from parts.sbom import ROOT
from parts.wheels_windows import Fetch, by_pip, gathered

from spendgate.mdm.intunewin import package

PLACE: Final = r"C:\Program Files\Spendgate"
_PACKAGES: Final = "Lib/site-packages"
_NUMBER: Final = f"{sys.version_info.major}{sys.version_info.minor}"
_PATHS: Final = f"python{_NUMBER}._pth"
_WANTED: Final = ("python.exe", f"python{_NUMBER}.dll", f"python{_NUMBER}.zip", "LICENSE.txt", _PATHS)
_STARTER: Final = '@"%~dp0python.exe" -m spendgate %*\r\n'
_SCRIPTS: Final = Path(__file__).parent / "windows"
_ZIP_FROM: Final = (1980, 1, 1, 0, 0, 0)


def main(python: Path, folder: Path) -> None:
    """Make it, and say what of."""
    try:
        for made in make(python, folder, by_pip):
            sys.stdout.write(
                f"{made}: {made.stat().st_size / 1e6:.1f} MB, sha256 {hashlib.sha256(made.read_bytes()).hexdigest()}\n"
            )
        sys.stdout.write(
            f"with {python.name}, sha256 {hashlib.sha256(python.read_bytes()).hexdigest()}: as python.org's?\n"
        )
    except (OSError, ValueError) as fault:
        sys.exit(f"package: {fault}")


def make(python: Path, folder: Path, fetch: Fetch) -> tuple[Path, Path, Path]:
    """Intune's file, the script that detects, and the same for by hand as a ZIP. Raises ValueError, OSError."""
    version = project()["project"]["version"]
    with tempfile.TemporaryDirectory() as work:
        tree = Path(work) / "tree"
        fill(tree, python, Path(work), fetch)
        content = zipped({str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()})
    files = {name: script(name, version) for name in ("install.ps1", "uninstall.ps1")} | {"program.zip": content}
    stem = f"spendgate-{version}-win-amd64"
    made = folder / f"{stem}.intunewin", folder / f"{stem}-detect.ps1", folder / f"{stem}.zip"
    whole = package("Spendgate", files, "install.ps1"), script("detect.ps1", version), zipped(files, ZIP_STORED)
    for place, each in zip(made, whole, strict=True):
        write(place, each)
    return made


def fill(tree: Path, python: Path, work: Path, fetch: Fetch) -> None:
    """What lies in Program Files. Raises ValueError for what is no such Python, or wheels that are not the lock's."""
    about = project()
    unpack(python, tree)
    write(tree / _PATHS, f"python{_NUMBER}.zip\r\n.\r\nimport site\r\n")
    packages = tree / _PACKAGES
    gathered(
        about["project"]["dependencies"], (ROOT / "requirements.lock").read_text(), packages, work / "wheels", fetch
    )
    for each in metadata.distributions(path=[str(packages)]):
        if not texts_of(each):
            _give_text(each, packages)
    shipped = tuple(
        sorted(metadata.distributions(path=[str(packages)]), key=lambda each: each.metadata["Name"].lower())
    )
    copy_product(about["tool"]["hatch"]["build"]["targets"]["wheel"], packages)
    write(tree / "copyright.txt", copyright_file(shipped, "LICENSE.txt", _PACKAGES))
    write(tree / "spendgate.cmd", _STARTER)
    write(tree / "VERSION", f"{about['project']['version']}\r\n")
    compileall.compile_dir(
        packages, quiet=2, stripdir=str(packages), prependdir=f"{PLACE}\\Lib\\site-packages",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )  # fmt: skip


def _give_text(package: metadata.Distribution, packages: Path) -> None:
    """The licence's text of the same version that is installed here, where Windows' wheel was made without: mitmproxy_rs'."""
    try:
        here = metadata.distribution(package.metadata["Name"])
    except metadata.PackageNotFoundError:
        return
    about = packages / next(file.parent for file in package.files or () if file.name == "METADATA")
    for text in texts_of(here) if here.version == package.version else ():
        write(about / "licenses" / text.name, text.read_binary())
        with (about / "RECORD").open("a") as record:
            record.write(f"{about.name}/licenses/{text.name},,\n")


def unpack(python: Path, tree: Path) -> None:
    """python.org's ZIP. Raises ValueError for another one."""
    try:
        with ZipFile(python) as found:
            names = set(found.namelist())
            if missing := [each for each in _WANTED if each not in names]:
                number = f"{sys.version_info.major}.{sys.version_info.minor}"
                raise ValueError(
                    f"{python} is no embeddable package of Python {number} for Windows ({missing[0]} is not in it):"
                    f" take python-{number}.N-embed-amd64.zip of python.org"
                )
            found.extractall(tree)
    except BadZipFile as fault:
        raise ValueError(f"{python}: {fault}") from fault


def script(name: str, version: str) -> bytes:
    """One of PowerShell's, with the line ends that Windows has."""
    text = (_SCRIPTS / name).read_text(encoding="ascii").replace("@VERSION@", version)
    return text.replace("\n", "\r\n").encode("ascii")


def zipped(files: Mapping[str, bytes], how: int = ZIP_DEFLATED) -> bytes:
    """Without times, accounts or modes of the machine that makes it."""
    with tempfile.TemporaryFile() as made:
        with ZipFile(made, "w") as archive:
            for name, content in sorted(files.items()):
                entry = ZipInfo(name.replace(os.sep, "/"), _ZIP_FROM)
                entry.create_system, entry.compress_type = 0, how
                archive.writestr(entry, content)
        made.seek(0)
        return made.read()
