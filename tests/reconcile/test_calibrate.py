"""What user-days teach: only those whose requests match one for one; a median within bounds; tested on days it has not seen."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconcile.kit_explain import DAY, MODEL, NOW
from spendgate.calibration import LEAST_PPM, MOST_PPM, ONE_PPM, UNCALIBRATED, Factor, Factors
from spendgate.reconcile.bills import BilledDay
from spendgate.reconcile.calibrate import Learned, Lesson, Verdict, lesson
from spendgate.reconcile.captured import Call
from spendgate.reconcile.facts import Facts, Person
from spendgate.reconcile.result import State
from spendgate.reconcile.user_days import UserDay
from spendgate.statement import DAY_MS, Billed, Charge, Line, Who
from spendgate.usage import Usage

CENT = 10_000_000
USED = Usage(input_tokens=9, output_tokens=9)
FACTS = Facts(people=(Person("alice", ("alice@acme.example",)), Person("bob", ("bob@acme.example",))))
CHAT = Who(email="alice@acme.example")


def chat(day: int, number: int, cents: int, *, person: str = "alice", flags: str = "") -> Call:
    """A turn of Claude Desktop's chat, which a plan pays, estimated."""
    at_ms = DAY + day * DAY_MS + number * 600_000
    return Call(
        at_ms, "anthropic", MODEL, usage=Usage(input_tokens=10, output_tokens=5), cost_nanos=0, value_nanos=cents * CENT,
        id=f"{person}-{day}-{number}", ended_ms=at_ms + 9_000, person=person, machine="lt-1", tool="claude-desktop",
        host="claude.ai", billing="subscription", basis="estimated", flags=flags,
    )  # fmt: skip


def code(day: int) -> Call:
    """A counted call of Claude Code's, of the same person, model and day."""
    return replace(
        chat(day, 99, 700),
        tool="claude-code",
        host="api.anthropic.com",
        billing="metered",
        basis="reported",
        id=f"code-{day}",
    )


def line(day: int, requests: int | None, cents: int, *, product: str = "chat", **changes: object) -> Line:
    """A day's line of the analytics: an amount at list price with its requests."""
    starts_ms = DAY + day * DAY_MS
    made = Line(
        starts_ms, starts_ms + DAY_MS, "anthropic", MODEL, product, CHAT, requests=requests, billed_nanos=0,
        list_nanos=cents * CENT, billed=Billed.INCLUDED,
    )  # fmt: skip
    return replace(made, **changes)


def taught(lines: list[Line], calls: list[Call], factors: Factors = UNCALIBRATED, *, reaches: int = NOW) -> Lesson:
    def its(at: int) -> tuple[Line, ...]:
        return tuple(each for each in lines if at <= each.starts_ms < at + DAY_MS)

    days = sorted({each.starts_ms // DAY_MS * DAY_MS for each in lines})
    bill = [BilledDay(at, "anthropic", State.FINAL, reaches, its(at), (), False) for at in days]
    return lesson(bill, calls, FACTS, factors, NOW)


def only(lines: list[Line], calls: list[Call], factors: Factors = UNCALIBRATED) -> Learned:
    (one,) = taught(lines, calls, factors).learned
    return one


def turns(days: int = 6, each: int = 4, cents: int = 10) -> list[Call]:
    return [chat(day, number, cents) for day in range(days) for number in range(each)]


def test_chat_is_laid_beside_what_the_bill_calls_chat_alone() -> None:
    """Claude Code's calls of the same person and model are another product's."""
    lines = [line(day, 4, 80) for day in range(6)] + [line(day, 1, 700, product="claude_code") for day in range(6)]
    one = only(lines, turns() + [code(day) for day in range(6)])
    assert (one.tool, one.model, one.factor_ppm, one.verdict) == ("claude-desktop", MODEL, 2_000_000, Verdict.LEARNED)
    assert (one.before_ppm, one.after_ppm, len(one.days), one.calls) == (500_000, 0, 6, 24)


def test_requests_that_are_told_with_counts_and_with_money_are_counted_once() -> None:
    money = [line(day, 4, 80) for day in range(6)]
    counts = [replace(line(day, 4, 0), usage=USED, list_nanos=None, billed_nanos=None) for day in range(6)]
    assert only(money + counts, turns()).factor_ppm == 2_000_000


def test_no_single_day_decides_and_the_error_is_of_days_that_it_was_not_learned_from() -> None:
    lines = [line(day, 4, 4_000 if day == 0 else 80) for day in range(6)]
    one = only(lines, turns())
    assert (one.factor_ppm, one.median_ppm) == (2_000_000, 2_000_000)
    off = Fraction(4_000 - 80, 4_000 + 5 * 80)
    assert one.after_ppm == round(off * ONE_PPM)


def test_what_was_charged_by_a_factor_is_taken_for_what_it_was_before_it() -> None:
    factor = Factor("claude-desktop", MODEL, 2_000_000, "abcdef01")
    charged = [replace(each, value_nanos=2 * each.value_nanos, flags=factor.flag) for each in turns()]
    one = only([line(day, 4, 80) for day in range(6)], charged, Factors([factor]))
    assert (one.verdict, one.factor_ppm, one.now_ppm, one.before_ppm) == (Verdict.SAME, 2_000_000, 2_000_000, 0)


def test_noise_alone_teaches_nothing() -> None:
    """As often too high as too low: no factor is better on a day that it has not seen."""
    amounts = [10, 160, 12, 150, 14, 140]
    one = only([line(day, 4, amounts[day]) for day in range(6)], turns())
    assert one.verdict is Verdict.NO_BETTER
    assert one.after_ppm is not None and one.before_ppm is not None and one.after_ppm >= one.before_ppm


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"requests": 5}, "more requests on the bill than calls: usage outside the gate"),
        ({"requests": 3}, "fewer requests on the bill than calls"),
        ({"requests": None}, "the bill tells no requests: whether all went through the gate is not known"),
        ({"billed": Billed.NOT_CHARGED}, "the bill has requests that failed, or that another provider bills"),
        ({"list_nanos": None}, "the bill names no amount for them"),
        (
            {"who": Who(email="zoe@acme.example")},
            "nothing on the bill of this person and model: whose it is, is not known, or it was billed elsewhere",
        ),
    ],
)
def test_a_day_that_is_not_known_to_be_the_same_teaches_nothing(changes: dict, why: str) -> None:
    told = taught([replace(line(day, 4, 80), **changes) for day in range(6)], turns())
    assert told == Lesson((), ((why, 6),))


def test_a_line_about_several_days_teaches_nothing_of_its_first() -> None:
    """As many requests as the first day has calls, and two days' money."""
    lines = [line(day, 4, 800, ends_ms=DAY + (day + 2) * DAY_MS) for day in range(0, 12, 2)]
    calls = [chat(day, number, 10) for day in range(0, 12, 2) for number in range(4)]
    assert taught(lines, calls) == Lesson((), (("a line of the bill is about more than the day", 6),))


def test_a_day_on_which_money_is_given_back_teaches_nothing() -> None:
    """A credit beside the money of the calls would make each of them nearly free."""
    lines = [line(day, 4, 80) for day in range(6)] + [line(day, 0, -79) for day in range(6)]
    assert taught(lines, turns()) == Lesson((), (("the bill gives money back", 6),))


def test_money_of_requests_that_nothing_counts_teaches_nothing() -> None:
    counted = [line(day, 4, 80, usage=USED) for day in range(6)]
    told = taught(counted + [line(day, 50, 4_000) for day in range(6)], turns())
    assert told == Lesson((), (("more requests on the bill than calls: usage outside the gate", 6),))


def test_requests_at_times_without_a_call_teach_nothing() -> None:
    """As many as calls, but an hour after each: somewhere else."""
    moments = [
        line(day, 1, 20, starts_ms=each.started_ms + 3_600_000 * late, ends_ms=each.started_ms + 3_600_000 * late + 1)
        for late in (0, 1)
        for day in range(late * 6, late * 6 + 6)
        for each in (chat(day, number, 10) for number in range(4))
    ]
    told = taught(moments, turns(12))
    assert told.left_out == (("requests on the bill at times without a call", 6),)
    assert (len(told.learned[0].days), told.learned[0].factor_ppm) == (6, 2_000_000)


def test_fees_beside_usage_are_no_part_of_it_and_young_days_are_not_looked_at() -> None:
    fees = [line(day, None, 900, charge=Charge.SERVICE_FEE) for day in range(6)]
    assert only([line(day, 4, 80) for day in range(6)] + fees, turns()).factor_ppm == 2_000_000
    young = taught([line(day, 4, 80) for day in range(6)], turns(), reaches=DAY + 6 * DAY_MS)
    assert len(young.learned[0].dates) == 5, "the last one may still grow"


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), min_size=6, max_size=12))
@settings(max_examples=60, deadline=None)
def test_a_factor_is_within_its_bounds_and_written_only_where_it_is_better(days: list[tuple[int, int]]) -> None:
    lines = [line(day, 4, billed) for day, (_, billed) in enumerate(days)]
    calls = [chat(day, number, estimated) for day, (estimated, _) in enumerate(days) for number in range(4)]
    one = only(lines, calls)
    assert one.factor_ppm is not None and LEAST_PPM <= one.factor_ppm <= MOST_PPM
    assert one.days[0] == UserDay(DAY, "alice", 4, Fraction(4 * days[0][0] * CENT), days[0][1] * CENT)
    if one.verdict is Verdict.LEARNED:
        assert one.after_ppm is not None and one.before_ppm is not None and one.after_ppm < one.before_ppm
