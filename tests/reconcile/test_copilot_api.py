"""GitHub Copilot's AI credits: items as the documentation shows them, with invented values, divided among people."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile.asking import START, ask, fails_midway, refused
from reconcile.server import Said, api
from spendgate.errors import StatementError
from spendgate.reconcile.fetching import Way, fetch
from spendgate.reconcile.sources.copilot_api import Copilot
from spendgate.reconcile.sources.interface import Span
from spendgate.statement import DAY_MS, Charge, Line, Who

SOURCE = Copilot()
SPAN = Span(START, START + DAY_MS, "acme")


def item(
    used: float, covered: float, model: str = "Claude Sonnet 4.6", sku: str = "Copilot AI Credits", **more
) -> dict:
    """So many credits, of which the pool covers so many."""
    return {
        "product": "Copilot", "sku": sku, "model": model, "unitType": "ai-credits", "pricePerUnit": 0.01,
        "grossQuantity": used, "grossAmount": round(used / 100, 9), "discountQuantity": covered,
        "discountAmount": round(covered / 100, 9), "netQuantity": used - covered,
        "netAmount": round((used - covered) / 100, 9), **more,
    }  # fmt: skip


def seats(*logins: str | None, total: int | None = None) -> dict:
    some = [{"created_at": "2026-01-01T00:00:00Z", "assignee": login and {"login": login, "id": 1}} for login in logins]
    return {"total_seats": len(some) if total is None else total, "seats": some}


def answer(people: dict[str | None, list[dict]], *pages: dict) -> Callable[[str, bytes], object]:
    """By person (None: the whole) the items of the first day; other days are empty."""
    lists = pages or (seats(*(each for each in people if each is not None)),)

    def said(path: str, _: bytes) -> object:
        url = urlsplit(path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path.endswith("/copilot/billing/seats"):
            return lists[int(asked["page"]) - 1]
        day = datetime(int(asked["year"]), int(asked["month"]), int(asked["day"]), tzinfo=UTC)
        first = day.timestamp() * 1000 == START
        period = {"year": day.year, "month": day.month, "day": day.day}
        items = people.get(asked.get("user")) or [] if first else []
        return {"timePeriod": period, "organization": "acme", "usageItems": items}

    return said


def lines(people: dict[str | None, list[dict]], *pages: dict) -> tuple[Line, ...]:
    return ask(SOURCE, answer(people, *pages), SPAN)[0].lines


def test_gross_is_what_was_used_and_the_pool_is_a_credit() -> None:
    used, pool = lines({None: [item(176.97417, 175.3533)], "ann": [item(176.97417, 175.3533)]})
    assert (used.charge, used.billed_nanos, used.list_nanos) == (Charge.TOKENS, 1_769_741_700, 1_769_741_700)
    assert (pool.charge, pool.billed_nanos) == (Charge.CREDIT, -1_753_533_000)
    assert (used.quantity, used.unit, used.model) == ("176.97417", "ai-credits", "Claude Sonnet 4.6")
    assert used.who == pool.who == Who("acme", user="ann")
    assert (used.starts_ms, used.ends_ms, used.provider) == (START, START + DAY_MS, "github-copilot")
    assert used.amount == "1.7697417 USD"


def test_what_no_person_has_is_nobodys() -> None:
    said = lines({None: [item(100, 0), item(7, 7, "GPT-6")], "ann": [item(30, 0)], "bob": [item(50, 0)]})
    assert [(each.who.user, each.model, each.billed_nanos, each.quantity) for each in said] == [
        ("ann", "Claude Sonnet 4.6", 300_000_000, "30"),
        ("bob", "Claude Sonnet 4.6", 500_000_000, "50"),
        (None, "Claude Sonnet 4.6", 200_000_000, "20"),
        (None, "GPT-6", 70_000_000, "7"),
        (None, "GPT-6", -70_000_000, None),
    ]


def test_people_are_asked_for_only_while_something_is_left() -> None:
    people = {None: [item(100, 0)], "ann": [item(100, 0)], "bob": []}
    _, asked = ask(SOURCE, answer(people), Span(START, START + 2 * DAY_MS, "acme"))
    assert [each.path for each in asked] == [
        "/orgs/acme/copilot/billing/seats?per_page=100&page=1",
        "/organizations/acme/settings/billing/ai_credit/usage?year=2026&month=11&day=20",
        "/organizations/acme/settings/billing/ai_credit/usage?year=2026&month=11&day=20&user=ann",
        "/organizations/acme/settings/billing/ai_credit/usage?year=2026&month=11&day=21",
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), max_size=5), st.integers(0, 10**9))
def test_the_days_lines_sum_to_its_net_exactly(parts: list[tuple[int, int]], rest: int) -> None:
    """In millionths of a credit, as far as floats carry them."""
    shares = {f"p{at}": (used / 1e6, min(used, pool) / 1e6) for at, (used, pool) in enumerate(parts)}
    whole = [sum(used for used, _ in shares.values()) + rest / 1e6, sum(pool for _, pool in shares.values())]
    said = lines({None: [item(*whole)], **{name: [item(*share)] for name, share in shares.items()}})
    assert sum(each.billed_nanos or 0 for each in said) == round((whole[0] - whole[1]) / 100 * 10**9)


def test_what_never_ran_on_a_laptop_says_so() -> None:
    items = [
        item(1, 0, "Copilot Coding Agent: Claude Sonnet 4.6", "coding_agent_ai_credit"),
        item(1, 0, "Code Review model"),
        item(1, 0, "GPT-6", "spark_ai_credit"),
        item(1, 0, "Auto: GPT-5.4", "copilot_ai_credit"),
    ]
    assert [(each.product, each.model) for each in lines({None: items})] == [
        ("Copilot Coding Agent", "Claude Sonnet 4.6"),
        ("Copilot Code Review", None),
        ("Spark", "GPT-6"),
        ("copilot_ai_credit", "GPT-5.4"),
    ]


def test_seats_and_units_that_are_no_credits() -> None:
    said = lines({None: [item(3, 0, sku="copilot_for_business", unitType="user-months"), item(4, 0, unitType="moons")]})
    assert [(each.charge, each.unit) for each in said] == [(Charge.SEAT, "user-months"), (Charge.OTHER, "moons")]


def test_pages_of_seats() -> None:
    people = {None: [item(6, 0)], "ann": [item(1, 0)], "bob": [item(2, 0)], "cid": [item(3, 0)]}
    said = lines(people, seats("ann", "bob", None, total=5), seats("bob", "cid", total=5))
    assert [each.who.user for each in said] == ["ann", "bob", "cid"], "a seat of two organizations is one person"
    assert "page 2: 3 seats came of 5 that there are" in refused(
        SOURCE, answer(people, seats("ann", "bob", None, total=5), seats(total=5)), SPAN
    )


def test_an_enterprise_has_paths_of_its_own_and_a_note() -> None:
    said, asked = ask(SOURCE, answer({None: []}), Span(START, START + DAY_MS, "enterprises/big"))
    assert [each.path.split("?")[0] for each in asked] == [
        "/enterprises/big/copilot/billing/seats", "/enterprises/big/settings/billing/ai_credit/usage",
    ]  # fmt: skip
    assert (said.subject, said.lines) == ("enterprises/big", ())
    assert "cost centers" in said.notes[0]


@pytest.mark.parametrize("account", ["", "a/b", "enterprises/", "acme?user=x", "../acme"])
def test_an_account_must_be_named(account: str) -> None:
    with pytest.raises(StatementError, match="names no organization: write --account ORG or enterprises/NAME"):
        ask(SOURCE, answer({}), Span(START, START + DAY_MS, account))


def body(**more) -> str:
    whole = {"timePeriod": {"year": 2026, "month": 11, "day": 20}, "usageItems": [item(12.5, 2.5)], **more}
    return json.dumps(whole)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (body()[:-30], "page 2: line 1 column"),
        (body().replace('"usageItems"', '"items"'), "page 2: 'usageItems' is missing"),
        (body().replace('"timePeriod"', '"period"'), "page 2: 'timePeriod' is missing"),
        (body(timePeriod={"year": 2026, "month": 11}), "page 2: 'day' is missing"),
        (body(timePeriod={"year": 2026, "month": 11, "day": 19}), "page 2: it is about another day"),
        (
            body(usageItems=[item(1, 0), item(1, 0)]),
            "page 2 usageItems[1]: this product, SKU, model and price came before",
        ),
        (body(usageItems=[7]), "page 2 usageItems[0]: Decimal('7') is no object"),
        (body().replace('"netAmount": 0.1', '"netAmount": 0.2'), "is not net Decimal('0.2')"),
        (body().replace('"grossAmount"', '"amount"'), "page 2 usageItems[0]: 'grossAmount' is missing"),
        (body().replace("12.5", '"12,5"'), "page 2 usageItems[0]: '12,5' is no decimal number"),
        (body().replace('"Copilot"', "1"), "page 2 usageItems[0]: Decimal('1') is no text"),
    ],
)
def test_what_cannot_be_read_names_its_place_and_nothing_is_taken(text: str, words: str) -> None:
    def said(path: str, _: bytes) -> object:
        return seats("ann") if "/seats" in path else text.encode()

    assert words in refused(SOURCE, said, SPAN)


def test_people_who_come_to_more_than_the_whole() -> None:
    revised = {None: [item(10, 0)], "ann": [item(12, 0)]}
    assert "page 3: people come to more than the whole: it was revised meanwhile" in refused(
        SOURCE, answer(revised), SPAN
    )
    other = {None: [item(10, 0)], "ann": [item(1, 0, "GPT-6")]}
    assert "page 3: a person has what the whole does not have" in refused(SOURCE, answer(other), SPAN)


def test_a_page_that_fails_midway_is_asked_for_again(tmp_path: Path) -> None:
    people = {None: [item(3, 0)], "ann": [item(1, 0)], "bob": [item(2, 0)]}
    assert len(fails_midway(SOURCE, answer(people), tmp_path, 3, SPAN).lines) == 2


def test_githubs_word_for_haste_is_waited_out(tmp_path: Path) -> None:
    """A 403 with Retry-After is its secondary limit; without, the token may not read this."""
    slept: list[float] = []
    whole = answer({None: []})

    def said(path: str, number: int) -> Said:
        hasty = number == 1
        return Said(status=403, headers={"retry-after": "9"}) if hasty else Said(json.dumps(whole(path, b"")).encode())

    with api(said) as server:
        way = Way(sleep=slept.append, origin=server.origin, client=lambda: httpx2.Client(timeout=5))
        assert fetch(SOURCE, SPAN, "token", tmp_path / "kept", way).lines == ()
        headers = server.asked[0][1]
    assert slept == [9.0, 0.8]
    assert (headers["authorization"], headers["x-github-api-version"]) == ("Bearer token", "2026-03-10")
