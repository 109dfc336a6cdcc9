"""What people read: totals that add up, in the zone they live in; one call with its evidence; nothing that can write."""

from __future__ import annotations

import sqlite3
from zoneinfo import ZoneInfo

import pytest

from ledger.kit import DAY, HOUR, NOW, admit, row, scope, settled
from spendgate.admission import Admit, RefusalKind, Refuse
from spendgate.audit_words import AuditWord
from spendgate.ledger import Ledger
from spendgate.ledger.audit_log import Line
from spendgate.ledger.found_calls import CallHold
from spendgate.ledger.periods import period_of
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span

UTC, PACIFIC = ZoneInfo("UTC"), ZoneInfo("America/Los_Angeles")
DAILY = scope()


@pytest.fixture(autouse=True)
def calls(ledger: Ledger) -> None:
    """Alice spends 100 and 50 with two tools on two UTC days, Bob 7, one call is open, one free."""
    for name, cost, at, changes in (
        ("a1", 100, NOW, {"tool": "codex"}),
        ("a2", 50, NOW + DAY, {"tool": "claude-code"}),
        ("b1", 7, NOW, {"person": "bob", "tool": "codex"}),
        ("open", None, NOW, {"tool": "codex"}),
    ):
        ledger.hold(row(name, **changes), (DAILY,), admit(200), at)  # type: ignore[arg-type]
        if cost is not None:
            ledger.settle(name, settled(cost, DAILY, basis="estimated" if name == "b1" else "reported"))
    ledger.recorded(
        row("free", tool="codex"), "free", ended_ms=NOW, http_status=200, request_bytes=1, response_bytes=1, duration_ms=1,
        first_byte_ms=1,
    )  # fmt: skip


ALL = Span()


def totals(
    reader: Reader, *by: str, span: Span = ALL, zone: ZoneInfo = UTC
) -> list[tuple[tuple[str | None, ...], int]]:
    """Cost by group."""
    return [(each.key, each.cost_nanos) for each in reader.spend(by, span, zone)]


def test_spend_in_all(reader: Reader) -> None:
    """Money spent and money held are told apart, estimates are named, free calls cost and count nothing."""
    (total,) = reader.spend((), Span(), UTC)
    assert (total.cost_nanos, total.held_nanos, total.not_reported_nanos, total.calls) == (157, 200, 7, 4)
    assert (total.input_tokens, total.output_tokens) == (30, 15)


def test_spend_tells_what_is_held_now(ledger: Ledger, reader: Reader) -> None:
    """A hold that was corrected, down or up, counts as it is; of holds in several budgets the largest; none is no hold."""
    for name in ("two budgets", "no budget"):
        scopes = (DAILY, scope("team/day", value="blue")) if name == "two budgets" else ()
        ledger.hold(row(name, person=name), scopes, admit(300, 40), NOW)
    assert [total.held_nanos for total in reader.spend((), Span(), UTC)] == [500]

    ledger.resize("two budgets", ((DAILY, 30),), NOW)
    ledger.resize("open", ((DAILY, 250),), NOW)
    held = {total.key[0]: total.held_nanos for total in reader.spend(("person",), Span(), UTC)}
    assert held == {"alice": 250, "bob": 0, "two budgets": 40, "no budget": 0}


def test_what_open_calls_could_cost_goes_by_the_corrected_hold(ledger: Ledger, reader: Reader) -> None:
    """Above what they hold now, never less than nothing; a call without a bound counts nothing, and is told apart."""
    before = reader.open_unbounded()
    ledger.hold(row("none", ceiling_nanos=None), (DAILY,), admit(400), NOW)
    assert (reader.open_unbounded(), reader.open_above_holds()) == (before + 1, 0)
    ledger.hold(row("bound", ceiling_nanos=1000), (DAILY,), admit(400), NOW)
    assert reader.open_above_holds() == 600
    ledger.resize("bound", ((DAILY, 100),), NOW)
    assert reader.open_above_holds() == 900
    ledger.resize("bound", ((DAILY, 2000),), NOW)
    assert reader.open_above_holds() == 0


def test_calls_that_would_have_been_refused_are_counted_by_rule(ledger: Ledger, reader: Reader) -> None:
    """The busiest rule first, by gate where that is asked; the calls can be chosen by it."""
    for name, rule in (("w1", "cap"), ("w2", "day"), ("w3", "day")):
        observed = Admit((), would_refuse=Refuse(RefusalKind.SPENT, rule, "the budget is spent"))
        ledger.hold(row(name), (), lambda _s, _k, observed=observed: observed, NOW)
    assert list(reader.would_refuse().items()) == [("day", 2), ("cap", 1)]
    assert reader.would_refuse(Span(gate=ledger.gate_id + 1)) == {}
    assert [call["id"] for call in reader.calls(Span(where=(("would_refuse_by", "cap"),)))] == ["w1"]
    assert (("day",), 0) in totals(reader, "would_refuse_by")


def test_states_are_counted_for_one_gate(ledger: Ledger, reader: Reader) -> None:
    """All calls, or those of one gate."""
    assert reader.states(Span(gate=ledger.gate_id)) == reader.states() == {"settled": 3, "open": 1, "free": 1}
    assert reader.states(Span(gate=ledger.gate_id + 1)) == {}


def test_spend_by_attributes(reader: Reader) -> None:
    """Dearest first; a filter and a span narrow it."""
    assert totals(reader, "person") == [(("alice",), 150), (("bob",), 7)]
    assert totals(reader, "person", "tool")[0] == (("alice", "codex"), 100)
    assert totals(reader, "tool", span=Span(where=(("person", "alice"),))) == [
        (("codex",), 100),
        (("claude-code",), 50),
    ]
    assert totals(reader, span=Span(since_ms=NOW + 1, until_ms=NOW + 2 * DAY)) == [((), 50)]


def test_spend_by_day_follows_the_zone(reader: Reader) -> None:
    """Two in the morning UTC is the day before in California."""
    assert totals(reader, "day") == [(("2026-11-22",), 107), (("2026-11-23",), 50)]
    assert totals(reader, "day", zone=PACIFIC) == [(("2026-11-21",), 107), (("2026-11-22",), 50)]


@pytest.mark.parametrize(
    ("word", "ms", "zone", "week_starts", "expected"),
    [
        pytest.param("hour", NOW, PACIFIC, 0, "2026-11-21T18-08:00", id="hour with its offset"),
        pytest.param("hour", 1_793_520_000_000, PACIFIC, 0, "2026-11-01T01-07:00", id="first of the repeated hour"),
        pytest.param(
            "hour", 1_793_520_000_000 + HOUR, PACIFIC, 0, "2026-11-01T01-08:00", id="second of the repeated hour"
        ),
        pytest.param("week", NOW, UTC, 0, "2026-11-16", id="Sunday belongs to Monday's week"),
        pytest.param("week", NOW, UTC, 6, "2026-11-22", id="or begins its own"),
        pytest.param("month", NOW, UTC, 0, "2026-11", id="month"),
    ],
)
def test_periods(word: str, ms: int, zone: ZoneInfo, week_starts: int, expected: str) -> None:
    """Names of periods, across the end of daylight saving time."""
    assert period_of(word, ms, zone, week_starts) == expected


@pytest.mark.parametrize("name", ["prompt", "person; DROP TABLE call_rows", ""])
def test_unknown_attribute_is_refused(reader: Reader, name: str) -> None:
    """Only attributes that calls have reach the query; the error names them."""
    with pytest.raises(ValueError, match="allowed: person, team"):
        reader.spend((name,), Span(), UTC)
    with pytest.raises(ValueError, match="allowed: person, team"):
        reader.calls(Span(where=((name, "x"),)))


def test_calls_newest_first(reader: Reader) -> None:
    """The list and its limit; times as ISO 8601 with milliseconds and Z."""
    newest, *rest = reader.calls(Span(), limit=3)
    assert (newest["id"], len(rest)) == ("a2", 2)
    assert newest["booked_at"] == "2026-11-23T02:00:00.000Z"


def test_one_call_with_its_holds(reader: Reader) -> None:
    """Found by the beginning of its id in any case, if only one begins so; else the remedy is named."""
    found, holds = reader.call("b")
    assert (found["id"], found["person"], found["cost_nanos"]) == ("b1", "bob", 7)
    assert holds == (CallHold("person/day", "alice", "2026-11-22", "expected", 200, 7),)
    assert reader.call("B1") == (found, holds)
    with pytest.raises(ValueError, match="several calls begin with 'a': give more characters"):
        reader.call("a")
    with pytest.raises(ValueError, match="no call begins with 'zzz'"):
        reader.call("zzz")


def test_view_has_the_promised_columns(reader: Reader) -> None:
    """Scripts rely on these names."""
    promised = tuple(
        """id started_at ended_at person team machine tool process project provider host path model_requested model session
        api_key billing state basis input_tokens cache_read_tokens cache_write_tokens output_tokens reasoning_tokens
        cost_nanos value_nanos held_nanos booked_at groups estimate_nanos ceiling_nanos waited_ms http_status refused_by
        refused_why refused_settled_nanos refused_held_nanos refused_hold_nanos refused_limit_nanos would_refuse_by
        first_byte_ms duration_ms request_id parent_call agent policy_hash""".split()  # noqa: SIM905 - read as design.md lists them
    )
    assert promised == tuple(name for name in reader.calls(ALL, limit=1)[0] if name in promised)


def test_reader_cannot_write(reader: Reader) -> None:
    """Its connection is read-only in SQLite itself."""
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._conn.execute("DELETE FROM balances")


def test_journal_is_read_back(ledger: Ledger, reader: Reader) -> None:
    """Audit lines in order; unread connections counted by who, what, where and why."""
    ledger.audit(Line(NOW, AuditWord.POLICY_IN_FORCE, "loaded"))
    ledger.audit(Line(NOW + 1, AuditWord.CLOCK_STEPPED, "+3000 ms"))
    for _ in range(2):
        ledger.uncovered("alice", "cursor", "api2.cursor.sh", "pinned", at_ms=NOW)
    assert [line["what"] for line in reader.audit()] == ["policy in force", "clock stepped"]
    (seen,) = reader.coverage()
    assert (seen["tool"], seen["reason"], seen["count"]) == ("cursor", "pinned", 2)
