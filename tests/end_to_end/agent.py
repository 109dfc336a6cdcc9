"""One more client with a folder of packages of its own: how it is installed, configured and started.

Each is pinned to the version that its registry gave when it was measured.
"""

from __future__ import annotations

import fcntl
import functools
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from end_to_end.clients import CACHE, INSTALL_S


@dataclass(frozen=True, slots=True)
class Agent:
    """One more client."""

    name: str
    tool: str | None
    """What the ledger calls it; None: it does not say on the wire."""
    folder: str
    """Of its packages, in the cache."""
    packages: tuple[str, ...]
    """The first is the client itself."""
    command: tuple[str, ...]
    """The program, then its arguments; `PROMPT` stands in them."""
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Files of its configuration, by path under the home."""
    heavy: bool = False
    """Over 150 MB, more than half a minute to install or to run, or much like another: tried by `scripts/test-heavy`."""
    talks: bool = True
    """Whether it prints an answer that calls no tool."""
    unshown: str = ""
    """Why no shape of a refusal makes it show the text in time; empty: one does."""
    python: str = ""
    """A Python's version where it is installed by pip: `3` the one of these tests, else one that the client needs."""

    @property
    def version(self) -> str:
        """The pinned version of the client itself."""
        return self.packages[0].rpartition("==" if self.python else "@")[2]

    def program(self) -> list[str]:
        """The command with the program's whole path. Skips the test where it cannot be installed."""
        if reason := _installed(self.folder, self.packages, python=self.python):
            pytest.skip(reason)
        place = CACHE / self.folder
        names = place / "bin" if self.python else place / "node_modules" / ".bin"
        first, *rest = self.command
        return ["node" if first == "node" else str(names / first), *rest]

    def prepare(self, home: Path) -> None:
        """Write its configuration into an empty home; its script stands there, but finds its packages in the cache."""
        for name, text in self.files.items():
            file = home / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        if not self.python:
            (home / "work").mkdir(exist_ok=True)
            (home / "work" / "node_modules").symlink_to(CACHE / self.folder / "node_modules")


@functools.cache
def _installed(folder: str, packages: tuple[str, ...], *, python: str) -> str | None:
    """Why these packages are not here; None: they are. Tried once in a process, by one process at a time."""
    place = CACHE / folder
    place.mkdir(parents=True, exist_ok=True)
    done, wanted = place / "installed.txt", "\n".join(sorted(packages))
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists() and done.read_text() == wanted:
            return None
        steps = _from_pypi(place, packages, python) if python else _from_npm(place, packages)
        if isinstance(steps, str):
            return steps
        try:
            for step in steps:
                subprocess.run(step, check=True, capture_output=True, timeout=INSTALL_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as fault:
            said = (fault.stderr or b"").decode(errors="replace").strip().partition("\n")[0]
            return f"{packages[0]} could not be installed: {said or type(fault).__name__}"
        done.write_text(wanted)
    return None


def _from_npm(place: Path, packages: tuple[str, ...]) -> list[list[str]] | str:
    """The commands; a text: why there are none."""
    npm = shutil.which("npm")
    if npm is None:
        return f"{packages[0]} is installed by npm, and there is no npm here"
    if not (place / "package.json").exists():
        # Without one, npm takes a folder above for its own, and some packages' own scripts fail.
        (place / "package.json").write_text("{}")
    once = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000")
    return [[npm, "install", "--no-audit", "--no-fund", *once, "--prefix", str(place), *packages]]


def _from_pypi(place: Path, packages: tuple[str, ...], version: str) -> list[list[str]] | str:
    """The commands; a text: why there are none."""
    interpreter = sys.executable if version == "3" else _python(version)
    if interpreter is None:
        return f"{packages[0]} needs Python {version}, which is not here"
    return [[interpreter, "-m", "venv", str(place)], [str(place / "bin" / "pip"), "install", "-q", *packages]]


def _python(version: str) -> str | None:
    """A Python of this version: on the path, or where pyenv keeps its own. Its shims may stand for one that is not there."""
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python3"))
    for name in (f"python{version}", *map(str, kept)):
        found = shutil.which(name)
        if found and subprocess.run([found, "-c", ""], check=False, capture_output=True).returncode == 0:
            return found
    return None
