"""Google's and Vertex's recorded answers, whose counts are read here with `json` alone, however they are delivered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from providers.feeding import JSON, STREAM, each_way, pieces, read
from providers.test_corpus import CORPUS, Everything, body_of, exchanges, flat, within
from spendgate.providers.ask import Ask
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.gemini import Gemini
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Head, Kind
from spendgate.providers.reading import Reading
from spendgate.providers.registry import Registry

pytestmark = pytest.mark.skipif(
    not CORPUS.is_dir(), reason="the corpus of public recordings is not at ../shared/corpus"
)
FIXTURES = [
    path
    for path in sorted((CORPUS / "vercel-ai/packages/google/src/__fixtures__").glob("google-*"))
    if "429" not in path.name
]
HOSTS = (b"//generativelanguage.googleapis.com", b"aiplatform.googleapis.com")


def answers(body: bytes) -> list[dict[str, Any]]:
    """The answers in a body: one, the lines of a `*.chunks.txt`, or the events of a stream."""
    try:
        return [json.loads(body)]
    except ValueError:
        lines = [line.removeprefix(b"data: ") for line in body.replace(b"\r\n", b"\n").split(b"\n")]
        return [json.loads(line) for line in lines if line.strip()]


def counted(found: list[dict[str, Any]]) -> tuple[int, int, int] | None:
    """(input, of it cached, output) by the last counts that stand in these answers; None where there are none."""
    said = [each["usageMetadata"] for each in found if "promptTokenCount" in each.get("usageMetadata", {})]
    if not said:
        return None
    last = said[-1]
    fed_in = last["promptTokenCount"] + last.get("toolUsePromptTokenCount", 0)
    out = last.get("candidatesTokenCount", last.get("totalTokenCount", 0) - fed_in - last.get("thoughtsTokenCount", 0))
    return fed_in, last.get("cachedContentTokenCount", 0), out + last.get("thoughtsTokenCount", 0)


def ours(reading: Reading) -> tuple[int, int, int] | None:
    """The same of a Reading."""
    if not reading.parts:
        return None
    usage = reading.parts[0].usage
    return usage.input_total, usage.cache_read_tokens or 0, usage.output_tokens or 0


def calls() -> list[Any]:
    """Every recorded call to Google that succeeded and costs money: (head, request, answer)."""
    registry, found = Registry.build(Everything()), []
    for path in sorted((CORPUS / "pydantic-ai").rglob("*.yaml")):
        if not any(host in path.read_bytes() for host in HOSTS):
            continue
        for at, (head, request, response) in enumerate(exchanges(path)):
            route = registry.route(head)
            if route.provider in ("google", "vertex") and route.kind is Kind.BILLABLE and route.dialect == "gemini":
                found.append(pytest.param(head, request, response, id=f"{path.stem}-{at}"))
    return found


@pytest.mark.parametrize(("head", "request_", "response"), calls())
def test_recorded_calls(head: Head, request_: dict[str, Any], response: dict[str, Any]) -> None:
    """The last counts are read from every recorded answer, and no call passes its bound, where it has one."""
    dialect = DIALECTS["gemini"]
    ask, body, status = dialect.ask(head, body_of(request_)), body_of(response), response["status"]["code"]
    assert ask.streamed == ("stream" in head.path)
    reading = read(dialect.reader(ask, status, flat(response.get("headers"))), list(pieces(body, 3)))
    if status >= 300:
        assert reading.free
        return
    expected = counted(answers(body))
    if ask.output_tokens_max == 0 and expected is not None:
        expected = (*expected[:2], 0)
    assert ours(reading) == expected
    assert reading.final == (expected is not None)
    assert within(ask, reading)


def test_recordings_are_found() -> None:
    """The corpus holds calls of all kinds."""
    heads = [each.values[0] for each in calls()]
    assert len(heads) > 80
    assert sum("stream" in head.path for head in heads) >= 8
    assert sum("aiplatform" in head.host for head in heads) >= 10


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_delivery_does_not_matter(path: Path) -> None:
    """Whole, byte by byte, cut anywhere, encoded, with garbage behind it: one reading, of the counts that stand in it."""
    lines, stream = path.read_bytes().splitlines(), path.suffix == ".txt"
    wire = b"".join(b"data: " + line + b"\n\n" for line in lines if line.strip()) if stream else path.read_bytes()
    ways = dict(each_way(DIALECTS["gemini"], wire, stream=stream))
    assert {name for name, reading in ways.items() if reading != ways["whole"]} == set()
    assert ours(ways["whole"]) == counted(answers(path.read_bytes()))


@pytest.mark.parametrize("path", [path for path in FIXTURES if path.suffix == ".txt"], ids=lambda path: path.stem)
def test_a_streamed_array_reads_as_its_events_do(path: Path) -> None:
    """Without `alt=sse` the same pieces come as one array, cut anywhere; what follows it changes nothing."""
    lines = [line for line in path.read_bytes().splitlines() if line.strip()]
    events = read(Gemini().reader(Ask(streamed=True), 200, STREAM), [b"data: " + line + b"\n\n" for line in lines])
    array = b"[" + b",\r\n".join(lines) + b"]"
    for chunks in (
        [array],
        [array[at : at + 1] for at in range(len(array))],
        list(pieces(array, 5)),
        [array, b'garbage } ] " \\ \xff'],
    ):
        got = read(Gemini().reader(Ask(streamed=True), 200, JSON), chunks)
        assert replace(got, flags=()) == replace(events, flags=())
    assert events.final


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_truncated_anywhere(path: Path) -> None:
    """An answer that breaks off never raises, and reads the last counts of a whole piece."""
    body = path.read_bytes()
    lines = [b"data: " + line + b"\n\n" for line in body.splitlines() if line.strip()]
    wire = b"".join(lines) if path.suffix == ".txt" else body
    for stop in range(0, len(wire), max(1, len(wire) // 60)):
        headers: CaseInsensitive = STREAM if path.suffix == ".txt" else JSON
        reading = read(Gemini().reader(Ask(), 200, headers), [wire[:stop]])
        if path.suffix == ".txt":
            whole = wire[:stop].split(b"\n\n")[:-1]
            complete = counted([json.loads(each.removeprefix(b"data: ")) for each in whole])
            assert ours(reading) == complete or not wire[:stop].endswith(b"\n\n")
        else:
            assert reading.parts == ()
