"""Exceptions as a file writes them: days, instants and zones; any text is a time or a fault."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgate.config.policy_file import parse_policy
from spendgate.errors import PolicyError
from spendgate.exceptions import BudgetException
from spendgate.money import NANOS_PER_DOLLAR

HEAD = "version: 1\nowner: ops@acme.example\nbudgets: [{name: b, per: person, limit: $5 per day}]\n"
USUAL = "budget: b, match: {person: alice}, add: $1, reason: why, approved_by: cto@acme.example"


def read(words: str, head: str = "") -> BudgetException:
    """The one exception of a file."""
    (found,) = parse_policy(f"{HEAD}{head}exceptions: [{{{USUAL}, {words}}}]\n".encode()).exceptions
    return found


def instant(ms: int) -> str:
    """As ISO 8601."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


@pytest.mark.parametrize(
    ("zone", "written", "from_", "until"),
    [
        pytest.param("UTC", "2026-12-15", "2026-12-15T00:00:00.000+00:00", "2026-12-16T00:00:00.000+00:00", id="a day"),
        pytest.param(
            "America/Los_Angeles",
            "2026-12-15",
            "2026-12-15T08:00:00.000+00:00",
            "2026-12-16T08:00:00.000+00:00",
            id="zone",
        ),
        pytest.param(
            "Europe/Berlin",
            "2026-10-25",
            "2026-10-24T22:00:00.000+00:00",
            "2026-10-25T23:00:00.000+00:00",
            id="of 25 hours",
        ),
        pytest.param(
            "America/Santiago",
            "2026-09-06",
            "2026-09-06T04:00:00.000+00:00",
            "2026-09-07T03:00:00.000+00:00",
            id="no midnight",
        ),
        pytest.param(
            "Europe/Berlin", "2026-12-15T17:30:00+05:30", *["2026-12-15T12:00:00.000+00:00"] * 2, id="an instant"
        ),
        pytest.param("UTC", "2026-12-15T17:30Z", *["2026-12-15T17:30:00.000+00:00"] * 2, id="to the minute"),
    ],
)
def test_days_are_of_the_files_zone_and_instants_of_their_own(zone: str, written: str, from_: str, until: str) -> None:
    """`from` begins with its day, `until` ends with its; an instant is itself."""
    head = f"timezone: {zone}\n"
    assert instant(read(f'until: "{written}"', head).until_ms) == until
    assert instant(read(f'from: "{written}", until: "2100-01-01"', head).from_ms) == from_


def test_a_shared_budget_needs_no_match() -> None:
    """There is one allowance, which is raised for everyone."""
    words = "{budget: b, limit: $9, until: 2026-12-15, reason: r, approved_by: c}"
    text = f"{HEAD.replace('per: person, ', '')}exceptions: [{words}]\n"
    (found,) = parse_policy(text.encode()).exceptions
    assert (found.match.clauses, found.limit_nanos, found.add_nanos, found.from_ms) == (
        (),
        9 * NANOS_PER_DOLLAR,
        None,
        0,
    )


def test_each_word_is_part_of_the_policy() -> None:
    """A change of any is another policy, also of who approved it."""
    base = parse_policy(f"{HEAD}exceptions: [{{{USUAL}, until: 2026-12-15}}]\n".encode())
    changed = [
        USUAL.replace("$1", "$2"),
        USUAL.replace("alice", "bob"),
        USUAL.replace("why", "because"),
        USUAL.replace("cto", "cfo"),
        f"{USUAL}, once: true",
        f"{USUAL}, from: 2026-12-01",
    ]
    hashes = {parse_policy(f"{HEAD}exceptions: [{{{words}, until: 2026-12-15}}]\n".encode()).hash for words in changed}
    assert len({base.hash, *hashes}) == len(changed) + 1


@given(
    st.dates().map(str)
    | st.datetimes(timezones=st.timezones()).map(datetime.isoformat)
    | st.text(st.sampled_from("0123456789-:TZ+."), max_size=30)
)
def test_any_text_is_a_time_or_a_fault(text: str) -> None:
    """From year 1 to 9999, with any zone and any offset: never a crash."""
    try:
        found = read(f'until: "{text}"', "timezone: Pacific/Kiritimati\n")
    except PolicyError as fault:
        assert "exceptions[1]" in fault.faults[0]
    else:
        assert isinstance(found.until_ms, int)
