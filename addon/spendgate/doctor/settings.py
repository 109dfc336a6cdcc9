"""Variables that a tool's own settings set for it: Claude Code's, of the machine and of the account.

Read as the tool reads them: the account's, then the machine's, each over what was there (code.claude.com, settings).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from spendgate.mdm.places import PLACES, System

_HERE = PLACES[{"darwin": System.MACOS, "win32": System.WINDOWS}.get(sys.platform, System.LINUX)]
MANAGED = Path(_HERE.claude_code.rsplit(_HERE.separator, 2)[0])
OWN = Path(".claude/settings.json")
FILE_BYTES_MAX = 1 << 20


def with_settings(environ: Mapping[str, str], home: Path, managed: Path = MANAGED) -> dict[str, str]:
    """The environment with those variables."""
    dropped_in = sorted((managed / "managed-settings.d").glob("*.json"))
    files = (home / OWN, managed / "managed-settings.json", *dropped_in)
    found = dict(environ)
    for file in files:
        found |= _variables(file)
    return found


def _variables(file: Path) -> dict[str, str]:
    """Of one file; none where it cannot be read, since the tool then has none either."""
    try:
        if not file.is_file() or file.stat().st_size > FILE_BYTES_MAX:
            return {}
        settings = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    named = settings.get("env") if isinstance(settings, dict) else None
    return {str(name): str(value) for name, value in named.items()} if isinstance(named, dict) else {}
