"""Over a WebSocket each `response.create` is an Ask and each response gets its own reading."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.feeding import head
from spendgate.providers.ask import Ask
from spendgate.providers.jsonscan import at_once
from spendgate.providers.openai_responses import OpenAIResponses
from spendgate.providers.openai_responses_socket import ResponsesSocket
from spendgate.providers.reading import Reading
from spendgate.providers.socket_interface import Moved
from spendgate.usage import Usage

HANDSHAKE = head(
    "GET", "/v1/responses", "api.openai.com", upgrade="websocket", originator="codex_exec", session_id="s-1"
)


def socket() -> ResponsesSocket:
    """A reader of a fresh connection."""
    return OpenAIResponses().socket(HANDSHAKE)


def message(kind: str, **members: Any) -> bytes:
    """One text message."""
    return json.dumps({"type": kind, **members}).encode()


def asked(reader: ResponsesSocket, message: bytes) -> Ask | None:
    """What a client's message asks for."""
    return at_once(reader.from_client(message))


def response(name: str, status: str, usage: dict[str, Any] | None = None) -> dict[str, Any]:
    """A `response` object."""
    return {"id": name, "model": "gpt-5.3-codex", "status": status, "usage": usage, "error": None}


def test_only_creates_are_asks() -> None:
    """A create is read with the handshake's tool and session; other client messages start nothing."""
    reader = socket()
    ask = asked(reader, message("response.create", model="gpt-5.3-codex", input=[], previous_response_id="r0"))
    assert ask is not None
    assert (ask.model, ask.tool.value, ask.session.value) == ("gpt-5.3-codex", "codex", "s-1")
    assert ask.opaque_input and ask.streamed
    assert asked(reader, message("response.processed", response_id="r1")) is None


def test_a_warm_up_is_told_from_what_generates() -> None:
    """`generate: false` asks for no work; any other value, or none, does."""
    creates = [
        message("response.create", model="gpt-5.1", **more) for more in ({"generate": False}, {"generate": True}, {})
    ]
    asks = [asked(socket(), create) for create in creates]
    assert [ask and ask.generates for ask in asks] == [False, True, True]


def test_long_messages_are_told_apart() -> None:
    """A long create starts a response; a long message of another type does not, whatever its text says."""
    long = [{"type": "message", "content": [{"type": "input_text", "text": 'say "response.create" ' * 400}]}] * 20
    reader = socket()
    for escaped in (False, True):
        create = message("response.create", model="gpt-5.3-codex", input=long)
        create = create.replace(b'"response.create"', b'"respons\\u0065.create"', 1) if escaped else create
        ask = asked(reader, create)
        assert ask is not None and ask.model == "gpt-5.3-codex" and ask.text_bytes == len(create)
    assert asked(reader, message("response.processed", input=long)) is None


def test_what_cannot_be_read_is_an_ask_without_bound() -> None:
    """A message that is no JSON might still start work: it is never nothing."""
    ask = asked(socket(), b"response.create")
    assert isinstance(ask, Ask)
    assert (ask.model, ask.opaque_input) == (None, True)


def test_two_responses_one_after_the_other() -> None:
    """Each response has its own counts and ends once; what stands between changes nothing."""
    reader = socket()
    for name, count in (("resp_1", 10), ("resp_2", 20)):
        created = reader.from_server(message("response.created", response=response(name, "in_progress")))
        assert created is not None and created[0] == name and not created[1].ended
        assert reader.from_server(message("response.output_text.delta", delta='say "usage"')) is None
        assert reader.from_server(message("codex.rate_limits", rate_limits={})) is None
        usage = {"input_tokens": count, "output_tokens": 4, "total_tokens": count + 4}
        done = reader.from_server(message("response.completed", response=response(name, "completed", usage)))
        assert done is not None
        reading = done[1]
        assert (done[0], reading.final, reading.ended, reading.output_bytes) == (name, True, True, 13)
        assert [part.usage for part in reading.parts] == [Usage(input_tokens=count, output_tokens=4)]


def test_error_before_a_response_is_free() -> None:
    """An error frame before anything was created ends the create that asked, for nothing."""
    found = socket().from_server(message("error", status=429, error={"type": "rate_limit_exceeded"}))
    assert found == Moved(None, Reading(free=True, final=True, ended=True))


def test_error_in_the_middle_ends_without_counts() -> None:
    """After output has begun, an error names no response; should it end one, what was streamed is left to be estimated."""
    reader = socket()
    reader.from_server(message("response.created", response=response("resp_1", "in_progress")))
    reader.from_server(message("response.output_text.delta", delta="half an answer"))
    found = reader.from_server(message("error", status=500, error={"type": "server_error"}))
    assert found is not None
    assert (found[0], found[1].ended, found[1].final, found[1].free) == (None, True, False, False)
    assert (found[1].response_id, found[1].output_bytes) == ("resp_1", 14)


def test_what_follows_an_error_is_still_read_as_the_response() -> None:
    """Its failure without counts is not free, since the output before the error is remembered."""
    reader = socket()
    reader.from_server(message("response.created", response=response("resp_1", "in_progress")))
    reader.from_server(message("response.output_text.delta", delta="half an answer"))
    reader.from_server(message("error", status=500, error={"type": "server_error"}))
    found = reader.from_server(message("response.failed", response=response("resp_1", "failed")))
    assert found is not None
    assert (found[0], found[1].ended, found[1].free, found[1].output_bytes) == ("resp_1", True, False, 14)


def test_a_message_about_another_response_moves_nothing_of_the_running_one() -> None:
    """A late word on an older response has its own reading; the output of the one that runs stays counted."""
    reader = socket()
    reader.from_server(message("response.created", response=response("resp_2", "in_progress")))
    reader.from_server(message("response.output_text.delta", delta="half an answer"))
    late = reader.from_server(message("response.failed", response=response("resp_1", "failed")))
    assert late is not None
    assert (late[0], late[1].ended, late[1].free, late[1].output_bytes) == ("resp_1", True, False, 0)
    done = reader.from_server(message("response.completed", response=response("resp_2", "completed")))
    assert done is not None
    assert (done[0], done[1].output_bytes) == ("resp_2", 14)


@pytest.mark.parametrize("members", [{}, {"status": None}], ids=["left out", "null"])
@pytest.mark.parametrize("long", [False, True], ids=["whole", "by its ends"])
def test_without_a_status_the_type_tells_the_end(members: dict[str, Any], long: bool) -> None:
    """Compatible hosts leave `status` out: only the last events end a response, and a failed one is known as such."""
    tools = [{"type": "function"}] * (101_000 if long else 1)
    members = {"tools": tools, "id": "r1", **members, "error": None}
    for end, free in (("completed", False), ("incomplete", False), ("failed", True), ("cancelled", False)):
        reader = socket()
        for kind in ("created", "queued", "in_progress"):
            found = reader.from_server(message(f"response.{kind}", response=members))
            assert found is None or (found[0], found[1].ended, found[1].final) == ("r1", False, False)
        found = reader.from_server(message(f"response.{end}", response=members))
        assert found is not None
        assert (found[0], found[1].ended, found[1].free) == ("r1", True, free)


def test_garbage_never_raises() -> None:
    """What is not JSON, or not what it says, changes nothing and raises nothing."""
    reader = socket()
    for junk in (b"", b"\xff\xfe", b'"usage"', b'{"usage":', b'{"type":"response.created","response":7}', b"[]"):
        found = reader.from_server(junk)
        assert found is None or (not found[1].final and not found[1].parts)


def test_a_message_of_too_many_parts_is_read_by_its_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading all of it would stop the loop, so it is not; the counts that stand behind the parts are read all the same."""
    usage = {"input_tokens": 12, "output_tokens": 5}
    reader = socket()
    asked(reader, message("response.create", model="gpt-5.3-codex", input=[]))
    reader.from_server(message("response.created", response=response("r1", "in_progress")))
    monkeypatch.setattr("spendgate.providers.openai_responses_socket.read_event", lambda *_: pytest.fail("read whole"))
    parts = {"id": "r1", "status": "completed", "output": [{"type": "reasoning"}] * 101_000, "usage": usage}
    found = reader.from_server(message("response.completed", response=parts))
    assert found is not None
    assert (found[0], found[1].final, found[1].ended) == ("r1", True, True)
    assert [(part.usage.input_tokens, part.usage.output_tokens) for part in found[1].parts] == [(12, 5)]
