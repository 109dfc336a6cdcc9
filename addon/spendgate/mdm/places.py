"""Where things lie on a machine: the same names on each system, so that what is pushed, checked and removed agrees."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class System(StrEnum):
    """An operating system, and its folder in the material."""

    MACOS = "macos"
    LINUX = "linux"
    WINDOWS = "windows"


@dataclass(frozen=True, slots=True)
class Places:
    """Of one system. The trust file's place is the one where the gate looks for it."""

    folder: str
    bundle: str | None
    """Everything that the system trusts, and the organization's root: made on the machine. On Windows there is none: it fetches
    roots as they are needed, so that a bundle of those at hand would break other hosts."""
    claude_code: str
    separator: str = "/"

    def at(self, name: str) -> str:
        """A file of Spendgate's own folder."""
        return f"{self.folder}{self.separator}{name}"

    @property
    def root(self) -> str:
        """The organization's root, in PEM."""
        return self.at("root.pem")

    @property
    def trust(self) -> str:
        return self.at("trust.yaml")


PLACES: Final = {
    System.MACOS: Places(
        "/etc/spendgate",
        "/etc/spendgate/bundle.pem",
        "/Library/Application Support/ClaudeCode/managed-settings.d/50-spendgate.json",
    ),
    System.LINUX: Places(
        "/etc/spendgate",
        "/etc/spendgate/bundle.pem",
        "/etc/claude-code/managed-settings.d/50-spendgate.json",
    ),
    System.WINDOWS: Places(
        r"C:\ProgramData\Spendgate",
        None,
        r"C:\Program Files\ClaudeCode\managed-settings.d\50-spendgate.json",
        "\\",
    ),
}
