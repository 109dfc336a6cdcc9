"""What a package of the gate holds on any system: what it needs of the hash lock, the product, a starter.

Each file is as its wheel's record has it. Nothing is written there once it is installed: bytecode comes with it, and is not
looked at again.
"""

from __future__ import annotations

import base64
import compileall
import hashlib
import os
import py_compile
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from parts.sbom import ROOT, reached

HOME: Final = Path("opt/spendgate")
_STARTER: Final = f"#!/{HOME}/bin/python3 -I\nfrom spendgate.__main__ import main\n\nmain()\n"
_TEXTS: Final = ("LICEN", "COPYING", "NOTICE", "AUTHORS")
_CODE: Final = (".py", ".pyc", ".so")


def project() -> dict[str, Any]:
    """The project's own description."""
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return found


def fill(tree: Path, packages: Path) -> tuple[metadata.Distribution, ...]:
    """Put everything beside the interpreter that lies in `tree`; `packages` is its folder for them. What was put there. Raises
    ValueError for what is not as it was installed."""
    about = project()
    shipped = _packages(about["project"]["dependencies"])
    for each in shipped:
        _copy_package(each, packages)
    copy_product(about["tool"]["hatch"]["build"]["targets"]["wheel"], packages)
    _compile(tree / HOME / "lib")
    write(tree / HOME / "bin" / "spendgate", _STARTER, 0o755)
    return shipped


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
        write(to / file, content)


def copy_product(wheel: Mapping[str, Any], to: Path) -> None:
    """The source, and what the wheel puts beside it: what git has, not what lies about."""
    for folder in wheel["packages"]:
        listed = subprocess.run(["git", "ls-files", "-z", folder], cwd=ROOT, capture_output=True, text=True, check=True)
        for name in filter(None, listed.stdout.split("\0")):
            write(to / Path(name).relative_to(Path(folder).parent), (ROOT / name).read_bytes())
    for source, place in wheel["force-include"].items():
        write(to / place, (ROOT / source).read_bytes())


def _compile(folder: Path) -> None:
    """Bytecode for every module, which is taken as it is: it holds no time, and nothing is written when the program runs.

    A template that is no Python stays without.
    """
    compileall.compile_dir(
        folder, quiet=2, stripdir=folder, prependdir=Path("/") / HOME / "lib",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )  # fmt: skip


def copyright_file(
    shipped: Iterable[metadata.Distribution], python: str | None = None, packages: str | None = None
) -> str:
    """Each part of the package, its licence as it names it, and where its texts lie: `python`'s, and those below `packages`.

    Raises ValueError where there are none."""
    library = f"/{HOME}/lib/{_version()}"
    python, packages = python or f"{library}/LICENSE.txt", packages or f"{library}/site-packages"
    parts = [f"Spendgate\n  Apache-2.0\n\n{(ROOT / 'LICENSE').read_text()}"]
    parts += [f"Python {sys.version.split()[0]}\n  PSF-2.0\n  {python}"]
    for each in shipped:
        said = each.metadata.get("License-Expression") or each.metadata.get("License") or ""
        texts = texts_of(each)
        if not texts:
            raise ValueError(f"{each.metadata['Name']} comes without its licence's text: it cannot be passed on so")
        places = "".join(f"\n  {packages}/{file}" for file in texts)
        name = said.strip().splitlines()[0] if said.strip() else "as its text says"
        parts.append(f"{each.metadata['Name']} {each.version}\n  {name}{places}")
    return "What this package holds, and under which licence.\n\n" + "\n\n".join(parts) + "\n"


def texts_of(package: metadata.Distribution) -> list[metadata.PackagePath]:
    """Its licence's texts."""
    return [file for file in package.files or () if _is_text(file)]


def _is_text(file: metadata.PackagePath) -> bool:
    return any(word in file.name.upper() for word in _TEXTS) and file.suffix not in _CODE


def settle(tree: Path, at: int) -> None:
    """Modes and times, whatever the machine that makes it has."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (at, at), follow_symlinks=False)


def write(place: Path, content: bytes | str, mode: int = 0o644) -> None:
    """A file, with the folders above it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content if isinstance(content, bytes) else content.encode())
    place.chmod(mode)


def _version() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"
