"""Every dialect's wire in one table: a request and a long answer, made from a text, in the pieces that providers write.

For benchmarks (a text of usual words) and for tests that no content is kept (a text that is searched for afterwards). Events
have the members and the spacing that the recordings of `tests/recordings` and the corpus show for their provider.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat

from spendgate.providers.connect import END, HEAD_BYTES
from spendgate.providers.eventstream import CONTENT_TYPE as AWS_EVENTS
from spendgate.providers.eventstream import frame
from spendgate.providers.protobuf import encoded

EVENTS, JSON, LINES, CONNECT, SOUND = (
    "text/event-stream", "application/json", "application/x-ndjson", "application/connect+proto", "audio/mpeg",
)  # fmt: skip
ARRAY = "application/json; charset=UTF-8"
WORDS = "some words of an answer, about as many as come at once. "
LINE_TEXTS = 60
"""Of a batch's line: with WORDS an answer of some 900 tokens. Each line becomes a row of the ledger."""
_TIGHT = (",", ":")
Pieces = Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Wire:
    """One dialect as one tool speaks it."""

    dialect: str
    host: str
    target: str
    """Path and query."""
    body: Callable[[str], bytes]
    """A request with this prompt."""
    pieces: Callable[[str], tuple[bytes, bytes, bytes]]
    """First, repeated and last piece of an answer with this text."""
    answers: str = EVENTS
    """Content type of the answer."""
    asks: str = JSON
    """Content type of the request."""
    method: str = "POST"
    result: bool = False
    """The answer gives back what was ordered before."""

    def answer(self, text: str = WORDS, size: int = 0, first: int = 0) -> Pieces:
        """The pieces of an answer of at least `size` bytes; results are numbered from `first`."""
        start, unit, last = self.pieces(text)
        count = max(1, -(-size // len(unit)))
        if self.result:
            return (unit.replace(b'_1"', b'_%d"' % number) for number in range(first, first + count))
        return chain((start,), repeat(unit, count), (last,))

    @property
    def path(self) -> str:
        """Without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """Without its path."""
        return self.target.partition("?")[2]


def _json(**fields: object) -> bytes:
    return json.dumps(fields, separators=_TIGHT).encode()


def _event(**fields: object) -> bytes:
    return f"event: {fields['type']}\ndata: ".encode() + _json(**fields) + b"\n\n"


def _data(document: bytes) -> bytes:
    return b"data: " + document + b"\n\n"


def _messages(text: str) -> bytes:
    user = {"role": "user", "content": text}
    return _json(model="claude-sonnet-4-6", max_tokens=1024, stream=True, system=text, messages=[user])


_CLAUDE = {"input_tokens": 12, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1}


def _claude_events(
    text: str, *, counts: bool = True
) -> tuple[list[dict[str, object]], dict[str, object], list[dict[str, object]]]:
    usage: dict[str, object] = {"usage": _CLAUDE} if counts else {}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "content": [],
        **usage,
    }
    tool = {"type": "tool_use", "id": "toolu_1", "name": text[:60], "input": {}}
    first: list[dict[str, object]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": tool},
    ]
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    ended = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, **usage}
    return first, delta, [ended, {"type": "message_stop"}]


def _claude(text: str) -> tuple[bytes, bytes, bytes]:
    first, delta, last = _claude_events(text)
    return b"".join(_event(**each) for each in first), _event(**delta), b"".join(_event(**each) for each in last)


def _claude_app(text: str) -> tuple[bytes, bytes, bytes]:
    first, delta, last = _claude_events(text, counts=False)
    return b"".join(_event(**each) for each in first), _event(**delta), b"".join(_event(**each) for each in last)


def _zed(text: str) -> tuple[bytes, bytes, bytes]:
    first, delta, last = _claude_events(text)

    def line(event: dict[str, object]) -> bytes:
        return _json(event=event) + b"\n"

    return b"".join(map(line, first)), line(delta), b"".join(map(line, last))


def _invoke(text: str) -> tuple[bytes, bytes, bytes]:
    first, delta, last = _claude_events(text)
    metrics = {"inputTokenCount": 12, "outputTokenCount": 1, "invocationLatency": 900, "firstByteLatency": 90}
    last[-1] = {**last[-1], "amazon-bedrock-invocationMetrics": metrics}

    def chunk(event: dict[str, object]) -> bytes:
        return _aws("chunk", bytes=base64.b64encode(_json(**event)).decode(), p="abcdefghijkl")

    return b"".join(map(chunk, first)), chunk(delta), b"".join(map(chunk, last))


def _converse(text: str) -> tuple[bytes, bytes, bytes]:
    first = _aws("messageStart", role="assistant", p="abcd")
    delta = _aws("contentBlockDelta", contentBlockIndex=0, delta={"text": text}, p="abcdefghijkl")
    usage = {"inputTokens": 12, "outputTokens": 9, "totalTokens": 21}
    last = _aws("messageStop", stopReason="end_turn") + _aws("metadata", usage=usage, metrics={"latencyMs": 9})
    return first, delta, last


def _aws(kind: str, **payload: object) -> bytes:
    return frame({":event-type": kind, ":content-type": JSON, ":message-type": "event"}, _json(**payload))


def _chat(text: str) -> bytes:
    user = {"role": "user", "content": text}
    return _json(model="gpt-5.1", stream=True, stream_options={"include_usage": True}, messages=[user])


def _chunks(text: str) -> tuple[bytes, bytes, bytes]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "gpt-5.1"}

    def chunk(delta: dict[str, str], usage: object = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}] if usage is None else []
        return _data(_json(**head, service_tier="default", choices=choices, usage=usage, obfuscation="x7Gq"))

    counts = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}
    return chunk({"role": "assistant", "content": ""}), chunk({"content": text}), chunk({}, counts) + _data(b"[DONE]")


def _input(text: str) -> bytes:
    return _json(model="gpt-5.1", stream=True, instructions=text, input=[{"role": "user", "content": text}])


def _responses(text: str) -> tuple[bytes, bytes, bytes]:
    usage = {"input_tokens": 12, "output_tokens": 7, "total_tokens": 19, "input_tokens_details": {"cached_tokens": 0}}
    response: dict[str, object] = {
        "id": "resp_1",
        "object": "response",
        "model": "gpt-5.1",
        "instructions": text[:2000],
    }
    first = _event(
        type="response.created", sequence_number=0, response={**response, "status": "in_progress", "usage": None}
    )
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    delta = _event(
        type="response.output_text.delta", sequence_number=4, **where, delta=text, logprobs=[], obfuscation="x7"
    )
    output = [{"type": "message", "content": [{"type": "output_text", "text": text[:2000]}]}]
    whole = {**response, "status": "completed", "output": output, "usage": usage}
    return first, delta, _event(type="response.completed", sequence_number=9, response=whole)


def _embedded(text: str) -> bytes:
    return _json(model="text-embedding-3-small", input=[text])


def _embeddings(text: str) -> tuple[bytes, bytes, bytes]:
    unit = _json(object="embedding", index=0, embedding=[0.0123456789 * n for n in range(-768, 768)]) + b","
    usage = {"prompt_tokens": 9, "total_tokens": 9}
    last = _json(object="embedding", index=1, embedding=[0.1]) + b'],"model":"text-embedding-3-small","usage":'
    return b'{"object":"list","data":[', unit, last + _json(**usage) + b"}"


def _vectors(text: str) -> tuple[bytes, bytes, bytes]:
    unit = json.dumps([0.0123456789 * n for n in range(-768, 768)], separators=_TIGHT).encode() + b","
    start = b'{"id":"e-1","texts":' + json.dumps([text]).encode() + b',"embeddings":{"float":['
    return start, unit, b'[0.1]]},"meta":{"billed_units":{"input_tokens":9}},"response_type":"embeddings_by_type"}'


def _batch_message(text: str) -> tuple[bytes, bytes, bytes]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-6", "usage": _CLAUDE}
    content = [{"type": "text", "text": text * LINE_TEXTS}]
    line = _json(custom_id="q_1", result={"type": "succeeded", "message": {**message, "content": content}}) + b"\n"
    return line, line, line


def _batch_body(text: str) -> tuple[bytes, bytes, bytes]:
    usage = {"input_tokens": 12, "output_tokens": 7, "total_tokens": 19}
    output = [{"type": "message", "content": [{"type": "output_text", "text": text * LINE_TEXTS}]}]
    body = {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "gpt-5.1",
        "output": output,
        "usage": usage,
    }
    line = (
        _json(id="batch_req_1", custom_id="q_1", response={"status_code": 200, "request_id": "r", "body": body}) + b"\n"
    )
    return line, line, line


def _drawn(text: str) -> bytes:
    return _json(model="gpt-image-1", prompt=text, stream=True)


def _images(text: str) -> tuple[bytes, bytes, bytes]:
    picture = base64.b64encode(text.encode() + b"\x89PNG" * 15_000).decode()
    usage = {"input_tokens": 12, "output_tokens": 7, "total_tokens": 19}
    partial = _event(type="image_generation.partial_image", partial_image_index=0, b64_json=picture)
    return partial, partial, _event(type="image_generation.completed", b64_json=picture, usage=usage)


def _form(text: str) -> bytes:
    def part(name: str, value: str) -> str:
        return f'--b0\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'

    file = f'--b0\r\ncontent-disposition: form-data; name="file"; filename="{text[:100]}.mp3"\r\n\r\n'
    fields = part("model", "gpt-4o-transcribe") + part("stream", "true") + part("prompt", text)
    return (fields + file).encode() + text.encode() + b"\xff\xfb\x90" * 30_000 + b"\r\n--b0--\r\n"


def _heard(text: str) -> tuple[bytes, bytes, bytes]:
    usage = {"type": "tokens", "input_tokens": 12, "output_tokens": 7, "total_tokens": 19}
    delta = _event(type="transcript.text.delta", delta=text)
    return delta, delta, _event(type="transcript.text.done", text=text[:2000], usage=usage)


def _said(text: str) -> bytes:
    return _json(model="tts-1", voice="alloy", input=text)


def _sound(text: str) -> tuple[bytes, bytes, bytes]:
    return text.encode(), b"\xff\xfb\x90\x00" * 1024, b"\0"


def envelope(message: bytes, flags: int = 0) -> bytes:
    """A Connect envelope."""
    return bytes([flags]) + len(message).to_bytes(HEAD_BYTES - 1) + message


def _run(text: str) -> bytes:
    run = encoded((1, encoded((1, text))), (5, "conv-1"), (9, encoded((1, "composer-2.5"))))
    return envelope(encoded((1, run)))


def _turn(text: str) -> tuple[bytes, bytes, bytes]:
    said = envelope(encoded((1, encoded((1, encoded((1, text)))))))
    tokens = envelope(encoded((1, encoded((8, encoded((1, 12)))))))
    counts = encoded((1, 900), (2, 70), (3, 300), (4, 0), (5, 20))
    return said, said + tokens, envelope(encoded((1, encoded((14, counts))))) + envelope(b"{}", END)


def _cascade(text: str) -> bytes:
    message = encoded((1, encoded((3, text[:100]))), (2, text), (21, "swe-1.5"), (22, "trajectory-1"))
    return envelope(message)


def _windsurf(text: str) -> tuple[bytes, bytes, bytes]:
    said = envelope(encoded((1, "bot-1"), (3, text), (9, 1)))
    return said, said, envelope(b"{}", END)


def _cohere(text: str) -> bytes:
    return _json(model="command-a-03-2025", stream=True, messages=[{"role": "user", "content": text}])


def _content(text: str) -> tuple[bytes, bytes, bytes]:
    first = _event(id="c-1", type="message-start", delta={"message": {"role": "assistant", "content": []}})
    delta = _event(type="content-delta", index=0, delta={"message": {"content": {"text": text}}})
    usage = {
        "billed_units": {"input_tokens": 9, "output_tokens": 7},
        "tokens": {"input_tokens": 12, "output_tokens": 9},
    }
    return first, delta, _event(type="message-end", delta={"finish_reason": "COMPLETE", "usage": usage})


def _contents(text: str) -> bytes:
    return _json(contents=[{"role": "user", "parts": [{"text": text}]}], systemInstruction={"parts": [{"text": text}]})


def _enveloped(text: str) -> bytes:
    inner = json.loads(_contents(text))
    return _json(model="gemini-2.5-pro", project="p-1", user_prompt_id="u-1", request={**inner, "session_id": "s-1"})


def _piece(text: str, *, last: bool = False) -> str:
    """Google writes a space after a colon, and none after a comma."""
    content = {"parts": [{"text": text}], "role": "model"}
    candidate = {"content": content, **({"finishReason": "STOP"} if last else {}), "index": 0}
    usage = {"promptTokenCount": 12, "candidatesTokenCount": 7, "totalTokenCount": 19, "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 12}]}  # fmt: skip
    whole = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-pro", "responseId": "r-1"}
    return json.dumps(whole, separators=(",", ": "))


def _gemini(text: str) -> tuple[bytes, bytes, bytes]:
    piece, last = (f"data: {each}\r\n\r\n".encode() for each in (_piece(text), _piece(text, last=True)))
    return piece, piece, last


def _array(text: str) -> tuple[bytes, bytes, bytes]:
    piece = _piece(text).encode() + b"\r\n,\r\n"
    return b"[" + piece, piece, _piece(text, last=True).encode() + b"\r\n]"


def _interacts(text: str) -> bytes:
    return _json(model="gemini-2.5-pro", input=text, stream=True)


def _interaction(text: str) -> tuple[bytes, bytes, bytes]:
    begun = {"id": "v1_1", "status": "in_progress", "object": "interaction", "model": "gemini-2.5-pro"}
    usage = {"total_tokens": 19, "total_input_tokens": 12, "total_cached_tokens": 0, "total_output_tokens": 7}
    first, unit, last = (
        b"data: " + _json(**members) + b"\n\n"
        for members in (
            {"interaction": begun, "event_type": "interaction.created"},
            {"index": 0, "delta": {"text": text, "type": "text"}, "event_type": "step.delta"},
            {"interaction": {**begun, "status": "completed", "usage": usage}, "event_type": "interaction.completed"},
        )
    )
    return first, unit, last


def _code_assist(text: str) -> tuple[bytes, bytes, bytes]:
    piece, last = (
        f'data: {{"response": {each},"traceId": "t-1"}}\r\n\r\n'.encode()
        for each in (_piece(text), _piece(text, last=True))
    )
    return piece, piece, last


def _prompted(text: str) -> bytes:
    return _json(
        model="claude-sonnet-4-6", prompt=text, attachments=[{"file_name": text[:60], "extracted_content": text}]
    )


def _asked_chatgpt(text: str) -> bytes:
    message = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": [text]}}
    return _json(model="gpt-5-1", messages=[message], conversation_id="c-1")


def _chatgpt(text: str) -> tuple[bytes, bytes, bytes]:
    message = {
        "id": "m-1",
        "author": {"role": "assistant"},
        "metadata": {"model_slug": "gpt-5-1"},
        "content": {"parts": [""]},
    }
    first = b'event: delta_encoding\ndata: "v1"\n\n' + _data(_json(p="", o="add", v={"message": message}))
    return first, b"event: delta\n" + _data(_json(v=text)), _data(b"[DONE]")


def _asked_zed(text: str) -> bytes:
    inner = json.loads(_messages(text))
    return _json(
        thread_id=None, prompt_id=None, provider="anthropic", model="claude-sonnet-4-6", provider_request=inner
    )


def _asked_converse(text: str) -> bytes:
    return _json(messages=[{"role": "user", "content": [{"text": text}]}], inferenceConfig={"maxTokens": 1024})


def _asked_invoke(text: str) -> bytes:
    user = {"role": "user", "content": text}
    return _json(anthropic_version="bedrock-2023-05-31", max_tokens=1024, messages=[user])


def _ordered(text: str) -> bytes:
    params = {"model": "claude-sonnet-4-6", "max_tokens": 9, "messages": [{"role": "user", "content": text}]}
    return _json(requests=[{"custom_id": text[:60], "params": params}])


def _spoken(text: str) -> tuple[bytes, bytes, bytes]:
    """Messages of a WebSocket, a line each."""
    started = _json(type="session.created", session={"model": "gpt-realtime", "instructions": text[:2000]})
    sound = base64.b64encode(b"\x01\x02" * 1200).decode()
    delta = _json(type="response.output_audio.delta", response_id="resp_1", item_id="item_1", delta=sound)
    usage = {"input_tokens": 12, "output_tokens": 7}
    return (
        started,
        delta,
        _json(type="response.done", response={"id": "resp_1", "output": [text[:2000]], "usage": usage}),
    )


def _asked_q(text: str) -> bytes:
    said = {"userInputMessage": {"content": text, "modelId": "claude-sonnet-4.5", "origin": "AI_EDITOR"}}
    return _json(conversationState={"conversationId": "c-1", "currentMessage": said, "chatTriggerType": "MANUAL"})


def _q(text: str) -> tuple[bytes, bytes, bytes]:
    first, delta = (_aws("assistantResponseEvent", content=said) for said in ("", text))
    return first, delta, _aws("meteringEvent", usage=0.12, unit="credit") + _aws("messageStopEvent")


_GOOGLE = "generativelanguage.googleapis.com"
_AWS = "bedrock-runtime.us-east-1.amazonaws.com"
_CLAUDE_ON_AWS = "us.anthropic.claude-sonnet-4-6-v1%3A0"
_CONVERSATION = (
    "/api/organizations/6f9619ff-8b86-4d01-b42d-00cf4fc964ff/chat_conversations/0c9f5f5e-6d1b-4a8e-9a57-0d9b8d2d2f10"
)
WIRES = (
    Wire("anthropic-messages", "api.anthropic.com", "/v1/messages", _messages, _claude),
    Wire("openai-chat", "api.groq.com", "/openai/v1/chat/completions", _chat, _chunks),
    Wire("openai-responses", "api.openai.com", "/v1/responses", _input, _responses),
    Wire("openai-embeddings", "api.openai.com", "/v1/embeddings", _embedded, _embeddings, JSON),
    Wire("anthropic-batches", "api.anthropic.com", "/v1/messages/batches/b-1/results", _ordered, _batch_message, LINES,
         method="GET", result=True),
    Wire("openai-batches", "api.openai.com", "/v1/files/f-1/content", _ordered, _batch_body, LINES, method="GET", result=True),
    Wire("openai-images", "api.openai.com", "/v1/images/generations", _drawn, _images),
    Wire("openai-transcriptions", "api.openai.com", "/v1/audio/transcriptions", _form, _heard,
         asks="multipart/form-data; boundary=b0"),
    Wire("openai-speech", "api.openai.com", "/v1/audio/speech", _said, _sound, SOUND),
    Wire("cursor", "api2.cursor.sh", "/agent.v1.AgentService/Run", _run, _turn, CONNECT, CONNECT),
    Wire("windsurf", "server.codeium.com", "/exa.api_server_pb.ApiServerService/GetChatMessage", _cascade, _windsurf, CONNECT,
         CONNECT),
    Wire("cohere-chat", "api.cohere.com", "/v2/chat", _cohere, _content),
    Wire("cohere-embed", "api.cohere.com", "/v2/embed", _embedded, _vectors, JSON),
    Wire("openai-realtime", "api.openai.com", "/v1/realtime?model=gpt-realtime", _said, _spoken, method="GET"),
    Wire("gemini", _GOOGLE, "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", _contents, _gemini),
    Wire("gemini", _GOOGLE, "/v1beta/models/gemini-2.5-pro:streamGenerateContent", _contents, _array, ARRAY),
    Wire("gemini-interactions", _GOOGLE, "/v1beta/interactions", _interacts, _interaction),
    Wire("code-assist", "cloudcode-pa.googleapis.com", "/v1internal:streamGenerateContent?alt=sse", _enveloped, _code_assist),
    Wire("claude-ai", "claude.ai", f"{_CONVERSATION}/completion", _prompted, _claude_app),
    Wire("chatgpt-conversation", "chatgpt.com", "/backend-api/f/conversation", _asked_chatgpt, _chatgpt),
    Wire("zed-completions", "cloud.zed.dev", "/completions", _asked_zed, _zed, LINES),
    Wire("bedrock-invoke", _AWS, f"/model/{_CLAUDE_ON_AWS}/invoke-with-response-stream", _asked_invoke, _invoke, AWS_EVENTS),
    Wire("amazon-q", "q.us-east-1.amazonaws.com", "/generateAssistantResponse", _asked_q, _q, AWS_EVENTS),
    Wire("bedrock-converse", _AWS, f"/model/{_CLAUDE_ON_AWS}/converse-stream", _asked_converse, _converse, AWS_EVENTS),
)  # fmt: skip
"""Every dialect, one of them in two forms."""
