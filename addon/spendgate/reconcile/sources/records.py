"""Files of records, as JSON (a list, or an object with the list `data`), as JSON lines or as CSV: one way to read all three.

A record is a mapping. What a CSV file has as text of JSON (metadata, credits) is read by `inner`; a field of a field is asked
for by its dotted name, which a flattened file writes with dots or underscores.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from spendgate.reconcile.sources.assembling import fields
from spendgate.reconcile.sources.reading import Faults, csv_header, csv_rows, instant_ms, loads, text

Record = Mapping[str, Any]


def records(data: bytes, faults: Faults) -> Iterator[tuple[str, Record]]:
    """Each record with its place: `line 7`, `data[3]`, `[3]`."""
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start == b"[" or (start == b"{" and not _is_lines(data)):
        yield from _json(data, faults)
    elif start == b"{":
        yield from _lines(data, faults)
    else:
        for row in csv_rows(data, faults, ()):
            yield f"line {row.number}", row


def _is_lines(data: bytes) -> bool:
    """Whether the first line is a record by itself, and no object around them."""
    first = data.partition(b"\n")[0]
    try:
        found = loads(first)
    except ValueError:
        return False
    return isinstance(found, dict) and "data" not in found


def _json(data: bytes, faults: Faults) -> Iterator[tuple[str, Record]]:
    with faults.at(""):
        found = loads(data)
        if isinstance(found, dict):
            name, items = "data", found["data"]
        else:
            name, items = "", found
        if not isinstance(items, list):
            raise ValueError("no list of records")
        for number, item in enumerate(items):
            with faults.at(f"{name}[{number}]"):
                yield f"{name}[{number}]", fields(item)


def _lines(data: bytes, faults: Faults) -> Iterator[tuple[str, Record]]:
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            item: Record | None = None
            with faults.at(f"line {number}"):
                item = fields(loads(line))
            if item is not None:
                yield f"line {number}", item


def claims(head: bytes, needed: Iterable[str]) -> bool:
    """Whether a file begins with records that have all these fields, at least by their names. Never raises."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start in (b"[", b"{"):
        return all(f'"{name}"'.encode() in head for name in needed)
    return set(csv_header(head)).issuperset(needed)


def inner(value: object) -> Record:
    """An object, or the text of one; nothing is an empty one. Raises ValueError."""
    if value is None or value == "":
        return {}
    return fields(loads(value.encode()) if isinstance(value, str) else value)


def at(record: Record, path: str) -> Any:  # noqa: ANN401 - whatever a provider writes
    """A field of a field by its dotted name; None where it is not there."""
    for flat in (path, path.replace(".", "_")):
        if flat in record:
            return record[flat]
    found: Any = record
    for step in path.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def utc_ms(value: object) -> int:
    """RFC 3339, or what databases make of it: a blank for the T, ` UTC`, no zone, which then is UTC."""
    said = text(value) or ""
    try:
        return instant_ms(said.removesuffix(" UTC") + ("Z" if said.endswith(" UTC") else ""))
    except ValueError:
        found = datetime.fromisoformat(said.strip())
        return round(found.replace(tzinfo=UTC).timestamp() * 1000)
