"""Random months of a person who has an invoice alone: what is compared at once, what is not, and that all of it adds up."""

from __future__ import annotations

from typing import Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconcile.kit_explain import DAY, KEY, NOW, USAGE, adds_up, billed, by_cause, call, statement, times
from spendgate.reconcile.accounts import POOL
from spendgate.reconcile.bills import bill_of
from spendgate.reconcile.captured import Call
from spendgate.reconcile.facts import NO_FACTS
from spendgate.reconcile.periods import is_sum
from spendgate.reconcile.report.tolerance import judged
from spendgate.reconcile.result import Cause, Result, State
from spendgate.reconcile.run import Options, Version, compare
from spendgate.statement import DAY_MS, Charge, Line, Statement, Who

DAYS: Final = 8
CENT: Final = 10_000_000
NOBODY: Final = Who()
CHARGES: Final = (Charge.TOKENS, Charge.REQUESTS, Charge.MEDIA)


def invoice(lines: list[Line], first: int, until: int, at_ms: int = NOW) -> Version:
    """A statement of these days, typed by hand."""
    span = DAY + first * DAY_MS, DAY + until * DAY_MS
    said = Statement("invoice", "anthropic", "anthropic", *span, "ab" * 32, "i.yaml", None, tuple(lines))
    return Version("invoice", at_ms, said)


def charge(first: int, until: int, cents: int, kind: Charge = Charge.TOKENS, who: Who = NOBODY) -> Line:
    amount = f"{cents / 100:.2f} USD"
    return Line(DAY + first * DAY_MS, DAY + until * DAY_MS, "anthropic", who=who, charge=kind, billed_nanos=cents * CENT,
                amount=amount)  # fmt: skip


def made(at: int, day: int, cost: int, **changes: object) -> Call:
    moment = DAY + day * DAY_MS + 3_600_000 * (at % 24)
    return call(at, started_ms=moment, ended_ms=moment + 1_000, cost_nanos=cost, response_id=f"msg_{at}", **changes)


CALLED = st.tuples(
    st.integers(-1, DAYS), st.integers(0, 5_000 * CENT),
    st.sampled_from(["metered", "metered", "metered", "subscription", "gateway"]),
    st.sampled_from(["anthropic", "anthropic", "openai"]), st.sampled_from([KEY, "sk-ant:1", ""]),
)  # fmt: skip
SPAN = st.tuples(st.integers(-1, DAYS - 2), st.integers(2, DAYS + 1)).map(lambda made: (made[0], sum(made)))
"""First day, and the one after the last; two days at least."""
CHARGED = st.tuples(
    st.integers(0, 10_000), st.sampled_from(CHARGES), st.sampled_from([NOBODY, Who(key=KEY), Who(email="a@x")])
)


@given(
    st.lists(CALLED, max_size=25), st.lists(CHARGED, min_size=1, max_size=3), SPAN, SPAN, st.integers(0, 300),
)  # fmt: skip
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_sum_is_beside_all_its_calls_or_beside_none(
    called: list[tuple[int, int, str, str, str]], charged: list[tuple[int, Charge, Who]], period: tuple[int, int],
    asked: tuple[int, int], seats: int,
) -> None:  # fmt: skip
    (first, until), (since, end) = period, asked
    calls = [
        made(at, day, cost, billing=billing, provider=provider, api_key=key)
        for at, (day, cost, billing, provider, key) in enumerate(sorted(called))
    ]
    lines = [charge(first, until, cents, kind, who) for cents, kind, who in charged]
    lines.append(charge(first, until, seats, Charge.SEAT))
    span = DAY + since * DAY_MS, DAY + end * DAY_MS
    result = compare(calls, [invoice(lines, first, until)], NO_FACTS, Options(*span, NOW))
    adds_up(result)

    within = [
        each for each in calls if each.provider == "anthropic" and first <= (each.started_ms - DAY) // DAY_MS < until
    ]
    whole = since <= first and until <= end
    billed_nanos = sum(cents * CENT for cents, _, _ in charged) + seats * CENT
    assert result.billed_nanos == (billed_nanos if since <= first < end else 0)
    assert result.captured_nanos == (sum(each.cost_nanos for each in within) if whole else 0)
    assert judged(result).compared is whole
    if whole:
        _of_rows_alone(result, within)
        (row,) = result.days
        assert (row.day_ms, row.until_ms) == (DAY + first * DAY_MS, DAY + until * DAY_MS)
        (total,) = (each for each in result.coverage if each.what == "total")
        told = total.billed_nanos or any(each.cost_nanos for each in within if each.billing == "metered")
        parts = {(each.what, each.name) for each in result.coverage if each.what in ("provider", "key")}
        assert parts == ({("provider", "anthropic"), ("key", f"anthropic {POOL}")} if told else set())
    else:
        assert set(by_cause(result)) <= {Cause.SUBSCRIPTION_INCLUDED}
        assert any("--from" in note and "--until" in note for note in result.notes) is (first < end and since < until)


def _of_rows_alone(result: Result, within: list[Call]) -> None:
    """Causes are what the ledger's rows say of themselves, and what the last digits of its amounts can be."""
    costs = {
        kind: sum(each.cost_nanos for each in within if each.billing == kind) for kind in ("subscription", "gateway")
    }
    found = {each.cause: 0 for each in result.findings}
    for each in result.findings:
        if not each.evidence.startswith("the bill has"):
            found[each.cause] += each.nanos
    assert found.get(Cause.SUBSCRIPTION_INCLUDED, 0) == -costs["subscription"]
    assert found.get(Cause.GATEWAY_LEG, 0) == -costs["gateway"]
    assert set(found) <= {Cause.SUBSCRIPTION_INCLUDED, Cause.GATEWAY_LEG, Cause.FX_ROUNDING}
    assert abs(found.get(Cause.FX_ROUNDING, 0)) <= 3 * CENT // 2 + len(within)


def test_days_told_by_day_are_explained_as_if_the_sum_were_not_there() -> None:
    """A month by day and by key, then one in a sum: the first keeps its grain, its causes and its tools."""
    daily = [
        replace(each, amount="0.05 USD") for each in billed(times(USAGE, 3), None) if each.billed_nanos is not None
    ]
    calls = [made(at, 0, each.cost_nanos) for at, each in enumerate([call(), call()])]
    later = [made(10 + at, 3, 40 * CENT, tool="codex", api_key="sk-ant:9") for at in range(2)]

    def of(lines: list[Line], made_by: list[Call]) -> Result:
        result = compare(made_by, [invoice(lines, 0, DAYS)], NO_FACTS, Options(DAY, DAY + DAYS * DAY_MS, NOW))
        adds_up(result)
        return result

    alone, both = of(daily, calls), of([*daily, charge(2, 5, 90)], [*calls, *later])

    assert both.days[0] == alone.days[0]
    assert both.findings == alone.findings
    assert [each.name for each in both.coverage if each.what == "tool"] == ["claude-code", "codex"]
    assert both.days[1].unexplained_nanos == 10 * CENT


def test_requests_of_another_provider_are_not_mixed_with_the_calls_of_a_sum() -> None:
    """How many of them were captured is told of those that its bill counts."""
    api = statement([replace(each, provider="openai") for each in billed(USAGE, 1)], source="openai")
    api = replace(api, provider="openai")
    calls = [made(0, 0, 1, provider="openai"), made(1, 0, CENT), made(2, 1, CENT)]
    versions = [invoice([charge(0, 3, 2)], 0, 3), Version("api", NOW, api)]
    result = compare(calls, versions, NO_FACTS, Options(DAY, DAY + 3 * DAY_MS, NOW))
    adds_up(result)
    total = next(each for each in result.coverage if each.what == "total")
    assert (total.billed_requests, total.captured_requests) == (1, 1)


def test_a_sum_is_as_final_as_its_last_day() -> None:
    """And open until its statement reaches over it: an invoice of before its end knows nothing of what followed."""
    lines = [charge(0, DAYS, 100)]
    options = Options(DAY, DAY + DAYS * DAY_MS, DAY + 33 * DAY_MS)
    states = [
        compare([made(0, 1, CENT)], [invoice(lines, 0, DAYS, at)], NO_FACTS, options)
        for at in (DAY + 33 * DAY_MS, DAY + 3 * DAY_MS)
    ]
    assert [(each.state, each.captured_nanos) for each in states] == [(State.SETTLING, CENT), (State.SETTLING, 0)]
    assert any("it was imported before its last day was over; import it again" in note for note in states[1].notes)


TYPED = st.tuples(
    st.sampled_from(["invoice", "invoice", "anthropic-cost-csv"]), st.sampled_from(["anthropic/acme", "anthropic/labs"]), SPAN,
    st.sampled_from(["sum", "sum", "by day", "fees"]),
)  # fmt: skip
"""An import: its source, whose it is, its days, what it tells."""


def imported(at: int, source: str, subject: str, span: tuple[int, int], tells: str) -> Version:
    """One whose amount no other has. An export has no sum."""
    (first, until), cents = span, 100_003 + 1_009 * at
    match tells:
        case "sum" if source == "invoice":
            lines = [charge(first, until, cents)]
        case "fees":
            lines = [charge(first, first + 1, cents, Charge.SUPPORT)]
        case _:
            lines = [charge(first, first + 1, cents)]
    whose = subject if source == "invoice" else subject.partition("/")[2]
    said = replace(invoice(lines, first, until).statement, source=source, subject=whose)
    return Version(f"import {at}", NOW - 1_000 + at, said)


@given(st.lists(TYPED, min_size=1, max_size=5), SPAN)
@settings(deadline=None, max_examples=200)
def test_no_sum_goes_without_a_word(typed: list[tuple[str, str, tuple[int, int], str]], asked: tuple[int, int]) -> None:
    """Whatever is imported beside it: it is billed, named with its amount, or a newer import says what its days cost."""
    versions = [imported(at, *each) for at, each in enumerate(typed)]
    span = DAY + asked[0] * DAY_MS, DAY + asked[1] * DAY_MS
    result = compare([made(0, 1, CENT)], versions, NO_FACTS, Options(*span, NOW))
    adds_up(result)
    lines = {id(line) for day in bill_of(versions, *span, NOW, ()).days for line in day.lines}
    for version in versions:
        for line in filter(is_sum, version.statement.lines):
            if line.ends_ms <= span[0] or line.starts_ms >= span[1] or id(line) in lines:
                continue
            amount = f"${line.billed_nanos / 10**9:,.2f}"
            named = any(amount in note for note in result.notes)
            assert named or _told_by_a_newer(version, line, versions), amount


def _told_by_a_newer(version: Version, line: Line, versions: list[Version]) -> bool:
    whose = (version.statement.source, version.statement.subject)
    newer = (
        one
        for each in versions
        if (each.statement.source, each.statement.subject) == whose and each.at_ms > version.at_ms
        for one in each.statement.lines
    )
    return any(one.charge in CHARGES and one.starts_ms < line.ends_ms and line.starts_ms < one.ends_ms for one in newer)
