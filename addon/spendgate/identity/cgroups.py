"""cgroup ids, as the kernel gives them with a socket, to cgroup v2 paths (`/user.slice/…/app-claude.scope`).

The id is the inode of the cgroup's directory; the calls that turn one into a path directly need privileges. So the tree is
walked (a millisecond for some hundred groups), off the loop, and only when an id is not known.
"""

from __future__ import annotations

import os
from pathlib import Path

_KNOWN_MAX = 16_384


def mount_point(mountinfo: Path = Path("/proc/self/mountinfo")) -> Path | None:
    """Where cgroup v2 is mounted; None where it is not."""
    try:
        lines = mountinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    halves = (line.partition(" - ") for line in lines)
    return next((Path(left.split()[4]) for left, _, right in halves if right.startswith("cgroup2 ")), None)


class Cgroups:
    """id → path, as of the last walk."""

    def __init__(self, root: Path | None = None) -> None:
        self._root = root or mount_point()
        self._paths: dict[int, str] = {}

    def known(self, cgroup_id: int | None) -> str | None:
        """The path, where a walk has seen it. Never touches the disk."""
        return self._paths.get(cgroup_id) if cgroup_id is not None else None

    def settled(self, cgroup_id: int | None) -> bool:
        """Whether `path` would say what `known` says."""
        return cgroup_id is None or self._root is None or cgroup_id in self._paths

    def path(self, cgroup_id: int | None) -> str | None:
        """The path, walking the tree when the id is new; None where the group has gone. Takes milliseconds."""
        if cgroup_id is None or self._root is None:
            return None
        if cgroup_id not in self._paths:
            self._paths = self._walk(self._root)
        return self._paths.get(cgroup_id)

    def _walk(self, root: Path) -> dict[int, str]:
        found: dict[int, str] = {}
        waiting = [str(root)]
        while waiting and len(found) < _KNOWN_MAX:
            folder = waiting.pop()
            try:
                found[os.stat(folder).st_ino] = folder.removeprefix(str(root)) or "/"  # noqa: PTH116  hot walk
                with os.scandir(folder) as entries:
                    waiting.extend(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
            except OSError:
                continue  # removed while we walk
        return found
