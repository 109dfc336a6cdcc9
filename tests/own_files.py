"""System folders of a test's own: what its script writes to /etc, /usr/local and /var is seen by it alone, and gone with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

JAVA_HOOK = "/etc/ca-certificates/update.d/jks-keystore"
"""Debian's, of Java's store: it takes seconds each time, and Java's entries have tests of their own."""
_OVER = """
set -eu
mkdir -p "$OVER"
mount -t tmpfs none "$OVER"
copied() { rm -rf "$OVER/etc"; cp -a /etc "$OVER/etc"; } # not a layer: what others change in the machine's is not seen
copied 2>"$OVER/said" || copied 2>"$OVER/said" || copied # a lock that was there when it was listed may be gone by now
mount --bind "$OVER/etc" /etc
for top in /usr/local /var; do
    mkdir -p "$OVER$top/up" "$OVER$top/work"
    mount -t overlay overlay -o "lowerdir=$top,upperdir=$OVER$top/up,workdir=$OVER$top/work" "$top"
done
"""
LISTING = """
listing() {
    find /etc /usr/local/share/ca-certificates -path /etc/ssl/certs/java -prune -o -type d -printf '%p %m\\n' \
        -o -printf '%p %y %m %l %s\\n' | sort
    sha256sum /etc/ssl/certs/ca-certificates.crt
}
"""
"""Java's store notes when an entry was made, and so differs with each rewriting."""


def run(folder: Path, steps: str, variables: Mapping[str, str]) -> dict[str, str]:
    """What the steps wrote into their folder, by file name; they are run as root, in sh."""
    work = folder / "work"
    work.mkdir()
    environ = {**os.environ, **variables, "OVER": str(folder / "over")}
    script = ["unshare", "-m", "sh", "-c", _OVER + LISTING + steps]
    done = subprocess.run(script, cwd=work, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return {path.name: path.read_text() for path in work.iterdir()}


def why_not() -> str | None:
    """Why this machine cannot be tried, or None."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root on Linux, for system folders of its own"
    if not shutil.which("update-ca-certificates") or not Path("/etc/ssl/certs/ca-certificates.crt").exists():
        return "needs update-ca-certificates (Debian's ca-certificates)"
    tried = subprocess.run(
        ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt && mkdir /mnt/u /mnt/w && "
         "mount -t overlay o -o lowerdir=/var,upperdir=/mnt/u,workdir=/mnt/w /mnt"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"no layer over this machine's files can be made here: {tried.stderr.strip()}" if tried.returncode else None
