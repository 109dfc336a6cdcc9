"""Which of the known programs are here, where, and in which version."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from spendgate.doctor.interface import Installed, Tool
from spendgate.verifiers.interface import Command
from spendgate.verifiers.running import run

VERSION = re.compile(r"\d+(?:\.\d+)+[^\s,\"'()]*")
RUN_S = 10.0
AT_ONCE = 4


def installed(tools: Sequence[Tool]) -> tuple[Installed, ...]:
    """Those on this process's PATH. Each is asked for its version, in a folder of its own instead of the person's home."""
    here = [(tool, path) for tool in tools if (path := _found(tool))]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        versions = pool.map(lambda each: _version(*each), here)
        return tuple(Installed(tool, path, version) for (tool, path), version in zip(here, versions, strict=True))


def _found(tool: Tool) -> str | None:
    return next((path for name in tool.programs if (path := shutil.which(name))), None)


def _version(tool: Tool, path: str) -> str:
    with tempfile.TemporaryDirectory(prefix="spendgate-doctor-", ignore_cleanup_errors=True) as folder:
        ran = run(Command((path, *tool.version)), folder, RUN_S)
    found = VERSION.search(ran.output) if ran.status == 0 else None
    return found[0] if found else ""
