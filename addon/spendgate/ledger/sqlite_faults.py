"""What SQLite reports, in the gate's words."""

from __future__ import annotations

import sqlite3

from spendgate.errors import LedgerBusy, LedgerUnavailable

FULL = "the ledger's disk is full: free some room"


def unavailable(fault: sqlite3.Error) -> LedgerUnavailable:
    """The gate's word for what SQLite reports."""
    code = getattr(fault, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LedgerBusy("another process is writing to the ledger")
    if is_full(fault):
        return LedgerUnavailable(FULL)
    return LedgerUnavailable(f"the ledger cannot be written: {fault} ({getattr(fault, 'sqlite_errorname', 'no code')})")


def is_full(fault: BaseException | None) -> bool:
    """No room for the next page: the disk's own word, or a quota's, which SQLite reports as a failed write."""
    code = getattr(fault, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_WRITE
