"""The system's programs for its stores: run in a plain environment, within a time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

PATIENCE_S = 300
"""Java's store on Debian takes tens of seconds on a slow machine, and these are not to be ended half-way."""
SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""After what PATH says: an account's PATH often leaves the system's own programs out."""


def search_path() -> str:
    """Where programs are looked for."""
    return ":".join(filter(None, (os.environ.get("PATH"), SEARCHED)))


def run(words: Sequence[str], given: bytes = b"") -> tuple[int, str]:
    """(exit status, what it printed on either stream)."""
    environ = {"PATH": search_path(), "LC_ALL": "C", "HOME": os.environ.get("HOME", "/"), **_of_dpkg()}
    try:
        done = subprocess.run(  # noqa: S603  # words of ours, and the system's programs
            list(words),
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environ,
            timeout=PATIENCE_S,
            check=False,
        )
    except OSError as fault:
        return 127, str(fault.strerror)
    except subprocess.TimeoutExpired:
        return 124, f"no end in {PATIENCE_S} s"
    return done.returncode, done.stdout.decode(errors="replace")


def _of_dpkg() -> dict[str, str]:
    """Whose script runs this, in a removal: without it the hook of Java's store starts dpkg again, which is locked then."""
    return {name: value for name, value in os.environ.items() if name.startswith("DPKG_")}
