"""Programs of this machine: found, run within a time, ended with all that they started."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from spendgate.verifiers.interface import Command

KEPT = ("PATH", "SYSTEMROOT", "PYENV_ROOT", "ASDF_DIR", "ASDF_DATA_DIR", "VOLTA_HOME", "JAVA_HOME", "GOROOT")
"""Of the environment what programs are found by. Not what would move their trust, proxies or settings."""
OUTPUT_MAX = 65_536


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended; `status` is None where its time was over."""

    status: int | None
    output: str


def found(alternatives: tuple[str, ...]) -> str | None:
    """The whole path of the first that is here."""
    return next((path for name in alternatives if (path := shutil.which(name))), None)


def run(command: Command, home: str, seconds: float, environ: Mapping[str, str] = os.environ) -> Ran:
    """Run it with an empty stdin; what it prints on either stream is its output."""
    variables = {name: environ[name] for name in KEPT if name in environ}
    variables |= {"HOME": home, "TMPDIR": home, "LC_ALL": "C", **command.variables}
    try:
        child = subprocess.Popen(  # noqa: S603  # words of ours, and programs that PATH names
            command.words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=variables,
            cwd=home,
            start_new_session=True,
        )
    except OSError as fault:
        return Ran(127, f"{command.words[0]}: {fault.strerror}")
    try:
        output, _ = child.communicate(timeout=seconds)
        return Ran(child.returncode, _text(output))
    except subprocess.TimeoutExpired:
        _end(child)
        output, _ = child.communicate()
        return Ran(None, _text(output))
    finally:
        _end(child)  # also what it left behind


def _text(output: bytes) -> str:
    return output[:OUTPUT_MAX].decode(errors="replace")


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends the whole session of a child."""
    if os.name != "posix":
        child.kill()
        return
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # all of it has ended
