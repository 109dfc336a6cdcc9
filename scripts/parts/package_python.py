"""The interpreter that made `.venv`, put where it was not made for: program, library and standard library, without the rest.

Python finds its standard library beside its program, wherever that lies. What binds an interpreter of pyenv to its folder is the
search path of its libpython alone, which is turned into `$ORIGIN/../lib` in place, as chrpath does it; one of uv's is made so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

NAME: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
LEFT: Final = (
    "test",
    "idlelib",
    "tkinter",
    "turtledemo",
    "turtle.py",
    "ensurepip",
    "site-packages",
    "pydoc_data",
    "__pycache__",
)
LEFT_TOO: Final = ("config-*", "_tkinter.*", "_test*.so", "_xx*.so", "xxlimited*.so", "_ctypes_test*.so")
_SYSTEMS: Final = ("/usr", "/usr/local")
_SHOWN: Final = """
import ctypes, curses, hashlib, sqlite3, ssl, sys, zlib
print(*sys.path, *(line.split()[-1] for line in open("/proc/self/maps") if "/" in line), sep="\\n")
"""


def bundle(home: Path) -> Path:
    """Put it below `home`; the folder for packages. Raises ValueError for one that cannot be moved."""
    base = Path(sys.base_prefix).resolve()
    if str(base) in _SYSTEMS:
        raise ValueError(
            f"the Python of .venv is the system's ({base}) and cannot be taken along: "
            "make .venv with one of pyenv's or uv's, for instance by `uv venv --seed --python 3.13`"
        )
    library = home / "lib" / NAME
    shutil.copytree(base / "lib" / NAME, library, ignore=shutil.ignore_patterns(*LEFT, *LEFT_TOO))
    (home / "bin").mkdir()
    shutil.copy(base / "bin" / NAME, home / "bin" / NAME)
    (home / "bin" / "python3").symlink_to(NAME)
    for shared in (base / "lib").glob(f"lib{NAME}.so.*"):
        shutil.copy(shared, home / "lib" / shared.name)
    for file in (home / "bin" / NAME, *(home / "lib").glob("*.so.*"), *library.glob("lib-dynload/*.so")):
        file.chmod(0o755)
        subprocess.run(["strip", "--strip-unneeded", file], check=True)
        file.write_bytes(moved(file.read_bytes(), f"{base}/lib".encode()))
    _check(home, base)
    packages = library / "site-packages"
    packages.mkdir()
    return packages


def moved(elf: bytes, library: bytes) -> bytes:
    """This program with the search path `library` as one beside itself: the same length, since it stands among other texts."""
    beside = b"$ORIGIN/../lib"
    if b"\0" + library + b"\0" not in elf:
        return elf
    if len(library) < len(beside):
        raise ValueError(
            f"the search path {library.decode()} is too short to be replaced: use a Python in a longer folder"
        )
    return elf.replace(b"\0" + library + b"\0", b"\0" + beside.ljust(len(library), b"\0") + b"\0")


def _check(home: Path, base: Path) -> None:
    """Run it where it now lies. Raises ValueError where it still takes anything from where it was made."""
    words = [str(home / "bin" / NAME), "-IB", "-c", _SHOWN]
    env = {name: text for name, text in os.environ.items() if name != "LD_LIBRARY_PATH"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise ValueError(f"{base} cannot be moved: {done.stderr.strip()}")
    if taken := [line for line in done.stdout.splitlines() if Path(line).is_relative_to(base)]:
        raise ValueError(f"{base} cannot be moved: it still takes {', '.join(sorted(set(taken)))}")
