"""What of a person's machine may be written into a call's row, and for how long rows are to be kept. Values only."""

from __future__ import annotations

import re
from typing import Literal

from spendgate.roster import Values

_HOMES = re.compile(
    r"(?:^|.*?[/\\])(?:home|users|documents and settings)[/\\]+[^/\\]+(?=[/\\]|$)", re.IGNORECASE | re.DOTALL
)
"""Where systems put people's folders: `/home/alice`, `/var/home/alice`, `/Users/alice`, `C:\\Users\\alice`, `/mnt/c/Users/al`."""
_ROOTS = re.compile(r"(?:/var)?/root(?=/|$)")


PROGRAMS = ("node", "nodejs", "bun", "deno", "python", "ruby", "java", "electron", "uv", "npm", "npx")
"""What programs run in: as a tool such a name says no more than the process, and is kept where that is."""


class Privacy(Values):
    """What a row may hold besides counts. `keep_days` None: rows are kept for good."""

    keep_days: int | None = None
    project: Literal["repository", "none"] = "repository"
    process: Literal["name", "path", "none"] = "name"


def without_home(path: str, home: str | None = None) -> str:
    """A path with `~` for the folder of whose it is, so that no row says where a person's home lies.

    `home` is the account's, as the system says. Else, and for others' homes, what systems use for people's folders is one.
    """
    if home and home.strip("/") and (path == home or path.startswith(f"{home.rstrip('/')}/")):
        return f"~{path[len(home.rstrip('/')) :]}"
    for homes in (_HOMES, _ROOTS):
        found = homes.match(path)
        if found is not None:
            return f"~{path[found.end() :]}"
    return path
