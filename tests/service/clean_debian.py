"""A Debian with nothing on it but systemd, addresses, zones and the public authorities, and the package at hand.

Made by mmdebstrap, with this machine's sources and apt's own settings. What the package depends on is fetched, and not installed:
that is left to `apt-get install` in there, which then needs no network. Every installed Debian has netbase and tzdata.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

PACKAGE = "/root/spendgate.deb"
_NEEDED = ("mmdebstrap", "apt-get", "apt-config", "dpkg-deb", "dpkg-shlibdeps", "strip")
_SOURCES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
_INSTALLED = "systemd-sysv,iproute2,netbase,ca-certificates,tzdata"


def why_not() -> str | None:
    """Why there can be none here; None where there can."""
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if missing:
        return f"needs {', '.join(missing)} (on Debian: apt-get install mmdebstrap dpkg-dev)"
    if not _release().startswith("ID=debian ") or not any(each.exists() for each in _SOURCES):
        return "needs Debian, and its sources in /etc/apt"
    return None


def make(root: Path, package: Path) -> None:
    """Put it into the folder `root`, which is not there yet. Raises CalledProcessError."""
    fetch = f'chroot "$1" apt-get install --download-only --install-recommends --quiet --yes {PACKAGE}'
    _bootstrap(
        root, _INSTALLED, "--skip=cleanup/apt", f'--customize-hook=cp "$DEB" "$1{PACKAGE}"', f"--customize-hook={fetch}",
        DEB=str(package.resolve()),
    )  # fmt: skip


def make_image(root: Path, packages: str) -> None:
    """A folder as an image's, with these packages and no more, `apt-get` able to fetch others. Raises CalledProcessError."""
    _bootstrap(root, packages)


def _bootstrap(root: Path, packages: str, *more: str, **environ: str) -> None:
    acquire = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True).stdout
    settings = root.with_suffix(".apt")
    settings.write_text(acquire)
    subprocess.run(
        ["mmdebstrap", "--mode=root", "--variant=apt", f"--include={packages}", f"--aptopt={settings}", *more,
         "--format=directory", _release().split()[1], root, next(str(each) for each in _SOURCES if each.exists())],
        env={**os.environ, **environ}, stdin=subprocess.DEVNULL, check=True,
    )  # fmt: skip


def _release() -> str:
    script = '. /etc/os-release; echo "ID=$ID $VERSION_CODENAME"'
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.strip()
