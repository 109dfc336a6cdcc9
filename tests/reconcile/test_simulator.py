"""The simulator by itself: what it injects is what its two books differ by, to the nano-dollar."""

from __future__ import annotations

import ast
from contextlib import closing
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile.simulator.answers import answer
from reconcile.simulator.bill import bills
from reconcile.simulator.causes import ALL, WAYS, mixed, month_with
from reconcile.simulator.filing import file
from reconcile.simulator.month import START_MS, Month, make
from reconcile.simulator.prices import PRICES, SEARCH_NANOS
from reconcile.simulator.traffic import Size
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import EVERY_CALL
from spendgate.ledger.statements import StatementBook
from spendgate.pricing import PriceBook, UnknownPrice, utc
from spendgate.reconcile.result import Cause
from spendgate.statement import DAY_MS, Billed

HERE = Path(__file__).parent / "simulator"
MIDDLING = Size(people=12, days=14, calls=20)
ROUGH = Size(people=3, days=3, calls=6, step=1)

sizes = st.builds(
    Size, people=st.integers(1, 5), days=st.integers(1, 4), calls=st.integers(1, 8), step=st.sampled_from((1, 20)),
    plain=st.booleans(),
)  # fmt: skip
months = st.builds(
    month_with, st.integers(0, 2**32), sizes, st.lists(st.sampled_from([inject for _, inject in ALL]), unique=True)
)
"""Any small month with any causes in it."""


def billed_nanos(month: Month) -> int:
    """All money of its statements."""
    lines = [line for bill in bills(month) for line in bill.statement.lines if line.billed is Billed.METERED]
    return sum(line.billed_nanos or 0 for line in lines)


def test_every_cause_is_injected() -> None:
    assert set(WAYS) == set(Cause)


def test_without_a_cause_both_books_say_the_same() -> None:
    said = answer(make(1, MIDDLING))
    assert said.billed_nanos == said.captured_nanos > 0
    assert said.places == {}


@pytest.mark.parametrize(("cause", "inject"), ALL, ids=[inject.__name__ for _, inject in ALL])
def test_one_cause_is_all_that_differs(cause: Cause, inject: object) -> None:
    """Every way of every cause moves money, its own and no other's."""
    said = answer(month_with(3, MIDDLING, [inject]))
    assert {each for each, _, _ in said.places} == {cause}
    assert sum(abs(parts) for parts in said.places.values()) > 0
    assert said.off_parts == 0


@given(months)
@settings(max_examples=60)
def test_what_is_injected_is_the_gap(month: Month) -> None:
    """Bill less ledger is the sum of the causes, whatever is mixed, also where every call and every line is rounded."""
    said = answer(month)
    assert said.off_parts == 0
    assert said.billed_nanos == billed_nanos(month)


@pytest.mark.heavy
@given(months)
@settings(max_examples=3_000)
def test_what_is_injected_is_the_gap_in_thousands_of_months(month: Month) -> None:
    assert answer(month).off_parts == 0


def test_a_ledger_takes_the_calls_and_a_book_the_bill(tmp_path: Path) -> None:
    """The real ledger holds what the answer says, is sound to the last link, and keeps every statement as it was."""
    month = mixed(5, MIDDLING)
    said, path = answer(month), file(month, tmp_path)
    with StatementBook(path) as book:
        taken = [(bill.statement, book.take(bill.statement, "simulator", month.now_ms)[0]) for bill in bills(month)]
    with closing(Reader(path)) as reader:
        assert not list(reader.verify(None))
        inside = [
            each["cost_nanos"]
            for each in reader.calls(EVERY_CALL)
            if month.from_ms <= _ms(each["started_at"]) < month.until_ms
        ]
        assert sum(inside) == said.captured_nanos
        assert sum(group.calls for group in reader.spend((), EVERY_CALL, ZoneInfo("UTC"))) == sum(
            each.row is not None for each in month.requests
        )
        for statement, one in taken:
            assert reader.statement_lines(one, month.from_ms, month.until_ms) == statement.lines


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def test_the_same_seed_makes_the_same_month() -> None:
    assert mixed(7, ROUGH).requests == mixed(7, ROUGH).requests
    assert bills(mixed(7, ROUGH)) == bills(mixed(7, ROUGH))
    assert mixed(8, ROUGH).requests != mixed(7, ROUGH).requests


def test_a_revision_is_an_earlier_version_of_one_bill() -> None:
    """Two statements of one source and span: what lies between them is what was revised."""
    month = month_with(3, MIDDLING, [inject for cause, inject in ALL if cause is Cause.REVISION])
    revised = [bill for bill in bills(month) if bill.earlier is not None]
    assert [bill.provider for bill in revised] == ["anthropic"]
    before, after = revised[0].earlier, revised[0].statement
    assert before is not None
    assert (before.source, before.subject, before.from_ms, before.until_ms) == (
        after.source, after.subject, after.from_ms, after.until_ms,
    )  # fmt: skip
    grew = sum(line.billed_nanos or 0 for line in after.lines) - sum(line.billed_nanos or 0 for line in before.lines)
    said = answer(month)
    assert grew == said.billed_nanos - said.captured_nanos > 0


def test_the_days_of_a_line_are_whole_and_inside() -> None:
    month = mixed(5, MIDDLING)
    for bill in bills(month):
        for line in bill.statement.lines:
            assert month.from_ms <= line.starts_ms < line.ends_ms <= month.until_ms
            assert line.ends_ms - line.starts_ms in (1, DAY_MS)
            assert line.provider == bill.provider


@pytest.mark.parametrize(
    ("provider", "model"), [key for key in PRICES if key[0] in ("anthropic", "openai", "openrouter")]
)
def test_its_prices_are_those_of_the_public_list(provider: str, model: str) -> None:
    """Written down by hand, and on every day what a gate would have charged by: else the ledger's book would be no gate's."""
    price, book = PRICES[provider, model], PriceBook()
    for day in range(31):
        found = book.units(provider, model, 1_000, at=utc(START_MS + day * DAY_MS))
        if (provider, model) == ("anthropic", "claude-unheard-of-7"):
            assert isinstance(found, UnknownPrice)
            continue
        assert not isinstance(found, UnknownPrice)
        assert (price.input, price.cache_read, price.output) == (
            found["input_tokens"], found["cache_read_tokens"], found["output_tokens"],
        )  # fmt: skip
        if provider == "anthropic":
            assert (price.write_5m, price.write_1h) == (found["cache_write_5m_tokens"], found["cache_write_1h_tokens"])
            assert found["web_searches"] == SEARCH_NANOS


def test_it_knows_nothing_of_the_explainer() -> None:
    """It imports nouns, the words of the taxonomy, the ledger's writing side and its trail's, and nothing else of the product."""
    allowed = {
        "spendgate.statement", "spendgate.usage", "spendgate.money", "spendgate.audit_words", "spendgate.reconcile.result",
        "spendgate.ledger", "spendgate.ledger.audit_log", "spendgate.ledger.interface", "spendgate.redirect.lapses",
    }  # fmt: skip
    found = {
        node.module
        for path in HERE.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("spendgate")
    }
    assert found <= allowed


@pytest.mark.heavy
def test_a_month_of_forty_people(tmp_path: Path) -> None:
    """Eighty thousand calls with everything in them."""
    month = mixed(1, Size())
    said, path = answer(month), file(month, tmp_path)
    assert said.off_parts == 0
    with closing(Reader(path)) as reader:
        assert not list(reader.verify(None))
        assert sum(group.calls for group in reader.spend((), EVERY_CALL, ZoneInfo("UTC"))) > 70_000
