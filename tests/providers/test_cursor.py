"""Cursor's calls: what they ask, what they used, and which appends belong to which stream. Windsurf's, as far as is known."""

from __future__ import annotations

from typing import Any

import pytest

from providers.connect_frames import STREAM, call, ended, frame, last, msg, run_request, text, tokens
from providers.feeding import pieces, read
from spendgate.attribution import Evidence
from spendgate.errors import WireError
from spendgate.providers.ask import Ask, Claim
from spendgate.providers.cursor import Cursor
from spendgate.providers.cursor_asked import MAX_MODE, NO_MODEL, OWN_KEY
from spendgate.providers.interface import Head, Kind
from spendgate.providers.reading import Reading
from spendgate.providers.registry import Registry
from spendgate.providers.spoken import Weight
from spendgate.providers.unfinished import estimate_usage
from spendgate.providers.windsurf import Windsurf
from spendgate.usage import Usage

AGENT, CHAT = "/agent.v1.AgentService/Run", "/aiserver.v1.ChatService/StreamUnifiedChatWithTools"
APPEND = "/aiserver.v1.BidiService/BidiAppend"


class Everything:
    """A policy that captures all providers."""

    providers = None
    hosts = ()
    never = ()
    stream_usage = "never"


def asked(path: str, message: bytes, **headers: str) -> Ask:
    """What a stream with this first message asks."""
    return Cursor().spoken(call(path, **headers)).ask(call(path, **headers), frame(message))


def answered(path: str, *messages: bytes, request: bytes | None = None) -> Reading:
    """What an answer of these messages used, in random cuts."""
    spoken = Cursor().spoken(call(path))
    ask = spoken.ask(call(path), frame(request or run_request()))
    data = b"".join(frame(message, at % 2) for at, message in enumerate(messages)) + last()
    return read(spoken.reader(ask, 200, STREAM), pieces(data, 5, 40))


def test_a_run_is_asked_for() -> None:
    """Model, conversation, group and size; a fast model as the price list spells it; no bound."""
    message = msg(f1=msg(f1=b"\0" * 900, f3=msg(f1="old"), f5="conv-1", f9=msg(f1="composer-2.5"), f16="group-1"))
    ask = asked(AGENT, message, x_cursor_client_version="3.16", authorization="Bearer eyJhbGci.e30.x")
    assert (ask.model, ask.session, ask.parent_agent) == ("composer-2.5", Claim("conv-1", Evidence.BODY), "group-1")
    assert (ask.streamed, ask.loops, ask.opaque_input, ask.text_bytes) == (True, True, True, len(message))
    assert (ask.tool.value, ask.api_key) == ("cursor", None)
    fast = run_request(f3=[msg(f1="effort", f2="high"), msg(f1="fast", f2="true")])
    assert asked(AGENT, fast).model == "composer-2.5[fast=true]"
    assert asked(AGENT, msg(f1=msg(f3=msg(f1="default")))).model == "default"
    assert (
        asked(AGENT, run_request(), x_cursor_client_version="1", x_cursor_client_type="cli").tool.value
        == "cursor-agent"
    )


@pytest.mark.parametrize(
    ("path", "message", "model", "session"),
    [
        (CHAT, msg(f1=msg(f5=msg(f1="gpt-5"), f23="chat-1")), "gpt-5", "chat-1"),
        (CHAT.removesuffix("WithTools"), msg(f5=msg(f1="gpt-5"), f23="chat-1"), "gpt-5", "chat-1"),
        ("/aiserver.v1.AiService/StreamCpp", msg(f3="fast-tab"), "fast-tab", None),
        ("/aiserver.v1.CmdKService/StreamCmdK", msg(f1=msg(f1="some text")), None, None),
    ],
)
def test_other_calls(path: str, message: bytes, model: str | None, session: str | None) -> None:
    """Chat and tab completion name their model; inline edits do not, as far as is known."""
    ask = asked(path, message)
    assert (ask.model, ask.session.value) == (model, session)


def test_what_stands_out_is_flagged() -> None:
    """Max mode, one's own key, a model that was not found: on the row, by the answer."""
    assert answered(AGENT, request=run_request(f2=1)).flags == (MAX_MODE,)
    assert answered(AGENT, request=run_request(f4=msg(f1="sk-secret"))).flags == (OWN_KEY,)
    assert answered(AGENT, request=msg(f8=b"warm")).flags == (NO_MODEL,)


@pytest.mark.parametrize("size", [0, 10, 900, 5000])
def test_a_first_message_that_is_cut_off(size: int) -> None:
    """What is there of a message is read, and the rest is not missed."""
    message = msg(f1=msg(f1=b"\0" * 800, f5="conv-1", f9=msg(f1="composer-2.5"), f17=b"\0" * 9000))
    body = frame(message)[: 5 + size]
    ask = Cursor().spoken(call(AGENT)).ask(call(AGENT), body)
    assert ask.model == ("composer-2.5" if size >= 900 else None)
    with pytest.raises(WireError):
        Cursor().spoken(call(AGENT)).ask(call(AGENT), b"\0\0")


def test_a_turn_counts_itself() -> None:
    """The counts at its end are the bill; the input holds both caches, and is told apart."""
    reading = answered(
        AGENT, text("hello"), tokens(4000), ended(f1=388564, f2=5870, f3=346112, f4=1000, f5=2736), msg(f3=b"state")
    )
    assert reading.final
    [part] = reading.parts
    assert part.usage == Usage(
        input_tokens=388564 - 346112 - 1000,
        cache_read_tokens=346112,
        cache_write_tokens=1000,
        output_tokens=5870,
        reasoning_tokens=2736,
    )
    assert reading.flags == ()


def test_each_turn_of_a_stream_counts() -> None:
    """Two turns are two samplings; one that has begun behind the last counts makes the whole an estimate."""
    two = answered(AGENT, ended(f1=10, f2=5), text("more"), ended(f1=20, f2=7))
    assert [part.usage.output_tokens for part in two.parts] == [5, 7]
    assert two.final
    open_turn = answered(AGENT, ended(f1=10, f2=5), text("more"), tokens(9))
    assert [part.usage.output_tokens for part in open_turn.parts] == [5, 9]
    assert not open_turn.final


def test_turns_beyond_those_that_are_told_apart_count_too() -> None:
    """However many turns a stream has, their sum is that of all; the row says that not all stand by themselves."""
    reading = answered(AGENT, *[ended(f1=10 + turn, f2=7, f3=4) for turn in range(100)])
    total = sum([part.usage for part in reading.parts], Usage())
    assert (total.input_tokens, total.cache_read_tokens, total.output_tokens) == (6 * 100 + 4950, 400, 700)
    assert (len(reading.parts), reading.final, reading.flags) == (64, True, ("more turns than are told apart",))


@pytest.mark.parametrize("end", [b"", ended(), ended(f1=10)])
def test_without_counts_it_is_an_estimate(end: bytes) -> None:
    """Builds that count nothing, or not all: from what was sent and received, at least what the screen counted."""
    messages = [text("x" * 300), tokens(50), *([end] if end else [])]
    reading = answered(AGENT, *messages)
    assert not reading.final
    assert reading.output_bytes == 300
    used = estimate_usage(Ask(text_bytes=400), Reading(parts=reading.parts, output_bytes=300, input_bytes=800))
    assert (used.input_tokens, used.output_tokens) == (300, 100)


def test_what_is_sent_later_counts_as_input() -> None:
    """Tool results that go up while the answer comes down are part of the estimate, compressed or not."""
    spoken = Cursor().spoken(call(AGENT, connect_content_encoding="gzip"))
    ask = spoken.ask(call(AGENT), frame(run_request()))
    reader = spoken.reader(ask, 200, STREAM)
    for chunk in pieces(frame(run_request()) + frame(msg(f2=b"r" * 996), 1) + frame(msg(f2=b"r" * 96)), 2, 50):
        spoken.upload(chunk)
    assert reader.reading().input_bytes == len(msg(f2=b"r" * 996)) + len(msg(f2=b"r" * 96))


@pytest.mark.parametrize("mode", ["hex", "binary"])
@pytest.mark.parametrize("order", ["append first", "stream first"])
def test_an_append_says_what_its_stream_asks(mode: str, order: str) -> None:
    """Whichever comes first: the append that begins a run leads to a call, the stream is the call, later appends are nothing."""
    dialect = Cursor()

    def append(message: bytes, number: int) -> Any:
        held = {"f1": message.hex()} if mode == "hex" else {"f4": message}
        spoken = dialect.spoken(call(APPEND, "application/proto"))
        spoken.ask(call(APPEND), msg(f2=msg(f1="req-1"), f3=number, **held))
        return spoken

    stream, body = dialect.spoken(call(f"{AGENT}SSE")), frame(msg(f1="req-1"))
    if order == "stream first":
        assert not stream.ready(body)
    assert append(run_request("grok-4.5", "conv-9"), 0).weight is Weight.LEADS
    assert stream.ready(body)
    ask = stream.ask(call(f"{AGENT}SSE"), body)
    assert (ask.model, ask.session.value, ask.text_bytes) == (
        "grok-4.5",
        "conv-9",
        len(run_request("grok-4.5", "conv-9")),
    )
    assert stream.weight is Weight.CALL
    assert append(msg(f2=b"result"), 1).weight is Weight.NOTHING
    assert stream.reader(ask, 200, STREAM).reading().input_bytes == len(msg(f2=b"result"))
    assert append(run_request(), 0).weight is Weight.LEADS, "a repeated beginning passed unchecked"
    poll = dialect.spoken(call("/agent.v1.AgentService/RunPoll"))
    assert poll.ask(call(AGENT), frame(msg(f1=msg(f1="req-1")))).text_bytes == 0


def test_runs_are_forgotten() -> None:
    """Ids are kept for a bounded number of runs, and a stream whose append never came asks for something unknown."""
    dialect = Cursor()
    for number in range(2000):
        dialect.spoken(call(f"{AGENT}SSE")).ready(frame(msg(f1=f"req-{number}")))
    assert len(dialect._runs._runs) <= 256
    stream = dialect.spoken(call(f"{AGENT}SSE"))
    assert stream.ask(call(AGENT), frame(msg(f1="never"))).model is None


@pytest.mark.parametrize(
    ("path", "kind", "billing"),
    [
        ("/agent.v1.AgentService/Run", Kind.BILLABLE, None),
        ("/agent.v1.AgentService/RunSSE", Kind.BILLABLE, None),
        ("/aiserver.v1.AiService/StreamCpp", Kind.BILLABLE, "subscription"),
        ("/agent.v1.AgentService/NameAgent", Kind.FREE, None),
        ("/aiserver.v1.DashboardService/GetTokenUsage", Kind.FREE, None),
        ("/aiserver.v1.AiService/SomethingNew", Kind.UNRECOGNIZED, None),
    ],
)
def test_routes(path: str, kind: Kind, billing: str | None) -> None:
    """Which calls cost money, which are part of the plan, which are free, and which nobody knows."""
    route = Registry.build(Everything()).route(Head("POST", "api2.cursor.sh", path, "", call(path).headers))
    assert (route.provider, route.kind, route.billing) == ("cursor", kind, billing)


def test_windsurf() -> None:
    """Model, session, cap and key of a message, and an answer that only its text measures."""
    path = "/exa.api_server_pb.ApiServerService/GetChatMessage"
    message = msg(
        f1=msg(f3="sk-ws-01-secret"), f3=msg(f3="hi"), f8=msg(f2=4096), f21="MODEL_SWE_1_5_SLOW", f22="session-1"
    )
    spoken = Windsurf().spoken(call(path))
    ask = spoken.ask(call(path), frame(message, 0))
    assert (ask.model, ask.session.value, ask.output_tokens_max) == ("MODEL_SWE_1_5_SLOW", "session-1", 4096)
    assert ask.api_key is not None
    assert "secret" not in ask.api_key
    reading = read(spoken.reader(ask, 200, STREAM), [frame(msg(f2="hello there"), 1), last()])
    assert (reading.output_bytes, reading.final, reading.free) == (len("hello there"), False, False)
