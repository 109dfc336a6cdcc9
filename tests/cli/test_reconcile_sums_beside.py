"""One sum of several days beside newer imports, exports of other days and accounts, its own bill by day, and what was purged."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from unittest.mock import patch

import pytest

from cli.kit_months import (
    DAYS,
    FIRST,
    LAST,
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
from spendgate.ledger.purge import Purge
from spendgate.ledger.statements import StatementBook
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.statement import DAY_MS

NAMED = f"anthropic: $310.25 is one sum of {day(FIRST)} through {day(LAST)}"


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> State:
    return month_of_calls(tmp_path)


def cost_export(place: State, first: int, days: int, *, account: str = "", dollars_a_day: int = 10) -> None:
    """Import a Console cost CSV with one row for each of these days."""
    file = place.root.parent / "cost.csv"
    rows = "".join(
        f"{day(first + each * DAY_MS)},Claude Opus 4.5,Default,ci,message,output,{dollars_a_day}.00\n"
        for each in range(days)
    )
    file.write_text(f"usage_date_utc,model,workspace,api_key,usage_type,token_type,cost_usd\n{rows}")
    ran = called(place, "reconcile", "import", str(file), *(("--account", account) if account else ()))
    assert ran.exit_code == 0, ran.output


def causes(said: dict) -> dict[str, Decimal]:
    return {each["cause"]: Decimal(each["nanos"]) / NANOS_PER_DOLLAR for each in said["causes"]}


def test_a_sum_whose_first_day_a_newer_import_has_is_named(place: State) -> None:
    typed(place, SUM)
    typed(place, "  - {for: support, amount: $1}\n", first=FIRST - 9 * DAY_MS, last=FIRST)
    said, status = report(place)
    assert f"{NAMED}, and no part of what is billed here: a newer import is in force on its first day; write statements whose" \
           " days do not overlap" in said["notes"]  # fmt: skip
    assert status == 1


def test_a_sum_that_a_newer_import_of_fees_has_replaced_is_named(place: State) -> None:
    """The usual slip: the support of the same month in a second file."""
    typed(place, SUM)
    typed(place, "  - {for: support, amount: $3}\n")
    said, _ = report(place)
    assert any(f"{NAMED}, and no part of what is billed here: import " in note for note in said["notes"])
    assert any("put both into one file" in note for note in said["notes"])


def test_a_sum_that_was_put_right_is_not_named(place: State) -> None:
    typed(place, "  - {for: tokens, amount: $999}\n")
    typed(place, SUM)
    said, _ = report(place)
    assert dollars(said) == WHOLE
    assert not any("999" in note for note in said["notes"])


def test_a_sum_that_one_charge_of_a_day_replaces_is_named(place: State) -> None:
    typed(place, "  - {for: tokens, amount: $999}\n")
    typed(place, f"  - {{for: requests, amount: $1, day: {day(FIRST + 8 * DAY_MS)}}}\n")
    said, _ = report(place)
    assert any("$999.00 is one sum" in note and "says $1.00 of these days" in note for note in said["notes"])


@pytest.mark.parametrize("days", [1, DAYS])
def test_charges_by_day_that_a_newer_invoice_of_fees_has_replaced_are_named(place: State, days: int) -> None:
    typed(place, "".join(
        f"  - {{for: tokens, amount: $60, day: {day(FIRST + each * DAY_MS)}}}\n" for each in range(DAYS)
    ))  # fmt: skip
    typed(place, "  - {for: support, amount: $3}\n", first=FIRST + (DAYS - days) * DAY_MS)
    said, _ = report(place)
    told = f"anthropic: ${60 * days:,}.00 charged on {days} days is no part of what is billed here: import "
    assert any(told in note and "put both into one file" in note for note in said["notes"])


def test_a_charge_of_a_day_stays_where_the_sum_beside_it_goes(place: State) -> None:
    typed(place, SUM + f"  - {{for: tokens, amount: $50, day: {day(FIRST)}}}\n")
    cost_export(place, FIRST + 9 * DAY_MS, 1)
    said, _ = report(place)
    assert dollars(said)[0] == 60
    assert "captured_not_billed" not in causes(said)
    told = f"{NAMED}, and no part of what is billed here: anthropic-cost-csv has tokens of some of its days"
    assert any(told in note for note in said["notes"])


def test_a_report_that_begins_within_it_names_it_beside_charges_of_days_too(place: State) -> None:
    typed(place, SUM + f"  - {{for: tokens, amount: $10, day: {day(FIRST + 20 * DAY_MS)}}}\n")
    said, _ = report(place, span=("--from", day(FIRST + 9 * DAY_MS), "--until", day(LAST + DAY_MS)))
    assert any(f"{NAMED}, and no part of what is billed here" in note for note in said["notes"])


def test_web_searches_are_billed_once(place: State) -> None:
    typed(place, "  - {for: web search, amount: $30}\n")
    file = place.root.parent / "cost.csv"
    at = day(FIRST + 9 * DAY_MS)
    file.write_text(
        "usage_date_utc,model,workspace,api_key,usage_type,token_type,cost_usd,cost_type\n"
        f"{at},Claude Opus 4.5,Default,ci,message,output,10.00,token\n{at},,Default,ci,,,30.00,web_search\n"
    )
    assert called(place, "reconcile", "import", str(file)).exit_code == 0
    said, _ = report(place)
    assert dollars(said)[0] == 40
    assert any("$30.00 is one sum" in note and "leave web search out" in note for note in said["notes"])


def test_another_months_export_leaves_a_sum_alone(place: State) -> None:
    """Two reports of a month each, and one of both, have the same bill."""
    typed(place, SUM)
    cost_export(place, FIRST - DAYS * DAY_MS, DAYS)
    alone, _ = report(place)
    both, _ = report(place, span=("--from", day(FIRST - DAYS * DAY_MS), "--until", day(LAST + DAY_MS)))
    assert dollars(alone) == WHOLE
    assert both["totals"]["billed_nanos"] == (310_250_000_000 + DAYS * 10 * NANOS_PER_DOLLAR)
    assert any("compared with the calls of all these days" in note for note in both["notes"])
    words = ("--day", day(FIRST), "--key", "(keys not told apart)", "--format", "json")
    assert dollars(json.loads(called(place, "reconcile", "explain", *words).stdout)) == WHOLE


def test_an_export_of_some_of_its_days_puts_a_sum_out_and_names_it(place: State) -> None:
    typed(place, SUM)
    cost_export(place, FIRST + 3 * DAY_MS, 3)
    said, _ = report(place)
    assert dollars(said)[0] == 30
    assert any(
        f"{NAMED}, and no part of what is billed here: " in note and "leave tokens out" in note
        for note in said["notes"]
    )


def test_two_accounts_are_both_the_bill(place: State) -> None:
    typed(place, SUM, account="acme")
    cost_export(place, FIRST, DAYS, account="labs")
    said, _ = report(place)
    assert dollars(said)[0] == WHOLE[0] + 300
    assert any(f"{NAMED}, compared with no call, and stays unexplained" in note for note in said["notes"])


def test_the_same_bill_by_day_afterwards_is_no_revision(place: State) -> None:
    """One sum, or fees alone, did not say that a day cost nothing."""
    for before in (SUM, "  - {for: support, amount: $3}\n"):
        typed(place, before)
        typed(place, "".join(
            f"  - {{for: tokens, amount: ${60 if each == 4 else 10}, day: {day(FIRST + each * DAY_MS)}}}\n"
            for each in range(DAYS) if each != 7
        ))  # fmt: skip
        said, status = report(place)
        assert "revision" not in causes(said)
        assert said["totals"]["gap_nanos"] == 50 * NANOS_PER_DOLLAR
        assert (dollars(said)[2], status) == (50, 1)


def test_a_day_that_was_told_before_is_still_a_revision(place: State) -> None:
    """What the provider changed on a day of which the older import told what it cost."""
    for amount in (10, 15):
        typed(place, f"  - {{for: tokens, amount: ${amount}, day: {day(FIRST)}}}\n", last=FIRST)
    said, _ = report(place, span=("--from", day(FIRST), "--until", day(FIRST + DAY_MS)))
    assert causes(said) == {"revision": 5}


def test_the_same_file_is_taken_again_once_its_period_is_over(place: State) -> None:
    take = StatementBook.take

    def early(self: StatementBook, statement: object, who: str, now_ms: int) -> object:
        return take(self, statement, who, LAST - 5 * DAY_MS)  # type: ignore[arg-type]  # whatever it is

    with patch.object(StatementBook, "take", early):
        typed(place, SUM)
        typed(place, SUM)
    said, _ = report(place)
    assert len(said["inputs"]) == 1
    assert any("import it again" in note for note in said["notes"])
    typed(place, SUM)
    told = typed(place, SUM)
    said, _ = report(place)
    assert dollars(said) == WHOLE
    assert "nothing is added" in told


def test_a_later_day_of_the_period_says_which_one_to_ask_for(place: State) -> None:
    typed(place, SUM)
    words = ("--day", day(FIRST + 12 * DAY_MS), "--key", "(keys not told apart)")
    ran = called(place, "reconcile", "explain", *words)
    assert isinstance(ran.exception, StateError)
    assert f"anthropic has one sum of {day(FIRST)} through {day(LAST)}: ask for its first day" in str(ran.exception)


def test_web_searches_are_a_part_of_the_sum_where_calls_have_them(place: State) -> None:
    """What they cost is in what their calls cost."""
    ledger = Ledger.open(place.ledger, place.gates, LAST)
    used(ledger, 7, 3, searches=300)
    ledger.close()
    typed(place, "  - {for: tokens, amount: $290}\n  - {for: web search, amount: $3}\n")
    said, status = report(place)
    assert (dollars(said), said["causes"], status) == ((293, 293, 0), [], 0)


def test_purged_days_are_not_taken_for_days_without_calls(place: State, tmp_path: Path) -> None:
    """Neither beside one sum nor by day."""
    typed(place, SUM)
    with Purge(place.ledger, place.gates) as purge:
        while purge.chunk(FIRST + 10 * DAY_MS, 30, TODAY_MS):
            pass
    said, status = report(place)
    assert any(
        f"{NAMED}, and no part of what is billed here: calls of its days are sums by now" in note
        for note in said["notes"]
    )
    assert status == 1
    cost_export(place, FIRST, DAYS)
    said, _ = report(place)
    assert said["findings"] and all(each["day"] >= day(FIRST + 10 * DAY_MS) for each in said["findings"])
    told = f"before {day(FIRST + 10 * DAY_MS)} calls are sums by now (privacy.keep): no bill of these days is compared"
    assert f"{told}; `spendgate export focus --billed` has it" in said["notes"]
    assert said["totals"]["captured_nanos"] == said["totals"]["billed_nanos"] == 200 * NANOS_PER_DOLLAR
    done = called(place, "export", "focus", "--billed", "--since", f"{day(FIRST)}T00:00:00Z",
                  "--until", f"{day(LAST + DAY_MS)}T00:00:00Z", "--output", str(tmp_path / "billed.csv"))  # fmt: skip
    assert (
        f"$100.00 of these lines begins before {day(FIRST + 10 * DAY_MS)}, where calls are sums by now" in done.stderr
    )


def test_what_is_no_part_of_the_bill_is_said_by_its_export_too(place: State, tmp_path: Path) -> None:
    typed(place, SUM)
    typed(place, "  - {for: support, amount: $3}\n")
    done = called(place, "export", "focus", "--billed", "--since", f"{day(FIRST)}T00:00:00Z",
                  "--until", f"{day(LAST + DAY_MS)}T00:00:00Z", "--output", str(tmp_path / "billed.csv"))  # fmt: skip
    assert f"{NAMED}, and no part of what is billed here" in done.stderr


def test_days_that_an_invoice_does_not_tell_are_those_of_the_export(place: State) -> None:
    """Of one account: a charge of one day by hand, the days beside it from the export."""
    cost_export(place, FIRST + DAY_MS, 3)
    typed(place, f"  - {{for: tokens, amount: $11, day: {day(FIRST)}}}\n")
    said, _ = report(place)
    assert dollars(said)[0] == 41
    assert [each["billed_nanos"] // NANOS_PER_DOLLAR for each in said["days"]] == [11, 10, 10, 10]


def test_a_provider_that_is_not_asked_for_is_not_missed(place: State) -> None:
    typed(place, SUM)
    typed(place, "  - {for: tokens, amount: $1}\n", provider="openai")
    said, _ = report(place, "--provider", "openai")
    assert not any(note.startswith("anthropic") for note in said["notes"])
    part, _ = report(place, span=("--from", day(FIRST), "--until", day(LAST)))
    assert any("anthropic: no statement that tells what calls cost on" in note for note in part["notes"])
