"""One exchange's end: once, of the right kind, whatever came before."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.rig import FakeGate
from spendgate.capture.call import Call, Clock, mint
from spendgate.exchange import State
from spendgate.gate.interface import Admitted
from spendgate.providers.interface import Kind, Route
from spendgate.providers.reading import Reading


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_ids_are_uuid_version_7(now_ms: int, randomness: bytes) -> None:
    """RFC 9562: version, variant, and the time in front."""
    minted = uuid.UUID(mint(now_ms, randomness))
    assert (minted.version, minted.variant, minted.int >> 80) == (7, uuid.RFC_4122, now_ms)


def call(gate: FakeGate, kind: Kind = Kind.BILLABLE) -> Call:
    ticks = iter(range(0, 1000, 10))
    clock = Clock(lambda: 1_000, lambda: next(ticks), bytes)
    return Call(gate, clock, "api.anthropic.com", Route("anthropic", "anthropic-messages", kind, "/v1/messages"), "m1")


@pytest.mark.parametrize(
    ("steps", "settled", "recorded"),
    [
        ("a s", [True], []),
        ("a", [False], []),
        ("s", [], [State.FAILED]),
        ("", [], [State.FAILED]),
        ("r", [], []),
    ],
    ids=["sent", "admitted but not sent", "sent without a hold", "never decided", "refused"],
)
def test_an_exchange_ends_once(steps: str, settled: list[bool], recorded: list[State]) -> None:
    """What was held is settled, what was not is recorded, and a second end changes nothing."""
    gate = FakeGate()
    it = call(gate)
    for step in steps.split():
        if step == "a":
            it.admitted(Admitted(it.call_id, cut=False))
        elif step == "s":
            it.sent()
        else:
            it.written_off(State.REFUSED)
    for complete in (True, False, True):
        it.end(Reading, complete=complete)
    assert [end.sent for _, _, end in gate.settled] == settled
    assert [seen.state for seen in gate.seen] == recorded


@pytest.mark.parametrize(
    ("kind", "sent", "state"),
    [
        (Kind.FREE, True, State.FREE),
        (Kind.UNRECOGNIZED, True, State.UNRECOGNIZED),
        (Kind.FREE, False, State.FAILED),
    ],
)
def test_what_costs_nothing_is_recorded_by_its_kind(kind: Kind, sent: bool, state: State) -> None:
    """A free call that never left has failed."""
    gate = FakeGate()
    it = call(gate, kind)
    if sent:
        it.sent()
    it.end(Reading)
    assert gate.seen[0].state is state


def test_a_fault_while_reading_settles_all_the_same() -> None:
    """The gate hears of the end, with the fault's class for a reason."""
    gate = FakeGate()
    it = call(gate)
    it.admitted(Admitted(it.call_id, cut=False))
    it.sent()

    def reading() -> Reading:
        raise ValueError("content")

    it.end(reading)
    assert gate.settled[0][1].flags == ("reader failed: ValueError",)


@pytest.mark.parametrize(
    ("read", "error", "complete"),
    [
        (Reading(ended=True, final=True), "client", True),
        (Reading(ended=True, final=True), "server", True),
        (Reading(ended=True, final=True), "cut", False),
        (Reading(ended=True), "client", False),
        (Reading(final=True), "client", False),
    ],
    ids=["hung up after the last event", "dropped after the last event", "cut", "no counts", "more was to come"],
)
def test_an_answer_that_was_over_is_no_less_so_when_its_client_hangs_up(
    read: Reading, error: str, *, complete: bool
) -> None:
    """Some clients do not wait for a stream's last byte: where its provider had ended it with counts, nothing is missing."""
    gate = FakeGate()
    it = call(gate)
    it.admitted(Admitted(it.call_id, cut=False))
    it.sent()
    it.end(lambda: read, complete=False, error=error)
    end = gate.settled[0][2]
    assert (end.complete, end.error) == (complete, error)
    assert it.state is (State.SETTLED if complete else State.INTERRUPTED)


def test_times_are_of_a_clock_that_never_goes_back() -> None:
    """First byte counts from the request's leaving, duration from its arrival."""
    gate = FakeGate()
    it = call(gate)
    it.admitted(Admitted(it.call_id, cut=False))
    it.sent()
    it.replied(200)
    it.end(Reading)
    end = gate.settled[0][2]
    assert (end.first_byte_ms, end.duration_ms, end.http_status) == (10, 30, 200)
