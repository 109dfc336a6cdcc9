"""The report as a value, as rows and as a page: what it says adds up, and nothing that a bill names is markup."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconcile.kit_explain import DAY, NOW, USAGE, call, calls, price, run, statement, times
from reconcile.kit_explain import billed as lines_of
from spendgate.money import CENT, NANOS_PER_DOLLAR
from spendgate.reconcile.facts import NO_FACTS
from spendgate.reconcile.groups import half_unit
from spendgate.reconcile.report import document, page
from spendgate.reconcile.report.causes import (
    Step,
    begin_with,
    by_cause,
    day_of,
    days_of,
    in_scope,
    least,
    share,
    waterfall,
)
from spendgate.reconcile.report.charts import _above, _below, _ends, _inner_ticks, _offset, _ticks
from spendgate.reconcile.report.tolerance import Tolerance, judged
from spendgate.reconcile.result import Cause, Confidence, Coverage, Day, Finding, Input, Result, State
from spendgate.reconcile.run import Options, Version, compare
from spendgate.statement import DAY_MS, Billed, Charge, Line

EVIL = "<script>alert(1)</script>\"'&\x1b[31m\u202e=cmd"
AMOUNTS = st.integers(-(10**13), 10**13)


def result(
    nanos: list[tuple[Cause, int]], unexplained: int = 0, *, name: str = "key", state: State = State.FINAL
) -> Result:
    """Captured nothing, billed the causes and the unexplained, all on one day."""
    findings = tuple(
        Finding(cause, each, Confidence.EXACT, DAY, name, name, name, f"{name} shows it", f"see {name}")
        for cause, each in nanos
    )
    gap = sum(each for _, each in nanos) + unexplained
    return Result(
        DAY, DAY + 86_400_000, gap, 0, findings, unexplained,
        (Coverage("total", "", gap, 0), Coverage("key", name, gap, 0)), (Day(DAY, name, state, gap, 0, unexplained),),
        (Input(name, name, "ab" * 32, DAY, DAY, DAY + 86_400_000, 1),), state, max(gap, 0), min(gap, 0), (f"note of {name}",),
    )  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(Cause), AMOUNTS), max_size=12), AMOUNTS)
def test_causes_and_unexplained_are_the_gap_in_every_form(nanos: list[tuple[Cause, int]], unexplained: int) -> None:
    made = result(nanos, unexplained)
    said = json.loads(json.dumps(document.document(made, judged(made))))
    assert said["totals"]["gap_nanos"] == sum(each["nanos"] for each in said["causes"]) + said["unexplained_nanos"]
    assert all(each["nanos"] == each["under_nanos"] + each["over_nanos"] for each in said["causes"])
    flat = document.rows(made, judged(made))
    parts = [row["nanos"] for row in flat if row["part"] in {"cause", "unexplained"}]
    assert sum(parts) == made.gap_nanos == next(row["nanos"] for row in flat if row["part"] == "total")
    assert all(set(row) >= set(document.KEYS) for row in flat)
    steps = waterfall(made)
    assert steps[0].from_nanos == 0
    assert steps[-1].until_nanos == made.gap_nanos
    assert all(before.until_nanos == after.from_nanos for before, after in pairwise(steps))


@given(AMOUNTS, AMOUNTS)
def test_a_bar_covers_what_its_step_does(begin: int, end: int) -> None:
    """What lies above and below 0 is stacked apart: offset and parts must end where the step does."""
    step = Step("", begin, end)
    low, high = _ends(step)
    above, below, offset = _above(step), _below(step), _offset(step)
    assert above - below == high - low
    assert above >= 0 >= below
    if above and not below:
        assert (offset, offset + above) == (low, high)
    if below and not above:
        assert (offset + below, offset) == (low, high)
    if above and below:
        assert (offset, above, below) == (0, high, low)


@given(st.lists(AMOUNTS, min_size=1, max_size=9), st.sampled_from([3, 6]))
def test_an_axis_has_equal_steps_and_room_for_every_amount(amounts: list[int], most: int) -> None:
    ticks = _ticks(amounts, most)
    assert 0 in ticks
    assert ticks[0] <= min(amounts)
    assert ticks[-1] >= max(amounts)
    assert len(ticks) <= most
    assert len({after - before for before, after in pairwise(ticks)}) <= 1


@given(st.lists(AMOUNTS, min_size=1, max_size=9), st.sampled_from([3, 6]))
def test_an_axis_within_the_bars_has_something_to_read_beside_0(amounts: list[int], most: int) -> None:
    inner = _inner_ticks(amounts, most)
    assert 0 in inner
    assert len(inner) <= most
    assert (len(inner) > 1) is any(amounts)
    assert min([0, *amounts]) <= inner[0] and inner[-1] <= max([0, *amounts])


def test_of_a_real_run_the_document_has_what_programs_read() -> None:
    made = run(calls(3), lines_of(times(USAGE, 5), 5))
    said = document.document(made, judged(made))
    assert {"totals", "causes", "unexplained_nanos", "coverage", "state", "inputs"} <= set(said)
    assert said["totals"]["gap_nanos"] == made.gap_nanos > 0
    (cause,) = (each for each in said["causes"] if each["nanos"])
    assert cause["nanos"] == made.gap_nanos
    assert all(cause[key] for key in ("cause", "evidence", "confidence", "remedy"))
    assert said["inputs"][0]["sha256"] == "ab" * 32
    assert said["inputs"][0]["refreshed"] == "2027-01-30T00:00:00Z"
    assert said["coverage"]["total"]["ratio"] == 0.6


def test_no_ratio_is_clamped_and_the_least_key_is_named() -> None:
    rows = [Coverage("key", "much", 10, 25), Coverage("key", "little", 10, 1), Coverage("key", "free", 0, 5),
            Coverage("provider", "p", 10, 0)]  # fmt: skip
    assert least(rows) is rows[1]
    assert share(25, 10) == "250.0%"
    assert share(-1, 100_000) == "0.0%"
    assert share(5, 0) == ""
    assert least([rows[2]]) is None


@pytest.mark.parametrize(
    ("text", "over", "within"),
    [("$5", 5 * NANOS_PER_DOLLAR + 1, 5 * NANOS_PER_DOLLAR), ("0.5%", 5 * CENT + 1, 5 * CENT), ("0%", 1, 0)],
)
def test_more_than_the_tolerance_is_over(text: str, over: int, within: int) -> None:
    def verdict(nanos: int) -> bool:
        made = result([(Cause.UNCAPTURED, 10 * NANOS_PER_DOLLAR - nanos)], nanos)
        return judged(made, Tolerance.parse(text)).over

    assert verdict(over)
    assert verdict(-over)
    assert not verdict(within)


def test_days_that_are_off_in_opposite_ways_do_not_cancel_out() -> None:
    made = result([], 0)
    off = (Day(DAY, "p", State.FINAL, 0, 0, 7 * CENT), Day(DAY, "q", State.FINAL, 0, 0, -7 * CENT))
    verdict = judged(replace(made, days=off), Tolerance.parse("$0.10"))
    assert (verdict.off_nanos, verdict.over) == (14 * CENT, True)


def test_keys_that_are_off_in_opposite_ways_do_not_cancel_out() -> None:
    """One key's output billed above its calls' and another's below, on one day: no sum hides either."""
    above, below = (replace(times(USAGE, 3), output_tokens=each) for each in (1_500, 300))
    said = [*lines_of(above, None), *lines_of(below, None, key="apikey_bob")]
    made = run([*calls(3), *calls(3, api_key="apikey_bob", person="bob", response_id=None)], said)

    assert (made.gap_nanos, made.unexplained_nanos) == (0, 0)
    assert judged(made).over
    assert judged(made).off_nanos == price(above) - price(below)
    assert begin_with(made) == (
        "begin with the key and day of which most is:"
        " `spendgate reconcile explain --day 2026-11-01 --provider anthropic --key apikey_alice`"
    )


def test_the_default_tolerance_is_wider_while_a_day_settles() -> None:
    billed = [(Cause.UNCAPTURED, 100 * NANOS_PER_DOLLAR)]
    assert judged(result(billed)).allowed_nanos == 50 * CENT
    assert judged(result(billed, state=State.SETTLING)).allowed_nanos == 1000 * CENT
    assert judged(result([])).allowed_nanos == CENT


def test_nothing_compared_is_no_good_answer() -> None:
    assert judged(replace(result([]), days=())).over


@pytest.mark.parametrize("text", ["5", "101%", "1.23456%", "-1%", "$-5", "", "half", "$1e9", "\uff11%"])
def test_what_is_no_tolerance_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"tolerance|amount"):
        Tolerance.parse(text)


class _Tags(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def test_what_a_bill_names_is_text_in_the_page() -> None:
    made = result([(Cause.UNCAPTURED, 10**10), (Cause.DISCOUNT, -(10**9))], 5, name=EVIL)
    whole = page.page(made, judged(made))
    seen = _Tags()
    seen.feed(whole)
    assert "script" not in seen.tags
    assert not [name for name, _ in seen.attributes if name.startswith("on") or name in {"src", "href", "xlink:href"}]
    assert "\x1b" not in whole
    assert "\u202e" not in whole
    assert "&lt;script&gt;alert(1)" in whole
    assert set(re.findall(r"https?://[^\s\"'<]+", whole)) == {"http://www.w3.org/2000/svg"}


def test_the_same_result_makes_the_same_page() -> None:
    made = result([(Cause.UNCAPTURED, 10**10)], -3)
    assert page.page(made, judged(made)) == page.page(made, judged(made))


def test_a_page_of_nothing_is_a_page() -> None:
    made = replace(result([]), days=(), coverage=(), inputs=(), notes=())
    assert "nothing could be compared" in page.page(made, judged(made))


def test_only_the_largest_findings_stand_in_the_page_and_the_others_are_summed() -> None:
    made = result([(Cause.UNCAPTURED, (each + 1) * CENT) for each in range(page.FINDINGS_MOST + 2)])
    (told,) = by_cause(made)
    assert told.nanos == made.gap_nanos
    whole = page.page(made, judged(made))
    assert "2 smaller findings, " in whole
    assert ">$0.03</data> together" in whole


def test_a_key_that_no_gate_can_have_seen_is_in_no_coverage() -> None:
    """What is used elsewhere is not the least covered key, and the report says why coverage has less than is billed."""
    said = [*lines_of(times(USAGE, 3), 3), *lines_of(USAGE, 1, key="apikey_ci")]
    made = run(calls(3), said)

    assert [each.cause for each in made.findings] == [Cause.SCOPE_KEY]
    assert [(each.name, each.billed_nanos) for each in made.coverage if each.what == "key"] == [
        ("anthropic apikey_alice", 3 * price(USAGE))
    ]
    assert in_scope(made).startswith("Coverage is of what is in scope, $0.08; $0.10 is billed in all.")
    off = Line(DAY, DAY + DAY_MS, "anthropic", charge=Charge.CREDIT, billed_nanos=-(10**7), amount="-0.01 USD")
    credited = in_scope(run(calls(3), [*lines_of(times(USAGE, 3), 3), off]))
    assert "credits, which take off" in credited
    assert " of $" not in credited, "a part that is larger than its whole"
    assert in_scope(made) in unescape(page.page(made, judged(made)))
    assert not in_scope(run(calls(3), lines_of(times(USAGE, 3), 3)))


def test_seats_and_keys_used_elsewhere_allow_nothing() -> None:
    """Seats of $3,000 beside $0.10 of calls are no reason not to look at these."""
    seats = Line(DAY, DAY + DAY_MS, "anthropic", charge=Charge.SEAT, billed_nanos=3_000 * 10**9, amount="3000.00 USD")
    ci = lines_of(times(USAGE, 1_000), 1_000, key="apikey_ci")
    made = run(calls(3), [*lines_of(times(USAGE, 3), 3), *ci, seats])
    alone = run(calls(3), lines_of(times(USAGE, 3), 3))
    assert made.billed_nanos > 3_000 * 10**9
    for tolerance in (Tolerance(), Tolerance.parse("50%")):
        assert judged(made, tolerance).allowed_nanos == judged(alone, tolerance).allowed_nanos


def test_calls_to_a_gateway_cover_nothing() -> None:
    """They are billed under the gateway's own key, which is not in scope."""
    sent = [replace(call(number), billing="gateway", api_key="") for number in range(10, 14)]
    (total,) = (each for each in run([*calls(3), *sent], lines_of(times(USAGE, 4), 4)).coverage if each.what == "total")
    assert (total.captured_nanos, total.billed_nanos) == (3 * price(USAGE), 4 * price(USAGE))


def test_what_neither_side_has_anything_of_is_no_row_of_coverage() -> None:
    """A plan's calls are $0.00 of $0.00: table, page and documents have the total, and what one can read something from."""
    mine = [
        *calls(3),
        *(replace(call(10 + each), billing="subscription", api_key="", cost_nanos=0) for each in range(2)),
    ]
    plan = [replace(each, provider="cursor", billed=Billed.INCLUDED) for each in lines_of(times(USAGE, 2), 2, key="k")]
    versions = [
        Version("a", NOW, statement(lines_of(times(USAGE, 3), 3))),
        Version("b", NOW, replace(statement(plan, source="cursor"), provider="cursor")),
    ]
    made = compare(mine, versions, NO_FACTS, Options(DAY, DAY + DAY_MS, NOW))
    named = [(each.what, each.name) for each in made.coverage]
    assert named == [
        ("total", ""), ("provider", "anthropic"), ("tool", "claude-code"), ("key", "anthropic apikey_alice")
    ]  # fmt: skip
    flat = [row for row in document.rows(made, judged(made)) if str(row["part"]).startswith("coverage by ")]
    assert [row["name"] for row in flat] == [name for _, name in named]
    assert page.page(made, judged(made)).count("anthropic apikey_alice") and "cursor k" not in page.page(
        made, judged(made)
    )


def test_requests_are_those_of_providers_that_tell_theirs() -> None:
    """Of one that counts none, the captured ones stand beside nothing."""
    told = lines_of(times(USAGE, 3), 3)
    silent = [replace(each, provider="openai") for each in lines_of(times(USAGE, 2), None)]
    mine = [replace(call(number), provider="openai") for number in range(20, 22)]
    versions = [
        Version("a", NOW, statement(told)),
        Version("b", NOW, replace(statement(silent, source="openai-costs"), provider="openai")),
    ]
    made = compare([*calls(3), *mine], versions, NO_FACTS, Options(DAY, DAY + DAY_MS, NOW))
    (total,) = (each for each in made.coverage if each.what == "total")
    assert (total.captured_requests, total.billed_requests) == (3, 3)


def test_days_and_tolerance_are_told_as_people_read_them() -> None:
    """The day after the last is none of the report's; nobody needs a tolerance to the nano-dollar."""
    made = result([], 1_531_763_323_801)

    assert days_of(made) == day_of(DAY) + " to " + day_of(DAY)
    assert f"{days_of(made)} (UTC, both included)" in page.page(made, judged(made))
    assert judged(made).told == "$7.66 (0.5% of what is billed in scope on final days, at least $0.01)"
    assert judged(made).allowed_nanos == 7_658_816_619


@pytest.mark.parametrize(("amount", "nanos"), [("$0.01", 5_000_000), ("-$0.001", 500_000), ("0.01", 5_000_000)])
def test_a_dollar_sign_before_an_amount_does_not_hide_how_finely_it_is_written(amount: str, nanos: int) -> None:
    assert half_unit(amount) == nanos
