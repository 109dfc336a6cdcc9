"""Anthropic's reports before the analytics API: Console answers as documented, Enterprise ones made by the SDK's types."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import pytest
from anthropic.types.beta.organization.beta_analytics_cost_report_time_bucket import BetaAnalyticsCostReportTimeBucket
from anthropic.types.beta.organization.beta_analytics_usage_report_time_bucket import BetaAnalyticsUsageReportTimeBucket

from reconcile.anthropic_pages import asked_of, page
from reconcile.asking import SPAN, START, fails_midway
from reconcile.server import Said, api
from spendgate.errors import StatementError
from spendgate.reconcile.fetching import Way, fetch
from spendgate.reconcile.sources.anthropic_enterprise import REST, AnthropicEnterprise
from spendgate.reconcile.sources.anthropic_legacy import AnthropicLegacy
from spendgate.reconcile.sources.interface import Span
from spendgate.statement import DAY_MS, Axes, Charge, TokenClass, Who
from spendgate.usage import Usage

CONSOLE, ENTERPRISE = AnthropicLegacy(), AnthropicEnterprise()
DAY = {"starting_at": "2026-11-20T00:00:00Z", "ending_at": "2026-11-21T00:00:00Z"}
COST = {
    "workspace_id": None, "description": "Claude Haiku 4.5 Usage - Output Tokens", "amount": "412.5", "currency": "USD",
    "model": "claude-haiku-4-5", "cost_type": "tokens", "token_type": "output_tokens", "context_window": "0-200k",
    "service_tier": "standard", "inference_geo": "us", "speed": None,
}  # fmt: skip
COUNTS = {
    "account_id": None, "api_key_id": "apikey_01X", "workspace_id": "wrkspc_1", "model": "claude-haiku-4-5",
    "service_tier": "priority", "context_window": "0-200k", "inference_geo": "not_available", "speed": None,
    "uncached_input_tokens": 1200, "cache_creation": {"ephemeral_5m_input_tokens": 40, "ephemeral_1h_input_tokens": 7},
    "cache_read_input_tokens": 910_000, "output_tokens": 9100, "server_tool_use": {"web_search_requests": 2},
}  # fmt: skip


def bucket(*results: dict, **more) -> dict:
    return {**DAY, "results": list(results), **more}


def costs(*rows: dict) -> bytes:
    return page(bucket(*rows))


def enterprise(*results: dict) -> dict:
    """A bucket as the SDK has it, and back: what the type does not know is no row."""
    money = "amount" in results[0]
    cls = BetaAnalyticsCostReportTimeBucket if money else BetaAnalyticsUsageReportTimeBucket
    made = json.loads(cls.model_validate(bucket(*results)).model_dump_json(exclude_unset=True))
    assert made["results"] == list(results)
    return made


E_COST = {
    "amount": "41280.000000", "list_amount": "51600.000000", "currency": "USD", "requests": None, "product": "claude_code",
    "model": "claude-opus-5-5", "cost_type": "tokens", "token_type": "cache_creation.ephemeral_1h_input_tokens",
    "context_window": "0-200k", "inference_geo": "global", "speed": "fast",
}  # fmt: skip
E_COUNTS = {
    "product": "claude_code", "model": "claude-opus-5-5", "context_window": "0-200k", "inference_geo": "global",
    "speed": "fast", "requests": 37, "uncached_input_tokens": 1, "cache_read_input_tokens": 2,
    "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}, "output_tokens": 5,
    "server_tool_use": {"web_search_requests": 0},
}  # fmt: skip


def test_console_costs_by_workspace_and_counts_by_key() -> None:
    searches = {**COST, "cost_type": "web_search", "token_type": None, "model": None, "amount": "0.00000005"}
    said, asked = asked_of(CONSOLE, [costs(COST, searches), costs(COUNTS)])
    money, search, counts = said.lines
    assert (money.billed_nanos, money.list_nanos, money.amount) == (4_125_000_000, None, "412.5 cent")
    assert (money.charge, money.token_class, money.usage.known) == (Charge.TOKENS, TokenClass.OUTPUT, False)
    assert (money.who, money.axes) == (Who(workspace=""), Axes("standard", None, "us", "0-200k"))
    assert money.product == "Claude Haiku 4.5 Usage - Output Tokens"
    assert (search.charge, search.billed_nanos) == (Charge.WEB_SEARCH, 0), "0.0000005 cent is half a nano-dollar: even"
    assert counts.usage == Usage(1200, 910_000, 40, 7, None, 9100, web_searches=2)
    assert (counts.who, counts.billed_nanos) == (Who(workspace="wrkspc_1", key="apikey_01X"), None)
    assert any("Priority Tier" in each for each in said.notes)
    assert [each.path.partition("?")[0] for each in asked] == [
        "/v1/organizations/cost_report", "/v1/organizations/usage_report/messages",
    ]  # fmt: skip


def test_console_use_without_a_key_and_a_cost_of_no_known_kind() -> None:
    said, _ = asked_of(
        CONSOLE, [costs({**COST, "cost_type": None, "token_type": None}), costs({**COUNTS, "api_key_id": None})]
    )
    assert [each.charge for each in said.lines] == [Charge.OTHER, Charge.TOKENS]
    assert said.lines[1].who.key == ""


def test_enterprise_buckets_of_the_sdk() -> None:
    said, asked = asked_of(
        ENTERPRISE,
        [page(enterprise(E_COST), data_refreshed_at="2026-11-20T22:00:00Z"), page(enterprise(E_COUNTS))],
    )
    money, counts = said.lines
    assert (money.billed_nanos, money.list_nanos) == (412_800_000_000, 516_000_000_000)
    assert (money.product, money.token_class, money.axes.speed) == ("claude_code", TokenClass.CACHE_WRITE_1H, "fast")
    assert (counts.usage, counts.requests) == (Usage(1, 2, 3, 4, None, 5, web_searches=0), 37)
    assert said.refreshed_ms == START + 22 * 3_600_000
    assert "read:analytics" in ENTERPRISE.title
    assert "bucket_width=1d" in asked[0].path


def ungrouped(**figures) -> dict:
    return {key: None if isinstance(value, str) else value for key, value in E_COST.items()} | {
        "currency": "USD",
        **figures,
    }


def test_of_a_full_bucket_the_day_is_asked_for_whole_and_the_rest_is_a_line() -> None:
    total = page(enterprise(ungrouped(amount="4128100.5", list_amount="5160150.000000")))
    said, asked = asked_of(ENTERPRISE, [page(enterprise(*[E_COST] * 100)), total, page()])
    rest = said.lines[-1]
    assert (len(said.lines), rest.product, rest.model, rest.charge) == (101, REST, None, Charge.OTHER)
    assert (rest.billed_nanos, rest.list_nanos) == (1_005_000_000, 1_500_000_000)
    assert sum(each.billed_nanos for each in said.lines) == 41_281_005_000_000, (
        "the day's total, to the last nano-dollar"
    )
    assert ["group_by" in each.path for each in asked] == [True, False, True]
    assert any("2026-11-20 has groups beyond the largest 100" in each for each in said.notes)


def test_of_a_full_bucket_of_counts_too() -> None:
    many = {**E_COUNTS, "output_tokens": 507, "requests": 3701}
    hundred = page(enterprise(*[E_COUNTS] * 100))
    whole = {
        **many, "uncached_input_tokens": 100, "cache_read_input_tokens": 200, "model": None, "product": None,
        "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 400},
    }  # fmt: skip
    said, _ = asked_of(ENTERPRISE, [page(), hundred, page(enterprise(whole))])
    rest = said.lines[-1]
    assert (rest.usage.output_tokens, rest.usage.input_tokens, rest.requests, rest.product) == (7, 0, 1, REST)


def test_a_full_bucket_that_lacks_nothing_and_one_that_is_not_full() -> None:
    total = page(enterprise(ungrouped(amount="4128000.000000", list_amount="5160000.000000")))
    said, _ = asked_of(ENTERPRISE, [page(enterprise(*[E_COST] * 100)), total, page()])
    assert len(said.lines) == 100
    assert not any("beyond" in each for each in said.notes)
    fewer, asked = asked_of(ENTERPRISE, [page(enterprise(*[E_COST] * 99)), page()])
    assert (len(fewer.lines), len(asked)) == (99, 2)
    less = page(enterprise(ungrouped(amount="4127999.000000", list_amount="5160000.000000")))
    with pytest.raises(StatementError, match="the groups of 2026-11-20: come to more than the day's total"):
        asked_of(ENTERPRISE, [page(enterprise(*[E_COST] * 100)), less, page()])


def test_a_page_of_the_totals_that_comes_twice_counts_no_dollar_twice() -> None:
    total = enterprise(ungrouped(amount="4128100.5", list_amount="5160150.000000"))
    bodies = [page(enterprise(*[E_COST] * 100)), page(total, has_more=True, next_page="two"), page(total), page()]
    with pytest.raises(StatementError, match="2026-11-20: its costs came 2 times; run the command again"):
        asked_of(ENTERPRISE, bodies)


def test_an_empty_organization_is_a_statement_of_nothing() -> None:
    said, _ = asked_of(CONSOLE, [page(bucket()), page()])
    assert (said.lines, said.from_ms, said.until_ms) == ((), START, START + DAY_MS)


def test_pages_follow_cursors_and_long_spans_are_cut() -> None:
    first = page(bucket(COST), has_more=True, next_page="two")
    later = page({**bucket(COST), "starting_at": "2026-11-21T00:00:00Z", "ending_at": "2026-11-22T00:00:00Z"})
    said, asked = asked_of(CONSOLE, [first, later, page()], Span(START, START + 2 * DAY_MS))
    assert len(said.lines) == 2
    assert "page=two" in asked[1].path
    _, asked = asked_of(CONSOLE, [page()] * 4, Span(START - 40 * DAY_MS, START))
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("bodies", "fault"),
    [
        ([costs(COST)[:-9], page()], "page 1: line 1 column"),
        ([b'{"has_more": false}', page()], "page 1: 'data' is missing"),
        ([costs({**COST, "amount": "412,5"}), page()], "page 1 data[0] results[0]: '412,5' is no decimal number"),
        ([costs({**COST, "currency": "EUR"}), page()], "currency 'EUR': only USD can be read"),
        ([costs({**COST, "currency": None}), page()], "currency None: only USD can be read"),
        ([costs({k: v for k, v in COST.items() if k != "workspace_id"}), page()], "'workspace_id' is missing"),
        ([costs({k: v for k, v in COST.items() if k != "cost_type"}), page()], "'cost_type' is missing"),
        ([page(), costs({**COUNTS, "output_tokens": 9100.5})], "page 2 data[0] results[0]: Decimal('9100.5') is no whole count"),
        ([page(), costs({k: v for k, v in COUNTS.items() if k != "output_tokens"})], "'output_tokens' is missing"),
        ([page(), costs({k: v for k, v in COUNTS.items() if k != "api_key_id"})], "'api_key_id' is missing"),
        ([page({**DAY, "results": {}}), page()], "`results` is no list"),
        ([page(bucket(), 7), page()], "page 1 data[1]: Decimal('7') is no object"),
        ([page(bucket(COST), bucket(COST)), page()], "2026-11-20: its costs came 2 times"),
        ([page(bucket(COST), has_more=True, next_page="a"), page(bucket(COST)), page()], "its costs came 2 times"),
        ([page(has_more=True, next_page="a"), page(has_more=True, next_page="a"), page()], "has been read already"),
        ([b"\xff", page()], "page 1: byte 0: not UTF-8"),
        ([page(bucket(COST), has_more=True), page()], "page 1: there is more, and no next page is named"),
        ([page(bucket(COST, starting_at="2026-11-19T00:00:00Z")), page()], "data[0]: its times are not within"),
        ([page(bucket(COST, ending_at="2026-11-19T00:00:00Z")), page()], "data[0]: its times are not within"),
        ([page(bucket(COST, ending_at="2026-11-22T00:00:00Z")), page()], "data[0]: its times are not within"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_names_its_place_and_nothing_is_taken(bodies: list[bytes], fault: str) -> None:
    with pytest.raises(StatementError) as told:
        asked_of(CONSOLE, bodies)
    assert fault in str(told.value)


def test_a_page_that_fails_midway_is_asked_again_and_a_run_goes_on(tmp_path: Path) -> None:
    secret = "sk-ant-admin01-not-for-anybodys-eyes"

    def way(origin: str) -> Way:
        return Way(sleep=lambda _: None, origin=origin, client=lambda: httpx2.Client(timeout=0.5))

    def answer(path: str, _: int) -> Said:
        return Said(costs(COUNTS) if "/usage_report/" in path else costs(COST))

    kept = tmp_path / "kept"
    with (
        api(lambda path, number: Said(status=500) if "/usage_report/" in path else answer(path, number)) as server,
        pytest.raises(StatementError, match="it goes on from page 2"),
    ):
        fetch(CONSOLE, SPAN, secret, kept, way(server.origin))
    with api(lambda path, number: Said(answer(path, 1).body, cut=number == 1)) as server:
        said = fetch(CONSOLE, SPAN, secret, kept, way(server.origin))
        assert [path.partition("?")[0] for path, *_ in server.asked] == ["/v1/organizations/usage_report/messages"] * 2
    assert len(said.lines) == 2
    assert not kept.exists()
    headers = server.asked[0][1]
    assert (headers["x-api-key"], headers["anthropic-beta"]) == (secret, "fast-mode-2026-02-01")


def test_the_account_that_a_person_names_keeps_organizations_apart() -> None:
    span = Span(START, START + DAY_MS, account="acme")
    assert {asked_of(each, [page(), page()], span)[0].subject for each in (CONSOLE, ENTERPRISE)} == {"acme"}


def test_over_http_an_enterprise_run_that_breaks_off_goes_on(tmp_path: Path) -> None:
    full = page(enterprise(*[E_COST] * 100))
    total = page(enterprise(ungrouped(amount="4128001.000000", list_amount="5160000.000000")))

    def answer(path: str, _: bytes) -> bytes:
        return page(enterprise(E_COUNTS)) if "/usage_report?" in path else full if "group_by" in path else total

    said = fails_midway(ENTERPRISE, answer, tmp_path, 2)
    assert [each.product for each in said.lines[-2:]] == [REST, "claude_code"]
