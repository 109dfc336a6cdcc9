"""Every form against a brute-force oracle that keeps all charges and asks the words of policy.md of them each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.alerts.kit import Told, read

from spendgate.money import NANOS_PER_DOLLAR

ZONES = ("UTC", "Europe/Berlin", "America/Los_Angeles", "Pacific/Auckland", "Asia/Kathmandu", "Pacific/Kiritimati")
START = int(datetime(2026, 10, 22, tzinfo=UTC).timestamp() * 1000)
"""Ten days from here clocks change in Europe, in America, and have changed in New Zealand."""
HOUR, DAY = 3_600_000, 86_400_000
PEOPLE = ("alice", "bob")


@dataclass(frozen=True)
class Charge:
    booked_ms: int
    ended_ms: int
    cost: int
    person: str
    model: str = "claude-opus-4-5"


@st.composite
def histories(draw: st.DrawFn, days: int = 14, most: int = 60) -> list[Charge]:
    """Charges in the order in which they end; some calls last for a day."""
    made = []
    for _ in range(draw(st.integers(1, most))):
        booked_ms = START + draw(
            st.one_of(
                st.integers(0, days * DAY),
                st.integers(0, days * 24).map(lambda hour: hour * HOUR),
                st.integers(0, days * 24).map(lambda hour: hour * HOUR - 1),
            )
        )
        lasts_ms = draw(st.sampled_from((0, 1, 60_000, HOUR, 20 * HOUR)))
        cost = draw(st.sampled_from((0, 1, 2, 5, 10, 30))) * NANOS_PER_DOLLAR
        model = draw(st.sampled_from(("claude-opus-4-5", "claude-sonnet-4-5")))
        made.append(Charge(booked_ms, booked_ms + lasts_ms, cost, draw(st.sampled_from(PEOPLE)), model))
    return sorted(made, key=lambda charge: charge.ended_ms)


def day_of(zone: str, at_ms: int) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(ZoneInfo(zone)).date()


Holds = Callable[[list[Charge], Charge], str | None]
"""Of all charges so far and the last of them: the window in which the mark is reached, or None."""


def check(
    text: str, zone: str, history: list[Charge], holds: Holds, *, restarts: bool, again_ms: int | None = None
) -> None:
    """The alerts of a rule per person are those of the oracle: who, in which window, at which charge."""
    told = Told(read(text, zone))
    seen: list[Charge] = []
    expected: list[tuple[str, str, int]] = []
    known: dict[tuple[str, str], int] = {}
    for place, charge in enumerate(history):
        if restarts and place % 3 == 0:
            told.restart()
        told.charge(charge.booked_ms, charge.cost, ended_ms=charge.ended_ms, person=charge.person, model=charge.model)
        seen.append(charge)
        window = holds([each for each in seen if each.person == charge.person], charge)
        if window is None:
            continue
        last_ms = known.get((charge.person, window))
        if last_ms is None or (again_ms is not None and charge.ended_ms >= last_ms + again_ms):
            known[charge.person, window] = charge.ended_ms
            expected.append((charge.person, window, charge.ended_ms))
    assert [(alert.value, alert.window, alert.at_ms) for alert in told.found] == expected


@settings(max_examples=60, deadline=None)
@given(histories(), st.sampled_from(ZONES), st.sampled_from((1, 3, 7)), st.sampled_from((0, 6)), st.booleans())
def test_spike(history: list[Charge], zone: str, days: int, minimum: int, restarts: bool) -> None:
    """A day's spend against the mean of the days before it, idle ones included."""

    def holds(seen: list[Charge], charge: Charge) -> str | None:
        today = day_of(zone, charge.booked_ms)
        spent = sum(each.cost for each in seen if day_of(zone, each.booked_ms) == today)
        before = [today - timedelta(days=back) for back in range(1, days + 1)]
        mean = Fraction(sum(each.cost for each in seen if day_of(zone, each.booked_ms) in before), days)
        reached = charge.cost > 0 and spent >= minimum * NANOS_PER_DOLLAR and spent >= Fraction(5, 2) * mean
        return today.isoformat() if reached else None

    least = f", minimum: ${minimum}" if minimum else ""
    rule = f"alerts: [{{name: s, spike: 2.5x over {days}d, per: person{least}}}]\n"
    check(rule, zone, history, holds, restarts=restarts)


@settings(max_examples=60, deadline=None)
@given(histories(days=2), st.sampled_from((("30m", HOUR // 2), ("1h", HOUR), ("1d", DAY))), st.booleans())
def test_burn(history: list[Charge], within: tuple[str, int], restarts: bool) -> None:
    """What was charged within the time before a charge, that one included; again when all of it has passed."""
    words, length_ms = within

    def holds(seen: list[Charge], charge: Charge) -> str | None:
        spent = sum(each.cost for each in seen if each.ended_ms > charge.ended_ms - length_ms)
        return "" if charge.cost and spent >= 15 * NANOS_PER_DOLLAR else None

    rule = f"alerts: [{{name: b, burn: $15 in {words}, per: person}}]\n"
    check(rule, "UTC", history, holds, restarts=restarts, again_ms=length_ms)


@settings(max_examples=60, deadline=None)
@given(histories(days=4), st.sampled_from(ZONES), st.sampled_from((34, 50, 100)), st.integers(1, 8), st.booleans())
def test_share(history: list[Charge], zone: str, percent: int, least: int, restarts: bool) -> None:
    """Of a day's calls those that fit, calls that cost nothing among them."""

    def holds(seen: list[Charge], charge: Charge) -> str | None:
        today = day_of(zone, charge.booked_ms)
        calls = [each.model for each in seen if day_of(zone, each.booked_ms) == today]
        fit = sum(model == "claude-opus-4-5" for model in calls)
        return (
            today.isoformat() if len(calls) >= least and Fraction(fit, len(calls)) >= Fraction(percent, 100) else None
        )

    rule = f"alerts: [{{name: m, share: {percent}%, match: {{model: 'claude-opus-*'}}, per: person, minimum_calls: {least}}}]\n"
    check(rule, zone, history, holds, restarts=restarts)


@settings(max_examples=60, deadline=None)
@given(
    histories(days=16),
    st.sampled_from(ZONES),
    st.sampled_from(
        (
            ("mon-fri 07:00-20:00", range(5), 420, 1200),
            ("mon-fri 00:00-24:00", range(5), 0, 1440),
            ("sun 01:30-03:30", (6,), 90, 210),
        )
    ),
    st.booleans(),
)
def test_outside_hours(
    history: list[Charge], zone: str, hours: tuple[str, range | tuple[int, ...], int, int], restarts: bool
) -> None:
    """What was booked in one stretch between working times."""
    words, days, opens, closes = hours

    def instant(day: date, minute: int) -> int:
        day += timedelta(days=minute // 1440)
        wall = datetime(day.year, day.month, day.day, minute % 1440 // 60, minute % 60, tzinfo=ZoneInfo(zone))
        return int(wall.timestamp() * 1000)

    first = day_of(zone, START) - timedelta(days=12)
    calendar = [first + timedelta(days=number) for number in range(45)]
    work = [(instant(day, opens), instant(day, closes)) for day in calendar if day.weekday() in days]

    def stretch(at_ms: int) -> int | None:
        """Where it starts; None for working time."""
        if any(start <= at_ms < end for start, end in work):
            return None
        return max(end for _, end in work if end <= at_ms)

    def holds(seen: list[Charge], charge: Charge) -> str | None:
        starts_ms = stretch(charge.booked_ms)
        if starts_ms is None or not charge.cost:
            return None
        spent = sum(each.cost for each in seen if stretch(each.booked_ms) == starts_ms)
        wall = datetime.fromtimestamp(starts_ms / 1000, ZoneInfo(zone))
        return f"{wall:%Y-%m-%dT%H:%M}" if spent >= 10 * NANOS_PER_DOLLAR else None

    rule = f"alerts: [{{name: o, spend: '$10 outside {words}', per: person}}]\n"
    check(rule, zone, history, holds, restarts=restarts)


@settings(max_examples=60, deadline=None)
@given(histories(days=70), st.sampled_from(ZONES), st.sampled_from(("week", "month", "quarter")), st.booleans())
def test_thresholds(history: list[Charge], zone: str, window: str, restarts: bool) -> None:
    """Each share of a limit once in each window, whatever order the calls end in."""
    told = Told(read(f"budgets: [{{name: b, per: person, limit: $40 per {window}, alerts: [80%, 50%, 120%]}}]\n", zone))
    fiscal: dict[str, Callable[[date], object]] = {
        "week": lambda day: day.isocalendar()[:2],
        "month": lambda day: (day.year, day.month),
        "quarter": lambda day: (day.year, (day.month - 1) // 3),
    }
    settled: dict[tuple[str, object], int] = {}
    expected: list[tuple[str, str, int]] = []
    for place, charge in enumerate(history):
        if restarts and place % 3 == 0:
            told.restart()
        told.charge(charge.booked_ms, charge.cost, ended_ms=charge.ended_ms, person=charge.person)
        key = charge.person, fiscal[window](day_of(zone, charge.booked_ms))
        before, settled[key] = settled.get(key, 0), settled.get(key, 0) + charge.cost
        for percent in (50, 80, 120):
            mark = 40 * NANOS_PER_DOLLAR * percent // 100
            if before < mark <= settled[key]:
                expected.append((f"b {percent}%", charge.person, charge.ended_ms))
    assert [(alert.rule, alert.value, alert.at_ms) for alert in told.found] == expected


@settings(max_examples=60, deadline=None)
@given(histories(days=3), st.sampled_from((("rolling 30m", HOUR // 2), ("rolling 6h", 6 * HOUR))), st.booleans())
def test_thresholds_of_a_window_that_slides(history: list[Charge], window: tuple[str, int], restarts: bool) -> None:
    """What was booked within the window's length before a call ends; again when all that was in it then has left."""
    words, length_ms = window

    def holds(seen: list[Charge], charge: Charge) -> str | None:
        spent = sum(each.cost for each in seen if each.booked_ms > charge.ended_ms - length_ms)
        return "rolling" if charge.cost and spent >= 15 * NANOS_PER_DOLLAR else None

    rule = f"budgets: [{{name: b, per: person, limit: $30 per {words}, alerts: [50%]}}]\n"
    check(rule, "UTC", history, holds, restarts=restarts, again_ms=length_ms)


@settings(max_examples=60, deadline=None)
@given(
    histories(days=100), st.sampled_from(ZONES), st.sampled_from(("january", "february", "march")), st.integers(1, 12)
)
def test_pace(history: list[Charge], zone: str, fiscal: str, week: int) -> None:
    """A share of a quarter's limit, reached by calls that were booked before the week's last day is over."""
    text = (
        f"fiscal_year_starts: {fiscal}\nbudgets: [{{name: q, limit: $40 per quarter}}]\n"
        f"alerts: [{{name: p, pace: 60% by week {week}, budget: q}}]\n"
    )
    told = Told(read(text, zone))
    shift = ("january", "february", "march").index(fiscal)

    def first_day(day: date) -> date:
        count = day.year * 12 + day.month - 1
        count -= (count - shift) % 3
        return date(count // 12, count % 12 + 1, 1)

    settled: dict[date, int] = {}
    expected: list[tuple[str, int]] = []
    for charge in history:
        told.charge(charge.booked_ms, charge.cost, ended_ms=charge.ended_ms, person=charge.person)
        day = day_of(zone, charge.booked_ms)
        first = first_day(day)
        settled[first] = settled.get(first, 0) + charge.cost
        window = f"quarter {first:%Y-%m}"
        early = day < first + timedelta(days=7 * week)
        if early and charge.cost and settled[first] >= 24 * NANOS_PER_DOLLAR and window not in dict(expected):
            expected.append((window, charge.ended_ms))
    assert [(alert.window, alert.at_ms) for alert in told.found] == expected


def test_a_busy_value_keeps_few_charges() -> None:
    """Of sixty thousand charges in forty minutes a burn keeps about four thousand, and still finds the mark within a 4,096th."""
    told = Told(read("alerts: [{name: b, burn: $60 in 1h}]\n"))
    for number in range(60_000):
        told.charge(START + 40 * number, NANOS_PER_DOLLAR // 1_000)
    (alert,) = told.found
    assert alert.at_ms == START + 40 * 59_999
    assert len(told.alerts.dump()) < 400_000
