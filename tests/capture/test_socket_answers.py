"""Which create a message of the server settles: no create gets another's counts, and none waits for what cannot come."""

from __future__ import annotations

import asyncio
import json

import pytest

from capture.rig import OPENAI, FakeGate
from spendgate.capture.call import Call, Clock
from spendgate.capture.socket import Talk
from spendgate.capture.socket_answers import ENDED_IDS_MAX
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Ask, Head, Kind, Reading, Route
from spendgate.providers.openai_responses import OpenAIResponses
from spendgate.providers.results import response_key

ROUTE = Route("openai", "openai-responses", Kind.BILLABLE, "/v1/responses", websocket=True)
CREATE = b'{"type":"response.create","model":"gpt-5","input":"x"}'
ERROR = b'{"type":"error","error":{"type":"server_error","code":"x"}}'
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


def completed(name: str, counts: int | None = None) -> bytes:
    return event("completed", name, counts)


class Line:
    """A conversation without a wire. Creates pass at once, as mitmproxy's loop starts tasks eagerly."""

    def __init__(self) -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        self.gate = FakeGate()
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
        return self.calls[-1]

    def say(self, *messages: bytes) -> list[int | str]:
        """What each create is charged by, once these messages have passed: its counts, or one of the words above."""
        for message in messages:
            if message == CREATE:
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
    answers = line.talk._answers
    assert (len(answers._ended_ids), len(answers._failed), answers.running()) == (ENDED_IDS_MAX, ENDED_IDS_MAX, [])
    assert line.charged() == [1, FREE] * (ENDED_IDS_MAX + 10)
