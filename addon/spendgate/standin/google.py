"""Answers in the shape of Google's generateContent and embedContent, bare or in Code Assist's envelope (facts 4.1-4.3).

Input counts include what was read from a cache, candidates leave out thoughts. As on the real wire, each piece of a stream
carries counts, and only the last ones are those of the call.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qs

from spendgate.standin import tools
from spendgate.standin.script import Script
from spendgate.standin.text import MARK, deltas, filled

VERBS = (":generateContent", ":streamGenerateContent", ":embedContent", ":batchEmbedContents")


def answer(script: Script, target: str, model: str, answer_id: str) -> tuple[bool, Iterator[bytes]]:
    """(whether it is a stream of events, its pieces) for a request to this path and query."""
    path, _, query = target.partition("?")
    wrapped = path.startswith("/v1internal:")
    if "mbed" in path.rpartition(":")[2]:
        return False, iter([json.dumps({"embeddings": [{"values": [0.1, 0.2]}], **_counts(script)}).encode()])
    if ":stream" not in path:
        return False, filled(_envelope(_piece(script, model, answer_id, MARK, last=True), wrapped), script)
    events = parse_qs(query).get("alt") == ["sse"]
    pieces = (json.dumps(_envelope(each, wrapped)).encode() for each in _pieces(script, model, answer_id))
    return events, (b"data: " + each + b"\r\n\r\n" for each in pieces) if events else _array(pieces)


def interaction(script: Script, model: str, answer_id: str) -> Iterator[bytes]:
    """An answer of the Interactions API."""
    return filled(_interaction(script, model, answer_id, steps=[_step(MARK)]), script)


def interaction_stream(script: Script, model: str, answer_id: str) -> Iterator[bytes]:
    """The same as events: counts stand in the last one."""
    begun = {"id": answer_id, "model": model, "status": "in_progress"}
    yield _event("interaction.created", interaction=begun)
    yield _event("step.start", index=0, step={"type": "model_output"})
    for text in deltas(script):
        yield _event("step.delta", index=0, delta={"type": "text", "text": text})
    yield _event("step.stop", index=0)
    yield _event("interaction.completed", interaction=_interaction(script, model, answer_id))


def error(script: Script) -> bytes:
    """An error."""
    return json.dumps({"error": {"code": script.status, "message": "Scripted.", "status": script.error}}).encode()


def model_of(path: str) -> str:
    """The model that a path names; empty for Code Assist's."""
    return path.rpartition(":")[0].rpartition("/")[2]


def _event(kind: str, **more: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({**more, 'event_type': kind})}\n\n".encode()


def _step(text: str) -> dict[str, object]:
    return {"type": "model_output", "content": [{"type": "text", "text": text}]}


def _interaction(script: Script, model: str, answer_id: str, **more: object) -> dict[str, object]:
    prompt, visible = script.input + script.cache_read, script.output - script.reasoning
    usage = {"total_input_tokens": prompt, "total_cached_tokens": script.cache_read, "total_output_tokens": visible}
    usage |= {"total_thought_tokens": script.reasoning, "total_tokens": prompt + script.output}
    counts = {"usage": usage} if script.usage else {}
    return {"id": answer_id, "object": "interaction", "model": model, "status": "completed", **counts, **more}


def _array(pieces: Iterator[bytes]) -> Iterator[bytes]:
    before = b"["
    for piece in pieces:
        yield before + piece
        before = b",\r\n"
    yield b"]"


def _pieces(script: Script, model: str, answer_id: str) -> Iterator[dict[str, object]]:
    texts = list(deltas(script))
    for number, text in enumerate(texts, 1):
        yield _piece(script, model, answer_id, text, last=number == len(texts))


def _piece(script: Script, model: str, answer_id: str, text: str, *, last: bool) -> dict[str, object]:
    called = [tools.gemini(script)] if last and script.tool else []
    candidate: dict[str, object] = {"content": {"parts": [{"text": text}, *called], "role": "model"}, "index": 0}
    if last:
        candidate["finishReason"] = "STOP"
    if last and script.searches:
        candidate["groundingMetadata"] = {"webSearchQueries": [f"query {n}" for n in range(script.searches)]}
    # Counts before the last are higher than the call's own in one place and lower in another, as real ones are.
    counts = (
        _counts(script) if last else {"usageMetadata": {"promptTokenCount": 9 * script.input, "totalTokenCount": 1}}
    )
    return {
        "candidates": [candidate],
        **(counts if script.usage else {}),
        "modelVersion": model,
        "responseId": answer_id,
    }


def _counts(script: Script) -> dict[str, object]:
    prompt = script.input + script.cache_read
    found: dict[str, object] = {"promptTokenCount": prompt, "totalTokenCount": prompt + script.output}
    if script.cache_read:
        found["cachedContentTokenCount"] = script.cache_read
    if script.output:
        found["candidatesTokenCount"] = script.output - script.reasoning
    if script.reasoning:
        found["thoughtsTokenCount"] = script.reasoning
    return {"usageMetadata": found}


def _envelope(piece: dict[str, object], wrapped: bool) -> dict[str, object]:
    return {"response": piece, "traceId": "standin"} if wrapped else piece
