"""Exceptions against plain sums: in any order of calls, sums and clocks no window holds more than was allowed and added."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.desk import at, dollars
from ledger.test_exceptions import DAY, ORGANIZATION, desk, exception
from spendgate.admission import Admit

calls = st.lists(
    st.tuples(
        st.integers(0, 6 * 24),
        st.sampled_from(["alice", "bob", "carol"]),
        st.sampled_from([None, "host/acme/launch"]),
        st.integers(1, 40),
        st.sampled_from(["settles", "settles for less", "stays open", "fails"]),
    ),
    max_size=40,
)
spans = st.tuples(st.integers(0, 6), st.integers(0, 6)).map(sorted)
matches = st.sampled_from(
    ["{team: payments}", "{project: host/acme/launch}", "{person: alice}", "{person: [bob, carol]}"]
)


@settings(max_examples=60, deadline=None)
@given(
    calls,
    st.lists(st.tuples(matches, spans, st.integers(1, 60), st.booleans()), min_size=1, max_size=3),
    st.integers(0, 80),
    st.sampled_from(["ceiling", "expected"]),
)
def test_no_window_passes_limit_and_additions_by_one_nano_dollar(
    asked: list[tuple[int, str, str | None, int, str]],
    many: list[tuple[str, list[int], int, bool]],
    limit: int,
    hold: str,
) -> None:
    """Whoever calls when, at any clock: every balance and tally is the sum of its calls; and under `ceiling` all together stay
    within limit and additions, those that fit nothing within the limit, and `once` adds once to all windows together."""
    written = [
        exception("organization", match, f"add: ${add}", from_=f"2026-12-0{1 + first}", until=f"2026-12-0{1 + last}",
                  reason=f"reason {number}", once="true" if once else "")
        for number, (match, (first, last), add, once) in enumerate(many)
    ]  # fmt: skip
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(
            desk(Path(folder), ORGANIZATION.replace("$100", f"${limit}").replace("ceiling", hold), *written)
        ) as made,
    ):
        taken: dict[str, list[tuple[int, bool]]] = {}
        for hour, person, project, nanos, fate in asked:
            now = at("2026-12-01T00:00Z") + hour * 3_600_000
            words = {"person": person, "team": "payments" if person != "carol" else None, "project": project}
            fits = any(credit.usable for scope in made.scopes(now, **words) for credit in scope.credits)
            call, decision = made.ask(now, dollars(nanos), **words)
            if not isinstance(decision, Admit):
                continue
            cost = {"settles for less": dollars(nanos) // 3, "fails": 0}.get(fate, dollars(nanos))
            if fate == "fails":
                made.fail(call)
            elif fate != "stays open":
                made.settle(call, cost)
            taken.setdefault(made.scopes(now)[0].window, []).append((cost, fits))
        assert made.faults() == ()
        if hold == "expected":
            return
        over = {day: max(0, sum(nanos for nanos, _ in window) - dollars(limit)) for day, window in taken.items()}
        for day, window in taken.items():
            place = int(day[-2:]) - 1
            running = [dollars(add) for _, (first, last), add, _ in many if first <= place <= last]
            assert sum(nanos for nanos, _ in window) <= dollars(limit) + sum(running)
            assert sum(nanos for nanos, fits in window if not fits) <= dollars(limit)
        if all(once for *_, once in many):
            assert sum(over.values()) <= sum(dollars(add) for _, _, add, _ in many)


@settings(max_examples=40, deadline=None)
@given(
    calls,
    st.lists(st.tuples(matches, spans, st.integers(1, 60), st.booleans()), min_size=1, max_size=3),
    st.integers(0, 80),
)
def test_nor_does_a_sliding_window_at_any_moment(
    asked: list[tuple[int, str, str | None, int, str]], many: list[tuple[str, list[int], int, bool]], limit: int
) -> None:
    """Against the plain sum over the last 24 hours, at each admission, whatever the clock does: all within limit and additions,
    and where a call that fits nothing is admitted, such calls within the limit."""
    written = [
        exception("organization", match, f"add: ${add}", from_=f"2026-12-0{1 + first}", until=f"2026-12-0{1 + last}",
                  reason=f"reason {number}", once="true" if once else "")
        for number, (match, (first, last), add, once) in enumerate(many)
    ]  # fmt: skip
    sliding = ORGANIZATION.replace("$100 per day", f"${limit} per rolling 24h")
    with tempfile.TemporaryDirectory() as folder, closing(desk(Path(folder), sliding, *written)) as made:
        taken: list[tuple[int, int, bool]] = []
        for hour, person, project, nanos, fate in asked:
            now = at("2026-12-01T00:00Z") + hour * 3_600_000
            words = {"person": person, "team": "payments" if person != "carol" else None, "project": project}
            fits = any(credit.usable for scope in made.scopes(now, **words) for credit in scope.credits)
            call, decision = made.ask(now, dollars(nanos), **words)
            if not isinstance(decision, Admit):
                continue
            within = [(cost, fitted) for booked, cost, fitted in taken if booked > now - DAY]
            most = dollars(limit) + sum(dollars(add) for _, _, add, _ in many)
            assert sum(cost for cost, _ in within) + dollars(nanos) <= most
            if not fits:
                assert sum(cost for cost, fitted in within if not fitted) + dollars(nanos) <= dollars(limit)
            cost = {"settles for less": dollars(nanos) // 3, "fails": 0}.get(fate, dollars(nanos))
            if fate == "fails":
                made.fail(call)
            elif fate != "stays open":
                made.settle(call, cost)
            taken.append((now, cost, fits))
        assert made.faults() == ()
