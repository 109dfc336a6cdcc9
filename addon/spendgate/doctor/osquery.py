"""The file that osquery reads (`mdm/osquery`): a whole new one in the place of the last, readable by its owner alone."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from spendgate.errors import StateError
from spendgate.mdm.osquery import TABLES

_PARTS: Final = {"spendgate_checks": "checks", "spendgate_tools": "tools", "spendgate_around": "around"}
_KEYS: Final = {"kind": "check", "program": "path"}


def write(path: Path, document: Mapping[str, object]) -> None:
    """`document`: what `doctor --format json` prints. Whoever reads meanwhile has the old file or the new. Raises StateError."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete_on_close=False) as part:
            part.close()
            _fill(Path(part.name), document)
            Path(part.name).replace(path)
    except (OSError, sqlite3.Error) as fault:
        said = fault.strerror if isinstance(fault, OSError) else fault
        raise StateError(f"{path} cannot be written: {said}; --osquery wants a file in a folder of yours") from fault


def _fill(path: Path, document: Mapping[str, object]) -> None:
    conn = sqlite3.connect(path)
    try:
        with conn:
            for table, columns in TABLES.items():
                conn.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
                rows = [[_cell(_of(row, column)) for column in columns] for row in _rows(document, table)]
                marks = ", ".join("?" * len(columns))
                conn.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - our own words
    finally:
        conn.close()


def _rows(document: Mapping[str, object], table: str) -> list[Mapping[str, object]]:
    if table not in _PARTS:
        return [document]
    found = document[_PARTS[table]]
    assert isinstance(found, list)  # noqa: S101 - `doctor_shown.document` makes lists of these
    return found


def _of(row: Mapping[str, object], column: str) -> object:
    """The document's value: a tool has a `path`, a process that goes around has a `program` itself."""
    return row[column] if column in row else row[_KEYS[column]]


def _cell(value: object) -> str | int | None:
    """Yes is 1, no is 0, what cannot be told is NULL; lists are joined by spaces, which no host, address or name of ours has."""
    match value:
        case None | str() | int():
            return value
        case list():
            return " ".join(map(str, value))
        case _:
            return json.dumps(value)
