"""Rows of calls that differ in few columns, written by few statements.

Of a batch's results two columns in three say the same in each. To bind a value takes longer than to copy it, so what is alike
is bound once for as many rows as a statement has: that takes three fifths of the time that a statement for each row takes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from spendgate.ledger import rows

SIZES: Final = (24, 8, 1)
"""Rows in one statement, the most first. Larger ones gain nothing, and each is a text that SQLite keeps prepared."""


def insert(cursor: sqlite3.Cursor, own: tuple[str, ...], each: Sequence[rows.Values], every: Mapping[str, Any]) -> None:
    """Insert into `call_rows`: of the columns `own` each row has its values, of the others all have those of `every`.

    Raises sqlite3.IntegrityError, and the transaction is taken back, where one of them is there.
    """
    columns, alike, done = tuple(every), tuple(every.values()), 0
    for size in SIZES:
        upto = len(each) - (len(each) - done) % size
        some = [(*chain.from_iterable(each[at : at + size]), *alike) for at in range(done, upto, size)]
        if some:
            cursor.executemany(_statement(size, own, columns), some)
        done = upto


@lru_cache(maxsize=64)
def _statement(size: int, own: tuple[str, ...], every: tuple[str, ...]) -> str:
    # Any fault takes back the transaction anyway (`store`); to be able to take back this statement alone, SQLite copies pages.
    each, alike = (f"({', '.join('?' * len(columns))})" for columns in (own, every))
    many = ", ".join([each] * size)
    named = ", ".join(own + every)
    return f"INSERT OR ROLLBACK INTO call_rows ({named}) SELECT * FROM (VALUES {many}) CROSS JOIN (VALUES {alike})"  # noqa: S608 - our names
