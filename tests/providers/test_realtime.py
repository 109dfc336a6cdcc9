"""Realtime sessions that others recorded: each turn's own counts, by kind and cached or not, at genai-prices' own price."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from genai_prices import Usage as ListedUsage
from genai_prices import calc_price

from providers.feeding import head
from spendgate.pricing import Charge, PriceBook
from spendgate.providers.ask import Ask
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Head
from spendgate.providers.jsonscan import at_once
from spendgate.providers.openai_realtime_session import MESSAGE_BYTES_MAX
from spendgate.providers.reading import Result
from spendgate.providers.socket_interface import Heard, OverheardDialect

CASSETTES = Path(__file__).parents[3] / "shared/corpus/pydantic-ai/tests/realtime/cassettes"
SESSIONS = sorted([*CASSETTES.glob("test_openai_ws*/*.yaml"), *CASSETTES.glob("test_parity_ws/*openai-current*.yaml")])
NOW = datetime(2026, 11, 28, tzinfo=UTC)
BOOK = PriceBook()
ASKED = Head("GET", "api.openai.com", "/v1/realtime", "model=gpt-realtime", CaseInsensitive({}))


def given(messages: list[bytes]) -> list[Result]:
    """All results of a connection."""
    dialect = DIALECTS["openai-realtime"]
    assert isinstance(dialect, OverheardDialect)
    session = dialect.overheard(ASKED)
    return [result for message in messages for result in session.from_server(message).results]


def received(path: Path) -> list[dict[str, Any]]:
    """What the server said in a recording."""
    found = yaml.safe_load(path.read_text())["interactions"]
    return [one["data"] for one in found if one.get("direction") == "received" and isinstance(one.get("data"), dict)]


def by_hand(usage: dict[str, Any], model: str) -> int:
    """A turn's price in nano-dollars, from its own counts."""
    into, out = usage["input_token_details"], usage.get("output_token_details") or {}
    cached = into.get("cached_tokens_details") or {}
    counts = {
        "input_tokens": usage["input_tokens"], "output_tokens": usage["output_tokens"],
        "cache_read_tokens": into.get("cached_tokens") or 0, "input_audio_tokens": into.get("audio_tokens") or 0,
        "cache_audio_read_tokens": cached.get("audio_tokens") or 0, "output_audio_tokens": out.get("audio_tokens") or 0,
    }  # fmt: skip
    price = calc_price(ListedUsage(**counts), model, provider_id="openai", genai_request_timestamp=NOW).total_price
    return int(Decimal(price) * 10**9)


@pytest.mark.skipif(not SESSIONS, reason="the corpus of public recordings is not at ../shared/corpus")
@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recorded_sessions(path: Path) -> None:
    """As many results as the recording has turns with counts, each at its own price; transcriptions at their model's."""
    said = received(path)
    model = next((one["session"]["model"] for one in said if one["type"] == "session.created"), "gpt-realtime")
    turns = [one["response"] for one in said if one["type"] == "response.done" and one["response"].get("usage")]
    heard = [one for one in said if one["type"].endswith("input_audio_transcription.completed") and one.get("usage")]
    results = given([json.dumps(one).encode() for one in said])
    ours = [result for result in results if result.reading.response_id]
    assert [result.reading.response_id for result in ours] == [turn["id"] for turn in turns]
    assert len(results) - len(ours) == len(heard)
    for result, turn in zip(ours, turns, strict=True):
        (part,) = result.reading.parts
        assert part.usage.input_total == turn["usage"]["input_tokens"]
        charge = BOOK.price("openai", part.model, part.usage, at=NOW, units=part.units)
        assert isinstance(charge, Charge)
        assert charge.nanos == by_hand(turn["usage"], model) > 0
    assert len({result.key for result in results}) == len(results)


@pytest.mark.skipif(not SESSIONS, reason="the corpus of public recordings is not at ../shared/corpus")
def test_recordings_have_turns() -> None:
    """The oracle is not empty."""
    assert sum(one["type"] == "response.done" for path in SESSIONS for one in received(path)) >= 5


def test_no_message_makes_a_session_raise() -> None:
    """Mutated, cut, of the wrong types and too long."""
    into = {"audio_tokens": 99, "cached_tokens": 70, "cached_tokens_details": {"audio_tokens": 80}, "image_tokens": 3}
    usage: dict[str, Any] = {"input_tokens": 9, "output_tokens": 4, "input_token_details": into}
    usage["output_token_details"] = {"audio_tokens": 50}
    whole = json.dumps({"type": "response.done", "response": {"id": "resp_1", "usage": usage}}).encode()
    (odd,) = given([whole])
    part = odd.reading.parts[0]
    assert (part.usage.input_total, part.usage.output_audio_tokens) == (9, 4)
    assert isinstance(BOOK.price("openai", "gpt-realtime", part.usage, at=NOW, units=part.units), Charge)
    dice = random.Random(11)
    for _ in range(500):
        mutated = bytearray(whole[: dice.randint(0, len(whole))])
        for _ in range(dice.randint(0, 6)):
            if mutated:
                mutated[dice.randrange(len(mutated))] = dice.randrange(256)
        assert len(given([bytes(mutated)])) <= 1
    assert given([whole + b" " * MESSAGE_BYTES_MAX]) == []
    text = json.dumps({"type": "response.output_text.delta", "delta": whole.decode()}).encode()
    assert given([text, b"", b"[]", b'{"type":"response.done","response":[]}']) == []


def test_a_handshake_names_its_model() -> None:
    """In its query; what it will cost has no bound."""
    ask = DIALECTS["openai-realtime"].ask(ASKED, b"")
    assert (ask.model, ask.opaque_input, ask.loops) == ("gpt-realtime", True, True)
    assert DIALECTS["openai-realtime"].ask(head(), b"").model is None


def asked(message: bytes, then: bytes = b"") -> Ask | None:
    """What the first message asks for, after the server has said `then`."""
    dialect = DIALECTS["openai-realtime"]
    assert isinstance(dialect, OverheardDialect)
    session = dialect.overheard(ASKED)
    session.from_server(then)
    return at_once(session.from_client(message))


def test_a_create_is_a_call() -> None:
    """However it is written, and of the model that the session has now; a text that quotes one is none."""
    ask = asked(b'{"type":"response.create"}')
    assert ask is not None
    assert (ask.model, ask.overheard, ask.loops) == ("gpt-realtime", True, True)
    assert asked(b'{"type":"response\\u002ecreate"}') is not None
    assert asked(b'{"response":{"instructions":"' + b"x" * 100_000 + b'"},"type":"response.create"}') is not None
    changed = b'{"type":"session.updated","session":{"model":"gpt-realtime-mini"}}'
    other = asked(b'{"type":"response.create"}', changed)
    assert other is not None
    assert other.model == "gpt-realtime-mini"
    for text in (
        b'{"type":"input_audio_buffer.append","audio":"AAAA"}',
        b'{"type":"conversation.item.create","item":{"type":"response.create"}}',
        b'{"type":"conversation.item.create","item":{"text":"say \\"response.create\\""}}',
    ):
        assert asked(text) is None


def test_what_a_server_says_of_turns() -> None:
    """Begun, over without counts, and an error."""
    dialect = DIALECTS["openai-realtime"]
    assert isinstance(dialect, OverheardDialect)
    session = dialect.overheard(ASKED)
    assert session.from_server(b'{"type":"response.created","response":{"id":"resp_1"}}') == Heard(begun="resp_1")
    over = session.from_server(b'{"type":"response.done","response":{"id":"resp_1","status":"failed","usage":null}}')
    assert over == Heard(over="resp_1")
    assert session.from_server(b'{"type":"error","error":{"message":"no"}}') == Heard(failed=True)
    assert session.from_server(b'{"type":"response.output_text.delta","delta":"\\"error\\""}') == Heard()
