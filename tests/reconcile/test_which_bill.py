"""Which statement says what on which day: silence is no zero, one dollar is told once, and two accounts are two."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from reconcile.kit_explain import DAY, NOON, NOW, USAGE, adds_up, billed, by_cause, call, price, times
from spendgate.reconcile.captured import Call
from spendgate.reconcile.facts import NO_FACTS
from spendgate.reconcile.report.tolerance import judged
from spendgate.reconcile.result import Cause, Result, State
from spendgate.reconcile.run import Options, Version, compare
from spendgate.statement import DAY_MS, Billed, Charge, Line, Statement, Who
from spendgate.usage import NO_USAGE

DAYS = 4
ONE = price(times(USAGE, 3))
"""What is used on each day."""


def _calls() -> list[Call]:
    moments = [NOON + day * DAY_MS + number for day in range(DAYS) for number in range(3)]
    return [
        call(at, started_ms=moment, ended_ms=moment + 2_000, response_id=f"msg_{at}")
        for at, moment in enumerate(moments)
    ]


def _api(*days: int) -> list[Line]:
    return [line for day in days for line in billed(times(USAGE, 3), 3, day=DAY + day * DAY_MS)]


def _money(*days: int, key: str = "apikey_alice") -> list[Line]:
    """As the Console's cost CSV has it: no counts."""
    lines = [each for each in _api(*days) if each.billed_nanos is not None]
    return [replace(each, usage=NO_USAGE, requests=None, who=Who(key=key)) for each in lines]


def _said(
    source: str, lines: Sequence[Line], *, until: int = DAYS, subject: str = "", at_ms: int = NOW, since: int = 0
) -> Version:
    span = DAY + since * DAY_MS, DAY + until * DAY_MS
    said = Statement(source, "anthropic", subject, *span, "ab" * 32, "x", None, tuple(lines))
    return Version(source + subject, at_ms, said)


def _result(*versions: Version) -> Result:
    result = compare(_calls(), versions, NO_FACTS, Options(DAY, DAY + DAYS * DAY_MS, NOW))
    adds_up(result)
    return result


def test_a_source_is_taken_on_the_days_that_it_covers() -> None:
    """What tells most apart of two days does not make nothing of the other days that another source tells."""
    result = _result(
        _said("anthropic", _api(0, 1), until=2), _said("anthropic-cost-csv", _money(0, 1, 2, 3), at_ms=NOW - DAY_MS)
    )

    assert (result.billed_nanos, result.captured_nanos, result.unexplained_nanos) == (DAYS * ONE, DAYS * ONE, 0)
    assert not by_cause(result)
    assert "anthropic: anthropic-cost-csv tells tokens, too; anthropic is taken" in result.notes


def test_two_accounts_told_by_two_sources_are_both_billed() -> None:
    """Named by hand as two, neither hides the other's dollars."""
    ours = _said("anthropic", _api(0, 1, 2, 3), subject="acme")
    theirs = _said("anthropic-cost-csv", _money(0, 1, 2, 3, key="apikey_bob"), subject="acme-labs")

    result = _result(ours, theirs)

    assert result.billed_nanos == 2 * DAYS * ONE
    assert by_cause(result) == {Cause.SCOPE_KEY: DAYS * ONE}


@pytest.mark.parametrize("subject", ["", "acme"])
def test_the_same_account_told_by_two_sources_is_billed_once(subject: str) -> None:
    """Also where one of them was not told whose it is."""
    result = _result(
        _said("anthropic", _api(0, 1, 2, 3), subject="acme"),
        _said("anthropic-cost-csv", _money(0, 1, 2, 3), subject=subject),
    )

    assert (result.billed_nanos, result.gap_nanos) == (DAYS * ONE, 0)


@pytest.mark.parametrize("newest", ["", "acme"])
def test_an_organization_that_two_downloads_name_in_two_ways_is_billed_once(newest: str) -> None:
    """Alone in one file, which is then all its own, and beside another organization in the next."""

    def of(organization: str) -> list[Line]:
        return [replace(each, who=Who(organization, key="apikey_alice")) for each in _money(0, 1, 2, 3)]

    alone = _said("openai-cost-csv", of("acme"), subject="acme", at_ms=NOW - (not newest))
    both = _said("openai-cost-csv", [*of("acme"), *of("acme-labs")], at_ms=NOW - bool(newest))

    assert _result(alone, both).billed_nanos == 2 * DAYS * ONE


SEATS = Line(
    DAY, DAY + DAYS * DAY_MS, "anthropic", charge=Charge.SEAT, billed_nanos=150_000_000_000, amount="150.00 USD"
)


def test_seats_say_nothing_of_what_calls_cost() -> None:
    """Metered calls beside a plan's seats are not called unbilled: no statement is about them, and the report says so."""
    result = _result(_said("invoice", [SEATS], subject="anthropic"))

    assert by_cause(result) == {Cause.SUBSCRIPTION_INCLUDED: SEATS.billed_nanos}
    assert result.captured_nanos == 0
    assert (judged(result).compared, judged(result).over) == (False, True)
    assert (
        f"anthropic: no statement that tells what calls cost on {DAYS} days; 12 calls of $0.30 not compared"
        in result.notes
    )


def test_seats_do_not_stretch_a_bill_of_two_days() -> None:
    """Calls of days that the bill does not cover are not compared, and the report says how many."""
    result = _result(_said("invoice", [SEATS], subject="anthropic"), _said("anthropic", _api(0, 1), until=2))

    assert (result.captured_nanos, result.unexplained_nanos) == (2 * ONE, 0)
    assert by_cause(result) == {Cause.SUBSCRIPTION_INCLUDED: SEATS.billed_nanos}
    assert any("on 2 days; 6 calls of $0.15 not compared" in note for note in result.notes)


def test_seats_typed_before_the_month_keep_no_day_open() -> None:
    """A plan that was imported on its first day says nothing of how far the bill reaches."""
    result = _result(
        _said("invoice", [SEATS], subject="anthropic", at_ms=DAY + 1), _said("anthropic", _api(0, 1, 2, 3))
    )

    assert result.state is State.FINAL
    assert result.captured_nanos == DAYS * ONE


def test_days_without_a_statement_are_told() -> None:
    """Half a month that was never imported does not pass for agreement."""
    result = _result(_said("anthropic", _api(0, 1), until=2))

    assert result.gap_nanos == 0
    assert any("on 2 days; 6 calls of $0.15 not compared" in note for note in result.notes)


@pytest.mark.parametrize("source", ["anthropic-usage-csv", "claude-code"])
def test_counts_without_money_are_no_bill_of_nothing(source: str) -> None:
    """Nobody billed these calls at nought times their price."""
    counts = [each for each in _api(0, 1, 2, 3) if each.billed_nanos is None]

    result = _result(_said(source, counts))

    assert not result.findings
    assert not result.days


def test_counts_of_one_tool_are_not_joined_to_everybodys_money() -> None:
    """Claude Code's own counts are a part of what the Console bills: no price follows from the two."""
    counts = [
        replace(each, who=Who(email="alice@x"), usage=USAGE, requests=None)
        for each in _api(0, 1, 2, 3)
        if each.billed_nanos is None
    ]

    result = _result(_said("anthropic-cost-csv", _money(0, 1, 2, 3)), _said("claude-code", counts))

    assert not by_cause(result)
    assert result.unexplained_nanos == 0


MONTH = Line(DAY, DAY + DAYS * DAY_MS, "anthropic", billed_nanos=DAYS * ONE, amount="0.30 USD")


def test_a_months_sum_is_compared_with_all_its_days_and_with_no_part_of_them() -> None:
    """An invoice that names no day proves nothing about any: of a part of its days it stays unexplained."""
    said = _said("invoice", [MONTH], subject="anthropic")

    whole = _result(said)
    part = compare(_calls(), [said], NO_FACTS, Options(DAY, DAY + (DAYS - 1) * DAY_MS, NOW))
    adds_up(part)

    assert (whole.billed_nanos, whole.captured_nanos, whole.unexplained_nanos) == (DAYS * ONE, DAYS * ONE, 0)
    assert (part.billed_nanos, part.captured_nanos, part.unexplained_nanos) == (DAYS * ONE, 0, DAYS * ONE)
    assert any("this report ends within it; `--from " in note for note in part.notes)


def test_a_months_sum_beside_a_daily_bill_is_told_once() -> None:
    """Also where the daily one begins later."""
    result = _result(_said("invoice", [MONTH], subject="anthropic"), _said("anthropic", _api(1, 2, 3), since=1))

    assert result.billed_nanos == 3 * ONE
    assert result.gap_nanos == 0


def test_a_report_without_amounts_does_not_hide_one_with_them() -> None:
    """GitHub's old report of requests says nothing of what those beyond the quota cost, however new its import is."""
    at = Line(NOON, NOON + 1, "github-copilot", "gpt-5.4", charge=Charge.REQUESTS, requests=1, who=Who(user="alice"))
    old = replace(at, billed_nanos=0, billed=Billed.INCLUDED)
    new = replace(at, billed_nanos=40_000_000, amount="0.04 USD")

    def of(source: str, line: Line, at_ms: int) -> Version:
        said = Statement(source, "github-copilot", "", DAY, DAY + DAY_MS, "ab" * 32, "x", None, (line,))
        return Version(source, at_ms, said)

    both = of("github-copilot-csv", new, NOW - 1), of("github-copilot-requests-csv", old, NOW)
    result = compare([], both, NO_FACTS, Options(DAY, DAY + DAY_MS, NOW))

    assert result.billed_nanos == 40_000_000
    assert (
        "github-copilot: github-copilot-requests-csv tells requests, too; github-copilot-csv is taken" in result.notes
    )


@pytest.mark.parametrize(
    ("subjects", "times_billed"),
    [(("", "acme"), 1), (("acme", "emea"), 1), (("", "acme", "emea"), 1)],
    ids=["with and without a name", "two names", "three"],
)
def test_the_same_bytes_under_two_names_are_one_account(subjects: tuple[str, ...], times_billed: int) -> None:
    """As two merged ledgers have them, whichever came first: an import refuses it, a merge cannot."""
    versions = [_said("anthropic", _api(0, 1, 2, 3), subject=each, at_ms=NOW + at) for at, each in enumerate(subjects)]
    for some in (versions, versions[::-1]):
        result = _result(*some)
        assert result.billed_nanos == times_billed * DAYS * ONE
        assert sum("the same bytes under two names" in note for note in result.notes) == len(subjects) - 1


def test_a_newer_bill_of_an_account_with_two_names_replaces_both() -> None:
    older = [_said("anthropic", _api(0, 1), until=2, subject=each) for each in ("", "acme")]
    newer = _said("anthropic", _api(0), until=2, subject="acme", at_ms=NOW + 1)
    assert _result(*older, newer).billed_nanos == ONE


def test_other_bytes_under_another_name_are_another_account() -> None:
    first, second = _said("anthropic", _api(0)), _said("anthropic", _api(0, 1), subject="emea")
    assert _result(first, second).billed_nanos == 3 * ONE


@pytest.mark.parametrize("names", [("aa", "bb"), ("bb", "aa")])
def test_of_two_imports_of_one_moment_the_one_that_reaches_further_is_in_force(names: tuple[str, str]) -> None:
    """Names are random: they decide nothing."""
    made = [_said("anthropic", _api(*days)) for days in ((0,), (0, 1))]
    early, late = (
        replace(one, name=name, statement=replace(one.statement, refreshed_ms=NOW - 5 + at))
        for at, (one, name) in enumerate(zip(made, names, strict=True))
    )
    assert [_result(*some).billed_nanos for some in ((early, late), (late, early))] == [2 * ONE] * 2
