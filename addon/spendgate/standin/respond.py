"""What a request is answered with: from its path and script to a head and pieces of body. No sockets.

Paths are matched by their end, so that Azure's and other hosts' spellings of the same API are answered too.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import uuid
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import zstandard

from spendgate.standin import anthropic, apps, bedrock, github, google, later, media, openai, sigv4, tools
from spendgate.standin.encoding import Stacked
from spendgate.standin.script import HEADER, Canned, Script
from spendgate.standin.served import Served

JSON = "application/json"
STREAM = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came; header names in lower case, the body still content-encoded."""

    method: str
    host: str
    path: str
    headers: dict[str, str]
    body: bytes

    def fields(self) -> dict[str, object]:
        """The JSON object of the body; empty where there is none."""
        try:
            found = json.loads(_decoded(self.body, self.headers.get("content-encoding", "")) or b"{}")
        except (ValueError, OSError, zlib.error, zstandard.ZstdError):
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Reply:
    """A head and the pieces of a body, before content-encoding."""

    status: int
    content_type: str
    pieces: Iterator[bytes]
    headers: tuple[tuple[str, str], ...] = ()
    script: Script = Script()  # noqa: RUF009  # frozen, so one value may be shared


def reply(request: Request, served: Served, default: Script, canned: Canned | None) -> Reply:
    """The answer, with what it claims written into `served`."""
    try:
        script = default.reading(request.headers.get(HEADER, ""))
    except ValueError as fault:
        return Reply(400, JSON, iter([json.dumps({"error": {"message": str(fault)}}).encode()]))
    path, _, query = request.path.partition("?")
    streamed = "stream=true" in query
    plain = _decoded(request.body, request.headers.get("content-encoding", ""))
    try:
        pieces = later.ordered(request.method, path, plain, uuid.uuid4().hex, script=script, streamed=streamed)
    except (ValueError, KeyError, TypeError) as fault:
        return Reply(
            400, JSON, iter([json.dumps({"error": {"message": f"not an order of a batch: {fault!r}"}}).encode()])
        )
    if pieces is not None:
        return Reply(200, STREAM if streamed else JSON, pieces, script=script)
    ends = (*BILLABLE, *media.ENDS, *google.VERBS, *CLAUDE, *(bedrock.OPERATIONS if "/model/" in path else ()))
    kind = next((suffix for suffix in ends if path.endswith(suffix)), None) if request.method == "POST" else None
    if kind is None or path.endswith("/count-tokens:rawPredict"):
        return _free(request, path)
    if sigv4.is_broken(request.method, request.path, request.headers, request.body):
        return _aws_error(403, "The request signature we calculated does not match the signature you provided.")
    served.billable = True
    script = tools.turn(script, plain)
    if canned:
        return Reply(canned.status, JSON, iter([canned.body]), canned.headers)
    if script.status >= 400 and kind in bedrock.OPERATIONS:
        return _aws_error(script.status, "The stand-in was asked for an error.", script)
    if script.status >= 400:
        claude = kind == "/messages" or kind in CLAUDE
        other = google.error(script) if kind in (*google.VERBS, "/interactions") else openai.error(script)
        body = anthropic.error(script, served.request_id) if claude else other
        return Reply(script.status, JSON, iter([body]), script=script)
    if kind in media.ENDS:
        return _media(kind, request, served, script)
    asked = request.fields()
    if kind in google.VERBS:
        return _google(request.path, asked, served, script)
    if kind in bedrock.OPERATIONS:
        return _bedrock(kind, path, served, script)
    if kind in CLAUDE:
        # Vertex: the same API, the model in the path.
        asked, kind = {**asked, "model": google.model_of(path)}, "/messages"
    return _answer(kind, asked, served, script)


def _google(target: str, asked: dict[str, object], served: Served, script: Script) -> Reply:
    path = target.partition("?")[0]
    model = script.model or str(asked.get("model") or google.model_of(path)).removeprefix("models/")
    served.model, served.usage, served.response_id = model, script.counts(), new_id("gemini")
    served.reported = script.usage
    events, pieces = google.answer(script, target, model, served.response_id)
    return Reply(200, STREAM if events else JSON, pieces, script=script)


def _bedrock(kind: str, path: str, served: Served, script: Script) -> Reply:
    served.model, served.usage, served.reported = bedrock.model_of(path), script.counts(), script.usage
    served.response_id = new_id("msg_bdrk")
    headers, pieces = bedrock.answer(kind, script, served.model, served.response_id)
    return Reply(200, bedrock.EVENTS if bedrock.is_stream(kind) else JSON, pieces, headers, script)


def _aws_error(status: int, message: str, script: Script = Script()) -> Reply:  # noqa: B008  frozen
    headers, content = bedrock.error(status, message)
    return Reply(status, JSON, iter([content]), headers, script)


def _media(kind: str, request: Request, served: Served, script: Script) -> Reply:
    asked = request.fields() or media.form(request.body)
    served.model, served.usage, served.reported = str(asked.get("model", "")), script.counts(), script.usage
    sound = media.ENDS[kind] == "sound"
    content_type = media.SOUND if sound else STREAM if asked.get("stream") is True else JSON
    return Reply(200, content_type, media.answer(kind, script, asked), script=script)


def _answer(kind: str, asked: dict[str, object], served: Served, script: Script) -> Reply:
    model = script.model or str(asked.get("model", ""))
    streamed = asked.get("stream") is True
    served.model, served.usage, served.response_id = model, script.counts(), new_id(BILLABLE[kind])
    answer_id, content_type = served.response_id, STREAM if streamed else JSON
    served.reported = script.usage
    if kind in APPS:
        # Streamed, whatever is asked, and without counts.
        content_type, served.reported, pieces = STREAM, False, APPS[kind](script, model, answer_id)
    elif kind == "/messages":
        pieces = (anthropic.stream if streamed else anthropic.message)(script, model, answer_id)
    elif kind == "/chat/completions" and streamed:
        options = asked.get("stream_options")
        # Mistral sends counts unasked.
        told = served.host == "api.mistral.ai"
        usage_asked = told or (isinstance(options, dict) and options.get("include_usage") is True)
        served.reported = usage_asked and script.usage
        pieces = openai.chat_stream(script, model, answer_id, usage_asked=usage_asked)
    elif kind == "/chat/completions":
        choices = asked.get("n")
        pieces = openai.chat(script, model, answer_id, choices if isinstance(choices, int) else 1)
    elif kind == "/responses" and asked.get("background") is True and not streamed:
        served.reported = False
        pieces = later.background(script, model, answer_id)
    elif kind == "/responses":
        pieces = (openai.response_stream if streamed else openai.response)(script, model, answer_id)
    elif kind == "/interactions":
        pieces = (google.interaction_stream if streamed else google.interaction)(script, model, answer_id)
    else:
        pieces = openai.embeddings(script, model)
    return Reply(200, content_type, pieces, script=script)


BILLABLE = {
    "/messages": "msg",
    "/chat/completions": "chatcmpl",
    "/responses": "resp",
    "/embeddings": "emb",
    "/completion": "chatcompl",
    "/conversation": "msg",
    "/interactions": "v1",
}
"""Ends of the paths that a provider bills, with the prefix of their answers' ids."""
APPS = {"/completion": apps.claude_ai, "/conversation": apps.chatgpt}

CLAUDE = (":rawPredict", ":streamRawPredict")
"""Claude's on Vertex."""


def _free(request: Request, path: str) -> Reply:
    body = github.answer(request.host, path)
    if body is not None:
        return Reply(200, JSON, iter([json.dumps(body).encode()]))
    if path.endswith((":countTokens", ":loadCodeAssist", ":onboardUser")):
        body = {"totalTokens": max(1, len(request.body) // 4)}
    elif path.endswith(("/count_tokens", "/count-tokens:rawPredict")):
        body = {"input_tokens": max(1, len(request.body) // 4)}
    elif path.endswith("/models"):
        # The keys of both providers' lists, and of Codex's, which wants `models`.
        body = {"object": "list", "data": [], "has_more": False, "models": []}
    elif path.endswith("/policy_limits"):
        # Claude Code asks again and again for seconds where this is not what it expects.
        body = {"restrictions": {}}
    elif "/api/" in path or path == "/":
        body = {}
    else:
        return Reply(404, JSON, iter([b'{"type":"error","error":{"type":"not_found_error","message":"Not found"}}']))
    return Reply(200, JSON, iter([json.dumps(body).encode()]))


async def body(reply: Reply) -> AsyncIterator[bytes]:
    """The body's bytes as they go out: encoded, paced, cut into the script's writes. Ends early where it breaks off."""
    script, encoder, left = reply.script, Stacked(reply.script.encoding), reply.script.break_after
    async for piece in _paced(reply.pieces, script, encoder):
        for part in _cut(piece, script.chunk):
            if 0 <= left <= len(part):
                yield part[:left]
                raise BrokenOffError
            left -= len(part) if left >= 0 else 0
            yield part


class BrokenOffError(Exception):
    """The script breaks this answer off here."""


async def _paced(pieces: Iterator[bytes], script: Script, encoder: Stacked) -> AsyncIterator[bytes]:
    for number, piece in enumerate(pieces):
        if number and script.interval_ms:
            await asyncio.sleep(script.interval_ms / 1000)
        yield encoder.block(piece)
    if tail := encoder.finish():
        yield tail


def _cut(piece: bytes, size: int) -> Iterator[bytes]:
    if not size:
        if piece:
            yield piece
        return
    for start in range(0, len(piece), size):
        yield piece[start : start + size]


def new_id(prefix: str) -> str:
    """An id that no other answer has."""
    return f"{prefix}_standin{uuid.uuid4().hex}"


def _decoded(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return body
