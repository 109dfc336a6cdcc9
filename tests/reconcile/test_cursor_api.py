"""Cursor's Admin API: events as its documentation shows them, with invented values; who pays is told by the kind alone."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.asking import SPAN, START, ask, fails_midway, refused
from spendgate.reconcile.sources.cursor_api import Cursor
from spendgate.reconcile.sources.cursor_lines import billed_by, cents
from spendgate.reconcile.sources.interface import Span
from spendgate.statement import DAY_MS, Axes, Billed, Charge, Line, Who
from spendgate.usage import NO_USAGE, Usage

SOURCE = Cursor()


def event(**more) -> dict:
    """With the fields that the documentation shows."""
    tokens = {
        "inputTokens": 126,
        "outputTokens": 450,
        "cacheWriteTokens": 6112,
        "cacheReadTokens": 11_964,
        "totalCents": 20.5,
    }
    return {
        "timestamp": str(START + 123), "userEmail": "a@example.com", "model": "claude-4.5-sonnet", "kind": "Usage-based",
        "maxMode": False, "requestsCosts": 5, "isTokenBasedCall": True, "isChargeable": True, "isHeadless": False,
        "tokenUsage": tokens, "chargedCents": 21.75, "cursorTokenFee": 1.25, "isFreeBugbot": False, **more,
    }  # fmt: skip


def page(*events: dict, total: int | None = None, more: bool = False) -> dict:
    turning = {"numPages": 1, "currentPage": 1, "pageSize": 500, "hasNextPage": more, "hasPreviousPage": False}
    return {
        "totalUsageEventsCount": len(events) if total is None else total, "pagination": turning,
        "usageEvents": list(events), "period": {"startDate": START, "endDate": START + DAY_MS},
    }  # fmt: skip


def member(number: int, spent: int) -> dict:
    return {
        "userId": number, "spendCents": spent, "overallSpendCents": spent + 7, "fastPremiumRequests": 3, "name": "A",
        "email": "a@example.com", "role": "member", "hardLimitOverrideDollars": 0, "monthlyLimitDollars": None,
    }  # fmt: skip


def spend(*members: dict, since: int = START, pages: int = 1) -> dict:
    said = {"teamMemberSpend": list(members), "subscriptionCycleStart": since, "totalMembers": 9, "totalPages": pages}
    return {**said, "nextPage": None}


def answer(*pages: object, spends: tuple[object, ...] = (spend(),)):
    """By kind and number of page; further spans have no events."""

    def said(path: str, body: bytes) -> object:
        words = json.loads(body)
        if path == "/teams/spend":
            return spends[words["page"] - 1]
        assert path == "/teams/filtered-usage-events"
        return pages[words["page"] - 1] if words["startDate"] == START else page()

    return said


def lines(*events: dict) -> tuple[Line, ...]:
    return ask(SOURCE, answer(page(*events)))[0].lines


def test_the_models_price_and_cursors_fee_are_apart() -> None:
    model, fee = lines(event())
    assert (model.charge, model.billed_nanos, model.list_nanos) == (Charge.TOKENS, 205_000_000, 205_000_000)
    assert model.usage == Usage(126, 11_964, None, None, 6112, 450)
    assert (model.requests, model.billed, model.amount) == (1, Billed.METERED, "21.75 cent")
    assert (model.starts_ms, model.ends_ms, model.who) == (START + 123, START + 124, Who(email="a@example.com"))
    assert (fee.charge, fee.billed_nanos, fee.requests, fee.usage) == (Charge.SERVICE_FEE, 12_500_000, None, NO_USAGE)


def test_a_discount_shows_as_list_and_billed() -> None:
    discounted = {**event()["tokenUsage"], "discountPercentOff": 10}
    model, _ = lines(event(tokenUsage=discounted, chargedCents=19.7))
    assert (model.billed_nanos, model.list_nanos) == (184_500_000, 205_000_000)


@pytest.mark.parametrize(
    ("kind", "billed", "charges"),
    [
        ("Usage-based", Billed.METERED, [205_000_000, 12_500_000]),
        ("USAGE_EVENT_KIND_USAGE_BASED", Billed.METERED, [205_000_000, 12_500_000]),
        ("Included in Business", Billed.INCLUDED, [0]),
        ("USAGE_EVENT_KIND_INCLUDED_IN_ULTRA", Billed.INCLUDED, [0]),
        ("USAGE_EVENT_KIND_CUSTOM_SUBSCRIPTION", Billed.INCLUDED, [0]),
        ("USAGE_EVENT_KIND_FREE_CREDIT", Billed.INCLUDED, [0]),
        ("USAGE_EVENT_KIND_ERRORED_NOT_CHARGED", Billed.NOT_CHARGED, [0]),
        ("Aborted, Not Charged", Billed.NOT_CHARGED, [0]),
        ("USAGE_EVENT_KIND_USER_API_KEY", Billed.ELSEWHERE, [0, 12_500_000]),
    ],
)
def test_the_kind_tells_who_pays_and_the_amounts_beside_it_do_not(
    kind: str, billed: Billed, charges: list[int]
) -> None:
    for chargeable in (True, False):
        said = lines(event(kind=kind, isChargeable=chargeable))
        assert [each.billed_nanos for each in said] == charges
        assert (said[0].billed, said[0].list_nanos) == (billed, 205_000_000)
        assert all(each.billed is Billed.METERED for each in said[1:]), "the fee is Cursor's, with one's own key too"


def test_a_kind_that_came_after_this_was_written_is_metered_and_told() -> None:
    assert billed_by("Dream-based") is None
    said, _ = ask(SOURCE, answer(page(event(kind="Dream-based"))))
    assert said.lines[0].billed is Billed.METERED
    assert "1 events: kind 'Dream-based' is not known: taken as metered" in said.notes


def test_what_runs_without_a_laptop_says_so() -> None:
    assert [each.product for each in lines(event(isHeadless=True, cursorTokenFee=None))] == ["Cloud Agent"]
    (free,) = lines(event(isFreeBugbot=True))
    assert (free.product, free.billed, free.billed_nanos) == ("Bugbot", Billed.INCLUDED, 0)


def test_plans_by_request_have_no_tokens() -> None:
    old = event(kind="Usage-based", isTokenBasedCall=False, requestsCosts=1.4, chargedCents=8, maxMode=True)
    del old["tokenUsage"], old["cursorTokenFee"]
    (said,) = lines(old)
    assert (said.charge, said.quantity, said.unit) == (Charge.REQUESTS, "1.4", "request units")
    assert (said.billed_nanos, said.usage, said.axes) == (80_000_000, NO_USAGE, Axes(context="max"))


def test_writes_that_are_not_told_are_not_zero() -> None:
    tokens = {"inputTokens": 8263, "outputTokens": 1612, "cacheReadTokens": 66_964, "totalCents": 3}
    assert lines(event(tokenUsage=tokens))[0].usage == Usage(8263, 66_964, output_tokens=1612)


def test_floats_of_seven_digits_are_read_as_such() -> None:
    (said,) = lines(
        event(
            chargedCents=26.29999923706055,
            cursorTokenFee=0,
            tokenUsage={**event()["tokenUsage"], "totalCents": 20.18232},
        )
    )
    assert (said.billed_nanos, said.list_nanos) == (263_000_000, 201_823_000)
    assert said.amount == "26.29999923706055 cent"


@given(st.integers(0, 9_999_999), st.integers(0, 9_999_999))
def test_a_charge_is_its_price_and_its_fee_exactly(of_model: int, fee: int) -> None:
    whole = Decimal(of_model + fee) / 10_000
    body = json.dumps(page(event(chargedCents="CHARGE", cursorTokenFee="FEE")))
    body = body.replace('"CHARGE"', f"{whole}").replace('"FEE"', f"{Decimal(fee) / 10_000}")
    said, _ = ask(SOURCE, answer(body.encode()))
    assert sum(each.billed_nanos or 0 for each in said.lines) == whole * 10_000_000
    assert [each.billed_nanos for each in said.lines] == [of_model * 1000, fee * 1000][: 2 if fee else 1]
    assert cents(whole) == whole


def test_a_fee_above_its_charge_is_told() -> None:
    said, _ = ask(SOURCE, answer(page(event(chargedCents=1))))
    assert [each.billed_nanos for each in said.lines] == [0, 10_000_000]
    assert "1 events: the fee is more than the charge: the charge is the fee" in said.notes


def test_pages_and_spans_of_thirty_days() -> None:
    pages = page(event(), total=2, more=True), page(event(timestamp=str(START + 9)), total=2)
    said, asked = ask(SOURCE, answer(*pages), Span(START, START + 40 * DAY_MS))
    assert [each.starts_ms - START for each in said.lines] == [123, 123, 9, 9]
    first = {"startDate": START, "endDate": START + 30 * DAY_MS}
    second = {"startDate": START + 30 * DAY_MS, "endDate": START + 40 * DAY_MS}
    assert [(each.method, each.path, json.loads(each.body)) for each in asked] == [
        ("POST", "/teams/filtered-usage-events", {**first, "page": 1, "pageSize": 500}),
        ("POST", "/teams/filtered-usage-events", {**first, "page": 2, "pageSize": 500}),
        ("POST", "/teams/filtered-usage-events", {**second, "page": 1, "pageSize": 500}),
        ("POST", "/teams/spend", {"page": 1, "pageSize": 500}),
    ]


def test_what_is_exactly_on_the_end_is_the_next_spans() -> None:
    assert lines(event(timestamp=str(START + DAY_MS))) == ()


def test_the_cycles_spend_is_told_beside_the_events() -> None:
    two = (spend(member(1, 20), pages=2), spend(member(2, 3), pages=2))
    said, _ = ask(SOURCE, answer(page(event()), spends=two))
    assert said.notes == (
        "Cursor counts $0.23 on demand since 2026-11-20, its events up to 2026-11-20 come to $0.2175",
    )
    late = spend(member(1, 20), since=START - DAY_MS)
    said, _ = ask(SOURCE, answer(page(event()), spends=(late,)))
    assert "the events begin later and cannot be compared with it" in said.notes[0]


WHOLE = json.dumps(page(event()))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (WHOLE[:-50], "page 1: line 1 column"),
        (WHOLE.replace('"usageEvents"', '"usageEventsDisplay"'), "page 1: 'usageEvents' is missing"),
        (
            WHOLE.replace('"totalUsageEventsCount": 1', '"totalUsageEventsCount": 2'),
            "1 events came of 2 that there are",
        ),
        (WHOLE.replace('"hasNextPage"', '"next"'), "page 1: 'hasNextPage' is missing"),
        (WHOLE.replace('"hasNextPage": false', '"hasNextPage": 3'), "page 1: Decimal('3') is neither true nor false"),
        (WHOLE.replace('"kind"', '"sort"'), "page 1 usageEvents[0]: 'kind' is missing"),
        (WHOLE.replace('"chargedCents"', '"cents"'), "page 1 usageEvents[0]: 'chargedCents' is missing"),
        (WHOLE.replace("21.75", '"$21.75"'), "page 1 usageEvents[0]: '$21.75' is no decimal number"),
        (WHOLE.replace("21.75", "Infinity"), "page 1: Infinity is no amount"),
        (WHOLE.replace("6112", "6112.5"), "is no whole count of zero or more"),
        (WHOLE.replace("6112", "-1"), "is no whole count of zero or more"),
        (WHOLE.replace('"inputTokens"', '"tokens"'), "page 1 usageEvents[0]: 'inputTokens' is missing"),
        (WHOLE.replace(str(START + 123), str(START - 1)), "its time is not within what was asked for"),
        (WHOLE.replace(str(START + 123), "2026-11-20T00:00:00Z"), "'2026-11-20T00:00:00Z' is no decimal number"),
        (WHOLE.replace('"a@example.com"', "7"), "page 1 usageEvents[0]: Decimal('7') is no text"),
        ("[1]", "page 1: no object with a list `usageEvents`"),
        ('{"usageEvents": [1], "totalUsageEventsCount": 1}', "page 1 usageEvents[0]: Decimal('1') is no object"),
    ],
)
def test_what_cannot_be_read_names_its_place_and_nothing_is_taken(body: str, words: str) -> None:
    assert words in refused(SOURCE, answer(body.encode()))


def test_pages_that_come_twice_or_change_are_faults_and_no_endless_run() -> None:
    again = page(event(), total=2, more=True)
    assert "page 2: it is a page that has been read already" in refused(SOURCE, answer(again, again))
    other = page(event(timestamp=str(START + 9)), total=3)
    assert "page 2: the count of events changed while they were read" in refused(SOURCE, answer(again, other))
    assert "1 events came of 2 that there are" in refused(SOURCE, answer(page(event(), total=2)))
    twice = (spend(member(1, 20), pages=2), spend(member(1, 20), pages=2))
    assert "teamMemberSpend[0]: this member came before" in refused(SOURCE, answer(page(), spends=twice))


def test_no_events_at_all() -> None:
    said, _ = ask(SOURCE, answer(page()))
    assert (said.lines, said.from_ms, said.until_ms) == ((), SPAN.from_ms, SPAN.until_ms)


def test_a_page_that_fails_midway_is_asked_for_again(tmp_path: Path) -> None:
    pages = page(event(), total=2, more=True), page(event(timestamp=str(START + 9)), total=2)
    assert len(fails_midway(SOURCE, answer(*pages), tmp_path, 2).lines) == 4


def test_the_key_is_the_user_of_basic_authentication() -> None:
    assert base64.b64decode(SOURCE.headers("key_x")["authorization"].removeprefix("Basic ")) == b"key_x:"
