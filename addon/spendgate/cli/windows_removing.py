"""What of an installation on Windows is files, and a certificate that somebody trusted by hand."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import ssl
from pathlib import Path
from typing import Final

from spendgate.cli.output import note
from spendgate.errors import StateError

_LEDGER: Final = ("ledger.db", "ledger.db-wal", "ledger.db-shm", "heads.json")


def drop_state(state: Path, *, keep_ledger: bool) -> None:
    """The state directory; with `keep_ledger` all of it but the ledger. The folder above goes where nothing else is in it.

    Raises StateError.
    """
    try:
        for entry in sorted(state.iterdir()) if state.exists() else ():
            link = entry.is_symlink() or entry.is_junction()
            if keep_ledger and entry.name in _LEDGER and entry.is_file() and not link:
                continue
            shutil.rmtree(entry) if entry.is_dir() and not link else entry.unlink()
        if not keep_ledger and state.exists():
            state.rmdir()
    except OSError as fault:
        raise StateError(
            f"{fault.filename} cannot be removed: {fault.strerror}; mend that and run this again"
        ) from fault
    if keep_ledger:
        note(f'kept {state / _LEDGER[0]}, administrators\' alone; `spendgate spend --state "{state}"` reads it')
        return
    with contextlib.suppress(OSError):  # an MDM's files lie in it
        state.parent.rmdir()
    note(f"removed {state}, the ledger with it")


def trusted(certificate: Path) -> str:
    """SHA-1 of the gate's certificate, as Windows names it, where the machine's Root store has it; else empty."""
    try:
        der = ssl.PEM_cert_to_DER_cert(certificate.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return ""
    roots = ssl.enum_certificates("ROOT")  # type: ignore[attr-defined] # of Windows alone
    return hashlib.sha1(der, usedforsecurity=False).hexdigest().upper() if der in {each[0] for each in roots} else ""
