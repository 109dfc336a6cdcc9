"""Refusals: which pass and which are final, what the marker may carry, and when the breaker answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spendgate.admission import RefusalKind, Refuse
from spendgate.attribution import Attribution
from spendgate.capture.refusal import ANSWERED_FOR_MS, REQUESTS_KEPT_MAX, Breaker, Repeated, notice, rendered
from spendgate.gate.interface import Refused
from spendgate.providers.ask import Ask
from spendgate.providers.interface import Notice


def refused(kind: RefusalKind, retry_after_ms: int | None = None, resets_ms: int | None = None) -> Refused:
    refuse = Refuse(kind, "person/day", "spent", retry_after_ms=retry_after_ms, resets_ms=resets_ms)
    return Refused("c1", refuse, "no money")


@pytest.mark.parametrize(
    ("kind", "retry_after_ms", "passing", "retry_after_s"),
    [
        (RefusalKind.SPENT, None, False, None),
        (RefusalKind.SPENT, 60_000, False, None),
        (RefusalKind.HELD, 1, True, 1),
        (RefusalKind.HELD, None, True, 1),
        (RefusalKind.HELD, 2_001, True, 3),
        (RefusalKind.RULE, None, False, None),
        (RefusalKind.RULE, 900, True, 1),
        (RefusalKind.UNBOUNDED, 900, False, None),
        (RefusalKind.FAILURE, None, False, None),
    ],
)
def test_only_what_passes_may_be_retried(
    kind: RefusalKind, retry_after_ms: int | None, passing: bool, retry_after_s: int | None
) -> None:
    """Spent money and rules are final; others' holds and rates carry their true wait, rounded up."""
    said = notice(refused(kind, retry_after_ms))
    assert (said.passing, said.retry_after_s) == (passing, retry_after_s)


def test_the_marker_names_the_rule_as_a_token() -> None:
    """A rule's name from the policy cannot break a header."""
    response = rendered(None, Notice("no", "spent"), None, rule="größe\r\nx-evil: 1")
    assert response.headers["x-spendgate"] == "refused; rule=gr__e__x-evil__1"
    assert response.status_code == 429


KEY = Repeated.of(Attribution("alice", "m1"), Ask(model="opus"), "api.anthropic.com", "/v1/messages", b"{}")


def test_the_breaker_repeats_only_final_refusals_of_the_same_request() -> None:
    """Three of their own decision, then a second from memory, then the gate again, with the count of what was answered."""
    breaker, final = Breaker(), refused(RefusalKind.SPENT)
    for at in (0, 10, 20):
        assert breaker.answer(KEY, at) is None
        breaker.refused(KEY, final, at)
    assert breaker.answer(KEY, 30) is final
    assert breaker.answer(KEY, 20 + ANSWERED_FOR_MS - 1) is final
    for other in (
        {"model": "haiku"}, {"project": "h/o/n"}, {"api_key": "sk:1"}, {"billing": "gateway"}, {"account": "a"},
        {"body_hash": b"x"},
    ):  # fmt: skip
        assert breaker.answer(replace(KEY, **other), 30) is None
    assert breaker.answer(KEY, 20 + ANSWERED_FOR_MS) is None
    assert breaker.answered(KEY) == 2
    assert breaker.answered(KEY) == 0


def test_the_breaker_repeats_a_rates_refusal_until_it_has_room() -> None:
    """From memory for a second at most, never past the instant at which the call fits; not where nobody knows that instant."""
    breaker = Breaker()
    rated = Refuse(RefusalKind.RULE, "loop", "100 of 100", resets_ms=500, retry_after_ms=500, rate=True)
    passing = Refused("c1", rated, "not now")
    for at in range(3):
        breaker.refused(KEY, passing, at)
    assert breaker.answer(KEY, 499) is passing
    assert breaker.answer(KEY, 500) is None
    breaker = Breaker()
    at_once = Refused("c1", Refuse(RefusalKind.RULE, "loop", "8 of 8", retry_after_ms=500, rate=True), "not now")
    for at in range(3):
        breaker.refused(KEY, at_once, at)
    assert breaker.answer(KEY, 3) is None
    assert breaker.idle


def test_the_breaker_is_silent_where_things_may_have_changed() -> None:
    """Not for passing refusals, not past a reset, not after a pause, not with a clock set back, not after a new policy."""
    breaker = Breaker()
    for at in range(3):
        breaker.refused(KEY, refused(RefusalKind.HELD, 5), at)
    assert breaker.answer(KEY, 5) is None
    for at in range(3):
        breaker.refused(KEY, refused(RefusalKind.SPENT, resets_ms=100), at)
    assert breaker.answer(KEY, 99) is not None
    assert breaker.answer(KEY, 100) is None
    assert breaker.answer(KEY, -1) is None
    breaker.clear()
    assert breaker.answer(KEY, 50) is None
    for at in (0, 20_000, 40_000):
        breaker.refused(KEY, refused(RefusalKind.SPENT), at)
    assert breaker.answer(KEY, 40_001) is None


def test_the_breaker_is_bounded() -> None:
    """Requests beyond the bound push out the oldest."""
    breaker = Breaker()
    for number in range(REQUESTS_KEPT_MAX + 10):
        breaker.refused(replace(KEY, body_hash=number.to_bytes(4)), refused(RefusalKind.SPENT), number)
    assert len(breaker._series) == REQUESTS_KEPT_MAX
