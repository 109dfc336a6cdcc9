"""`capture.stream_usage: ask`: the provider reports what a chat stream used, and the client sees no difference."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h11
import httpx2
import openai
import pytest

from end_to_end.raw import trust, tunnel
from end_to_end.world import Gate, Provider, listed_nanos, policy, running_gate, until
from spendgate.standin.script import Script

HOST, GPT = "api.openai.com", "gpt-5.1"
WORD = "capture: {stream_usage: ask}\n"
COUNTS = "input=1201; output=377; cache_read=2048; reasoning=128"
QUESTION = b'"stream_options":{"include_usage":true},'
ASKED, SHOWN = "usage asked for", "usage chunk not hidden"


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Gate]:
    """A gate that may ask."""
    folder = tmp_path_factory.mktemp("asking")
    with running_gate(folder, provider, policy(folder, more=WORD)) as running:
        yield running


def answered(gate: Gate, body: bytes, *headers: tuple[str, str]) -> tuple[Any, bytes]:
    """A request on a raw socket, and its answer's head and body as they came, read a byte at a time."""
    plain = tunnel(gate, HOST)
    with trust(gate).wrap_socket(plain, server_hostname=HOST) as secure:
        wire = h11.Connection(h11.CLIENT)
        fields = [("host", HOST), ("authorization", "Bearer sk-proj-test"), ("content-type", "application/json")]
        fields += [("content-length", str(len(body))), *headers]
        request = h11.Request(method="POST", target="/v1/chat/completions", headers=fields)
        secure.sendall(wire.send(request) + wire.send(h11.Data(body)) + wire.send(h11.EndOfMessage()))
        head, found = None, b""
        while not isinstance(event := wire.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                wire.receive_data(_some(secure))
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                found += bytes(event.data)
        return head, found


def _some(secure: ssl.SSLSocket) -> bytes:
    return secure.recv(65536)


def request(**more: object) -> bytes:
    """A streamed chat, oddly spaced, as no encoder of ours would write it again."""
    said = {"model": GPT, "stream": True, "messages": [{"role": "user", "content": "hi"}], **more}
    return json.dumps(said, indent=1, ensure_ascii=False).encode()


def unnamed(body: bytes, answer_id: str) -> bytes:
    """An answer without the id that each has for itself."""
    assert answer_id.encode() in body
    return body.replace(answer_id.encode(), b"ID")


@pytest.mark.parametrize("framing", ["", "; chunk=1"], ids=["events", "single bytes"])
def test_the_client_gets_the_bytes_of_a_gate_that_does_not_ask(
    gate: Gate, asking: Gate, provider: Provider, framing: str
) -> None:
    """Byte for byte, and yet the row has the provider's own counts; the request has one member more, and its length is right."""
    bodies, headers = [], ("x-standin", COUNTS + framing)
    for way in (gate, asking):
        head, body = answered(way, request(), headers)
        served = provider.ended(dict(head.headers)[b"x-request-id"].decode())
        bodies.append(unnamed(body, served.response_id or ""))
        row = way.row(served.request_id)
        if way is gate:
            assert (row["basis"], served.reported, served.request_bytes) == ("estimated", False, len(request()))
    assert bodies[0] == bodies[1]
    assert b"usage" not in bodies[1]
    assert (served.reported, served.request_bytes) == (True, len(request()) + len(QUESTION))
    assert (row["state"], row["basis"]) == ("settled", "reported")
    assert (row["input_tokens"], row["output_tokens"], row["reasoning_tokens"]) == (1201, 377, 128)
    assert served.usage is not None
    assert row["cost_nanos"] == listed_nanos("openai", GPT, served.usage, str(row["booked_at"]))
    assert ASKED in row["flags"]
    assert SHOWN not in row["flags"]


@pytest.mark.parametrize("framing", ["", "; chunk=1"], ids=["events", "single bytes"])
@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_the_sdk_sees_no_chunk_that_it_did_not_ask_for(asking: Gate, http2: bool, framing: str) -> None:
    """OpenAI's own client, which hands every chunk to its caller."""
    with httpx2.Client(proxy=asking.proxy, verify=trust(asking), http2=http2) as http:
        client = openai.OpenAI(api_key="sk-proj-test", http_client=http)
        answer = client.chat.completions.create(
            model=GPT,
            messages=[{"role": "user", "content": "hi"}],
            stream=True,
            extra_headers={"x-standin": COUNTS + framing},
        )
        request_id = answer.response.headers["x-request-id"]
        chunks = list(answer)
    assert [len(chunk.choices) for chunk in chunks] == [1, 1, 1, 1]
    assert not any("usage" in chunk.model_fields_set for chunk in chunks)
    row = asking.row(request_id)
    assert (row["basis"], row["output_tokens"]) == ("reported", 377)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip,br"])
def test_an_answer_that_is_encoded_all_the_same_is_passed_as_it_is(
    asking: Gate, provider: Provider, encoding: str
) -> None:
    """A plain one was asked for; where it comes encoded, the client sees the chunk, and the row says so."""
    headers = ("x-standin", f"{COUNTS}; encoding={encoding}"), ("accept-encoding", encoding)
    head, body = answered(asking, request(), *headers)
    served = provider.ended(dict(head.headers)[b"x-request-id"].decode())
    assert len(body) == served.bytes_sent
    row = asking.row(served.request_id)
    assert (row["basis"], row["output_tokens"]) == ("reported", 377)
    assert SHOWN in row["flags"]


@pytest.mark.parametrize(
    ("more", "headers", "reported"),
    [
        ({"stream_options": {"include_usage": True}}, (), True),
        ({"stream_options": {"include_usage": False}}, (), False),
        ({"stream_options": None}, (), False),
        ({}, (("content-digest", "sha-256=:x:"),), False),
        ({}, (("x-amz-date", "20261128T000000Z"),), False),
    ],
    ids=["asks itself", "wants none", "null", "digested", "signed"],
)
def test_a_request_with_a_word_of_its_own_is_not_touched(
    asking: Gate, provider: Provider, more: dict[str, object], headers: tuple[tuple[str, str], ...], reported: bool
) -> None:
    """Nor is one whose bytes are signed; a client that asked gets its chunk."""
    head, body = answered(asking, request(**more), ("x-standin", COUNTS), *headers)
    served = provider.ended(dict(head.headers)[b"x-request-id"].decode())
    assert (served.request_bytes, served.reported) == (len(request(**more)), reported)
    assert (b'"choices": []' in body) is reported
    assert len(body) == served.bytes_sent
    assert ASKED not in asking.row(served.request_id)["flags"]


def test_a_stream_that_breaks_off_loses_no_byte(asking: Gate, provider: Provider) -> None:
    """What was there of its last event comes, before the end."""
    provider.set(Script(break_after=500, chunk=1))
    plain = tunnel(asking, HOST)
    with trust(asking).wrap_socket(plain, server_hostname=HOST, suppress_ragged_eofs=True) as secure:
        body = request()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer sk-proj-test\r\n"
        secure.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        found = b""
        while data := _some(secure):
            found += data
    text = b"".join(line for line in found.partition(b"\r\n\r\n")[2].split(b"\r\n")[1::2])
    served = until(
        lambda: next((one for one in reversed(provider.served) if one.ended_ms and one.bytes_sent == 500), None)
    )
    assert not text.endswith(b"\n\n")
    assert served.bytes_sent - len(text) == text.count(b"\n\n") * len(b', "usage": null')


def test_a_refused_call_is_answered_as_ever(folder: Path, provider: Provider) -> None:
    """An altered request is one that leaves: with a spent budget none does."""
    with running_gate(folder, provider, policy(folder, limit="$0.0001", more=WORD)) as spent:
        answers = [answered(spent, request(), ("x-standin", COUNTS))[0].status_code for _ in range(2)]
    assert answers[-1] == 429
