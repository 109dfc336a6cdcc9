"""What one answer bills beside its own sampling: compaction, advisor, fallback, hosted tools. Recordings, read here by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage as ListedUsage
from genai_prices import calc_price

from providers.feeding import JSON, STREAM, each_way, fed, head
from spendgate.pricing import Charge, PriceBook
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.reading import Reading

FIXTURES = Path(__file__).parents[3] / "shared/corpus/vercel-ai/packages"
pytestmark = pytest.mark.skipif(
    not FIXTURES.is_dir(), reason="the corpus of public recordings is not at ../shared/corpus"
)
NOW = datetime(2026, 11, 28, tzinfo=UTC)
BOOK = PriceBook()


def recorded(folder: str, word: str) -> list[Any]:
    """Fixtures that hold this word."""
    paths = sorted((FIXTURES / folder).glob("*")) if FIXTURES.is_dir() else []
    return [pytest.param(path, id=path.name) for path in paths if word in path.read_text()]


def documents(path: Path) -> list[dict[str, Any]]:
    """The JSON documents of a fixture: one, or one a line."""
    text = path.read_text()
    return (
        [json.loads(text)]
        if path.suffix == ".json"
        else [json.loads(line) for line in text.splitlines() if line.strip()]
    )


def wire(path: Path) -> bytes:
    """A fixture as it came."""
    if path.suffix == ".json":
        return path.read_bytes()
    return b"".join(b"data: " + line + b"\n\n" for line in path.read_bytes().splitlines() if line.strip())


def listed(provider: str, model: str, **counts: int) -> Decimal:
    """genai-prices' own answer in dollars."""
    return calc_price(ListedUsage(**counts), model, provider_id=provider, genai_request_timestamp=NOW).total_price


def priced(reading: Reading, provider: str) -> Decimal:
    """What our parts cost, in dollars."""
    total = 0
    for part in reading.parts:
        charge = BOOK.price(
            provider,
            part.model or reading.model,
            part.usage,
            at=NOW,
            context=part.context,
            geo=part.geo,
            units=part.units,
        )
        assert isinstance(charge, Charge)
        total += charge.nanos
    return Decimal(total) / 10**9


@pytest.mark.parametrize("path", recorded("anthropic/src/__fixtures__", '"iterations"'))
def test_each_sampling_is_billed_at_its_own_model(path: Path) -> None:
    """The sum over the recording's `iterations`, each at the model that it names, but for one that declined before a fallback."""
    usages = [found for one in documents(path) if (found := one.get("usage") or {}).get("iterations")]
    model = next(
        name for one in documents(path) if (name := one.get("model") or (one.get("message") or {}).get("model"))
    )
    iterations = usages[-1]["iterations"]
    expected = Decimal(0)
    for place, one in enumerate(iterations):
        declined = not one["output_tokens"] and any(
            each["type"] == "fallback_message" for each in iterations[place + 1 :]
        )
        cached = one.get("cache_read_input_tokens") or 0
        written = one.get("cache_creation_input_tokens") or 0
        counts = {"input_tokens": one["input_tokens"] + cached + written, "output_tokens": one["output_tokens"]}
        counts |= {
            name: n
            for name, n in (
                ("cache_read_tokens", cached),
                ("cache_write_5m_tokens", written),
                ("cache_write_tokens", written),
            )
            if n
        }
        if not declined:
            expected += listed("anthropic", one.get("model") or model, **counts)
    reading = fed(DIALECTS["anthropic-messages"], wire(path), stream=path.suffix != ".json")
    assert reading.final
    assert abs(priced(reading, "anthropic") - expected) < Decimal("0.00000001")
    ways = [way for _, way in each_way(DIALECTS["anthropic-messages"], wire(path), stream=path.suffix != ".json")]
    assert all(way == reading for way in ways)


@pytest.mark.parametrize(
    ("name", "dollars"),
    [
        # 60,385 and 592 for the compaction beside 682 and 1,320 for the answer, at $5 and $25 a million.
        pytest.param("anthropic-compaction.1.json", "0.353135", id="compaction"),
        # 2,414 and 3,200 at $3 and $15; 2,728 and 874 of the advisor at $5 and $25.
        pytest.param("anthropic-advisor-20260301.1.json", "0.090732", id="advisor"),
        # Only what answered: 412 and 264 at $5 and $25.
        pytest.param("anthropic-fallback.json", "0.008660", id="fallback"),
        pytest.param("anthropic-refusal.json", "0", id="refused before any output"),
    ],
)
def test_sums_by_hand(name: str, dollars: str) -> None:
    """To the tenth of a cent and beyond: what only counting iterations gives."""
    reading = fed(
        DIALECTS["anthropic-messages"], (FIXTURES / "anthropic/src/__fixtures__" / name).read_bytes(), stream=False
    )
    assert priced(reading, "anthropic") == Decimal(dollars)


@pytest.mark.parametrize("path", recorded("azure/src/__fixtures__", 'file_search_call"'))
def test_file_searches_are_billed_by_the_call(path: Path) -> None:
    """As many as the recording's output has of them; genai-prices' price for each."""
    responses = [one.get("response", one) for one in documents(path)]
    output = next(one["output"] for one in reversed(responses) if one.get("status") == "completed")
    searches = sum(1 for item in output if item["type"] == "file_search_call")
    reading = fed(DIALECTS["openai-responses"], wire(path), stream=path.suffix != ".json")
    assert reading.parts[0].units.get("storage_searches", 0) == searches
    if searches:
        fee = listed("openai", "gpt-5.1", storage_searches=searches)
        charge = BOOK.price("openai", "gpt-5.1", reading.parts[0].usage, at=NOW, units={"storage_searches": searches})
        plain = BOOK.price("openai", "gpt-5.1", reading.parts[0].usage, at=NOW)
        assert isinstance(charge, Charge)
        assert isinstance(plain, Charge)
        assert Decimal(charge.nanos - plain.nanos) == fee * 10**9 > 0


@pytest.mark.parametrize("path", recorded("openai/src/responses/__fixtures__", "code_interpreter_call"))
def test_containers_are_flagged(path: Path) -> None:
    """What the answer does not price is named with its number, once for each container."""
    text = path.read_text()
    boxes = {
        part.split('"')[1] for part in text.replace('": "', '":"').split('"container_id":')[1:] if part.startswith('"')
    }
    reading = fed(DIALECTS["openai-responses"], wire(path), stream=path.suffix != ".json")
    assert f"fee not priced: {len(boxes)} code_interpreter" in reading.flags


def test_a_shell_of_openais_is_a_container_too() -> None:
    """Once for each; one that the client runs is free."""
    places = [{"container_id": "c1", "type": "container_reference"}, {"container_id": "c1"}, {"type": "local"}, None]
    answer = {
        "id": "r", "status": "completed", "usage": {"input_tokens": 1, "output_tokens": 1},
        "output": [{"type": "shell_call", "environment": place} for place in places],
    }  # fmt: skip
    reading = fed(DIALECTS["openai-responses"], json.dumps(answer).encode(), stream=False)
    assert reading.flags == ("fee not priced: 1 shell",)


def test_cache_writes_of_twelve_hours_are_flagged() -> None:
    """The list has the price of those of 30 minutes."""
    for hours, minutes, flags in ((9, 1, ("at the plain price: cache writes of 12 hours",)), (0, 10, ())):
        kept = {"ttl_12h_tokens": hours, "ttl_30m_tokens": minutes}
        details = {"cached_tokens": 0, "cache_write_tokens": 10, "cache_write_tokens_details": kept}
        usage = {"input_tokens": 20, "output_tokens": 1, "total_tokens": 21, "input_tokens_details": details}
        answer = {"id": "r", "status": "completed", "usage": usage, "output": []}
        reading = fed(DIALECTS["openai-responses"], json.dumps(answer).encode(), stream=False)
        assert (reading.final, reading.parts[0].usage.cache_write_tokens, reading.flags) == (True, 10, flags)


@pytest.mark.parametrize(("window", "flagged"), [("8h", True), ("2h", True), ("soonest", False), (None, False)])
def test_a_completion_window_is_flagged(window: str | None, flagged: bool) -> None:
    """OpenAI takes something off that no answer tells."""
    asked = {"model": "m", "background": True, "background_options": {"completion_window": window}}
    ask = DIALECTS["openai-responses"].ask(head(), json.dumps(asked).encode())
    reading = fed(DIALECTS["openai-responses"], b'{"id":"r","status":"queued"}', stream=False, ask=ask)
    assert ("at the plain price: completion_window" in reading.flags) is flagged


def test_images_of_the_image_tool_are_billed_at_its_model() -> None:
    """Counts of `tool_usage.image_gen`, at the model that the tool names; without counts the pictures are flagged."""
    usage = {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30}
    drawn = {"input_tokens": 50, "output_tokens": 4160, "input_tokens_details": {"image_tokens": 0, "text_tokens": 50}}
    answer: dict[str, Any] = {
        "id": "resp_1", "object": "response", "status": "completed", "model": "gpt-5.1", "usage": usage,
        "output": [{"type": "image_generation_call", "result": "iVBO" * 200_000}] * 2,
        "tools": [{"type": "image_generation", "model": "gpt-image-1.5"}], "tool_usage": {"image_gen": drawn},
    }  # fmt: skip
    reading = fed(DIALECTS["openai-responses"], json.dumps(answer).encode(), stream=False)
    assert [part.model for part in reading.parts] == ["gpt-5.1", "gpt-image-1.5"]
    text = listed("openai", "gpt-5.1", input_tokens=10, output_tokens=20)
    image = listed("openai", "gpt-image-1.5", input_tokens=50, output_tokens=4160, output_image_tokens=4160)
    assert priced(reading, "openai") == text + image
    short = {**answer, "output": [{"type": "image_generation_call"}] * 2, "tool_usage": {}}
    assert fed(DIALECTS["openai-responses"], json.dumps(short).encode(), stream=False).flags == (
        "fee not priced: 2 image_generation",
    )


def test_headers_are_those_of_the_recordings() -> None:
    """The two kinds of answers that the recordings have."""
    assert (JSON.get("content-type"), (STREAM.get("content-type") or "")[:17]) == (
        "application/json",
        "text/event-stream",
    )
