"""The machine's own store on Linux: a folder of anchors, and the distribution's program that makes bundles of them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from spendgate.errors import StateError
from spendgate.stores.anchor import NAME, Anchor
from spendgate.stores.interface import Change, tool, write
from spendgate.stores.running import search_path

AGAIN = "nothing was changed; mend what it says and run this again"


@dataclass(frozen=True, slots=True)
class SystemStore:
    """One distribution's way. `after_removal` differs where additions alone are noticed otherwise."""

    folder: Path
    suffix: str
    after: tuple[str, ...]
    after_removal: tuple[str, ...]
    java_hook: Path | None = None
    """Debian's hook of Java's store: it is told of additions alone, and keeps what was removed, unless told as well."""
    needs_root: bool = True

    @property
    def name(self) -> str:
        return f"the system's store ({self.folder})"

    def is_here(self) -> bool:
        return self.folder.is_dir() and shutil.which(self.after[0], path=search_path()) is not None

    def trusted(self) -> frozenset[str]:
        try:
            found = [path.name.removesuffix(self.suffix) for path in self.folder.iterdir()]
        except OSError as fault:
            raise StateError(f"{self.folder} cannot be read: {fault.strerror}") from fault
        return frozenset(name for name in found if NAME.fullmatch(name))

    def add(self, anchor: Anchor) -> tuple[Change, ...]:
        file = self._file(anchor.name)
        return (Change(f"write {file} and run {' '.join(self.after)}", partial(self._put, file, anchor.pem)),)

    def remove(self, names: Sequence[str]) -> tuple[Change, ...]:
        files = [self._file(name) for name in sorted(names)]
        if not files:
            return ()
        told = " and ".join(map(str, files))
        java = f", then tell {self.java_hook}" if self.java_hook and self.java_hook.exists() else ""
        return (Change(f"remove {told} and run {' '.join(self.after_removal)}{java}", partial(self._take, files)),)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}{self.suffix}"

    def _put(self, file: Path, pem: bytes) -> None:
        write(file, pem)
        try:
            tool(self.after, AGAIN)
        except StateError:
            file.unlink()
            raise

    def _take(self, files: Sequence[Path]) -> None:
        kept = {file: file.read_bytes() for file in files}
        for file in files:
            file.unlink()
        try:
            tool(self.after_removal, AGAIN)
            if self.java_hook and self.java_hook.exists():
                lines = "".join(f"-/etc/ssl/certs/{file.stem}.pem\n" for file in files)
                tool((str(self.java_hook),), AGAIN, lines.encode())
        except StateError:
            for file, pem in kept.items():
                write(file, pem)  # so that the next attempt finds what is left to do
            raise


def systems(root: Path = Path("/")) -> tuple[SystemStore, ...]:
    """The ways that are known, the surest sign first."""
    extract, update = ("update-ca-trust", "extract"), ("update-ca-certificates",)
    fresh = (*update, "--fresh")  # without it Debian leaves links to a file that is gone
    java = root / "etc/ca-certificates/update.d/jks-keystore"
    return (
        SystemStore(root / "etc/pki/ca-trust/source/anchors", ".pem", extract, extract),  # Fedora and RHEL
        SystemStore(root / "etc/ca-certificates/trust-source/anchors", ".crt", extract, extract),  # Arch
        SystemStore(root / "etc/pki/trust/anchors", ".pem", update, update),  # SUSE
        SystemStore(root / "usr/local/share/ca-certificates", ".crt", update, fresh, java),  # Debian and Alpine
    )
