"""Which adjustment holds when, whose account is personal, which seat has a call: the words of the policy, exactly."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgate.contracts import Account, Adjustment, Adjustments, Billing, Seat
from spendgate.selector import Facts, Selector
from spendgate.window import Unit, Window

CALL = Facts.of(model="claude-opus-4-5", provider="anthropic", person="alice")
ZONES = (
    "UTC",
    "America/Los_Angeles",
    "Pacific/Kiritimati",
    "Pacific/Niue",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Asia/Kolkata",
)
days = st.dates(date(2023, 1, 1), date(2028, 12, 31))
spans = st.tuples(st.none() | days, st.none() | days)


def entry(factor: int, starts: date | None = None, ends: date | None = None, **match: str) -> Adjustment:
    """One entry; of Anthropic's calls where nothing else is said."""
    chosen = {name: (text,) for name, text in (match or {"provider": "anthropic"}).items()}
    return Adjustment(match=Selector.of(chosen), factor_millionths=factor, starts=starts, ends=ends)


@given(
    st.sampled_from(ZONES),
    st.lists(spans, min_size=1, max_size=5),
    st.integers(
        int(datetime(2022, 12, 30, tzinfo=UTC).timestamp() * 1000),
        int(datetime(2029, 1, 3, tzinfo=UTC).timestamp() * 1000),
    ),
)
def test_the_last_entry_whose_days_hold_the_local_date(
    zone: str, entries: list[tuple[date | None, date | None]], at_ms: int
) -> None:
    """By the calendar on the wall there, days changed by clocks included; and nothing changes between two edges."""
    adjustments = Adjustments(tuple(entry(number, *span) for number, span in enumerate(entries, 1)), zone)
    today = (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at_ms)).astimezone(ZoneInfo(zone)).date()
    holding = [
        number
        for number, (starts, ends) in enumerate(entries, 1)
        if (starts is None or starts <= today) and (ends is None or today <= ends)
    ]
    found = adjustments.of(CALL, at_ms).asked
    assert (found.factor_millionths if found else None) == (holding[-1] if holding else None)
    since = adjustments.since(at_ms)
    assert since <= at_ms
    assert adjustments.of(CALL, since).asked == found


@pytest.mark.parametrize(
    ("provider", "account", "personal"),
    [
        ("anthropic", "org-1", False),
        ("anthropic", "ORG-1", False),
        ("anthropic", "org-2", True),
        ("anthropic", None, False),
        ("anthropic", "", False),
        ("openai", "anything", False),
    ],
)
def test_who_is_personal(provider: str, account: str | None, *, personal: bool) -> None:
    """Known, not listed, at a provider that is listed."""
    billing = Billing(accounts=(Account(provider="anthropic", account="Org-1"),))
    assert billing.is_personal(provider, account) is personal
    assert billing.word(provider, account, "metered") == ("personal" if personal else "metered")
    assert billing.word(provider, account, "gateway") == "gateway"


def test_what_counts() -> None:
    """A plan never; a personal call as the policy says."""
    for word, counted in (("ignore", False), ("count", True), ("refuse", True)):
        billing = Billing.model_validate({"personal": word})
        assert billing.counts("personal") is counted
        assert not billing.counts("subscription")
        assert all(billing.counts(each) for each in ("metered", "overage", "gateway"))


def test_the_first_seat_that_fits_has_the_call() -> None:
    """Of subscription traffic alone; a seat without a match has all of it that is left."""

    def seat(name: str, **match: str) -> Seat:
        chosen = Selector.of({key: (text,) for key, text in match.items()})
        return Seat(name=name, match=chosen, price_nanos=1, window=Window(Unit.MONTH))

    billing = Billing(seats=(seat("code", tool="claude-code"), seat("rest")))
    found = [
        billing.seat_of(Facts.of(tool=tool, billing=word))
        for tool, word in (("claude-code", "subscription"), ("cursor", "subscription"), ("claude-code", "metered"))
    ]
    assert [each.name if each else None for each in found] == ["code", "rest", None]
