"""OpenAI's costs and usage: pages made by the vendor's own SDK types, read into lines; malformed ones name their place."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import get_args
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.admin.organization import usage_completions_response as sdk

from reconcile.asking import SPAN, START, ask, fails_midway, refused
from spendgate.reconcile.sources.interface import Span
from spendgate.reconcile.sources.openai_api import OpenAI
from spendgate.statement import DAY_MS, Axes, Charge, Line, TokenClass, Who
from spendgate.usage import Usage

SOURCE = OpenAI()
RESULTS = {
    get_args(each.model_fields["object"].annotation)[0]: each
    for each in vars(sdk).values()
    if isinstance(each, type) and each.__name__.startswith("DataResult") and "object" in each.model_fields
}


def bucket(*results: dict, day: int = 0) -> dict:
    """A day, whose results the SDK has as types with exactly these fields."""
    for each in results:
        assert each.keys() <= RESULTS[each["object"]].model_fields.keys(), "no field of the SDK"
    start = START // 1000 + day * 86_400
    return {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": list(results)}


def page(*buckets: dict, next_page: str | None = None) -> dict:
    """A page that the SDK takes."""
    made = {"object": "page", "data": list(buckets), "has_more": next_page is not None, "next_page": next_page}
    sdk.UsageCompletionsResponse.model_validate(made, strict=True)
    return made


def cost(value: float, item: str | None = "gpt-6-astra, input_tokens", **more) -> dict:
    amount = {"value": value, "currency": "usd"}
    return {"object": "organization.costs.result", "amount": amount, "line_item": item, **GROUP, **more}


def completions(**more) -> dict:
    counts = {"input_tokens": 50_000, "input_cached_tokens": 41_000, "output_tokens": 2100, "num_model_requests": 12}
    groups = {**GROUP, "user_id": "user-1", "model": "gpt-5.5", "batch": False, "service_tier": "default"}
    return {"object": "organization.usage.completions.result", **groups, **counts, **more}


GROUP = {"project_id": "proj_a", "api_key_id": "key_1"}


def answer(path: str, _: bytes = b"", **pages: dict) -> object:
    """Of each endpoint one page; without results where nothing else is said."""
    return pages.get(urlsplit(path).path.rpartition("/")[2], page(bucket()))


def lines(**pages: dict) -> tuple[Line, ...]:
    return ask(SOURCE, lambda path, _: answer(path, **pages))[0].lines


def fault(**pages: object) -> str:
    return refused(SOURCE, lambda path, _: answer(path, **pages))


def test_amounts_by_line_item() -> None:
    tokens = {"quantity": 200_000, "quantity_unit": "tokens"}
    said = lines(
        costs=page(
            bucket(
                cost(0.06),
                cost(1.25e-05, "gpt-5-nano, cached input"),
                cost(2, "gpt-5.5-2026-04-23, output, batch"),
                cost(0.5, "gpt-6-astra, input_cache_write_30m_tokens", **tokens),
            )
        )
    )
    assert [(each.model, each.token_class, each.axes.tier, each.billed_nanos) for each in said] == [
        ("gpt-6-astra", TokenClass.INPUT, None, 60_000_000),
        ("gpt-5-nano", TokenClass.CACHE_READ, None, 12_500),
        ("gpt-5.5-2026-04-23", TokenClass.OUTPUT, "batch", 2_000_000_000),
        ("gpt-6-astra", TokenClass.CACHE_WRITE, None, 500_000_000),
    ]
    assert {each.charge for each in said} == {Charge.TOKENS}
    assert {each.who for each in said} == {Who(workspace="proj_a", key="key_1")}
    assert (said[0].product, said[0].amount) == ("gpt-6-astra, input_tokens", "0.06 USD")
    assert (said[3].quantity, said[3].unit, said[3].usage) == ("200000", "tokens", Usage()), "usage tells the counts"


@pytest.mark.parametrize(
    ("item", "unit", "charge"),
    [
        ("web search tool calls", None, Charge.WEB_SEARCH),
        ("code interpreter sessions", None, Charge.CODE_EXECUTION),
        ("file search tool calls", None, Charge.TOOL),
        ("file search storage", "gibibyte_hours", Charge.STORAGE),
        ("sora-3, standard", "duration_seconds", Charge.MEDIA),
        ("gpt-6-astra, dream tokens", "tokens", Charge.OTHER),
        ("Sundry", None, Charge.OTHER),
    ],
)
def test_line_items_without_a_class_of_tokens_are_kept_by_what_they_are_for(
    item: str, unit: str | None, charge: Charge
) -> None:
    (said,) = lines(costs=page(bucket(cost(1, item, quantity_unit=unit))))
    assert (said.charge, said.token_class, said.product, said.unit) == (charge, None, item, unit)
    assert said.model == ("sora-3" if charge is Charge.MEDIA else None)


def test_zero_as_openai_writes_it() -> None:
    body = json.dumps(page(bucket(cost(7)))).replace('"value": 7', '"value": 0E-6176').encode()
    (said,) = ask(SOURCE, lambda path, _: body if "/costs?" in path else answer(path))[0].lines
    assert (said.billed_nanos, said.amount) == (0, "0E-6176 USD")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.decimals(0, 10_000, places=9), min_size=1, max_size=30))
def test_sums_are_exact(amounts: list[Decimal]) -> None:
    body = json.dumps(page(*[bucket(*[cost(at + 100_001) for at in range(len(amounts))])]))
    for at, amount in enumerate(amounts):
        body = body.replace(f'"value": {at + 100_001}', f'"value": {amount:f}')
    said = ask(SOURCE, lambda path, _: body.encode() if "/costs?" in path else answer(path))[0].lines
    assert sum(each.billed_nanos or 0 for each in said) == sum(amounts) * 10**9


def test_input_includes_what_was_cached_and_written() -> None:
    whole = completions(
        input_tokens=100, input_cached_tokens=60, input_cache_write_tokens=30, input_cache_write_30m_tokens=20,
        input_cache_write_12h_tokens=10, input_uncached_tokens=10, input_audio_tokens=4, output_audio_tokens=5, batch=True,
    )  # fmt: skip
    plain, audio = lines(completions=page(bucket(completions(), whole)))
    assert plain.usage == Usage(9000, 41_000, output_tokens=2100)
    assert (plain.requests, plain.billed_nanos, plain.axes) == (12, None, Axes(tier="default"))
    assert (plain.model, plain.product) == ("gpt-5.5", "completions")
    assert plain.who == Who(workspace="proj_a", key="key_1", user="user-1")
    assert audio.usage == Usage(10, 60, None, None, 30, 2100, input_audio_tokens=4, output_audio_tokens=5)
    assert audio.axes == Axes(tier="batch")


@pytest.mark.parametrize(
    ("counts", "usage", "words"),
    [
        ({"input_cached_tokens": None}, Usage(50_000, None, output_tokens=2100), "all count as uncached"),
        ({"input_cached_tokens": None, "input_uncached_tokens": 9000}, Usage(9000, 41_000, output_tokens=2100), ""),
        ({"input_uncached_tokens": 5000}, Usage(9000, 41_000, output_tokens=2100), "Scale Tier"),
    ],
)
def test_classes_that_are_not_all_told(counts: dict, usage: Usage, words: str) -> None:
    said, _ = ask(SOURCE, lambda path, _: answer(path, completions=page(bucket(completions(**counts)))))
    assert said.lines[0].usage == usage
    assert [words in each for each in said.notes] == ([True] if words else [])


def test_everything_else_that_is_counted() -> None:
    def one(kind: str, **fields) -> dict:
        return page(bucket({"object": f"organization.usage.{kind}.result", "project_id": "proj_a", **fields}))

    said = lines(
        embeddings=one("embeddings", input_tokens=70, num_model_requests=7, model="text-embedding-4"),
        moderations=one("moderations", input_tokens=71, num_model_requests=7),
        images=one("images", images=3, num_model_requests=2, model="gpt-image-2"),
        audio_speeches=one("audio_speeches", characters=90, num_model_requests=1),
        audio_transcriptions=one("audio_transcriptions", seconds=61, num_model_requests=1),
        vector_stores=one("vector_stores", usage_bytes=5_000),
        code_interpreter_sessions=one("code_interpreter_sessions", num_sessions=4),
        file_search_calls=one("file_searches", num_requests=6),
        web_search_calls=one("web_searches", num_requests=8, num_model_requests=5, model="gpt-5.5"),
    )
    assert [(each.product, each.charge, each.quantity, each.unit, each.requests) for each in said] == [
        ("embeddings", Charge.TOKENS, None, None, 7),
        ("moderations", Charge.TOKENS, None, None, 7),
        ("images", Charge.MEDIA, "3", "images", 2),
        ("audio_speeches", Charge.MEDIA, "90", "characters", 1),
        ("audio_transcriptions", Charge.MEDIA, "61", "seconds", 1),
        ("vector_stores", Charge.STORAGE, "5000", "bytes", None),
        ("code_interpreter_sessions", Charge.CODE_EXECUTION, "4", "sessions", None),
        ("file_search_calls", Charge.TOOL, "6", "file searches", None),
        ("web_search_calls", Charge.WEB_SEARCH, "8", "searches", None),
    ], "a tool's requests are those of completions, which count them"
    assert said[0].usage == Usage(70, output_tokens=0)


def test_pages_follow_the_cursor_and_the_query_is_the_sdks() -> None:
    days = Span(START, START + 3 * DAY_MS)

    def paged(path: str, _: bytes) -> dict:
        if "/costs?" not in path:
            return page(bucket(), bucket(day=1), bucket(day=2))
        if "page=two" in path:
            return page(bucket(cost(2), day=1))
        return page(bucket(cost(1)), next_page="two")

    said, asked = ask(SOURCE, paged, days)
    assert [each.billed_nanos for each in said.lines] == [10**9, 2 * 10**9]
    assert (said.lines[1].starts_ms, said.lines[1].ends_ms) == (START + DAY_MS, START + 2 * DAY_MS)
    assert said.notes == ("costs: no bucket for 1 days of 2026-11-22 to 2026-11-22: taken as nothing",)
    assert len(asked) == 12, "two pages of costs, one of each of ten kinds of usage"
    query = parse_qsl(urlsplit(asked[1].path).query)
    assert query == [
        ("start_time", "1795132800"), ("end_time", "1795392000"), ("bucket_width", "1d"), ("limit", "180"),
        ("group_by[]", "project_id"), ("group_by[]", "api_key_id"), ("group_by[]", "line_item"), ("page", "two"),
    ]  # fmt: skip


COSTS, USED = json.dumps(page(bucket(cost(1.5)))), json.dumps(page(bucket(completions())))


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("costs", COSTS[:-40], "page 1: line 1 column"),
        ("costs", "", "page 1: line 1 column 1: no JSON"),
        ("costs", "[]", "page 1: no object with a list `data`"),
        ("costs", COSTS.replace('"data"', '"buckets"'), "page 1: 'data' is missing"),
        ("costs", COSTS.replace('"has_more"', '"more"'), "page 1: 'has_more' is missing"),
        ("costs", COSTS.replace("false", "true"), "page 1: there is more, and no next page is named"),
        ("costs", COSTS.replace('"results"', '"result"'), "page 1 data[0]: 'results' is missing"),
        ("costs", COSTS.replace("1795132800", '"today"'), "page 1 data[0]: 'today' is no decimal number"),
        ("costs", COSTS.replace("1795132800", "1795046400"), "page 1 data[0]: its times are not within"),
        ("costs", COSTS.replace('"usd"', '"eur"'), "page 1 data[0] results[0]: currency 'eur': only USD can be read"),
        ("costs", COSTS.replace('"usd"', "null"), "page 1 data[0] results[0]: currency None: only USD can be read"),
        ("costs", COSTS.replace("1.5", "null"), "page 1 data[0] results[0]: None is no decimal number"),
        ("costs", COSTS.replace("1.5", "NaN"), "page 1: NaN is no amount"),
        ("costs", COSTS.replace("1.5", "1e999999999"), "is no amount that a provider writes"),
        ("costs", COSTS.replace("1.5", "99999999999"), "is more than a ledger row holds"),
        ("costs", COSTS.replace('"key_1"', "7"), "page 1 data[0] results[0]: Decimal('7') is no text"),
        (
            "completions",
            USED.replace('"input_tokens"', '"tokens"'),
            "page 2 data[0] results[0]: 'input_tokens' is missing",
        ),
        ("completions", USED.replace("2100", "2100.5"), "is no whole count of zero or more"),
        ("completions", USED.replace("41000", "50001"), "its cached, written and uncached tokens are more than"),
        ("completions", USED.replace('"num_model_requests"', '"requests"'), "'num_model_requests' is missing"),
        ("completions", USED.replace('"batch": false', '"batch": 7'), "Decimal('7') is neither true nor false"),
    ],
)
def test_what_cannot_be_read_names_its_place_and_nothing_is_taken(kind: str, body: str, words: str) -> None:
    assert words in fault(**{kind: body.encode()})


def test_a_page_that_comes_twice_is_a_fault_and_no_endless_run() -> None:
    again = page(bucket(cost(1)), next_page="two")
    assert "page 2: the next page is one that has been read already" in fault(costs=again)

    def twice(path: str, _: bytes) -> object:
        return answer(path, costs=page(bucket(cost(1)), next_page=None if "page=" in path else "two"))

    assert "page 2 data[0]: 2026-11-20 came before: a page has come twice" in refused(SOURCE, twice)


def test_a_page_that_fails_midway_is_asked_for_again(tmp_path: Path) -> None:
    pages = {"costs": page(bucket(cost(1))), "completions": page(bucket(completions()))}
    said = fails_midway(SOURCE, lambda path, _: answer(path, **pages), tmp_path, 2)
    assert len(said.lines) == 2
    assert (said.source, said.provider, said.origin) == ("openai", "openai", "api.openai.com")
    assert (said.from_ms, said.until_ms) == (SPAN.from_ms, SPAN.until_ms)


@pytest.mark.parametrize(("starts_h", "hours"), [(0, 48), (1, 24)], ids=["two days", "over midnight"])
def test_a_bucket_of_more_than_one_utc_day_is_refused(starts_h: int, hours: int) -> None:
    """Days were asked for: which of the two days used what it has is not told."""
    wide = {"start_time": START // 1000 + starts_h * 3600, "end_time": START // 1000 + (starts_h + hours) * 3600}
    said = page(bucket(cost(1.0)) | wide)
    fault = refused(SOURCE, lambda path, _: answer(path, costs=said), Span(START, START + 3 * DAY_MS))
    assert "page 1 data[0]: it is of more than one UTC day" in fault
