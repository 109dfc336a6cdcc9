"""Google's Interactions API: recorded answers and streams, whose counts are read here with `json` alone, and what is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.feeding import JSON, STREAM, each_way, fed, head, read
from providers.test_corpus import CORPUS, Everything
from spendgate.providers.ask import Ask
from spendgate.providers.interactions import Interactions
from spendgate.providers.interface import Kind, Notice
from spendgate.providers.registry import Registry
from spendgate.providers.stated import FEES
from spendgate.usage import Usage

ALL = Registry.build(Everything())
API = "generativelanguage.googleapis.com"
FIXTURES = sorted((CORPUS / "vercel-ai/packages/google/src/interactions/__fixtures__").glob("*.*"))
COUNTS = {"total_input_tokens": 100, "total_cached_tokens": 40, "total_output_tokens": 7, "total_thought_tokens": 3}


def answer(**more: Any) -> dict[str, Any]:
    """An interaction."""
    return {"id": "v1_x", "status": "completed", "model": "gemini-2.5-flash", "usage": COUNTS, "steps": [], **more}


def events(*found: dict[str, Any]) -> bytes:
    """A stream of these events."""
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in found)


@pytest.mark.skipif(not FIXTURES, reason="the corpus of public recordings is not at ../shared/corpus")
@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_recorded(path: Any) -> None:
    """The counts that stand in it, whole, byte by byte, cut anywhere, encoded; what broke off has not the last ones."""
    lines, stream = [line for line in path.read_bytes().splitlines() if line.strip()], path.suffix == ".txt"
    wire = b"".join(b"data: " + line + b"\n\n" for line in lines) if stream else path.read_bytes()
    said = json.loads(lines[-1])["interaction"] if stream else json.loads(wire)
    counts = said["usage"]
    ways = dict(each_way(Interactions(), wire, stream=stream))
    assert {name for name, reading in ways.items() if reading != ways["whole"]} == set()
    reading = ways["whole"]
    usage = reading.parts[0].usage
    assert (reading.final, reading.model, reading.response_id) == (True, said["model"], said.get("id"))
    assert usage.input_total == counts["total_input_tokens"] + counts["total_tool_use_tokens"]
    assert usage.output_tokens == counts["total_output_tokens"] + counts["total_thought_tokens"]
    assert usage.input_total + usage.output_tokens == counts["total_tokens"]
    for stop in range(0, len(wire) - 200, max(1, len(wire) // 40)):
        assert not read(Interactions().reader(Ask(), 200, STREAM if stream else JSON), [wire[:stop]]).final


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/v1beta/interactions", Kind.BILLABLE),
        ("GET", "/v1/interactions/v1_x", Kind.RESULT),
        ("POST", "/v1/interactions/v1_x/cancel", Kind.RESULT),
        ("DELETE", "/v1/interactions/v1_x", Kind.FREE),
    ],
)
def test_paths(method: str, path: str, kind: Kind) -> None:
    """What each path is; its template keeps no id."""
    route = ALL.route(head(method, path, API))
    assert (route.kind, "v1_x" in route.path, "interactions" in route.path) == (kind, False, True)
    assert kind is Kind.FREE or route.dialect == "gemini-interactions"


def asked(**body: Any) -> Ask:
    """The Ask of a request."""
    return Interactions().ask(
        head("POST", "/v1/interactions", API), json.dumps({"model": "m", "input": "hi", **body}).encode()
    )


def test_what_is_asked() -> None:
    """The model, else the agent; a cap; hosted tools and agents loop; what is packed or kept by Google is opaque."""
    plain = asked(generation_config={"max_output_tokens": 9}, stream=True, tools=[{"type": "function", "name": "f"}])
    assert (plain.model, plain.output_tokens_max, plain.streamed, plain.loops, plain.opaque_input) == (
        "m",
        9,
        True,
        False,
        False,
    )
    assert asked(tools=[{"type": "google_search"}]).searches_max is None
    assert asked(tools=[{"name": "of tomorrow"}]).loops
    agent = asked(model=None, agent="deep-research-pro-preview-12-2025", background=True)
    assert (agent.model, agent.loops, agent.background) == ("deep-research-pro-preview-12-2025", True, True)
    later = asked(previous_interaction_id="v1_x")
    assert (later.continues, later.opaque_input) == ("v1_x", True)
    assert asked(input=[{"type": "image", "data": "AAAA"}]).opaque_input


def test_what_is_counted() -> None:
    """Cached is part of the input, thoughts of the output; searches are counted by their tool; the tier is the answer's."""
    grounded = [{"type": "google_search", "count": 2}, {"type": "google_maps", "count": 5}]
    spoken = [{"modality": "audio", "tokens": 30}, {"modality": "text", "tokens": 70}]
    usage = {
        **COUNTS,
        "total_tool_use_tokens": 11,
        "grounding_tool_count": grounded,
        "input_tokens_by_modality": spoken,
    }
    reading = fed(Interactions(), json.dumps(answer(usage=usage, service_tier="flex")).encode(), stream=False)
    assert reading.flags == (FEES,)  # for Maps
    part = reading.parts[0]
    assert part.usage == Usage(
        input_tokens=71,
        cache_read_tokens=40,
        output_tokens=10,
        reasoning_tokens=3,
        web_searches=1,  # of a model that bills them by the prompt
        input_audio_tokens=30,
    )
    assert part.context == {"service_tier": "flex"}
    drawn = {
        **COUNTS,
        "grounding_tool_count": grounded[:1],
        "output_tokens_by_modality": [{"modality": "image", "tokens": 7}],
    }
    reading = fed(Interactions(), json.dumps(answer(usage=drawn)).encode(), stream=False)
    assert (reading.parts[0].units, reading.flags) == ({"output_image_tokens": 7}, ())
    later = fed(Interactions(), json.dumps(answer(usage=drawn, model="gemini-3-pro")).encode(), stream=False)
    assert later.parts[0].usage.web_searches == 2  # by the query


def test_a_stream_counts_on_its_way() -> None:
    """The counts of a step that ended stand until the last ones; an error before any output costs nothing."""
    begun = {"event_type": "interaction.created", "interaction": {"id": "v1_x", "model": "m", "status": "in_progress"}}
    step = {"event_type": "step.stop", "index": 0, "usage": COUNTS}
    text = {"event_type": "step.delta", "index": 1, "delta": {"type": "text", "text": "hello"}}
    cut = fed(Interactions(), events(begun, step, text), stream=True)
    assert (cut.final, cut.model, cut.response_id, cut.output_bytes) == (False, "m", "v1_x", 5)
    assert cut.parts[0].usage.input_total == 100
    failed = fed(Interactions(), events(begun, {"event_type": "error", "error": {"code": 429}}), stream=True)
    assert (failed.free, failed.ended) == (True, True)


def test_background() -> None:
    """What runs on has no counts yet and is not over; read again, it gives them once."""
    running = fed(Interactions(), json.dumps(answer(status="in_progress", usage=None)).encode(), stream=False)
    assert (running.final, running.ended, running.flags, running.response_id) == (False, False, (), "v1_x")
    there = head("GET", "/v1/interactions/v1_x", API)
    for status, expected in (("in_progress", 0), ("completed", 1)):
        reader = Interactions().results(there, 200, JSON)
        reader.feed(json.dumps(answer(status=status, usage=COUNTS if expected else None)).encode())
        assert len(reader.close()) == expected
    assert Interactions().results(there, 404, JSON).close() == ()


def test_a_refusal_ends_it() -> None:
    """google-genai 3 asks five times after a 429 here, and shows a 402 at once; strict and passing ones are a 429."""
    final, passing = Notice("spent", "spent"), Notice("held", "held", passing=True, retry_after_s=2)
    assert Interactions().refusal(final, "google-genai-sdk").status == 402
    assert Interactions().refusal(final, "google-genai-sdk", strict=True).status == 429
    assert Interactions().refusal(passing, "google-genai-sdk").status == 429
