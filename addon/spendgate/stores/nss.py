"""NSS databases of the account: Chromium's, and each profile's of Firefox. Those that exist; their programs make them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from spendgate.stores.anchor import NAME, Anchor
from spendgate.stores.interface import Change, tool
from spendgate.stores.running import search_path

FOLDERS = (
    ".pki/nssdb",
    ".local/share/pki/nssdb",
    "snap/*/current/.pki/nssdb",
    ".mozilla/firefox/*",
    ".config/mozilla/firefox/*",
    "snap/firefox/common/.mozilla/firefox/*",
    ".var/app/org.mozilla.firefox/.mozilla/firefox/*",
)
"""Below the home: Chromium's, those of packages that keep homes of their own, Firefox's profiles."""
FILE = "cert9.db"
CLOSED = "end the program that has it open, or take away its password for a moment, and run this again"


@dataclass(frozen=True, slots=True)
class NssStore:
    """One database, by the folder that it is in."""

    folder: Path
    certutil: str
    needs_root: bool = False

    @property
    def name(self) -> str:
        return f"the NSS database {self.folder}"

    def trusted(self) -> frozenset[str]:
        return frozenset(NAME.findall(tool((self.certutil, "-L", *self._where), CLOSED)))

    def add(self, anchor: Anchor) -> tuple[Change, ...]:
        # `C`: for servers alone, not for mail or code.
        words = (self.certutil, "-A", *self._where, "-n", anchor.name, "-t", "C,,", "-a")
        return (Change(f"add {anchor.name} to {self.name}, for servers alone", partial(self._do, words, anchor.pem)),)

    def remove(self, names: Sequence[str]) -> tuple[Change, ...]:
        return tuple(
            Change(
                f"remove {name} from {self.name}",
                partial(self._do, (self.certutil, "-D", *self._where, "-n", name), b""),
            )
            for name in sorted(names)
        )

    @property
    def _where(self) -> tuple[str, str]:
        return ("-d", f"sql:{self.folder}")

    @staticmethod
    def _do(words: Sequence[str], given: bytes) -> None:
        tool(words, CLOSED, given)


def databases(home: Path) -> tuple[NssStore, ...]:
    """Those below a home that are its own account's. Nothing where certutil is missing, or where the home is another's, as
    under `sudo`: root would follow what somebody else arranged."""
    certutil = shutil.which("certutil", path=search_path())
    if certutil is None or not _own(home):
        return ()
    folders = {found.resolve() for pattern in FOLDERS for found in home.glob(pattern) if (found / FILE).is_file()}
    return tuple(NssStore(folder, certutil) for folder in sorted(folders) if _own(folder))


def _own(folder: Path) -> bool:
    try:
        return os.name == "posix" and folder.stat().st_uid == os.geteuid()
    except OSError:
        return False
