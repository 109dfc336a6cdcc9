"""Limits as a file writes them: forms, bounds, windows; any text is a limit or a fault."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgate.adaptive import Mean
from spendgate.budget import Budget
from spendgate.config.policy_file import parse_policy
from spendgate.errors import PolicyError
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.window import Unit

HEAD = "version: 1\nowner: ops@acme.example\n"


def budgets(words: str) -> tuple[Budget, ...]:
    """The budgets of one entry."""
    return parse_policy(f"{HEAD}budgets:\n  - name: b\n    per: person\n    {words}\n".encode()).budgets


def test_a_mean_arrives_with_its_bounds() -> None:
    """Beside a fixed limit of another window, which has none."""
    by_mean, fixed = budgets("limit: [2.5x mean of 14d per week, $20 per day]\n    at_least: $5\n    at_most: $1,000")
    dollar = NANOS_PER_DOLLAR
    assert (by_mean.name, fixed.name) == ("b/week", "b/day")
    assert by_mean.mean == Mean(2_500, 14, 5 * dollar, 1_000 * dollar)
    assert (by_mean.limit_nanos, fixed.mean, fixed.limit_nanos) == (1_000 * dollar, None, 20 * dollar)


def test_what_is_not_said_is_usual() -> None:
    """Captured spend counts, nothing is said of one machine, at_least is nothing."""
    (budget,) = budgets("limit: 4x mean of 7d per hour\n    at_most: $9")
    assert (budget.counts, budget.per_machine_nanos, budget.mean.at_least_nanos) == ("captured", None, 0)
    assert budget.window.unit is Unit.HOUR


def test_counts_and_per_machine_arrive() -> None:
    """Both may stand beside any limit."""
    (budget,) = budgets("limit: $9 per day\n    counts: value\n    per_machine: $9")
    assert (budget.counts, budget.per_machine_nanos) == ("value", 9 * NANOS_PER_DOLLAR)


@pytest.mark.parametrize("words", ["counts: value", "per_machine: $1"])
def test_they_are_part_of_the_policy(words: str) -> None:
    """A change of either is another policy."""
    plain = parse_policy(f"{HEAD}budgets: [{{name: b, limit: $5}}]\n".encode())
    assert parse_policy(f"{HEAD}budgets: [{{name: b, limit: $5, {words}}}]\n".encode()).hash != plain.hash


number = st.sampled_from(["4", "0", "4.5", "1.2345", "x", "", "-1", "٣", "9" * 30, "1e3", "7"])
window = st.sampled_from(["day", "fortnight", "", "rolling 36h", "rolling 0h", "Week"])


@given(
    st.builds("{}x mean of {}d per {}".format, number, number, window)
    | st.builds("{}x mean  of {}d".format, number, number)
    | st.text(st.sampled_from("4x mean of 7d per day$.,"), max_size=24)
    | st.just("none")
)
def test_any_text_is_a_limit_or_a_fault(text: str) -> None:
    """Never a crash, never half understood."""
    quoted = text.replace('"', "")
    try:
        (budget,) = parse_policy(f'{HEAD}budgets: [{{name: b, limit: "{quoted}", at_most: $9}}]\n'.encode()).budgets
    except PolicyError as fault:
        assert "budgets[1]" in fault.faults[0]
    else:
        assert budget.mean is not None
        assert 3 <= budget.mean.days <= 90
        assert budget.mean.thousandths > 0


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("$20 per 30d", "rolling 30d"),
        ("$20 per 24 hours", "rolling 24h"),
        ("$20 per rolling 30 days", "rolling 30d"),
        ("$20 per rolling30d", "rolling 30d"),
        ("$20 per sliding 90min", "rolling 90m"),
        ("$20 per 2 weeks", "rolling 14d"),
        ("$20 per dya", "day"),
        ("$2,000/month", "$2,000 per month"),
        ("$20 a day", "$20 per day"),
        ("$20 every week", "$20 per week"),
    ],
)
def test_a_limit_that_is_nearly_one_names_what_is_meant(written: str, meant: str) -> None:
    """What stands there is never guessed at, and what it suggests is read."""
    with pytest.raises(PolicyError) as fault:
        parse_policy(f"version: 1\nowner: a\nbudgets: [{{name: a, limit: '{written}'}}]\n".encode())
    assert f"; did you mean {meant}?" in str(fault.value)
    amended = meant if meant.startswith("$") else f"$20 per {meant}"
    assert parse_policy(f"version: 1\nowner: a\nbudgets: [{{name: a, limit: '{amended}'}}]\n".encode()).budgets


@pytest.mark.parametrize("written", ["$20 per 400d", "$20 per 3 months", "$20 per 30s", "$20 per rolling"])
def test_no_window_is_suggested_where_none_is_meant(written: str) -> None:
    """Longer than any window, or in units that none has."""
    with pytest.raises(PolicyError) as fault:
        parse_policy(f"version: 1\nowner: a\nbudgets: [{{name: a, limit: '{written}'}}]\n".encode())
    assert "did you mean rolling" not in str(fault.value)
