"""The checkout as a package of macOS, made on a Mac: /opt/spendgate with a Python of its own, a rollout's `macos_program`.

Tools and their words: pkgbuild(1), productbuild(1), otool(1), Apple's Distribution XML reference. The interpreter is uv's, which
finds its library beside its program; each program and library in it may take nothing but what lies beside it and what is the
system's. The package is for the processor of the Mac that made it, and for the newest macOS that any part of it asks for. A
product archive, since MDM's own command installs no component package. Never run: no Mac was at hand.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from parts.package_python import LEFT, LEFT_TOO, NAME
from parts.package_tree import HOME, copyright_file, fill, project, settle, write

IDENTIFIER: Final = "spendgate.program"
SIGNER: Final = "INSTALLER_IDENTITY"
"""The variable that names an identity of the keychain; without it the package is not signed."""
_SCRIPTS: Final = Path(__file__).parent / "macos"
_TOOLS: Final = ("otool", "pkgbuild", "productbuild")
_MAGIC: Final = (b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
"""Mach-O of 64 bits, and several in one file (which Java's classes begin with, too)."""
_SYSTEMS: Final = ("@", "/usr/lib/", "/System/Library/")
_AT_ONCE: Final = 200
_LEAST: Final = (11, 0)
"""Where Apple's own processors begin."""


def main(folder: Path) -> None:
    """Make it; a machine that cannot is told what it lacks."""
    if missing := [name for name in _TOOLS if shutil.which(name) is None]:
        sys.exit(f"package: needs {', '.join(missing)}: xcode-select --install")
    try:
        made = make(folder, int(os.environ["SOURCE_DATE_EPOCH"]), os.environ.get(SIGNER, ""))
    except ValueError as fault:
        sys.exit(f"package: {fault}")
    sys.stdout.write(f"{made}: {made.stat().st_size / 1e6:.1f} MB\n")


def make(folder: Path, at: int, signer: str) -> Path:
    """The package, in this folder; all in it is of the time `at`. Raises ValueError."""
    version = project()["project"]["version"]
    with tempfile.TemporaryDirectory() as name:
        work, tree = Path(name), Path(name) / "tree"
        shipped = fill(tree, bundle(tree / HOME))
        write(tree / HOME / "copyright", copyright_file(shipped))
        write(tree / HOME / "uninstall.sh", _script("uninstall.sh"), 0o755)
        programs = [path for path in sorted(tree.rglob("*")) if path.is_file() and is_macho(path)]
        check(_printed("-L", programs), tree)
        least = needed(_printed("-l", programs))
        for each in ("preinstall", "postinstall"):
            write(work / "scripts" / each, _script(each), 0o755)
        settle(tree, at)
        write(work / "distribution.xml", distribution(version, platform.machine(), least))
        folder.mkdir(parents=True, exist_ok=True)
        made = folder / f"spendgate-{version}-{platform.machine()}.pkg"
        for words in commands(work, made, version, signer):
            subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
        return made


def bundle(home: Path) -> Path:
    """The interpreter that made `.venv` below `home`; its folder for packages. Raises ValueError for one that cannot be moved."""
    base = Path(sys.base_prefix).resolve()
    if "Python.framework" in base.parts or base.is_relative_to("/usr"):
        raise ValueError(
            f"the Python of .venv ({base}) cannot be taken along: remove .venv and have one of uv's first on PATH, as"
            ' mdm/README.md says ("On macOS, as a daemon")'
        )
    library = home / "lib" / NAME
    shutil.copytree(base / "lib" / NAME, library, ignore=shutil.ignore_patterns(*LEFT, *LEFT_TOO))
    (home / "bin").mkdir()
    shutil.copy(base / "bin" / NAME, home / "bin" / NAME)
    (home / "bin" / "python3").symlink_to(NAME)
    for shared in (base / "lib").glob(f"lib{NAME}.dylib"):
        shutil.copy(shared, home / "lib" / shared.name)
    packages = library / "site-packages"
    packages.mkdir()
    return packages


def is_macho(path: Path) -> bool:
    """A program or a library of macOS'."""
    if path.suffix == ".class":
        return False
    with path.open("rb") as file:
        return file.read(4) in _MAGIC


def check(printed: str, tree: Path) -> None:
    """What `otool -L` says of every part. Raises ValueError where one takes a library of the Mac that makes the package."""
    for file, library in _taken(printed):
        if not library.startswith(_SYSTEMS):
            raise ValueError(f"{Path(file).relative_to(tree)} takes {library}, which other Macs have not")


def _taken(printed: str) -> Iterator[tuple[str, str]]:
    """Program and library; the name that a library has for itself is none that it takes."""
    file = ""
    for line in printed.splitlines():
        head = re.match(r"(\S.*?)(?: \(architecture \w+\))?:$", line)
        if head:
            file = head[1]
        elif (found := re.match(r"\s+(\S.*) \(compatibility version ", line)) and Path(found[1]).name != Path(
            file
        ).name:
            yield file, found[1]


def needed(printed: str) -> str:
    """The least macOS for all of what `otool -l` says, as `11.0`."""
    said = re.findall(r"^\s+minos (\d+(?:\.\d+)*)$", printed, re.MULTILINE)
    said += re.findall(r"cmd LC_VERSION_MIN_MACOSX\n.*\n\s+version (\d+(?:\.\d+)*)$", printed, re.MULTILINE)
    most = max((_LEAST, *(tuple(int(part) for part in each.split(".")) for each in said)))
    return ".".join(map(str, most))


def distribution(version: str, machine: str, least: str) -> str:
    """What the installer looks at before: processor and system."""
    return f"""\
<?xml version="1.0" encoding="utf-8"?>
<installer-gui-script minSpecVersion="2">
    <title>Spendgate</title>
    <options customize="never" require-scripts="false" hostArchitectures="{machine}"/>
    <domains enable_anywhere="false" enable_currentUserHome="false" enable_localSystem="true"/>
    <volume-check>
        <allowed-os-versions><os-version min="{least}"/></allowed-os-versions>
    </volume-check>
    <choices-outline><line choice="program"/></choices-outline>
    <choice id="program" visible="false"><pkg-ref id="{IDENTIFIER}"/></choice>
    <pkg-ref id="{IDENTIFIER}" version="{version}" onConclusion="none">component.pkg</pkg-ref>
</installer-gui-script>
"""


def commands(work: Path, made: Path, version: str, signer: str) -> Sequence[Sequence[str]]:
    """The component of the tree and its scripts, and the product archive around it. Files are root's (`recommended`)."""
    component = [
        "pkgbuild", "--root", f"{work}/tree", "--scripts", f"{work}/scripts", "--identifier", IDENTIFIER,
        "--version", version, "--install-location", "/", "--ownership", "recommended", f"{work}/component.pkg",
    ]  # fmt: skip
    product = ["productbuild", "--distribution", f"{work}/distribution.xml", "--package-path", str(work)]
    return component, [*product, *(("--sign", signer) if signer else ()), str(made)]


def _script(name: str) -> str:
    return (_SCRIPTS / name).read_text().replace("IDENTIFIER", IDENTIFIER)


def _printed(option: str, files: Sequence[Path]) -> str:
    """What otool says of them."""
    return "".join(_run("otool", option, *map(str, files[at : at + _AT_ONCE])) for at in range(0, len(files), _AT_ONCE))


def _run(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout
