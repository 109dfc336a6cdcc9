"""Conversations that OpenAI keeps, through a gate: what only names them is held for all that it will be billed for."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

import httpx2
import openai
import pytest

from end_to_end.raw import trust
from end_to_end.world import Gate, Provider, until

GPT = "gpt-5.1"


@pytest.fixture
def client(gate: Gate) -> Iterator[openai.OpenAI]:
    """OpenAI's own client."""
    with httpx2.Client(proxy=gate.proxy, verify=trust(gate)) as http:
        yield openai.OpenAI(api_key="sk-proj-test", http_client=http)


def sizes(gate: Gate, response_id: str) -> tuple[int, int]:
    """Bytes of a settled call's request, and those that it was sized by."""

    def look() -> tuple[int, int] | None:
        with contextlib.closing(sqlite3.connect(f"file:{gate.state / 'ledger.db'}?mode=ro", uri=True)) as ledger:
            sql = "SELECT request_bytes, text_bytes FROM call_rows WHERE response_id = ?"
            found: tuple[int, int] | None = ledger.execute(sql, (response_id,)).fetchone()
            return found

    return until(look)


def test_the_next_turn_is_sized_by_what_was_counted(gate: Gate, provider: Provider, client: openai.OpenAI) -> None:
    """By the answer's name, and by the conversation's; a name that no answer here had changes nothing."""
    headers = {"x-standin": "input=50000; cache_read=20000; output=1000"}
    first = client.responses.create(model=GPT, input="hi", extra_headers=headers)
    sizes(gate, first.id)
    second = client.responses.create(model=GPT, input="go on", previous_response_id=first.id, extra_headers=headers)
    sent, sized = sizes(gate, second.id)
    assert sized - sent == 4 * 71_000
    client.responses.create(model=GPT, input="hi", conversation="conv_1", extra_headers=headers)
    third = client.responses.create(model=GPT, input="go on", conversation={"id": "conv_1"}, extra_headers=headers)
    sent, sized = sizes(gate, third.id)
    assert sized - sent == 4 * 71_000
    stranger = client.responses.create(model=GPT, input="go on", previous_response_id="resp_other")
    sent, sized = sizes(gate, stranger.id)
    assert sized == sent
