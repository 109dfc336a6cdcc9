"""When nothing was led to a gate: each stretch once, from its beginning, for its first reason; how the two sides agree on it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from spendgate.redirect import messages
from spendgate.redirect.lapses import Acting, Instant, Lapse, Why

TIMEOUT_MS = 3000
WALL_MS = 1_795_000_000_000


def at(steady_s: float, stepped_ms: int = 0) -> Instant:
    """So long after the test's beginning, by a wall clock that was stepped so far."""
    return Instant(steady_s, WALL_MS + round(steady_s * 1000) + stepped_ms)


def _nothing(acting: Acting) -> None:
    pass


@pytest.mark.parametrize(
    ("happens", "back", "from_s", "why"),
    [
        pytest.param(_nothing, at(13.0), None, None, id="renewed in time"),
        pytest.param(_nothing, at(13.1), 13.0, Why.SILENT, id="a moment late"),
        pytest.param(lambda it: it.ended(at(11), Why.GATE_GONE), at(12), 11.0, Why.GATE_GONE, id="the gate has ended"),
        pytest.param(
            lambda it: it.ended(at(10), Why.CHANGED), at(11), 10.0, Why.CHANGED, id="flushed between two looks"
        ),
        pytest.param(
            lambda it: it.ended(at(40), Why.GATE_GONE), at(50), 13.0, Why.SILENT, id="hung, then killed for it"
        ),
        pytest.param(lambda it: it.if_lapsed(Why.FAILED), at(20), 13.0, Why.FAILED, id="nft fails"),
        pytest.param(
            lambda it: it.if_lapsed(Why.FAILED), at(12), None, None, id="nft failed once, and went on in time"
        ),
        pytest.param(_nothing, at(13.0, 86_400_000), None, None, id="a clock that is set a day ahead"),
    ],
)
def test_a_lapse_begins_with_its_first_reason(
    happens: Callable[[Acting], None], back: Instant, from_s: float | None, why: Why | None
) -> None:
    """The rules act from second 10 on, until 13 unless they are renewed; then they are back, and go on without another lapse."""
    acting = Acting(TIMEOUT_MS, held=True)
    assert acting.renewed(at(10)) is None
    happens(acting)

    found = acting.renewed(back)

    assert found == (
        None
        if from_s is None or why is None
        else Lapse(at(from_s).wall_ms, back.wall_ms, why, held=why is not Why.CHANGED)
    )
    assert acting.renewed(Instant(back.steady_s + 1, back.wall_ms + 1000)) is None


def test_it_begins_where_a_gate_could_never_serve() -> None:
    """Since the machine was started: nothing acted before, and it is known from when on it should have."""
    acting = Acting(TIMEOUT_MS)
    acting.ended(at(5), Why.UNABLE)
    assert acting.renewed(at(60)) == Lapse(at(5).wall_ms, at(60).wall_ms, Why.UNABLE, held=False)


def test_rules_that_never_acted_and_were_flushed_begin_none() -> None:
    """As at a boot, where a firewall loads its rules before the gate is up: no gate was there, and nobody has switched it off."""
    acting = Acting(TIMEOUT_MS)
    acting.ended(at(1), Why.CHANGED)
    assert acting.renewed(at(5)) is None


@pytest.mark.parametrize(
    ("first", "changes", "held"),
    [
        pytest.param(True, (), True, id="refused throughout"),
        pytest.param(False, ((12, True),), True, id="from before it began"),
        pytest.param(False, ((20, True),), None, id="a policy that refuses took force meanwhile"),
        pytest.param(True, ((20, False), (21, True)), None, id="let go for a second"),
        pytest.param(True, ((20, False),), None, id="the next policy allows"),
        pytest.param(False, ((20, False),), False, id="direct throughout"),
    ],
)
def test_how_calls_went_is_said_of_the_whole_lapse(
    *, first: bool, changes: tuple[tuple[int, bool], ...], held: bool | None
) -> None:
    """From second 13 to 30, not as it is when it is over; the next lapse has its own."""
    acting = Acting(TIMEOUT_MS, held=first)
    acting.renewed(at(10))
    for second, holds in changes:
        acting.holds(at(second), held=holds)

    assert acting.lasts(at(30)) == Lapse(at(13).wall_ms, at(30).wall_ms, Why.SILENT, held)
    acting.renewed(at(30))
    after = acting.renewed(at(40))
    assert after is not None
    assert after.held == (changes[-1][1] if changes else first)


def test_a_flush_lets_go_what_was_refused() -> None:
    """Until it is found and mended."""
    acting = Acting(TIMEOUT_MS, held=True)
    acting.renewed(at(10))
    acting.ended(at(11), Why.GATE_GONE)
    acting.ended(at(15), Why.CHANGED)
    assert acting.renewed(at(30)) == Lapse(at(11).wall_ms, at(30).wall_ms, Why.GATE_GONE, None)


def test_what_a_gate_that_ends_has_told_is_not_told_again() -> None:
    """The next gate hears of what came after that; of no lapse nothing can have been told."""
    acting = Acting(TIMEOUT_MS)
    acting.renewed(at(10))
    acting.told(at(11))
    acting.ended(at(20), Why.UNABLE)
    acting.told(at(30))
    acting.ended(at(31), Why.GATE_GONE)

    assert acting.renewed(at(40)) == Lapse(at(30).wall_ms, at(40).wall_ms, Why.GATE_GONE, held=False)


def test_a_clock_that_is_set_back_makes_none_that_ends_before_it_begins() -> None:
    """Its length by the wall clock is then nothing."""
    acting = Acting(TIMEOUT_MS)
    acting.renewed(at(10))
    back = at(100, -3_600_000)
    assert acting.renewed(back) == Lapse(back.wall_ms, back.wall_ms, Why.SILENT, held=False)


def test_it_is_told_over_the_socket_and_in_words() -> None:
    """What another version says otherwise is no message, and no fault."""
    lapse = Lapse(WALL_MS, WALL_MS + 4_500, Why.GATE_GONE, held=True)
    for acts in (messages.Acts(lapse, held_before=True), messages.Acts(None, held_before=False)):
        assert messages.acting(messages.pack_acting(acts)) == acts
    assert messages.acting(b'{"acting": null}') == messages.Acts(None), "an older version's"
    for other in (messages.pack_held(frozenset()), b'{"acting": {"why": "x"}}', b'{"acting": 3}', b"what"):
        assert messages.acting(other) is None
    assert lapse.said == (
        "from 2026-11-18T11:06:40.000Z to 2026-11-18T11:06:44.500Z: no gate was there; calls to providers were refused"
    )
