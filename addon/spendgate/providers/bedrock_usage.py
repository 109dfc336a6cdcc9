"""Bedrock's counts as Usage: Converse's `usage`, and AWS's own counters of InvokeModel. Source: facts/wire-formats.md 5.

Both count input without what a cache gave or took. Cache writes without a split by time-to-live are of the one that was
asked for, 5 minutes where none was.
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.interface import Headers
from spendgate.providers.jsonscan import Scanner
from spendgate.providers.shapes import COUNT, GIVEN, TEXT, Fields, Shape, items, record
from spendgate.usage import Usage

CONVERSE_USAGE: Final = record(
    inputTokens=COUNT,
    outputTokens=COUNT,
    totalTokens=COUNT,
    cacheReadInputTokens=COUNT,
    cacheWriteInputTokens=COUNT,
    cacheDetails=items(record(ttl=TEXT, inputTokens=COUNT)),
)
TOOL_USE: Final = record(toolUse=record(type=TEXT))
CONVERSE_ANSWER: Final = Shape(
    usage=CONVERSE_USAGE,
    serviceTier=record(type=TEXT),
    performanceConfig=record(latency=TEXT),
    trace=record(promptRouter=record(invokedModelId=TEXT), guardrail=GIVEN),
    stopReason=TEXT,
    output=record(message=record(content=items(TOOL_USE))),
)
CONVERSE_ANSWER_SCAN: Final = Scanner(
    CONVERSE_ANSWER, ("usage", "serviceTier", "performanceConfig", "trace", "stopReason")
)
METRICS: Final = record(
    inputTokenCount=COUNT,
    outputTokenCount=COUNT,
    cacheReadInputTokenCount=COUNT,
    cacheWriteInputTokenCount=COUNT,
)
_DIGITS_MAX: Final = 12


def converse_usage(found: Fields, ttl: str | None) -> Usage:
    """Converse's `usage` object."""
    writes = found.get("cacheWriteInputTokens")
    details = [one for one in found.get("cacheDetails") or [] if one]
    hour = sum(one.get("inputTokens") or 0 for one in details if one.get("ttl") == "1h")
    split = sum(one.get("inputTokens") or 0 for one in details)
    if writes is None and details:
        writes = split
    five, hour_writes = (writes - hour, hour) if writes is not None and split == writes else _unsplit(writes, ttl)
    return Usage(
        input_tokens=found.get("inputTokens"),
        cache_read_tokens=found.get("cacheReadInputTokens"),
        cache_write_5m_tokens=five,
        cache_write_1h_tokens=hour_writes,
        output_tokens=_output(found),
    )


def _output(found: Fields) -> int | None:
    """As counted, else what the total has beyond all input: where that is nothing, nobody knows."""
    output, total = found.get("outputTokens"), found.get("totalTokens")
    if output is None and total is not None and found.get("inputTokens") is not None:
        rest = total - sum(
            found.get(name) or 0 for name in ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
        )
        return rest if rest > 0 else None
    return output


def metrics_usage(found: Fields, ttl: str | None) -> Usage:
    """`amazon-bedrock-invocationMetrics`."""
    five, hour = _unsplit(found.get("cacheWriteInputTokenCount"), ttl)
    return Usage(
        input_tokens=found.get("inputTokenCount"),
        cache_read_tokens=found.get("cacheReadInputTokenCount"),
        cache_write_5m_tokens=five,
        cache_write_1h_tokens=hour,
        output_tokens=found.get("outputTokenCount"),
    )


def header_usage(headers: Headers, ttl: str | None) -> Usage:
    """The counters in the headers of InvokeModel's answer. An embedding's has none for output, for it has no output."""
    return metrics_usage(
        {
            "inputTokenCount": _count(headers, "input"),
            "outputTokenCount": _count(headers, "output"),
            "cacheReadInputTokenCount": _count(headers, "cache-read-input"),
            "cacheWriteInputTokenCount": _count(headers, "cache-write-input"),
        },
        ttl,
    )


def _count(headers: Headers, name: str) -> int | None:
    value = headers.get(f"x-amzn-bedrock-{name}-token-count") or ""
    return int(value) if value.isascii() and value.isdigit() and len(value) <= _DIGITS_MAX else None


def _unsplit(writes: int | None, ttl: str | None) -> tuple[int | None, int | None]:
    if writes is None:
        return None, None
    return (0, writes) if ttl == "1h" else (writes, 0)
