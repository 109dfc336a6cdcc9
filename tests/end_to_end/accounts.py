"""Real OS accounts, made for a test and removed after it, and programs run as them. Needs root.

A Python under a closed home is shown to them in a mount namespace of each program's own; nothing of that is seen outside.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from end_to_end.world import ROOT
from redirect.lab import opened

ADMINS = "spendgate-admin"
_NEEDED = ("useradd", "userdel", "groupadd", "groupdel", "setpriv", "unshare")


def why_not() -> str | None:
    """Why this machine cannot run tests with accounts of their own; None where it can."""
    if sys.platform != "linux":
        return "needs Linux"
    if os.geteuid() != 0:
        return "needs root, to make accounts"
    missing = [program for program in _NEEDED if shutil.which(program) is None]
    if missing:
        return f"needs {', '.join(missing)}"
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return "mount namespaces cannot be made here" if tried.returncode else None


@dataclass(frozen=True, slots=True)
class Account:
    """One account and its home."""

    name: str
    home: Path

    def words(self, *command: str) -> list[str]:
        """The command, run as this account with the groups that it has."""
        shell = f'{opened()} exec setpriv --reuid={self.name} --regid={self.name} --init-groups "$@"'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", shell, "sh", *command]

    def environment(self, **more: str) -> dict[str, str]:
        """Of a fresh login, with the product to run."""
        path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
        own = {"HOME": str(self.home), "USER": self.name, "PATH": path, "PYTHONPATH": str(ROOT / "addon")}
        return {**own, "TERM": "dumb", "LANG": "C.UTF-8", **more}

    def run(self, command: Sequence[str], **more: str) -> subprocess.CompletedProcess[str]:
        """Run to its end, in its home."""
        return subprocess.run(
            self.words(*command),
            env=self.environment(**more),
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
        )

    def spendgate(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of the product."""
        return self.run([sys.executable, "-m", "spendgate", *words])

    def shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """A line as a person types it."""
        return self.run(["sh", "-c", line])


@contextlib.contextmanager
def accounts(folder: Path, *roles: str, admins: tuple[str, ...] = ()) -> Iterator[dict[str, Account]]:
    """An account for each role, with a home in `folder`; those of `admins` are in the admins' group."""
    mark = secrets.token_hex(3)
    had_group = subprocess.run(["getent", "group", ADMINS], capture_output=True, check=False).returncode == 0
    made: list[str] = []
    found = {role: Account(f"sg{role[:4]}{mark}", folder / role) for role in roles}
    try:
        if admins and not had_group:
            subprocess.run(["groupadd", "--system", ADMINS], check=True)
        for role, each in found.items():
            groups = ["--groups", ADMINS] if role in admins else []
            words = ["useradd", "--create-home", "--home-dir", str(each.home), "--shell", "/bin/sh", *groups, each.name]
            subprocess.run(words, check=True, capture_output=True)
            made.append(each.name)
            each.home.chmod(0o700)
        yield found
    finally:
        for name in made:
            subprocess.run(["userdel", name], check=False, capture_output=True)
        if admins and not had_group and not _members(ADMINS):
            subprocess.run(["groupdel", ADMINS], check=False, capture_output=True)


def _members(group: str) -> str:
    """Who is in it: tests of other processes of this machine may have come to use the same one."""
    found = subprocess.run(["getent", "group", group], capture_output=True, text=True, check=False).stdout
    return found.strip().rpartition(":")[2]
