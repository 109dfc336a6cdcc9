"""OpenRouter: activity with the fields of the vendor's SDK and generations as real exports have them, all values invented."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile.asking import SPAN, START, Answer, ask, fails_midway, faults, read, refused
from spendgate.reconcile.sources.interface import Span
from spendgate.reconcile.sources.openrouter_api import OpenRouter
from spendgate.reconcile.sources.openrouter_csv import OpenRouterCsv
from spendgate.statement import DAY_MS, Axes, Billed, Charge, Line, Who
from spendgate.usage import NO_USAGE, Usage

SOURCE, CSV = OpenRouter(), OpenRouterCsv()
CREDITS = {"data": {"total_credits": 100.0, "total_usage": 25.5}}


def item(**more) -> dict:
    """A row with all fields of `openrouter` 1.3.84's ActivityItem."""
    return {
        "date": "2026-11-20", "model": "openai/gpt-4.1", "model_permaslug": "openai/gpt-4.1-2025-04-14", "endpoint_id": "e-1",
        "provider_name": "OpenAI", "usage": 0.015, "byok_usage_inference": 0, "requests": 5, "prompt_tokens": 50,
        "completion_tokens": 125, "reasoning_tokens": 25, "cached_tokens": 20, "workspace_id": "ws-1", **more,
    }  # fmt: skip


def key(one: str, created: str = "2026-01-01T00:00:00Z", last: str | None = None) -> dict:
    """A key with those fields of the SDK's ListData that are read, and one that is not."""
    return {
        "hash": one, "name": f"name of {one}", "label": f"sk-or-v1-{one}...", "creator_user_id": "user_1", "usage": 7.5,
        "created_at": created, "last_used_at": last,
    }  # fmt: skip


def answer(*items: dict, keys: tuple[dict, ...] = (), of: dict[str, list[dict]] | None = None) -> Answer:
    """These on the first day, nothing on others; `of` a key these."""

    def said(path: str, _: bytes) -> object:
        url = urlsplit(path)
        words = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/api/v1/credits":
            return CREDITS
        if url.path == "/api/v1/keys":
            return {"data": list(keys[int(words["offset"]) :])}
        found = (of or {}).get(words["api_key_hash"], []) if "api_key_hash" in words else list(items)
        return {"data": found if words["date"] == "2026-11-20" else []}

    return said


def lines(*items: dict) -> tuple[Line, ...]:
    return ask(SOURCE, answer(*items))[0].lines


def test_a_row_of_activity() -> None:
    (said,) = lines(item())
    assert (said.billed_nanos, said.list_nanos, said.billed, said.amount) == (
        15_000_000,
        None,
        Billed.METERED,
        "0.015 USD",
    )
    assert said.usage == Usage(30, 20, output_tokens=125, reasoning_tokens=25)
    assert (said.requests, said.model, said.product) == (5, "openai/gpt-4.1-2025-04-14", "OpenAI")
    assert (said.who, said.starts_ms, said.ends_ms) == (Who(workspace="ws-1"), START, START + DAY_MS)


def test_own_keys_are_on_another_bill() -> None:
    (own,) = lines(item(usage=0, byok_usage_inference=0.012))
    assert (own.billed, own.billed_nanos, own.list_nanos) == (Billed.ELSEWHERE, 0, 12_000_000)
    assert (own.requests, own.usage.output_tokens, own.amount) == (5, 125, "0.012 USD")
    said, _ = ask(SOURCE, answer(item(byok_usage_inference=0.012)))
    elsewhere, metered = said.lines
    assert (elsewhere.billed, elsewhere.usage, elsewhere.requests) == (Billed.ELSEWHERE, NO_USAGE, None)
    assert (metered.billed, metered.billed_nanos, metered.requests) == (Billed.METERED, 15_000_000, 5)
    assert "1 rows: own keys and OpenRouter's together: tokens and requests are of both" in said.notes


def test_keys_have_their_parts_and_the_rest_is_no_keys() -> None:
    whole = item(
        requests=9, usage=0.1, prompt_tokens=500, completion_tokens=300, reasoning_tokens=90, cached_tokens=100
    )
    keys = key("aa"), key("late", created="2026-11-21T00:00:00Z"), key("old", last="2026-11-19T23:59:59Z"), key("bb")
    said, asked = ask(SOURCE, answer(whole, keys=keys, of={"aa": [item()], "bb": [item(usage=0.05, requests=3)]}))
    assert [(each.who.key, each.billed_nanos, each.requests, each.amount) for each in said.lines] == [
        ("aa", 15_000_000, 5, "0.015 USD"), ("bb", 50_000_000, 3, "0.05 USD"), (None, 35_000_000, 1, "0.035 USD"),
    ]  # fmt: skip
    assert said.lines[2].usage == Usage(340, 60, output_tokens=50, reasoning_tokens=40)
    assert said.lines[0].who == Who(
        workspace="ws-1", key="aa", key_name="name of aa", key_hint="sk-or-v1-aa...", user="user_1"
    )
    assert [each.path for each in asked[-2:]] == [
        "/api/v1/activity?date=2026-11-20&group_by=workspace&api_key_hash=aa",
        "/api/v1/activity?date=2026-11-20&group_by=workspace&api_key_hash=bb",
    ], "no key that was not there yet, or no longer in use"
    assert asked[2].path.endswith("offset=4"), "until a page of keys is empty"


def test_no_more_keys_are_asked_for_than_it_takes() -> None:
    _, asked = ask(SOURCE, answer(item(), keys=(key("aa"), key("bb")), of={"aa": [item()]}))
    assert asked[-1].path.endswith("api_key_hash=aa")


def test_keys_that_have_more_than_the_whole() -> None:
    keys = (key("aa"),)
    more = answer(item(), keys=keys, of={"aa": [item(requests=6)]})
    assert "page 5: a key has more than the whole: it was revised meanwhile" in refused(SOURCE, more)
    other = answer(item(), keys=keys, of={"aa": [item(endpoint_id="e-2")]})
    assert "page 5: a key has more than the whole" in refused(SOURCE, other)


def test_a_page_of_keys_that_comes_twice() -> None:
    def said(path: str, body: bytes) -> object:
        return {"data": [key("aa")]} if "/keys?" in path else answer()(path, body)

    assert "page 3 data[0]: this key has no hash, or came before" in refused(SOURCE, said)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.decimals(0, 100, places=12), min_size=1, max_size=8))
def test_keys_and_rest_sum_to_the_day(amounts: list[Decimal]) -> None:
    """To the nano-dollar, where each is rounded by itself."""
    keys = tuple(key(f"k{at}") for at in range(len(amounts)))
    parts = {f"k{at}": [item(usage=f"{amount:f}", requests=1)] for at, amount in enumerate(amounts)}
    n = len(amounts)
    whole = item(
        usage=f"{sum(amounts):f}", requests=n, prompt_tokens=50 * n, cached_tokens=20 * n, completion_tokens=125 * n,
        reasoning_tokens=25 * n,
    )  # fmt: skip
    said, _ = ask(SOURCE, answer(whole, keys=keys, of=parts))
    assert sum(each.billed_nanos or 0 for each in said.lines) == round(sum(amounts) * 10**9)
    assert {each.charge for each in said.lines if each.who.key is None} <= {Charge.ROUNDING}


def test_a_replayed_response_has_cached_tokens_of_its_own() -> None:
    said, _ = ask(SOURCE, answer(item(cached_tokens=70)))
    assert said.lines[0].usage == Usage(50, 70, output_tokens=125, reasoning_tokens=25)
    assert "1 rows: more cached tokens than prompt tokens: taken as not among them" in said.notes


def test_thirty_days_are_all_that_there_is() -> None:
    said, asked = ask(SOURCE, answer(item()), Span(START - 30 * DAY_MS, START + DAY_MS))
    assert len(asked) == 32
    assert asked[0].path == "/api/v1/credits"
    assert asked[1].path == "/api/v1/keys?include_disabled=true&include_expired=true&offset=0"
    assert asked[2].path == "/api/v1/activity?date=2026-10-22&group_by=workspace"
    assert (said.from_ms, said.until_ms, len(said.lines)) == (START - 29 * DAY_MS, START + DAY_MS, 1)
    assert said.notes == (
        "it tells of 30 days: the statement begins on 2026-10-22",
        "the account has used $25.50 of $100.00 bought, in all of its time",
    )


ROW = json.dumps({"data": [item()]})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ROW[:-20], "page 3: line 1 column"),
        ("[]", "page 3: no object with a list `data`"),
        ('{"data": [3]}', "page 3 data[0]: Decimal('3') is no object"),
        (ROW.replace('"usage"', '"cost"'), "page 3 data[0]: 'usage' is missing"),
        (ROW.replace("0.015", '"$0.015"'), "page 3 data[0]: '$0.015' is no decimal number"),
        (
            ROW.replace('"byok_usage_inference": 0', '"byok_usage_inference": null'),
            "page 3 data[0]: None is no decimal",
        ),
        (ROW.replace("125", "125.5"), "is no whole count of zero or more"),
        (ROW.replace("2026-11-20", "2026-11-19"), "page 3 data[0]: it is about another day"),
        (ROW.replace('"2026-11-20"', "20"), "page 3 data[0]: Decimal('20') is no text"),
        (json.dumps({"data": [item(), item()]}), "page 3 data[1]: this model, endpoint and workspace came before"),
    ],
)
def test_what_cannot_be_read_names_its_place_and_nothing_is_taken(text: str, words: str) -> None:
    assert words in refused(SOURCE, lambda path, body: text.encode() if "activity" in path else answer()(path, body))


def test_credits_that_cannot_be_read() -> None:
    assert "page 1: 'total_usage' is missing" in refused(
        SOURCE, lambda path, _: {"data": {}} if "credits" in path else {"data": []}
    )


def test_a_page_that_fails_midway_is_asked_for_again(tmp_path: Path) -> None:
    span = Span(SPAN.from_ms, SPAN.until_ms + DAY_MS)
    assert len(fails_midway(SOURCE, answer(item()), tmp_path, 3, span).lines) == 1


HEAD = (
    "generation_id,created_at,cost_total,cost_web_search,cost_cache,cost_file_processing,byok_usage_inference,tokens_prompt,"
    "tokens_completion,tokens_reasoning,tokens_cached,model_permaslug,provider_name,variant,cancelled,streamed,user,"
    "finish_reason_raw,finish_reason_normalized,generation_time_ms,time_to_first_token_ms,api_key_disabled,api_key_name,app_name\n"
)


def row(one: str = "gen-1795164977-abc", cost: str = "0.0123,0,-0.001,0,0", **more: str) -> str:
    cells = {
        "at": "2026-11-20 08:56:17.713",
        "tokens": "10389,137,37,10000",
        "variant": "standard",
        "cancelled": "false",
    }
    cells |= more
    return (
        f"{one},{cells['at']},{cost},{cells['tokens']},openai/gpt-5-20261001,OpenAI,{cells['variant']},{cells['cancelled']},"
        "true,user-7,stop,stop,900,100,false,laptop,codex\n"
    )


def test_a_generation_is_known_by_its_id() -> None:
    said = read(CSV, HEAD + row())
    (one,) = said.lines
    assert (one.response_id, one.requests, one.billed_nanos) == ("gen-1795164977-abc", 1, 12_300_000)
    assert one.usage == Usage(389, 10_000, output_tokens=137, reasoning_tokens=37)
    assert one.who == Who(key_name="laptop", user="user-7")
    assert (one.model, one.product, one.axes, one.amount) == ("openai/gpt-5-20261001", "OpenAI", Axes(), "0.0123 USD")
    assert one.starts_ms == START + 32_177_713
    assert (said.from_ms, said.until_ms) == (START, START + DAY_MS)


def test_searches_and_files_are_lines_of_their_own() -> None:
    said = read(CSV, HEAD + row(cost="0.0523,0.02,0,0.03,0", variant="batch"))
    assert [(each.charge, each.billed_nanos, each.response_id) for each in said.lines] == [
        (Charge.TOKENS, 2_300_000, "gen-1795164977-abc"),
        (Charge.WEB_SEARCH, 20_000_000, "gen-1795164977-abc"),
        (Charge.TOOL, 30_000_000, "gen-1795164977-abc"),
    ]
    assert [each.requests for each in said.lines] == [1, None, None]
    assert {each.axes for each in said.lines} == {Axes(tier="batch")}


def test_no_word_on_own_keys_is_taken_for_none_and_told() -> None:
    said = read(CSV, HEAD + row(cost="0.0123,0,0,0,"))
    assert said.lines[0].billed_nanos == 12_300_000
    assert any("1 rows: byok_usage_inference is empty" in each for each in said.notes)


def test_own_keys_pay_a_fee_here_and_the_rest_elsewhere() -> None:
    own, fee = read(CSV, HEAD + row(cost="0.0005,0,0,0,0.01")).lines
    assert (own.billed, own.billed_nanos, own.list_nanos, own.charge) == (
        Billed.ELSEWHERE,
        0,
        10_000_000,
        Charge.TOKENS,
    )
    assert (own.requests, own.response_id, own.amount) == (1, "gen-1795164977-abc", "0.01 USD")
    assert (fee.billed, fee.billed_nanos, fee.charge, fee.usage) == (
        Billed.METERED,
        500_000,
        Charge.SERVICE_FEE,
        NO_USAGE,
    )


@pytest.mark.parametrize(
    ("cancelled", "cost", "billed"),
    [("true", "0.004", Billed.METERED), ("true", "0", Billed.NOT_CHARGED), ("false", "0", Billed.METERED)],
)
def test_a_cancelled_generation_carries_what_it_cost(cancelled: str, cost: str, billed: Billed) -> None:
    (said,) = read(CSV, HEAD + row(cost=f"{cost},0,0,0,0", cancelled=cancelled)).lines
    assert (said.billed, said.billed_nanos) == (billed, Decimal(cost) * 10**9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.decimals(0, 100, places=12)] * 3), min_size=1, max_size=20))
def test_lines_sum_to_the_rows_totals(amounts: list[tuple[Decimal, Decimal, Decimal]]) -> None:
    rows = [
        row(f"gen-1795164977-{at}", f"{sum(parts):f},{parts[1]:f},0,{parts[2]:f},0") for at, parts in enumerate(amounts)
    ]
    said = read(CSV, HEAD + "".join(rows))
    whole = sum(round(sum(parts) * 10**9) for parts in amounts)
    assert sum(each.billed_nanos or 0 for each in said.lines) == whole, "rounded once, half to even"


def test_times_with_a_zone_and_ids_without_a_second() -> None:
    said = read(CSV, HEAD + row("gen-old", at="2026-11-20T09:00:00+01:00") + row("gen-other", at="2026-11-20 08:00:00"))
    assert [each.starts_ms - START for each in said.lines] == [8 * 3_600_000] * 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD, "it has no rows"),
        ("", "line 1: lacks the columns generation_id"),
        ((HEAD + row())[:-60], "line 2: 14 cells, the header has 24; was it cut off?"),
        (
            HEAD + row() + row(variant="flex"),
            "generation 'gen-1795164977-abc' came before, in line 2, with other words",
        ),
        (HEAD + row(""), "line 2: it has no generation_id"),
        (HEAD.replace("byok_usage_inference", "byok") + row(), "line 1: lacks the columns byok_usage_inference"),
        (HEAD + row(at="2026-11-20 09:56:17"), "is not UTC: by its id it began at 2026-11-20 08:56:17 UTC"),
        (HEAD + row(at="yesterday"), "line 2: 'yesterday' is no time"),
        (HEAD + row(cost=",0,-0.001,0,0"), "line 2: cost_total is empty, and that is not 0"),
        (HEAD + row(cost="0.01,0.02,0,0,0"), "line 2: its parts are more than cost_total '0.01'"),
        (HEAD + row(cost="€1,0,0,0,0"), "line 2: '€1' is no decimal number"),
        (HEAD + row(tokens="1.5,1,0,0"), "line 2: '1.5' is no whole count"),
        (HEAD + row(tokens=",1,0,0"), "line 2: '' is no decimal number"),
        (HEAD + row(cancelled="maybe", cost="1,0,0,0,0"), "line 2: 'maybe' is neither true nor false"),
    ],
)
def test_what_cannot_be_read_names_its_line(text: str, words: str) -> None:
    assert words in faults(CSV, text)
