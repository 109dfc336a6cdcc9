"""Windows' wheels of the hash lock, gathered on any system: what the product needs there, by the wheels' own words.

pip would judge a marker by the system that it runs on, so that it is asked for packages by name, version and hashes alone.
"""

from __future__ import annotations

import email.parser
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Final
from zipfile import ZipFile

from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from parts.sbom import Pinned, read

Fetch = Callable[[Iterable[Pinned], Path], None]
"""Puts the wheel of each into the folder. Raises ValueError."""
_KEPT: Final = ("purelib", "platlib")
"""Of a wheel's `.data`, what goes among the modules; programs, headers and the rest stay behind."""


def environment() -> dict[str, str]:
    """What markers are judged by: Windows on x64, of this Python's version."""
    windows = {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64"}
    return {name: str(value) for name, value in default_environment().items()} | windows | {"extra": ""}


def gathered(direct: Iterable[str], lock: str, packages: Path, work: Path, fetch: Fetch) -> None:
    """Unpack all that these requirements lead to into `packages`. Raises ValueError for what the lock has not."""
    pinned = {each.name: each for each in read(lock) if not each.marker or Marker(each.marker).evaluate(environment())}
    due, seen = _wanted(direct), set[str]()
    while due:
        if lost := due - pinned.keys():
            raise ValueError(f"requirements.lock has no {', '.join(sorted(lost))} for Windows")
        seen |= due
        folder = work / str(len(seen))
        folder.mkdir(parents=True)
        fetch([pinned[name] for name in sorted(due)], folder)
        wheels = sorted(folder.glob("*.whl"))
        if len(wheels) != len(due):
            raise ValueError(f"{len(due)} packages were asked for, and {len(wheels)} wheels came")
        due = {name for wheel in wheels for name in _wanted(unpacked(wheel, packages))} - seen


def _wanted(requirements: Iterable[str]) -> set[str]:
    """The names, without what other systems or an extra alone want."""
    parsed = map(Requirement, requirements)
    return {
        canonicalize_name(each.name) for each in parsed if each.marker is None or each.marker.evaluate(environment())
    }


def unpacked(wheel: Path, packages: Path) -> tuple[str, ...]:
    """Its modules and data among the others; what it requires. Raises ValueError for a name that leads out."""
    required: list[str] = []
    with ZipFile(wheel) as found:
        for name in found.namelist():
            place = _place(PurePosixPath(name))
            if name.endswith("/") or place is None:
                continue
            if place.is_absolute() or ".." in place.parts:
                raise ValueError(f"{wheel.name}: {name} leads out of its folder")
            content, to = found.read(name), packages / place
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(content)
            if place.name == "METADATA" and place.parent.suffix == ".dist-info" and len(place.parts) == 2:
                about = email.parser.BytesParser().parsebytes(content, headersonly=True)
                required += [str(each) for each in about.get_all("Requires-Dist", [])]
    return tuple(required)


def _place(name: PurePosixPath) -> PurePosixPath | None:
    """Where it goes; None: nowhere."""
    top, *rest = name.parts
    if not top.endswith(".data"):
        return name
    return PurePosixPath(*rest[1:]) if rest and rest[0] in _KEPT else None


def by_pip(packages: Iterable[Pinned], folder: Path) -> None:
    """From the registry that pip goes by, each held to its hashes. Raises ValueError."""
    listed = folder / "wanted.txt"
    lines = (
        f"{each.name}=={each.version} {' '.join(f'--hash=sha256:{one}' for one in each.hashes)}" for each in packages
    )
    listed.write_text("\n".join(lines) + "\n")
    number = f"{sys.version_info.major}.{sys.version_info.minor}"
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
         "--only-binary=:all:", "--platform", "win_amd64", "--implementation", "cp", "--python-version", number,
         "--dest", str(folder), "--requirement", str(listed)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise ValueError(f"pip: {done.stderr.strip()}")
