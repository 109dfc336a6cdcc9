"""The checkout as one Debian package: /opt/spendgate with a Python of its own, and the starter /usr/bin/spendgate.

Debian 12 has Python 3.11, the product needs 3.12: the interpreter that made `.venv` goes along (`package_python`), with the
packages of the hash lock that the product needs, each file as its wheel's record has it. Nothing is written there once it is
installed: bytecode comes with it, and is not looked at again. What it takes of the system's libraries is found by Debian's own
`dpkg-shlibdeps`; the package is for the architecture and at least the libc of the machine that made it.
"""

from __future__ import annotations

import base64
import compileall
import hashlib
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from parts.package_python import bundle
from parts.sbom import ROOT, reached

HOME: Final = Path("opt/spendgate")
_DOC: Final = Path("usr/share/doc/spendgate")
_SCRIPTS: Final = Path(__file__).parent / "debian"
_STARTER: Final = f"#!/{HOME}/bin/python3 -I\nfrom spendgate.__main__ import main\n\nmain()\n"
_TEXTS: Final = ("LICEN", "COPYING", "NOTICE", "AUTHORS")
_CODE: Final = (".py", ".pyc", ".so")


def main() -> None:
    """Make it; a machine that cannot is told what it lacks."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist"
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
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    with tempfile.TemporaryDirectory() as work:
        tree = Path(work) / "tree"
        packages = bundle(tree / HOME)
        shipped = _packages(project["project"]["dependencies"])
        for each in shipped:
            _copy_package(each, packages)
        _copy_product(project["tool"]["hatch"]["build"]["targets"]["wheel"], packages)
        _compile(tree / HOME / "lib")
        _write(tree / HOME / "bin" / "spendgate", _STARTER, 0o755)
        (tree / "usr/bin").mkdir(parents=True)
        (tree / "usr/bin/spendgate").symlink_to(f"/{HOME}/bin/spendgate")
        _write(tree / _DOC / "copyright", copyright_file(shipped))
        _control(tree, project["project"], _depends(tree))
        _settle(tree, at)
        return _build(tree, folder, project["project"]["version"])


def _packages(listed: Iterable[str]) -> tuple[metadata.Distribution, ...]:
    """What the product needs of what is installed from the lock; those of other systems are not installed."""
    names = reached(canonicalize_name(Requirement(each).name) for each in listed)
    found = {canonicalize_name(each.metadata["Name"]): each for each in metadata.distributions()}
    return tuple(each for name, each in sorted(found.items()) if name in names)


def _copy_package(package: metadata.Distribution, to: Path) -> None:
    """Its modules and data, not its programs. Raises ValueError for a file that is not as its wheel had it."""
    for file in package.files or ():
        if file.is_absolute() or ".." in file.parts or file.suffix == ".pyc" or file.name in ("INSTALLER", "REQUESTED"):
            continue
        content = file.read_binary()
        if file.hash is not None:
            digest = base64.urlsafe_b64encode(hashlib.new(file.hash.mode, content).digest()).rstrip(b"=").decode()
            if digest != file.hash.value:
                raise ValueError(f"{file.locate()} was changed since it was installed: remove .venv and run this again")
        _write(to / file, content)


def _copy_product(wheel: Mapping[str, Any], to: Path) -> None:
    """The source, and what the wheel puts beside it: what git has, not what lies about."""
    for folder in wheel["packages"]:
        listed = subprocess.run(["git", "ls-files", "-z", folder], cwd=ROOT, capture_output=True, text=True, check=True)
        for name in filter(None, listed.stdout.split("\0")):
            _write(to / Path(name).relative_to(Path(folder).parent), (ROOT / name).read_bytes())
    for source, place in wheel["force-include"].items():
        _write(to / place, (ROOT / source).read_bytes())


def _compile(folder: Path) -> None:
    """Bytecode for every module, which is taken as it is: it holds no time, and nothing is written when the program runs.

    A template that is no Python stays without.
    """
    compileall.compile_dir(
        folder, quiet=2, stripdir=folder, prependdir=Path("/") / HOME / "lib",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )  # fmt: skip


def copyright_file(shipped: Iterable[metadata.Distribution]) -> str:
    """Each part of the package, its licence as it names it, and where its texts lie. Raises ValueError where there are none."""
    parts = [f"Spendgate\n  Apache-2.0\n\n{(ROOT / 'LICENSE').read_text()}"]
    parts += [f"Python {sys.version.split()[0]}\n  PSF-2.0\n  /{HOME}/lib/{_version()}/LICENSE.txt"]
    for each in shipped:
        said = each.metadata.get("License-Expression") or each.metadata.get("License") or ""
        texts = [file for file in each.files or () if _is_text(file)]
        if not texts:
            raise ValueError(f"{each.metadata['Name']} comes without its licence's text: it cannot be passed on so")
        places = "".join(f"\n  /{HOME}/lib/{_version()}/site-packages/{file}" for file in texts)
        name = said.strip().splitlines()[0] if said.strip() else "as its text says"
        parts.append(f"{each.metadata['Name']} {each.version}\n  {name}{places}")
    return "What this package holds, and under which licence.\n\n" + "\n\n".join(parts) + "\n"


def _is_text(file: metadata.PackagePath) -> bool:
    return any(word in file.name.upper() for word in _TEXTS) and file.suffix not in _CODE


def _depends(tree: Path) -> str:
    """What the programs and modules in it want of the system, in Debian's words."""
    wanted = [
        str(path) for path in sorted(tree.rglob("*")) if path.is_file() and not path.is_symlink() and is_elf(path)
    ]
    with tempfile.TemporaryDirectory() as work:
        _write(Path(work) / "debian/control", "Source: spendgate\n\nPackage: spendgate\nArchitecture: any\n")
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


def _control(tree: Path, project: Mapping[str, Any], depends: str) -> None:
    files = [path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()]
    listed = (f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(tree)}\n"
              for path in sorted(files))  # fmt: skip
    _write(tree / "DEBIAN/md5sums", "".join(listed))
    kibibytes = sum(-(-path.stat().st_size // 1024) for path in files)
    text = (_SCRIPTS / "control").read_text().format(
        version=project["version"], architecture=_architecture(), size=kibibytes, depends=depends,
        description=project["description"].rstrip("."), python=sys.version.split()[0], maintainer=maintainer(os.environ),
    )  # fmt: skip
    _write(tree / "DEBIAN/control", text)
    for name in ("postinst", "prerm", "postrm"):
        _write(tree / "DEBIAN" / name, (_SCRIPTS / name).read_text(), 0o755)


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


def _settle(tree: Path, at: int) -> None:
    """Modes and times, whatever the machine that makes it has."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (at, at), follow_symlinks=False)


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


def _version() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def _write(place: Path, content: bytes | str, mode: int = 0o644) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content if isinstance(content, bytes) else content.encode())
    place.chmod(mode)


if __name__ == "__main__":
    main()
