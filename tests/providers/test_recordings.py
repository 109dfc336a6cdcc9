"""Each recording, in every way that a network may cut it, gives the Reading that stands beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from providers.feeding import JSON, STREAM, each_way, read
from spendgate.providers.ask import Ask
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.reading import Reading
from spendgate.usage import Usage

RECORDINGS = Path(__file__).parent.parent / "recordings"
FILES = sorted(path for path in RECORDINGS.glob("*/*") if path.suffixes[-2:] != [".expected", ".json"])


def as_expected(reading: Reading, like: dict[str, Any]) -> dict[str, Any]:
    """A reading in the words of an expectation: only the counts that were given."""
    parts = []
    for part in reading.parts:
        found: dict[str, Any] = {"model": part.model}
        counts = {name: getattr(part.usage, name) for name in Usage.__struct_fields__}
        found.update({name: count for name, count in counts.items() if count is not None})
        found.update({"context": dict(part.context)} if part.context else {})
        found.update({"geo": part.geo} if part.geo else {})
        parts.append(found)
    words = {name: getattr(reading, name) for name in like if name != "parts"}
    return {**words, "parts": parts, **({"flags": list(reading.flags)} if "flags" in like else {})}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_reading_is_as_expected(path: Path) -> None:
    """A recording fed whole gives exactly the expected counts, model and end."""
    expected = json.loads(path.with_name(f"{path.stem}.expected.json").read_text())
    headers = STREAM if path.suffix == ".sse" else JSON
    reading = read(DIALECTS[path.parent.name].reader(Ask(), 200, headers), [path.read_bytes()])
    assert as_expected(reading, expected) == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_reading_does_not_depend_on_delivery(path: Path) -> None:
    """However a response is cut, encoded or followed by garbage, the reading is the same."""
    dialect, body = DIALECTS[path.parent.name], path.read_bytes()
    ways = dict(each_way(dialect, body, stream=path.suffix == ".sse"))
    different = {name: reading for name, reading in ways.items() if reading != ways["whole"]}
    assert different == {}


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".sse"], ids=lambda p: p.stem)
def test_a_stream_cut_anywhere_is_never_final_with_other_counts(path: Path) -> None:
    """Wherever a stream breaks off, the reading is either not final or has the whole stream's counts."""
    dialect, body = DIALECTS[path.parent.name], path.read_bytes()
    whole = read(dialect.reader(Ask(), 200, STREAM), [body])
    for end in range(0, len(body), 7):
        part = read(dialect.reader(Ask(), 200, STREAM), [body[:end]])
        assert not part.final or part.free or part.parts == whole.parts
