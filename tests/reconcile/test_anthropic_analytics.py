"""Anthropic's analytics: pages made by the vendor's own SDK types, read into lines; malformed ones name their place."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from anthropic.types.beta.organization.analytics.beta_analytics_cost_item import BetaAnalyticsCostItem
from anthropic.types.beta.organization.analytics.beta_analytics_usage_item import BetaAnalyticsUsageItem

from spendgate.errors import StatementError
from spendgate.reconcile.sources.anthropic_analytics import AnthropicAnalytics
from spendgate.reconcile.sources.interface import Page, Request, Span
from spendgate.statement import Axes, Charge, Statement, TokenClass, Who
from spendgate.usage import Usage

DAY = datetime(2026, 11, 20, tzinfo=UTC)
START = int(DAY.timestamp() * 1000)
SPAN = Span(START, START + 86_400_000)
SOURCE = AnthropicAnalytics()


def item(group: dict, **figures) -> dict:
    """A row as the SDK has it, and back: what the type does not know is no row."""
    cls = BetaAnalyticsCostItem if "cost" in figures else BetaAnalyticsUsageItem
    whole = {"starting_at": "2026-11-20T00:00:00Z", "ending_at": "2026-11-21T00:00:00Z", "group": group, **figures}
    made = json.loads(cls.model_validate(whole).model_dump_json(exclude_unset=True))
    assert made.keys() == whole.keys()
    return made


GROUP = {
    "api_key_id": "apikey_01X", "model": "claude-opus-5-5", "product": "claude_code", "service_tier": "standard",
    "speed": "standard",
}  # fmt: skip


def cost(amount: str, group: dict = GROUP, **more) -> dict:
    return item(
        group, cost={"amount": amount, "list_amount": "205.000000", "currency": "USD", "requests": None, **more}
    )


def usage(group: dict = GROUP, **more) -> dict:
    counts = {
        "uncached_input_tokens": 1200, "cache_read_input_tokens": 910_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 40_000, "ephemeral_1h_input_tokens": 7},
        "output_tokens": 9100, "total_tokens": 960_307, "requests": 37, "server_tool_use": {"web_search_requests": 2},
    }  # fmt: skip
    return item(group, usage={**counts, **more})


def page(*data: dict, **more) -> bytes:
    return json.dumps({"data": data, "has_more": False, "next_page": None, **more}).encode()


def read(bodies: Iterable[bytes], span: Span = SPAN) -> tuple[Statement, list[Request]]:
    """What the source makes of these answers, and what it asked."""
    asking, asked = SOURCE.ask(span), []
    try:
        asked.append(next(asking))
        for number, body in enumerate(bodies, 1):
            asked.append(asking.send(Page(number, body)))
    except StopIteration as done:
        return done.value, asked
    raise AssertionError("it wants more pages than there are")


def test_costs_and_counts_of_the_same_groups() -> None:
    costs = page(
        cost(
            "184.250000",
            group={**GROUP, "cost_type": "tokens", "token_type": "cache_creation.ephemeral_5m_input_tokens"},
        ),
        cost("1.0000005", group={**GROUP, "api_key_id": None, "cost_type": "web_search", "token_type": None}),
        data_refreshed_at="2026-11-21T22:00:00Z",
    )
    said, asked = read([costs, page(usage(), data_refreshed_at="2026-11-21T21:00:00Z")])
    money, search, counts = said.lines
    assert (money.billed_nanos, money.list_nanos, money.amount) == (1_842_500_000, 2_050_000_000, "184.250000 cent")
    assert (money.charge, money.token_class) == (Charge.TOKENS, TokenClass.CACHE_WRITE_5M)
    assert (money.who, money.axes) == (Who(key="apikey_01X"), Axes(tier="standard", speed="standard"))
    assert (search.charge, search.who.key, search.billed_nanos) == (Charge.WEB_SEARCH, "", 10_000_005)
    assert counts.usage == Usage(1200, 910_000, 40_000, 7, None, 9100, web_searches=2)
    assert (counts.requests, counts.billed_nanos) == (37, None)
    assert said.refreshed_ms == START + 45 * 3_600_000, "as far as its stalest page"
    assert [each.path.partition("?")[0] for each in asked] == [
        "/v1/organizations/analytics/cost", "/v1/organizations/analytics/usage",
    ]  # fmt: skip


def test_pages_follow_the_cursor_and_long_spans_are_cut() -> None:
    first = page(cost("1.00"), has_more=True, next_page="two")
    said, asked = read([first, page(cost("2.00")), page(usage())])
    assert [each.billed_nanos for each in said.lines] == [10_000_000, 20_000_000, None]
    assert "page=two" in asked[1].path
    long = Span(START - 40 * 86_400_000, START)
    _, asked = read([page()] * 4, span=long)
    assert len(asked) == 4, "thirty-one days, and the rest, of each"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (page(cost("1.00"))[:-9], "page 1: line 1 column"),
        (b'{"has_more": false}', "page 1: 'data' is missing"),
        (page(cost("1.00")).replace(b'"1.00"', b'"1,00"'), "page 1 data[0]: '1,00' is no decimal number"),
        (page(cost("1.00")).replace(b'"USD"', b'"EUR"'), "page 1 data[0]: currency 'EUR': only USD can be read"),
        (page(cost("1.00")).replace(b'"api_key_id"', b'"key"'), "page 1 data[0]: 'api_key_id' is missing"),
        (page(usage(output_tokens=9101)), "page 1 data[0]: its classes do not add up to total_tokens 960307"),
        (page(usage()).replace(b"1200", b"1200.5"), "is no whole count of zero or more"),
        (page(usage()).replace(b"1200", b"-1200"), "is no whole count of zero or more"),
        (page(usage()).replace(b"1200", b"NaN"), "page 1: NaN is no amount"),
        (page(cost("1e999999999")), "is no amount that a provider writes"),
        (page(cost("Infinity")), "'Infinity' is no decimal number"),
        (b"[" * 100_000, "page 1"),
        (page({**cost("1.00"), "usage": usage()["usage"]}), "page 1 data[0]: neither `cost` nor `usage`, or both"),
        (b"\xff", "page 1: byte 0: not UTF-8"),
        (page(cost("1.00"), has_more=True), "page 1: there is more, and no next page is named"),
        (page({**cost("1.00"), "starting_at": "2026-11-19T00:00:00Z"}), "data[0]: its times are not within"),
        (page({**cost("1.00"), "ending_at": "2026-11-19T00:00:00Z"}), "data[0]: its times are not within"),
        (page(cost("1_000")), "page 1 data[0]: '1_000' is no decimal number"),
        (page(cost("\u0661\u0662")), "is no decimal number"),
        (page(usage()).replace(b"1200", b'"\\uff11\\uff12"'), "is no decimal number"),
    ],
)
def test_what_cannot_be_read_names_its_place_and_nothing_is_taken(body: bytes, fault: str) -> None:
    with pytest.raises(StatementError) as told:
        read([body, page()])
    assert fault in str(told.value)
    assert str(told.value).startswith("api.anthropic.com: ")


def test_a_page_that_comes_again_is_a_fault_and_no_endless_run() -> None:
    again = page(cost("1.00"), has_more=True, next_page="two")
    with pytest.raises(StatementError, match="the next page is one that has been read already"):
        read([again, again, page()])


def test_what_came_after_this_was_written_is_kept_and_compared_with_nothing() -> None:
    new = page(
        cost("1.00", group={**GROUP, "cost_type": "tokens", "token_type": "output_tokens"}),
        cost("2.00", group={**GROUP, "cost_type": "web_search", "token_type": None}),
    )
    new = new.replace(b'"output_tokens"', b'"dream_tokens"').replace(b'"web_search"', b'"teleport"')
    said, _ = read([new, page()])
    assert [(each.charge, each.unit, each.billed_nanos) for each in said.lines] == [
        (Charge.OTHER, "dream_tokens", 10_000_000), (Charge.OTHER, "teleport", 20_000_000),
    ]  # fmt: skip


def test_a_row_of_several_days_is_no_day() -> None:
    week = {**cost("1.00"), "ending_at": "2026-11-22T00:00:00Z"}
    with pytest.raises(StatementError, match=r"data\[0\]: it is of more than a day, and days were asked for"):
        read([page(week), page()], Span(START, START + 2 * 86_400_000))


def test_every_fault_is_told_at_once() -> None:
    body = page(cost("a"), cost("1.00"), cost("b"))
    with pytest.raises(StatementError) as told:
        read([body, page(usage(total_tokens=1))])
    assert len(told.value.faults) == 3


def test_a_row_that_comes_again_under_another_cursor_is_a_fault() -> None:
    """The server moved its pages while they were read: no dollar is taken in twice."""
    with pytest.raises(StatementError, match=r"page 2 data\[0\]: this row came before"):
        read([page(cost("184.25"), has_more=True, next_page="b"), page(cost("184.25")), page()])
