"""The repository that a process works in: from its working directory to `host/owner/name`, without running git.

Reads only what names the origin, follows `.git` files of worktrees and submodules, and gives no credentials away: a remote
URL may hold a user name and a token, and neither leaves this file. Layout: gitrepository-layout(5), git-config(1).
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from spendgate.privacy import without_home

_BYTES_MAX = 256 * 1024
_LEVELS_MAX = 64
_SECTION = re.compile(r'^\[\s*([A-Za-z0-9.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]')
_SCP = re.compile(r"^(?:[^/\s]+@)?([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):(?!//)(.+)$")
_URL = re.compile(
    r"^(?:https?|ssh|git|git\+ssh|ssh\+git)://(?:[^/]*@)?(\[[0-9A-Fa-f:]+\]|[\w.-]+)(?::\d*)?/(.+)$", re.IGNORECASE
)
_OWN_SERVER = re.compile(r"(?:ssh|git|git\+ssh|ssh\+git)://|(?:[^/\s]+@)?[A-Za-z0-9.-]+:/(?!/)", re.IGNORECASE)
"""Where a path is one of the server's disk, not `owner/name` of a forge."""
_HOME_PARTS = 2
"""`home/alice`: what is no more than that is an owner and a name."""
_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY"))
"""Windows has none of these: there a file is read for its own account alone."""
_NAME = re.compile(r"^[\w.~+ -]+$")


def project_of(directory: Path) -> str | None:
    """`host/owner/name` of the repository around `directory`; None where there is none, it has no remote, or is unreadable.

    The caller decides with whose rights files are read. Never follows a path outside what `.git` files point to.
    """
    found = _config(directory)
    return repository(found) if found is not None else None


def repository(config: str) -> str | None:
    """The project that a git configuration's remote names: `origin`, else the only remote."""
    remotes = _remotes(config)
    url = remotes.get("origin") or (next(iter(remotes.values())) if len(remotes) == 1 else None)
    return normal(url) if url else None


def normal(url: str) -> str | None:
    """`host/owner/name` of a remote URL in any spelling git takes; None for a local path or what is not a URL.

    A server's own path may lie in a home folder, which is `~` then: `ssh://nas/home/alice/tool.git` is `nas/~/tool`.
    """
    match = _URL.match(url.strip()) or _SCP.match(url.strip())
    if match is None:
        return None
    host = match.group(1).lower()
    if len(host) == 1:
        return None  # a drive of Windows
    path = re.split(r"[?#]", match.group(2))[0].strip("/").removesuffix(".git").removeprefix("~")
    parts = [part for part in path.split("/") if part]
    if _OWN_SERVER.match(url.strip()) and len(parts) > _HOME_PARTS:
        parts = [part for part in without_home(f"/{path}").split("/") if part]
    if not parts or not all(_NAME.match(part) for part in parts) or len(path) > 200:
        return None
    return "/".join([host, *parts])


def _config(directory: Path) -> str | None:
    for level in [directory, *directory.parents][:_LEVELS_MAX]:
        entry = level / ".git"
        try:
            mode = entry.stat().st_mode
        except OSError:
            continue
        folder = entry if stat.S_ISDIR(mode) else _pointed(entry)
        return _read(_common(folder) / "config") if folder is not None else None
    return None


def _pointed(file: Path) -> Path | None:
    """Where a worktree's or submodule's `.git` file points: `gitdir: PATH`, relative to the file's folder."""
    text = _read(file)
    if text is None or not text.startswith("gitdir:"):
        return None
    return file.parent / text.removeprefix("gitdir:").strip()


def _common(folder: Path) -> Path:
    """A worktree's own folder names the one that it shares with the others in `commondir`; the configuration is there."""
    text = _read(folder / "commondir")
    return folder / text.strip() if text and text.strip() else folder


def _read(path: Path) -> str | None:
    """A small regular file's text. Opened without blocking: a named pipe put here must not stop us."""
    try:
        handle = os.open(path, _FLAGS)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        return os.read(handle, _BYTES_MAX).decode("utf-8", errors="replace")
    except OSError:
        return None
    finally:
        os.close(handle)


def _remotes(config: str) -> dict[str, str]:
    """Remote name → URL, the first of each. Includes (`[include] path`) are not followed."""
    remotes: dict[str, str] = {}
    remote: str | None = None
    for line in config.splitlines():
        text = line.strip()
        section = _SECTION.match(text)
        if section is not None:
            remote = section.group(2) if section.group(1).lower() == "remote" else None
            text = text[section.end() :].strip()
        key, equals, value = text.partition("=")
        if remote is not None and equals and key.strip().lower() == "url":
            remotes.setdefault(remote, value.strip().strip('"'))
    return remotes
