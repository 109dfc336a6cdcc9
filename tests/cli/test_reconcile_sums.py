"""An invoice without days: its one sum beside the calls of all its days, in every form of the report."""

from __future__ import annotations

import csv
import io
import json
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from cli.kit_months import (
    APART,
    DAYS,
    FIRST,
    LAST,
    MONTH,
    SUM,
    WHOLE,
    called,
    day,
    dollars,
    month_of_calls,
    report,
    typed,
    used,
)  # fmt: skip
from reconcile.taught import TODAY_MS
from spendgate.config.paths import State
from spendgate.errors import StateError
from spendgate.ledger import Ledger
from spendgate.ledger.queries import Reader
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.statement import DAY_MS


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> State:
    return month_of_calls(tmp_path)


def test_a_months_sum_is_compared_with_the_months_calls(place: State) -> None:
    """The gap has no cause, and the report says that one sum tells none."""
    typed(place, SUM)
    said, status = report(place)

    assert dollars(said) == WHOLE
    assert said["causes"] == []
    (provider,) = said["coverage"]["providers"]
    assert (provider["name"], round(provider["ratio"], 2)) == ("anthropic", 0.93)
    (row,) = said["days"]
    assert (row["day"], row["until"], row["state"]) == (day(FIRST), day(LAST + DAY_MS), "final")
    assert (
        f"anthropic: $310.25 is one sum of {day(FIRST)} through {day(LAST)}, compared with the calls of all these days at once;"
        " it tells no cause: neither quantity and price nor which day can be told apart"
    ) in said["notes"]
    assert not any(" not compared" in note for note in said["notes"])
    assert not any(note.startswith("grain: ") for note in said["notes"])
    assert (said["tolerance"]["compared"], status) == (True, 1)
    assert said["tolerance"]["unexplained_by_key_nanos"] == said["unexplained_nanos"]


@pytest.mark.parametrize(("tolerance", "status"), [("7%", 0), ("6%", 1), ("$20.25", 0), ("$20.24", 1)])
def test_the_tolerance_is_judged_on_the_months_gap(place: State, tolerance: str, status: int) -> None:
    typed(place, SUM)
    assert report(place, "--tolerance", tolerance)[1] == status


def test_a_month_that_agrees_passes(place: State) -> None:
    typed(place, "  - {for: tokens, amount: $290}\n")
    said, status = report(place)
    assert (said["totals"]["gap_nanos"], status) == (0, 0)


def test_charges_of_one_period_are_compared_together(place: State) -> None:
    """Whatever they name: a model, a key, a person; and two accounts of one provider."""
    typed(place, "  - {for: tokens, amount: $200, model: claude-opus-4-5, key: apikey_1}\n"
                 "  - {for: requests, amount: $10.25, person: alice@acme.example}\n", account="acme")  # fmt: skip
    typed(place, "  - {for: tokens, amount: $100, key: apikey_2}\n", account="acme-labs")
    said, _ = report(place)
    assert dollars(said) == WHOLE
    assert [each["name"] for each in said["coverage"]["keys"]] == ["anthropic (keys not told apart)"]


def test_seats_taxes_and_what_no_call_costs_are_what_they_were(place: State) -> None:
    more = "seats:\n  - {plan: Team, count: 2, price: $150}\ntax: $58.94\ncredits:\n  - {name: pool, amount: $100}\n"
    typed(place, SUM + "  - {for: web search, amount: $3}\n", more=more)
    said, _ = report(place)
    causes = {each["cause"]: Decimal(each["nanos"]) / NANOS_PER_DOLLAR for each in said["causes"]}
    assert causes == {
        "subscription_included": 300, "non_token_fee": Decimal("61.94"), "credit_commit": -100,
    }  # fmt: skip
    assert dollars(said)[1:] == WHOLE[1:]
    assert round(said["coverage"]["total"]["ratio"], 2) == 0.93


def test_a_plans_calls_are_no_metered_money(place: State) -> None:
    """Named by themselves, as beside a bill by day."""
    ledger = Ledger.open(place.ledger, place.gates, TODAY_MS)
    used(ledger, 3, 40, billing="subscription")
    ledger.close()
    typed(place, SUM)
    said, _ = report(place)
    causes = {each["cause"]: Decimal(each["nanos"]) / NANOS_PER_DOLLAR for each in said["causes"]}
    assert causes == {"subscription_included": -40}
    assert dollars(said) == (WHOLE[0], WHOLE[1] + 40, WHOLE[2])


@pytest.mark.parametrize(
    ("span", "billed", "told"),
    [
        ((FIRST, LAST), APART, "compared with no call, and stays unexplained: this report ends within it"),
        (
            (FIRST + DAY_MS, LAST + DAY_MS),
            (0, 0, 0),
            "and no part of what is billed here: this report begins within it",
        ),
        ((FIRST + DAY_MS, LAST), (0, 0, 0), "and no part of what is billed here: this report begins within it"),
    ],
)
def test_a_report_of_a_part_says_what_to_ask_for(
    place: State, span: tuple[int, int], billed: tuple[Decimal, ...], told: str
) -> None:
    typed(place, SUM)
    said, status = report(place, span=("--from", day(span[0]), "--until", day(span[1])))
    assert (dollars(said), status) == (billed, 1)
    assert said["tolerance"]["compared"] is False
    (note,) = (each for each in said["notes"] if "one sum" in each)
    assert note == (
        f"anthropic: $310.25 is one sum of {day(FIRST)} through {day(LAST)}, {told};"
        f" `--from {day(FIRST)} --until {day(LAST + DAY_MS)}` has all of it"
    )
    assert any("calls of" in each and "not compared" in each for each in said["notes"])


def test_a_period_that_is_not_over_is_not_compared(place: State) -> None:
    typed(place, SUM, last=TODAY_MS + DAY_MS)
    said, status = report(place, span=("--from", day(FIRST), "--until", day(TODAY_MS + 9 * DAY_MS)))
    assert (dollars(said), status) == (APART, 1)
    assert any("stays unexplained: its last day is not over" in note for note in said["notes"])


def test_sums_that_share_a_part_of_their_days_are_not_compared(place: State) -> None:
    typed(place, SUM, account="acme")
    typed(place, "  - {for: tokens, amount: $5}\n", account="labs", first=FIRST + 20 * DAY_MS, last=LAST)
    said, _ = report(place)
    assert dollars(said) == (Decimal("315.25"), Decimal(0), Decimal("315.25"))
    assert sum("has some of the same days" in note for note in said["notes"]) == 2


def test_a_sum_beside_charges_of_single_days_is_not_compared(place: State) -> None:
    """The day's charge is: its call cost $10."""
    typed(place, SUM + f"  - {{for: tokens, amount: $10, day: {day(FIRST)}}}\n")
    said, _ = report(place)
    assert dollars(said) == (Decimal("320.25"), Decimal(10), Decimal("310.25"))
    assert any("some of its days are told by day as well" in note for note in said["notes"])


def test_a_sum_of_which_a_newer_import_has_some_days_is_not_compared(place: State) -> None:
    typed(place, SUM)
    typed(place, "  - {for: support, amount: $1}\n", first=LAST, last=LAST + DAY_MS)
    said, _ = report(place)
    assert dollars(said)[1] == 0
    assert any("a newer import is in force on some of its days" in note for note in said["notes"])


def test_two_months_are_two_sums_and_two_providers_two_more(place: State) -> None:
    """Each beside its own calls: nothing of one makes up for the other."""
    ledger = Ledger.open(place.ledger, place.gates, TODAY_MS)
    for each in (2, DAYS + 2):
        used(ledger, each, 50, provider="openai")
    ledger.close()
    typed(place, SUM)
    typed(place, "  - {for: tokens, amount: $8}\n", first=LAST + DAY_MS, last=LAST + 9 * DAY_MS)
    typed(place, "  - {for: tokens, amount: $90}\n", provider="openai", last=LAST + 9 * DAY_MS)
    said, _ = report(place, span=("--from", day(FIRST), "--until", day(LAST + 10 * DAY_MS)))
    rows = [(each["provider"], each["until"], each["gap_nanos"] / NANOS_PER_DOLLAR) for each in said["days"]]
    assert rows == [
        ("anthropic", day(LAST + DAY_MS), 20.25),
        ("openai", day(LAST + 10 * DAY_MS), -10.0),
        ("anthropic", day(LAST + 10 * DAY_MS), -2.0),
    ]
    assert said["tolerance"]["unexplained_by_key_nanos"] == 32.25 * NANOS_PER_DOLLAR
    only, _ = report(place, "--provider", "openai", span=("--from", day(FIRST), "--until", day(LAST + 10 * DAY_MS)))
    assert dollars(only) == (Decimal(90), Decimal(100), Decimal(-10))


def test_every_form_has_the_period(place: State) -> None:
    typed(place, SUM)
    table = " ".join(called(place, "reconcile", "report", *MONTH).stdout.split())
    page = called(place, "reconcile", "report", *MONTH, "--format", "html").stdout
    rows = list(csv.DictReader(io.StringIO(called(place, "reconcile", "report", *MONTH, "--format", "csv").stdout)))
    assert "tells no cause: neither quantity and price nor which day can be told apart" in table
    assert f"{day(FIRST)} to {day(LAST)}</div>" in page
    assert 'id="days-' not in page
    (row,) = (each for each in rows if each["part"] == "day")
    assert (row["day"], row["until"], row["billed_nanos"], row["captured_nanos"]) == (
        day(FIRST), day(LAST + DAY_MS), "310250000000", "290000000000",
    )  # fmt: skip


def test_its_first_day_explains_the_whole_period(place: State) -> None:
    """With the key that coverage names, as the report proposes; a day within it says which one that is."""
    typed(place, SUM)
    begin = " ".join(called(place, "reconcile", "report", *MONTH).stdout.split())
    assert (
        f"`spendgate reconcile explain --day {day(FIRST)} --provider anthropic --key '(keys not told apart)'`" in begin
    )
    key = ("--key", "anthropic (keys not told apart)")
    said = json.loads(called(place, "reconcile", "explain", "--day", day(FIRST), *key, "--format", "json").stdout)
    assert dollars(said) == WHOLE
    assert (said["from"], said["until"]) == (day(FIRST), day(LAST + DAY_MS))
    assert [each["billed_nanos"] for each in said["lines"]] == [310_250_000_000]
    assert sum(each["cost_nanos"] for each in said["calls"]) == 290 * NANOS_PER_DOLLAR

    within = called(place, "reconcile", "explain", "--day", day(FIRST + 7 * DAY_MS), *key)
    assert isinstance(within.exception, StateError)
    told = f"anthropic has one sum of {day(FIRST)} through {day(LAST)}: ask for its first day"
    assert told in str(within.exception)


def test_a_quarters_sum_is_explained_as_a_whole_too(place: State) -> None:
    """It is longer than the days around that are compared with a single one."""
    typed(place, SUM, first=FIRST, last=FIRST + 89 * DAY_MS)
    words = ("--day", day(FIRST), "--key", "(keys not told apart)", "--format", "json")
    said = json.loads(called(place, "reconcile", "explain", *words).stdout)
    assert dollars(said) == (Decimal("310.25"), Decimal(300), Decimal("10.25"))


def test_no_part_of_a_sum_counts_as_use_that_was_not_captured(place: State) -> None:
    """`counts: billed` takes in what a bill shows to be missing, and one sum shows nothing of it; nor does its import say that
    nothing is."""
    told = typed(place, SUM)
    with closing(Reader(place.ledger)) as reader:
        assert reader.uncaptured() == ()
    assert "it is no bill of single days: what it has and no call is not known" in told
    assert "proven" not in told


def test_the_billed_focus_dataset_has_the_sum_once(place: State, tmp_path: Path) -> None:
    typed(place, SUM)
    out = tmp_path / "billed.csv"
    done = called(place, "export", "focus", "--billed", "--since", f"{day(FIRST)}T00:00:00Z",
                  "--until", f"{day(LAST + DAY_MS)}T00:00:00Z", "--output", str(out))  # fmt: skip
    assert done.exit_code == 0, done.output
    with out.open(newline="") as rows:
        assert [Decimal(each["BilledCost"]) for each in csv.DictReader(rows)] == [WHOLE[0]]
