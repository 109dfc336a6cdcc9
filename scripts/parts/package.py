"""The checkout as one Debian package: /opt/spendgate with a Python of its own, and the starter /usr/bin/spendgate. On a Mac
one of macOS' (`package_macos`); on any system one of Windows' (`package_windows`).

Debian 12 has Python 3.11, the product needs 3.12: the interpreter that made `.venv` goes along (`package_python`), with what it
runs (`package_tree`). What it takes of the system's libraries is found by Debian's own `dpkg-shlibdeps`; the package is for the
architecture and at least the libc of the machine that made it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from parts import package_macos, package_windows
from parts.package_python import bundle
from parts.package_tree import HOME, copyright_file, fill, project, settle, write
from parts.sbom import ROOT

_DOC: Final = Path("usr/share/doc/spendgate")
_SCRIPTS: Final = Path(__file__).parent / "debian"


def main() -> None:
    """Make it; a machine that cannot is told what it lacks."""
    words = argparse.ArgumentParser(prog="scripts/package", add_help=False)
    words.add_argument("--windows", type=Path, metavar="python-3.13.N-embed-amd64.zip")
    words.add_argument("folder", type=Path, nargs="?", default=ROOT / "dist")
    wanted = words.parse_args()
    if wanted.windows is not None:
        package_windows.main(wanted.windows, wanted.folder)
        return
    folder: Path = wanted.folder
    if platform.system() == "Darwin":
        package_macos.main(folder)
        return
    missing = [name for name in ("dpkg-deb", "dpkg-shlibdeps", "strip") if shutil.which(name) is None]
    if missing:
        sys.exit(f"package: needs {', '.join(missing)}; on Debian: apt-get install dpkg-dev")
    try:
        made = make(folder, int(os.environ["SOURCE_DATE_EPOCH"]))
    except ValueError as fault:
        sys.exit(f"package: {fault}")
    size = subprocess.run(["dpkg-deb", "--field", made, "Installed-Size"], capture_output=True, text=True, check=True)
    sys.stdout.write(
        f"{made}: {made.stat().st_size / 1e6:.1f} MB, {int(size.stdout) / 1024:.0f} MB installed, "
        f"sha256 {hashlib.sha256(made.read_bytes()).hexdigest()}\n"
    )


def make(folder: Path, at: int) -> Path:
    """The package, in this folder; all in it is of the time `at`. Raises ValueError."""
    about = project()["project"]
    with tempfile.TemporaryDirectory() as work:
        tree = Path(work) / "tree"
        shipped = fill(tree, bundle(tree / HOME))
        (tree / "usr/bin").mkdir(parents=True)
        (tree / "usr/bin/spendgate").symlink_to(f"/{HOME}/bin/spendgate")
        write(tree / _DOC / "copyright", copyright_file(shipped))
        _control(tree, about, _depends(tree))
        settle(tree, at)
        return _build(tree, folder, about["version"])


def _depends(tree: Path) -> str:
    """What the programs and modules in it want of the system, in Debian's words."""
    wanted = [
        str(path) for path in sorted(tree.rglob("*")) if path.is_file() and not path.is_symlink() and is_elf(path)
    ]
    with tempfile.TemporaryDirectory() as work:
        write(Path(work) / "debian/control", "Source: spendgate\n\nPackage: spendgate\nArchitecture: any\n")
        done = subprocess.run(
            ["dpkg-shlibdeps", "-O", "--ignore-missing-info", f"-S{tree}", f"-l{tree / HOME / 'lib'}",
             *(f"-e{path}" for path in wanted)],
            cwd=work, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise ValueError(f"dpkg-shlibdeps: {done.stderr.strip()}")
    return done.stdout.strip().removeprefix("shlibs:Depends=")


def is_elf(path: Path) -> bool:
    """A program or a library of the system's kind."""
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _control(tree: Path, about: Mapping[str, Any], depends: str) -> None:
    files = [path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()]
    listed = (f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(tree)}\n"
              for path in sorted(files))  # fmt: skip
    write(tree / "DEBIAN/md5sums", "".join(listed))
    kibibytes = sum(-(-path.stat().st_size // 1024) for path in files)
    text = (_SCRIPTS / "control").read_text().format(
        version=about["version"], architecture=_architecture(), size=kibibytes, depends=depends,
        description=about["description"].rstrip("."), python=sys.version.split()[0], maintainer=maintainer(os.environ),
    )  # fmt: skip
    write(tree / "DEBIAN/control", text)
    for name in ("postinst", "prerm", "postrm"):
        write(tree / "DEBIAN" / name, (_SCRIPTS / name).read_text(), 0o755)


def maintainer(environ: Mapping[str, str]) -> str:
    """Who answers for the package: whom Debian's own tools would name, else who made the last commit, which is the same for
    everybody who makes it of this checkout. Raises ValueError."""
    name, address = environ.get("DEBFULLNAME", ""), environ.get("DEBEMAIL", "")
    if not (name and address):
        last = ["git", "log", "-1", "--format=%cn%n%ce"]
        name, address = subprocess.run(last, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    if any(ord(letter) < 32 or letter in "<>" for letter in name + address):
        raise ValueError(f"{name!r}, {address!r}: no maintainer's name and address; set DEBFULLNAME and DEBEMAIL")
    return f"{name} <{address}>"


def _build(tree: Path, folder: Path, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"spendgate_{version}_{_architecture()}.deb"
    # One thread: how many there are must not show in the bytes.
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zxz", "--threads-max=1", "--build", tree, made],
        stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    return made


def _architecture() -> str:
    done = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
