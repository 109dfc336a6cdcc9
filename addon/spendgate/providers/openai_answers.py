"""The `response` object of OpenAI's Responses, in a JSON answer, in a stream's events and in a WebSocket's messages.

It carries id, model, tier and usage; a stream or socket gives it in `response.created` (counts null) and in
`response.completed`, `.incomplete` or `.failed`. Some failed ones have no counts. Web searches are billed by the call and stand
in `tool_usage` or, without it, in the output; other tools that are billed so are flagged, unless the answer states its
cost. Sources: facts/wire-formats.md 2, 3, 18.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from spendgate.providers.copilot_usage import COPILOT_USAGE, copilot_cost_nanos
from spendgate.providers.jsonscan import Scanner
from spendgate.providers.openai_hosted import hosted_tools
from spendgate.providers.openai_image_usage import IMAGE_USAGE
from spendgate.providers.openai_usage import LONG_WRITES, USAGE, price_context, usage_of, writes_long
from spendgate.providers.reading import Part, Reading
from spendgate.providers.shapes import COUNT, FLAG, TEXT, Fields, Shape, items, record
from spendgate.providers.stated import FEES, stated_nanos, tools_run
from spendgate.usage import Usage

MARKS: Final = (b'"usage"', b'"error"', b'"response.created"')
"""One of these stands in each event that `read_event` is for."""
RESPONSE_FIELDS: Final = {
    "id": TEXT,
    "model": TEXT,
    "status": TEXT,
    "background": FLAG,
    "service_tier": TEXT,
    "usage": USAGE,
    "output": items(
        record(type=TEXT, action=record(type=TEXT), container_id=TEXT, environment=record(container_id=TEXT))
    ),
    "tool_usage": record(web_search=record(num_requests=COUNT), image_gen=IMAGE_USAGE),
    "tools": items(record(type=TEXT, model=TEXT)),
    "copilot_usage": COPILOT_USAGE,
}
ANSWER: Final = Shape(**RESPONSE_FIELDS)
ANSWER_SCAN: Final = Scanner(ANSWER, RESPONSE_FIELDS)
_EVENT: Final = Shape(type=TEXT, response=record(**RESPONSE_FIELDS), copilot_usage=COPILOT_USAGE)
_EVENT_ENDS: Final = Scanner(_EVENT, RESPONSE_FIELDS)
_OTHERS_SEARCHES: Final = frozenset({"x_search_call", "document_search_call"})
"""Tools of other vendors (xAI) that are billed by the call and that no price list has."""
_ENDS: Final = frozenset({"completed", "incomplete", "failed", "cancelled", "error"})
_BEGINS: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
"""Events that never end a response, even where a compatible host already gives counts in them, of zero."""
_RUNS: Final = frozenset({"queued", "in_progress"})


def answer(reading: Reading, found: Fields, event: str = "") -> Reading:
    """The Reading of a `response` object. Where a compatible host leaves its status out, the event's type tells it, and a whole
    answer (no event) is complete."""
    status, usage = found.get("status") or event.removeprefix("response.") or "completed", found.get("usage")
    model = found.get("model") or reading.model
    ended = status in _ENDS
    response_id = found.get("id") or reading.response_id
    if found.get("background"):
        reading = replace(reading, background=True)
    if usage is None:
        # Failed without counts and without output: the provider did no work that it bills.
        free = status == "failed" and not reading.output_bytes
        return replace(reading, model=model, response_id=response_id, final=free, ended=ended, free=free)
    counts = usage_of(usage)
    searches = ((found.get("tool_usage") or {}).get("web_search") or {}).get("num_requests")
    output = [item for item in found.get("output") or [] if item]
    if searches is None:
        searches = sum(1 for item in output if _is_search(item))
    if searches:
        counts = counts.overlaid(Usage(web_searches=searches))
    fees = hosted_tools(found)
    part = Part(counts, model, price_context(found.get("service_tier")), units=fees.units)
    # Counts are given once, with the last word on a response, whatever its status says; an answer that is polled before that
    # may hold some, too.
    last = event not in _BEGINS and (event != "" or status not in _RUNS)
    final = last and counts.known
    stated = copilot_cost_nanos(found) if last else None
    if stated is None:
        stated = stated_nanos(usage) if final else reading.stated_cost_nanos
    unpriced = last and (tools_run(usage) or any(item.get("type") in _OTHERS_SEARCHES for item in output))
    told = (*fees.flags, *((FEES,) if unpriced else ()), *((LONG_WRITES,) if writes_long(usage) else ()))
    flags = told if stated is None else ()
    return replace(
        reading,
        parts=(part, *fees.parts),
        model=model,
        response_id=response_id,
        final=final,
        ended=last,
        free=False,
        stated_cost_nanos=stated,
        flags=tuple(dict.fromkeys((*reading.flags, *flags))),
    )


def _is_search(item: Fields) -> bool:
    """A billed search; opening a page that it found and finding text in it are not billed."""
    return item.get("type") == "web_search_call" and (item.get("action") or {}).get("type") in (None, "search")


def read_event(reading: Reading, data: bytes) -> tuple[Reading, bool]:
    """The Reading after one event that may hold a `response` or an error, and whether it held a `response`. Raises WireError."""
    found = _EVENT.read(data)
    response = found.get("response")
    if response is not None:
        # Copilot states its price beside `response`, not in it.
        beside = {"copilot_usage": found["copilot_usage"]} if found.get("copilot_usage") else {}
        return answer(reading, {**response, **beside}, found.get("type") or ""), True
    if found.get("type") == "error":
        free = not reading.output_bytes and not reading.parts
        return replace(reading, ended=True, free=free, final=free), False
    return reading, False


def read_ends(reading: Reading, head: bytes, tail: bytes) -> Reading:
    """The Reading after an event of which only both ends were kept: its counts stand at the end of `response`."""
    found = _EVENT_ENDS.read_ends(head, tail, opening=b'{"response":{')
    response = found.get("response")
    return reading if response is None else answer(reading, response, found.get("type") or "")
