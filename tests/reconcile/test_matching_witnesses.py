"""Which request of a log is which call of the ledger: by ids first, then by counts; what is left went around the gate."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconcile.logs import AT
from spendgate.ledger.named import NamedCall
from spendgate.reconcile.witnesses.interface import Seen
from spendgate.reconcile.witnesses.matching import NEAR_MS, Heard, How, _Work, match, united
from spendgate.usage import Usage

USAGE = Usage(input_tokens=10, cache_read_tokens=900, output_tokens=50)
HEARD = Heard(frozenset({"claude-code", "codex"}), "alice", AT - 60_000)


def seen(**changes: Any) -> Seen:
    made = Seen("codex", "codex", AT, "t-1", "gpt-5.1", USAGE)
    return replace(made, **changes)


def call(name: str = "c-1", **changes: Any) -> NamedCall:
    made = NamedCall(
        name, AT - 3_000, AT - 1_000, "alice", "codex", "t-1", "openai", "api.openai.com", ("gpt-5.1-2025-11-13",), "settled",
        "reported", None, None, 1, 5, 5, USAGE,
    )  # fmt: skip
    return replace(made, **changes)


def test_the_response_s_id_decides_alone() -> None:
    """Other counts, another model, another day: the id says that it is the same."""
    matched = match(
        [seen(response_id="resp_1", usage=Usage(output_tokens=1))],
        [call(response_id="resp_1", models=(), ended_ms=AT - 9 * 10**8)],
        HEARD,
    )
    assert [(pair.call.id, pair.how) for pair in matched.both] == [("c-1", How.RESPONSE)]
    assert (matched.around, matched.ledger_only) == ((), ())


def test_the_request_s_id_joins_what_has_no_other() -> None:
    """A telemetry event names the request alone."""
    event = seen(tool="claude-code", request_id="req_1", kind="telemetry")
    matched = match([event], [call(tool="claude-code", response_id="msg_1", request_id="req_1")], HEARD)
    assert [pair.how for pair in matched.both] == [How.REQUEST]


def test_one_socket_s_request_id_joins_no_other_response() -> None:
    """Responses over one WebSocket share it."""
    calls = [
        call("c-1", response_id="resp_1", request_id="req_1"),
        call("c-2", response_id="resp_2", request_id="req_1"),
    ]
    logged = [seen(response_id="resp_2", request_id="req_1"), seen(response_id="resp_1", request_id="req_1")]
    matched = match(logged, calls, HEARD)
    assert {(pair.seen.response_id, pair.call.id) for pair in matched.both} == {("resp_1", "c-1"), ("resp_2", "c-2")}
    third = match([*logged, seen(response_id="resp_3", request_id="req_1")], calls, HEARD)
    assert [each.response_id for each in third.around] == ["resp_3"]


def test_rows_of_one_response_are_one_request() -> None:
    """A call that was booked twice is no call that the log lacks."""
    matched = match(
        [seen(response_id="resp_1")], [call("c-1", response_id="resp_1"), call("c-2", response_id="resp_1")], HEARD
    )
    assert (len(matched.both), matched.ledger_only) == (1, ())


def test_ids_that_differ_are_not_the_same_however_alike() -> None:
    """Same tool, model, counts, session and second: the provider named them apart."""
    matched = match([seen(response_id="resp_1")], [call(response_id="resp_2")], HEARD)
    assert (len(matched.around), len(matched.ledger_only), matched.both) == (1, 1, ())
    assert matched.escaped() == {"resp_1": USAGE}


@pytest.mark.parametrize(
    ("log", "ledger"),
    [
        ({}, {}),
        ({}, {"response_id": "resp_1"}),
        ({"model": "gpt-5.1-2025-11-13"}, {"models": ("gpt-5.1",)}),
        ({"model": "gpt-5.1"}, {"models": ("gpt-5.1-mini", "gpt-5.1")}),
        ({"session": None}, {}),
        ({"session": "another"}, {}),
        ({}, {"tool": None}),
        ({"at_ms": AT + NEAR_MS - 1_000}, {}),
        ({"at_ms": AT - 1_000 - NEAR_MS}, {}),
        (
            {
                "usage": Usage(
                    input_tokens=10, cache_read_tokens=900, output_tokens=50, cache_write_tokens=0, reasoning_tokens=9
                )
            },
            {},
        ),
    ],
)
def test_without_ids_model_counts_and_time_join(log: dict[str, Any], ledger: dict[str, Any]) -> None:
    matched = match([seen(**log)], [call(**ledger)], HEARD)
    assert [pair.how for pair in matched.both] == [How.COUNTS]


@pytest.mark.parametrize(
    ("log", "ledger"),
    [
        ({"model": "gpt-5.2"}, {}),
        ({"model": None}, {}),
        ({"tool": "claude-code"}, {}),
        ({"at_ms": AT + NEAR_MS}, {}),
        ({"at_ms": AT - 1_001 - NEAR_MS}, {}),
        ({"usage": replace(USAGE, output_tokens=51)}, {}),
        ({"usage": replace(USAGE, cache_read_tokens=899, input_tokens=11)}, {}),
        ({"usage": Usage()}, {}),
    ],
)
def test_what_differs_in_one_of_them_is_another(log: dict[str, Any], ledger: dict[str, Any]) -> None:
    matched = match([seen(**log)], [call(**ledger)], HEARD)
    assert (matched.both, len(matched.around), len(matched.ledger_only)) == ((), 1, 1)


def test_equal_requests_are_joined_one_to_one_those_of_a_session_first() -> None:
    """Three alike in the ledger, four in the log: one went around, and it is not the one whose session is metered."""
    logged = [seen(session="t-2", at_ms=AT + 10), *(seen(session="t-1", at_ms=AT + 20 + place) for place in range(3))]
    matched = match(logged, [call(f"c-{place}") for place in range(3)], HEARD)
    assert len({pair.call.id for pair in matched.both}) == 3
    assert [each.session for each in matched.around] == ["t-2"]


@pytest.mark.parametrize(
    "state",
    [
        {"state": "open", "basis": None, "ended_ms": None, "usage": Usage()},
        {"state": "interrupted", "basis": "estimated", "usage": Usage(output_tokens=3)},
        {"basis": "estimated"},
    ],
)
def test_a_call_whose_answer_was_not_read_is_not_around_the_gate(state: dict[str, Any]) -> None:
    """Metered, if not by the provider's counts: the session and the time tell which."""
    unread = call(**state)
    matched = match([seen(response_id="resp_1", usage=replace(USAGE, output_tokens=99))], [unread], HEARD)
    assert [pair.how for pair in matched.both] == [How.TIME]
    for other in (
        replace(unread, session="t-9"),
        replace(unread, tool="claude-code"),
        replace(unread, booked_ms=AT + NEAR_MS + 1),
    ):
        assert match([seen(response_id="resp_1", usage=replace(USAGE, output_tokens=99))], [other], HEARD).around


@pytest.mark.parametrize(
    ("log", "ledger", "differs"),
    [
        ({}, {}, False),
        ({"usage": replace(USAGE, output_tokens=99)}, {}, True),
        ({"usage": replace(USAGE, input_tokens=9)}, {}, True),
        ({"usage": replace(USAGE, output_tokens=1), "unfinished": True}, {}, False),
        ({}, {"basis": "estimated", "usage": Usage()}, True),
        ({}, {"state": "open", "usage": Usage()}, False),
        ({"usage": Usage(input_tokens=910, output_tokens=50)}, {}, False),
    ],
)
def test_other_counts_of_one_request_are_told(log: dict[str, Any], ledger: dict[str, Any], differs: bool) -> None:
    """Input in all and output; not where the log's own are a lower bound, nor while the call is open."""
    (pair,) = match([seen(response_id="resp_1", **log)], [call(response_id="resp_1", **ledger)], HEARD).both
    assert pair.differs is differs


def test_a_call_that_nobody_knows_is_no_request() -> None:
    """It has no counts and may be anything: it joins nothing, and the log lacks nothing by it."""
    matched = match([seen()], [call(state="unrecognized", basis=None, usage=Usage())], HEARD)
    assert (len(matched.around), matched.both, matched.ledger_only) == (1, (), ())


def test_what_the_ledger_alone_has_is_told_of_tools_that_keep_a_log_and_of_this_account() -> None:
    calls = [
        call("mine"), call("another's", account="bob"), call("nobody's", account=None), call("older", booked_ms=AT - 60_001),
        call("without a log", tool="cursor"),
    ]  # fmt: skip
    assert [each.id for each in match([], calls, HEARD).ledger_only] == ["mine", "nobody's"]


def test_telemetry_and_log_of_one_request_are_one() -> None:
    """By the request's id; without one by session and counts. An event whose log is gone stands for itself."""
    log = seen(request_id="req_1", response_id="msg_1")
    events = [
        seen(request_id="req_1", kind="telemetry"),
        seen(kind="telemetry", at_ms=AT + 5),
        seen(request_id="req_2", kind="telemetry"),
    ]
    assert united([*events, log]) == (events[2], log) or united([*events, log]) == (log, events[2])


SOME = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 600), st.sampled_from([None, "t-1", "t-2"]), st.booleans()), max_size=12
)


@given(SOME, SOME)
def test_nothing_is_lost_or_counted_twice(logged: list[Any], metered: list[Any]) -> None:
    """Every request is joined or around, every call joined or alone; no two share one."""
    requests = [
        seen(at_ms=AT + at * 1_000, session=session, usage=replace(USAGE, output_tokens=size),
             response_id=f"r-{size}-{at}" if named else None)
        for size, at, session, named in dict.fromkeys(logged)
    ]  # fmt: skip
    calls = [
        call(str(place), ended_ms=AT + at * 1_000, booked_ms=AT + at * 1_000, session=session,
             usage=replace(USAGE, output_tokens=size), response_id=f"r-{size}-{at}" if named else None)
        for place, (size, at, session, named) in enumerate(metered)
    ]  # fmt: skip

    matched = match(requests, calls, HEARD)

    joined = [pair.seen for pair in matched.both]
    assert sorted(map(repr, [*joined, *matched.around])) == sorted(map(repr, requests))
    taken = [pair.call.id for pair in matched.both if pair.how is not How.RESPONSE]
    assert len(taken) == len(set(taken))
    assert not {call.id for call in matched.ledger_only} & {pair.call.id for pair in matched.both}
    for pair in matched.both:
        if pair.how is How.COUNTS:
            assert abs(pair.seen.at_ms - (pair.call.ended_ms or 0)) <= NEAR_MS
            assert None in (pair.seen.response_id, pair.call.response_id)


def told_of(**changes: Any) -> Seen:
    return seen(tool="claude-code", witness="claude-telemetry", kind="telemetry", **changes)


@pytest.mark.parametrize(
    ("log", "event"),
    [
        pytest.param({"request_id": None}, {"request_id": "req_1"}, id="the log has no request id"),
        pytest.param({"request_id": "req_1"}, {"session": None}, id="the event has neither id nor session"),
        pytest.param({"request_id": "req_1"}, {}, id="the event has no id"),
    ],
)
def test_what_stands_in_log_and_telemetry_is_one_whichever_ids_it_has(
    log: dict[str, Any], event: dict[str, Any]
) -> None:
    """Were it two, one would be told to have gone around the gate though the ledger has it."""
    logged = seen(tool="claude-code", witness="claude-code", response_id="msg_1", **log)
    calls = [call(tool="claude-code", response_id="msg_1", request_id="req_1")]
    for at_ms in (AT - 5_000, AT + 5_000):
        matched = match([logged, told_of(at_ms=at_ms, **event)], calls, HEARD)
        assert ([pair.seen for pair in matched.both], matched.around) == ([logged], ())


@pytest.mark.parametrize(
    "event",
    [
        {"request_id": "req_2"},
        {"session": "t-2"},
        {"at_ms": AT + 10 * NEAR_MS},
        {"usage": Usage(input_tokens=11, cache_read_tokens=900, output_tokens=50)},
    ],
)
def test_telemetry_of_another_request_is_not_the_log_s(event: dict[str, Any]) -> None:
    logged = seen(tool="claude-code", witness="claude-code", response_id="msg_1", request_id="req_1")
    assert len(united([logged, told_of(**event)])) == 2


def test_a_response_in_the_logs_of_two_tools_is_one_request() -> None:
    """One of them has the other's log; in one log two requests may have one response."""
    both = [
        seen(response_id="resp_1"),
        seen(response_id="resp_1", tool="copilot-cli", witness="copilot-cli", at_ms=AT + 1),
    ]
    assert [each.tool for each in match(both, [], HEARD).around] == ["codex"]
    again = [seen(response_id="resp_1", request_id=name) for name in ("req_1", "req_2")]
    assert len(united(again)) == 2


def test_unread_calls_are_found_in_any_order() -> None:
    """The one under way that ended first; one that is named otherwise is passed over, one that is over or to come is none."""
    unread = {"basis": "estimated", "usage": Usage()}
    calls = [
        call("late", booked_ms=AT - 1_000, ended_ms=AT + 9_000, **unread),
        call("first", booked_ms=AT - 9_000, ended_ms=AT + 1_000, **unread),
        call("named", booked_ms=AT - 9_000, ended_ms=AT, request_id="req_9", **unread),
        call("open", booked_ms=AT - 500, ended_ms=None, state="open", **unread),
        call("over", booked_ms=AT - 9 * NEAR_MS, ended_ms=AT - 2 * NEAR_MS, **unread),
        call("to come", booked_ms=AT + 2 * NEAR_MS, ended_ms=None, state="open", **unread),
    ]
    logged = [seen(request_id=f"req_{number}", at_ms=AT + number) for number in range(4)]
    matched = match(logged, calls, HEARD)
    assert [(pair.seen.request_id, pair.call.id) for pair in matched.both] == [
        ("req_0", "open"), ("req_1", "first"), ("req_2", "late"),
    ]  # fmt: skip
    assert [each.request_id for each in matched.around] == ["req_3"]
    assert [pair.call.id for pair in match([seen()], calls, HEARD).both] == ["open"]


class Asked(set[str]):
    """A set that counts how often it is asked."""

    times = 0

    def __contains__(self, name: object) -> bool:
        self.times += 1
        return super().__contains__(name)


def test_a_long_session_of_unread_calls_is_looked_through_once() -> None:
    """Each call a few times, not once for each request of the log."""
    calls = [
        call(f"c-{number}", booked_ms=AT + number, ended_ms=AT + number, basis="estimated", usage=Usage())
        for number in range(500)
    ]
    work = _Work(tuple(seen(at_ms=AT + 10 * NEAR_MS + number) for number in range(500)), calls)
    work.taken = Asked()
    work.by_time()
    assert (len(work.left), work.taken.times <= 10 * 500) == (500, True)
