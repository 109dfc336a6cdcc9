"""What is worked off later, with the official SDKs: background responses are corrected once, batches are metered once."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from genai_prices import Usage as ListedUsage
from genai_prices import calc_price

from end_to_end.raw import Seen, SyncHashing
from end_to_end.world import Gate, Provider, policy, running_gate, until

CLAUDE, GPT = "claude-sonnet-4-6", "gpt-5.1"
SCRIPT = {"x-standin": "input=1201; output=377; cache_read=2048"}
INPUT, OUTPUT, READ = 1201, 377, 2048


def listed(provider: str, model: str, at: str, context: dict[str, str]) -> int:
    """genai-prices' own answer for the scripted counts, in nano-dollars."""
    used = ListedUsage(input_tokens=INPUT + READ, cache_read_tokens=READ, output_tokens=OUTPUT)
    when = datetime.fromisoformat(at).astimezone(UTC)
    price = calc_price(used, model, provider_id=provider, genai_request_timestamp=when, price_context=context)
    return int((Decimal(price.total_price) * 10**9).to_integral_value(rounding=ROUND_HALF_EVEN))


@contextmanager
def clients(gate: Gate) -> Iterator[tuple[openai.OpenAI, anthropic.Anthropic, Seen]]:
    """Both SDKs through the gate."""
    seen = Seen()
    with httpx2.Client(transport=SyncHashing(gate, seen, http2=False)) as http:
        yield (
            openai.OpenAI(api_key="sk-test", http_client=http),
            anthropic.Anthropic(api_key="sk-ant-api03-test", http_client=http),
            seen,
        )


def rows_of(gate: Gate, where: str, count: int) -> list[dict[str, Any]]:
    """The settled rows of one response, or whose path ends so; waits for so many."""

    def look() -> list[dict[str, Any]] | None:
        fit = [
            row for row in gate.calls()
            if row["state"] == "settled" and where in (row["response_id"], row["path"])
        ]  # fmt: skip
        return fit if len(fit) >= count else None

    return until(look)


def test_a_background_response_is_counted_once(tmp_path: Path, provider: Provider) -> None:
    """However often it is polled and streamed, and after `kill -9`: its rows together are its cost, to the nano-dollar."""
    with running_gate(tmp_path, provider, policy(tmp_path)) as gate:
        with clients(gate) as (gpt, _, _):
            queued = gpt.responses.create(model=GPT, input="hi", background=True, extra_headers=SCRIPT)
            estimated = rows_of(gate, queued.id, 1)[0]
            assert gpt.responses.retrieve(queued.id).status == "in_progress"
            for _ in range(3):
                assert gpt.responses.retrieve(queued.id).status == "completed"
            for _ in gpt.responses.retrieve(queued.id, stream=True):
                pass
            first, correction = rows_of(gate, queued.id, 2)
        until(lambda: True if _looks(gate) == 5 else None)  # a reading whose gate is killed before its end has no row
        assert first == estimated
        assert (first["basis"], first["input_tokens"]) == ("ceiling", None)
        assert "background" in first["flags"]
        assert (correction["basis"], correction["flags"]) == ("reported", f"corrects={first['id']}")
        assert (correction["input_tokens"], correction["cache_read_tokens"]) == (INPUT, READ)
        assert correction["booked_at"] == first["booked_at"]
        real = listed("openai", GPT, first["booked_at"], {})
        assert first["cost_nanos"] + correction["cost_nanos"] == real != first["cost_nanos"]
        gate.process.kill()
        gate.process.wait()
    with running_gate(tmp_path, provider, policy(tmp_path)) as gate, clients(gate) as (gpt, _, seen):
        assert gpt.responses.retrieve(queued.id).status == "completed"
        until(lambda: True if _looks(gate) == 6 else None)
        assert len(rows_of(gate, queued.id, 2)) == 2
        assert sum(row["cost_nanos"] or 0 for row in gate.calls()) == real
        assert seen.status == 200


def _looks(gate: Gate) -> int:
    """How often a response was read back: each time has a row that costs nothing."""
    return sum(row["state"] == "free" and row["path"] == "/v1/responses/*" for row in gate.calls())


@pytest.mark.parametrize("encoding", ["", "; encoding=gzip", "; chunk=1"])
def test_a_batch_of_messages_is_metered_when_it_is_read(gate: Gate, provider: Provider, encoding: str) -> None:
    """Each result has one row at the batch price, read twice or not."""
    script = {"x-standin": SCRIPT["x-standin"] + encoding}
    before = {row["id"] for row in gate.calls()}
    params = {"model": CLAUDE, "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}
    asked = [{"custom_id": f"mine-{number}", "params": params} for number in range(40)]
    with clients(gate) as (_, claude, _):
        batch = claude.messages.batches.create(requests=asked, extra_headers=script)  # type: ignore[arg-type]  # plain dicts
        for _ in range(2):
            assert len(list(claude.messages.batches.results(batch.id, extra_headers=script))) == 40
    rows = until(lambda: _new(gate, before, 40, free=2))
    assert {row["cost_nanos"] for row in rows} == {
        listed("anthropic", CLAUDE, rows[0]["booked_at"], {"processing": "batch"})
    }
    assert {row["response_id"] for row in rows} == {f"msg_{batch.id}_{number}" for number in range(40)}
    assert "mine-" not in json.dumps(gate.calls())


def test_a_gate_killed_while_a_batch_is_read_counts_each_result_once(tmp_path: Path, provider: Provider) -> None:
    """`kill -9` on the way, twice: what was written stays, what was not is counted when it is read again."""
    params = {"model": CLAUDE, "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}
    asked = [{"custom_id": f"mine-{number}", "params": params} for number in range(2000)]
    counted = [0]
    for upto in (1, 500, 2000):
        with running_gate(tmp_path, provider, policy(tmp_path)) as gate, clients(gate) as (_, claude, seen):
            if upto == 1:
                script = {"x-standin": SCRIPT["x-standin"] + "; chunk=2000"}
                batch = claude.messages.batches.create(requests=asked, extra_headers=script)  # type: ignore[arg-type]  # plain dicts
            for number, _ in enumerate(claude.messages.batches.results(batch.id), 1):
                if number == upto:
                    break
            if upto < 2000:
                gate.process.kill()
                gate.process.wait()
            else:
                until(lambda: len(_results(gate)) == 2000)
            counted.append(len(_results(gate)))
            assert seen.status == 200
    rows = _results(gate)
    assert len({row["response_id"] for row in rows}) == len(rows) == 2000
    assert {row["cost_nanos"] for row in rows} == {
        listed("anthropic", CLAUDE, rows[0]["booked_at"], {"processing": "batch"})
    }
    assert counted == sorted(counted)


def _results(gate: Gate) -> list[dict[str, Any]]:
    return [row for row in gate.calls() if row["path"].endswith("/results") and row["state"] == "settled"]


def test_a_batch_of_responses_is_metered_when_its_file_is_read(gate: Gate, provider: Provider) -> None:
    """The output file's lines have one row each, at the batch price."""
    before = {row["id"] for row in gate.calls()}
    asked = {"method": "POST", "url": "/v1/responses", "body": {"model": GPT, "input": "hi"}}
    lines = [json.dumps({"custom_id": f"mine-{number}", **asked}) for number in range(20)]
    with clients(gate) as (gpt, _, _):
        file = gpt.files.create(file=("b.jsonl", io.BytesIO("\n".join(lines).encode())), purpose="batch")
        batch = gpt.batches.create(
            input_file_id=file.id, endpoint="/v1/responses", completion_window="24h", extra_headers=SCRIPT
        )
        for _ in range(2):
            assert batch.output_file_id
            assert gpt.files.content(batch.output_file_id).text.count("\n") == 20
    rows = until(lambda: _new(gate, before, 20, free=2))
    assert {row["cost_nanos"] for row in rows} == {listed("openai", GPT, rows[0]["booked_at"], {"processing": "batch"})}


@pytest.mark.parametrize(("hold", "why"), [("expected", "spent"), ("ceiling", "unbounded")])
def test_a_batch_needs_a_budget_with_something_left(tmp_path: Path, provider: Provider, hold: str, why: str) -> None:
    """It is refused like any other call, and nothing of it leaves; where it may leave, its own row costs nothing."""
    file = policy(tmp_path, limit="$0.05")
    file.write_text(file.read_text() + f"    hold: {hold}\n")
    params = {"model": CLAUDE, "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}
    order: Any = [{"custom_id": name, "params": params} for name in ("one", "two")]
    with running_gate(tmp_path, provider, file) as gate, clients(gate) as (_, claude, _):
        if hold == "expected":
            batch = claude.messages.batches.create(requests=order, extra_headers={"x-standin": "input=200000"})
            assert len(list(claude.messages.batches.results(batch.id))) == 2
            until(lambda: [row for row in gate.calls() if row["cost_nanos"]][1:] or None)
            ordered = next(row for row in gate.calls() if row["path"] == "/v1/messages/batches")
            assert (ordered["state"], ordered["cost_nanos"]) == ("settled", 0)
        with pytest.raises(anthropic.RateLimitError, match="budget person"):
            claude.messages.batches.create(requests=order)
        refused = until(lambda: [row for row in gate.calls() if row["state"] == "refused"] or None)
    assert [row["refused_why"] for row in refused] == [why]


def _new(gate: Gate, before: set[str], count: int, *, free: int) -> list[dict[str, Any]] | None:
    """The settled rows that came since, once both readings have ended and so many are there."""
    rows = [row for row in gate.calls() if row["id"] not in before]
    settled = [row for row in rows if row["state"] == "settled" and row["cost_nanos"]]
    ended = [row for row in rows if row["state"] == "free" and row["ended_at"]]
    return settled if len(settled) == count and len(ended) >= free else None
