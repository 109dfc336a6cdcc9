"""Which create a message of the server settles: no create gets another's counts, and none waits for what cannot come."""

from __future__ import annotations

import asyncio
import json

import pytest

from capture.rig import OPENAI, FakeGate, refused
from spendgate.capture.call import Call, Clock
from spendgate.capture.socket import Talk
from spendgate.capture.socket_past import ENDED_IDS_MAX
from spendgate.gate.interface import Admitted
from spendgate.providers.ask import Ask
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Head, Kind, Route
from spendgate.providers.openai_responses import OpenAIResponses
from spendgate.providers.reading import Reading
from spendgate.providers.results import response_key

ROUTE = Route("openai", "openai-responses", Kind.BILLABLE, "/v1/responses", websocket=True)
CREATE = b'{"type":"response.create","model":"gpt-5","input":"x"}'
ERROR = b'{"type":"error","error":{"type":"server_error","code":"x"}}'
LANE_A = CREATE[:-1] + b',"stream_id":"a"}'
LANE_B = b'{"type":"response.create","model":"gpt-5-pro","input":"x","stream_id":"b"}'
STEER = b'{"type":"response.steer","previous_response_id":"r1","input":"the other way"}'
DELTA = b'{"type":"response.output_text.delta","delta":"some words"}'
ESTIMATED = "estimated"
FREE = "free"
RUNS = "runs"


def event(kind: str, name: str, counts: int | None = None, **members: object) -> bytes:
    """A message with a `response` of this id; `counts` stand on both sides."""
    usage = None if counts is None else {"input_tokens": counts, "output_tokens": counts}
    response = {"id": name, "model": "gpt-5", "status": kind, "usage": usage, **members}
    return json.dumps({"type": f"response.{kind}", "response": response}).encode()


def created(name: str) -> bytes:
    return event("created", name, status="in_progress")


def after(name: str, previous: str | None = "r1") -> bytes:
    """A response begins that goes on from another."""
    return event("created", name, status="in_progress", previous_response_id=previous)


def on(lane: str, message: bytes) -> bytes:
    """The same message in a lane."""
    return message[:-1] + b',"stream_id":"' + lane.encode() + b'"}'


def steered(kind: str, steer_id: str | None = "s1", target: str = "r1") -> bytes:
    """What the server says of a steer."""
    steer = {"id": steer_id, "previous_response_id": target, "input": "x"}
    error = {"error": {"type": "invalid_request_error", "code": "response_not_active", "message": "no"}}
    return json.dumps(
        {"type": f"response.steer.{kind}", "steer": steer, **(error if kind == "failed" else {})}
    ).encode()


TAKEN = steered("accepted")


def completed(name: str, counts: int | None = None) -> bytes:
    return event("completed", name, counts)


class Line:
    """A conversation without a wire. Creates pass at once, as mitmproxy's loop starts tasks eagerly."""

    def __init__(self, **gate: object) -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        self.gate = FakeGate(**gate)
        self.calls: list[Call] = []
        dialect = OpenAIResponses()
        head = Head("GET", OPENAI, "/v1/responses", "", CaseInsensitive({}))
        self.talk = Talk(
            self.gate,
            dialect,
            dialect.socket(head),
            open_call=self._open,
            deliver=lambda pushes: None,
            ended=lambda: None,
            upstream=True,
        )

    def _open(self, ask: Ask, size: int) -> Call:
        self.calls.append(Call(self.gate, Clock(), OPENAI, ROUTE, "m1"))
        self.calls[-1].ask = ask
        return self.calls[-1]

    def say(self, *messages: bytes) -> list[int | str]:
        """What each create is charged by, once these messages have passed: its counts, or one of the words above."""
        for message in messages:
            if message in (CREATE, LANE_A, LANE_B, STEER):
                assert self.talk.from_client(message, True)
            else:
                self.talk.from_server(message)
        return self.charged()

    def charged(self) -> list[int | str]:
        settled = {call_id: reading for call_id, reading, _ in self.gate.settled}
        assert len(settled) == len(self.gate.settled)
        return [_charged(settled.get(call.call_id)) for call in self.calls]


def _charged(reading: Reading | None) -> int | str:
    if reading is None:
        return RUNS
    if reading.free:
        return FREE
    if not reading.final:
        return ESTIMATED
    [part] = reading.parts
    assert part.usage.input_tokens == part.usage.output_tokens
    return part.usage.output_tokens or 0


async def test_a_repeated_end_leaves_the_next_create_alone() -> None:
    """A response that is over is no answer to the create that came after it."""
    line = Line()
    assert line.say(CREATE, created("r1"), completed("r1", 1000)) == [1000]
    assert line.say(CREATE, completed("r1", 1000), created("r1")) == [1000, RUNS]
    assert line.say(created("r2"), completed("r1", 1000), completed("r2", 9)) == [1000, 9]


async def test_an_answer_to_no_create_of_ours_is_none_later() -> None:
    """A response that was there before any create does not become that create's answer."""
    line = Line()
    assert line.say(created("r0"), CREATE, completed("r0", 1000)) == [RUNS]
    assert line.say(created("r1"), completed("r1", 9)) == [9]


@pytest.mark.parametrize(("output", "charge"), [((), FREE), ((DELTA,), ESTIMATED)], ids=["no output", "output"])
async def test_an_error_ends_the_response_that_runs_alone(output: tuple[bytes, ...], charge: str) -> None:
    """No other can be meant: its hold is not kept for a last word that may never come."""
    line = Line()
    assert line.say(CREATE, created("r1"), *output, ERROR) == [charge]
    [(_, reading, end)] = line.gate.settled
    assert (end.complete, end.counts_later, reading.response_id) == (True, True, "r1")
    assert line.say(CREATE, created("r2"), completed("r2", 9)) == [charge, 9]
    assert line.gate.settled[1][2].counts_later is False


async def test_counts_that_come_after_an_error_are_collected_once() -> None:
    """The response had ended for us, not for its provider: what it is counted at is told, to correct the charge."""
    line = Line()
    assert line.say(CREATE, created("r1"), ERROR, CREATE) == [FREE, RUNS]
    assert line.say(completed("r1", 1000), completed("r1", 1000)) == [FREE, RUNS]
    assert line.say(created("r2"), completed("r2", 9)) == [FREE, 9]
    [[late]] = [found.results for found in line.gate.collected]
    assert (late.key, late.awaited, _charged(late.reading)) == (response_key("r1"), True, 1000)


async def test_a_failure_after_an_error_changes_nothing() -> None:
    """The error's own `response.failed`, without counts; what was put out before is not free."""
    line = Line()
    assert line.say(CREATE, created("r1"), DELTA, ERROR, event("failed", "r1")) == [ESTIMATED]
    assert line.gate.settled[0][1].output_bytes == len("some words")
    assert line.gate.collected == []


async def test_a_failed_response_says_at_once_that_it_is_over() -> None:
    """`response.failed` names its response, also where a create waits behind."""
    line = Line()
    assert line.say(CREATE, created("r1"), CREATE, event("failed", "r1")) == [FREE, RUNS]


@pytest.mark.parametrize(("output", "charge"), [((), FREE), ((DELTA,), ESTIMATED)], ids=["no output", "output"])
async def test_a_failed_response_before_a_create_ends_with_the_next_one(output: tuple[bytes, ...], charge: str) -> None:
    """The error may have been the create's. Responses run one at a time: a new one is the end of the one that failed."""
    line = Line()
    assert line.say(CREATE, created("r1"), *output, CREATE, ERROR) == [RUNS, RUNS]
    assert line.say(created("r2")) == [charge, RUNS]
    assert line.say(completed("r1", 1000), completed("r2", 9)) == [charge, 9]
    assert all(end.complete for _, _, end in line.gate.settled)


async def test_a_failed_response_before_a_create_ends_with_the_connection() -> None:
    """Where nothing else comes, it ends as the error said; what had no answer is interrupted."""
    line = Line()
    line.say(CREATE, created("r1"), DELTA, CREATE, ERROR)
    line.talk.ended(by_client=True)
    assert line.charged() == [ESTIMATED, ESTIMATED]
    assert [(end.complete, end.error) for _, _, end in line.gate.settled] == [(True, None), (False, "client")]


async def test_an_error_alone_ends_its_create_at_once() -> None:
    """Where nothing was begun the error is the create's answer, also after a response that failed."""
    line = Line()
    assert line.say(CREATE, ERROR) == [FREE]
    assert line.say(CREATE, created("r1"), DELTA, ERROR, CREATE, ERROR) == [FREE, ESTIMATED, FREE]
    assert line.say(CREATE, created("r2"), completed("r2", 9)) == [FREE, ESTIMATED, FREE, 9]


async def test_a_create_that_waits_behind_a_failed_response_keeps_its_turn() -> None:
    """An error ends the response that ran; the creates sent meanwhile are answered in order."""
    line = Line()
    line.say(CREATE, created("r1"), CREATE, CREATE, ERROR, event("failed", "r1"), CREATE)
    assert line.say(created("r2"), completed("r2", 9), created("r3"), completed("r3", 8)) == [FREE, 9, 8, RUNS]


@pytest.mark.parametrize(
    ("refused", "charges"), [(1, [ESTIMATED]), (2, [FREE, ESTIMATED]), (3, [FREE, FREE, ESTIMATED])]
)
async def test_a_create_refused_while_another_runs_gets_no_later_counts(refused: int, charges: list[str]) -> None:
    """A host may refuse creates while a response runs, which goes on: the next answer is for what was sent after."""
    line = Line()
    line.say(CREATE, created("r1"), *[CREATE, ERROR] * refused, completed("r1", 1000), CREATE)
    assert line.say(created("r2"), completed("r2", 9)) == [1000, *charges, 9]


async def test_a_status_left_out_does_not_end_a_response_at_its_start() -> None:
    """Compatible hosts create a response without `status`: its counts come with its end."""
    line = Line()
    assert line.say(CREATE, event("created", "r1", status=None)) == [RUNS]
    assert line.say(event("in_progress", "r1", 0, status=None)) == [RUNS]
    assert line.say(CREATE, event("completed", "r1", 1000, status=None)) == [1000, RUNS]


async def test_each_response_has_the_bytes_of_its_messages() -> None:
    """All that the server said of it, to the byte; what it says between two is nobody's."""
    line = Line()
    first = (created("r1"), DELTA, DELTA, completed("r1", 1000))
    second = (created("r2"), DELTA, ERROR)
    between = b'{"type":"codex.rate_limits"}'
    line.say(CREATE, *first, between, CREATE, *second, CREATE, ERROR)

    told = [end.response_bytes for _, _, end in line.gate.settled]
    assert told == [sum(map(len, first)), sum(map(len, second)), len(ERROR)]


async def test_only_the_latest_ids_are_remembered() -> None:
    """A connection may carry any number of responses; what is kept of those that are over does not grow."""
    line = Line()
    for number in range(ENDED_IDS_MAX + 10):
        line.say(CREATE, completed(f"r{number}", 1), CREATE, created(f"f{number}"), ERROR)
    lanes = line.talk._lanes
    assert (*lanes.past.kept, lanes.running()) == (ENDED_IDS_MAX, ENDED_IDS_MAX, [])
    assert line.charged() == [1, FREE] * (ENDED_IDS_MAX + 10)


@pytest.mark.parametrize(
    ("messages", "charges"),
    [
        pytest.param((on("b", ERROR), completed("ra", 1000)), [1000, FREE], id="an error is its lane's"),
        pytest.param((on("a", ERROR), on("b", after("rb", None)), on("b", completed("rb", 9))), [FREE, 9], id="of the other's"),
        pytest.param((on("b", after("rb", None)), on("b", ERROR)), [RUNS, FREE], id="of one that runs"),
        pytest.param((on("b", completed("rb", 9)), completed("ra", 1000)), [1000, 9], id="answers in another order"),
        pytest.param(
            (on("b", created("rb")), on("b", DELTA), on("a", event("failed", "ra")), on("b", event("failed", "rb"))),
            [FREE, ESTIMATED],
            id="output is its lane's",
        ),
    ],
)  # fmt: skip
async def test_each_lane_has_its_own_answers(messages: tuple[bytes, ...], charges: list[int | str]) -> None:
    """Lanes run at once: what one is answered, and what its output is, is none of the other's."""
    line = Line()
    first = on("a", created("ra"))
    assert line.say(LANE_A, LANE_B, first) == [RUNS, RUNS]
    assert line.say(*[on("a", each) if each == completed("ra", 1000) else each for each in messages]) == charges


async def test_a_lane_that_answers_first_has_its_own_create() -> None:
    """Not the one that was sent first; and what a lane is told is counted there."""
    line = Line()
    line.say(LANE_A, LANE_B, on("b", created("rb")), on("a", created("ra")), on("b", DELTA), on("b", DELTA))
    line.talk.ended(by_client=True)
    told = {reading.response_id: end.response_bytes for _, reading, end in line.gate.settled}
    assert told == {"ra": len(on("a", created("ra"))), "rb": len(on("b", created("rb")) + 2 * on("b", DELTA))}
    assert [call.ask.lane for call in line.calls] == ["a", "b"] and line.talk._lanes._named == {}


async def test_a_server_without_lanes_answers_in_order() -> None:
    """A compatible host leaves `stream_id` out of all it says: its answers come as the creates were sent."""
    line = Line()
    line.say(LANE_A, LANE_B, created("ra"), DELTA, completed("ra", 1000), created("rb"))
    assert line.say(completed("rb", 9)) == [1000, 9]
    assert line.say(LANE_B, ERROR) == [1000, 9, FREE]


@pytest.mark.parametrize(
    ("messages", "charges"),
    [
        pytest.param((TAKEN, event("incomplete", "r1", 9), after("r2"), completed("r2", 1000)), [9, 1000], id="begins"),
        pytest.param((TAKEN, completed("r1", 9), after("r2", None), completed("r2", 1000)), [9, 1000], id="nameless"),
        pytest.param((after("r2"), completed("r2", 1000)), [RUNS, 1000], id="nothing said of it"),
        pytest.param((steered("failed", None),), [RUNS, FREE], id="failed"),
        pytest.param((TAKEN, completed("r1", 9), steered("failed")), [9, FREE], id="failed after all"),
        pytest.param((TAKEN, completed("r1", 9), steered("pending"), CREATE, after("r2")), [9, FREE, RUNS], id="waits"),
        pytest.param((STEER, TAKEN, steered("accepted", "s2"), after("r2")), [RUNS, RUNS, FREE], id="two in one"),
        pytest.param((STEER, TAKEN, steered("failed", None), after("r2")), [RUNS, RUNS, FREE], id="one of two"),
        pytest.param((CREATE, TAKEN, completed("r1", 9), after("r2")), [9, RUNS, RUNS], id="before a create"),
        pytest.param((CREATE, completed("r1", 9), created("r2"), completed("r2", 7)), [9, RUNS, 7], id="a create's own"),
        pytest.param((ERROR, completed("r1", 9)), [FREE, FREE], id="a server that does not know it"),
    ],
)  # fmt: skip
async def test_a_steer_is_a_call_that_its_response_settles(
    messages: tuple[bytes, ...], charges: list[int | str]
) -> None:
    """The server begins the next response by itself: it has the steer's row and hold. Where none begins, it costs nothing."""
    line = Line()
    line.say(CREATE, created("r1"), STEER)
    assert line.say(*messages) == charges
    steer = line.gate.intents[1]
    assert (steer.ask.model, steer.ask.continues, steer.ask.opaque_input, steer.may_wait) == (
        "gpt-5",
        "r1",
        True,
        False,
    )


async def test_a_steer_of_a_lane_is_answered_in_it() -> None:
    """A steer names no lane; its response begins in that of the one that it steers, also where another lane runs."""
    line = Line()
    line.say(LANE_B, on("b", created("r1")), LANE_A, STEER, on("b", TAKEN), on("b", completed("r1", 9)))
    assert line.say(on("b", after("r2")), on("a", created("ra")), on("b", completed("r2", 8))) == [9, RUNS, 8]
    assert line.calls[2].ask.model == "gpt-5-pro"
    assert line.say(LANE_A, STEER, on("a", completed("ra", 7)), on("a", ERROR)) == [9, 7, 8, FREE, RUNS]


async def test_a_response_that_no_steer_is_left_for_is_metered_all_the_same() -> None:
    """A second one that the server begins by itself is read back, once, by its id."""
    line = Line()
    line.say(CREATE, created("r1"), STEER, TAKEN, completed("r1", 9), after("r2"), completed("r2", 8))
    assert line.say(after("r3", "r2"), completed("r3", 1000), completed("r3", 1000)) == [9, 8]
    [[found]] = [found.results for found in line.gate.collected]
    assert (found.key, found.awaited, _charged(found.reading)) == (response_key("r3"), False, 1000)


async def test_what_began_of_a_steer_is_interrupted_with_the_connection() -> None:
    """It has left: what is not known of it is no reason for it to be free."""
    line = Line()
    line.say(CREATE, created("r1"), STEER, TAKEN, completed("r1", 9))
    line.talk.ended(by_client=False)
    assert line.charged() == [9, ESTIMATED]
    assert line.gate.settled[1][2].complete is False


async def test_a_refused_steer_gives_its_input_back() -> None:
    """In the protocol's own answer, which ends nothing that runs; nothing of it goes to the server."""
    line = Line(answer=lambda intent: refused(intent) if intent.ask.steers else Admitted(intent.call_id, cut=False))
    line.say(LANE_A, on("a", created("r1")))
    pushed = line.talk.from_client(STEER, True)
    assert pushed is not None
    [push] = pushed
    said = json.loads(push.content)
    assert not push.to_server
    assert (said["type"], said["stream_id"], said["error"]["code"]) == (
        "response.steer.failed", "a", "project_spend_limit_exceeded",
    )  # fmt: skip
    assert said["steer"] == {"input": "the other way", "previous_response_id": "r1"}
    assert "Budget person/day is spent" in said["error"]["message"]
    assert line.say(on("a", completed("r1", 9)))[0] == 9
