"""LangSmith: model calls that went through its gateway or were traced to it, from an export of runs as JSON lines.

Source: its documentation of the run data format (docs.langchain.com/langsmith/run-data-format); the bulk export has the same
fields. That export is Parquet, which is not read here: write it as JSON lines (`duckdb -c "COPY (FROM 'runs.parquet') TO
'runs.json' (FORMAT json)"`). Only runs of type `llm` are model calls; chains and tools around them repeat their sums. Costs
are LangSmith's own estimate in dollars. The gateway is a private beta: where it writes the provider's id of a response was not
seen, so it is looked for in the places that runs have for it. Prompts and answers are not kept.
"""

from __future__ import annotations

from typing import Final

from spendgate.reconcile.sources.assembling import Reading, told, whole
from spendgate.reconcile.sources.reading import decimal, nanos, shown
from spendgate.reconcile.sources.records import Record, at, claims, inner, records, utc_ms
from spendgate.statement import Billed, Line, Statement, Who
from spendgate.usage import Usage

_NEEDED: Final = ("id", "run_type", "start_time", "trace_id")
_RESPONSE: Final = ("outputs.id", "outputs.response_metadata.id", "outputs.llm_output.id", "extra.metadata.response_id")
_ID_STARTS: Final = ("msg_", "chatcmpl-", "resp_", "gen-")
_MODELS: Final = ("extra.metadata.ls_model_name", "extra.invocation_params.model", "outputs.model")
_OTHERS: Final = "of other types than llm are left out: they repeat the sums of the model calls in them"
_ESTIMATE: Final = "whose cost is LangSmith's own estimate"


class LangSmith:
    """`langsmith`."""

    name = "langsmith"
    title = "LangSmith runs as JSON lines (bulk export, converted from Parquet): model calls through its gateway"

    def recognises(self, head: bytes) -> bool:
        """See `FileSource`."""
        return claims(head, _NEEDED)

    def read(self, data: bytes, origin: str) -> Statement:
        """See `FileSource`."""
        reading, seen = Reading(self.name, "langsmith", data, origin), set[str]()
        return reading.items(records, lambda record: _lines(record, reading, seen), "id").statement()


def _lines(record: Record, reading: Reading, seen: set[str]) -> list[Line]:
    run = told(record["id"])
    if run is None or run in seen:
        raise ValueError("id is empty" if run is None else f"id {shown(run)} came before, with other words")
    seen.add(run)
    starts = utc_ms(record["start_time"])
    ends = max(utc_ms(record["end_time"]) if record.get("end_time") else 0, starts + 1)
    reading.covers(starts, starts + 1)  # a call belongs to the day that it begins on
    if told(record["run_type"]) != "llm":
        reading.notes.update([_OTHERS])
        return []
    nested = dict(record) | {name: inner(record.get(name)) for name in ("extra", "outputs")}
    failed = bool(record.get("error")) or told(record.get("status")) == "error"
    cost = record.get("total_cost")
    known = cost is not None and cost != ""
    reading.notes.update([_ESTIMATE] if known else [])
    return [
        Line(
            starts,
            ends,
            "langsmith",
            model=_one(nested, _MODELS),
            product=_one(nested, ("extra.metadata.ls_provider",)),
            who=Who(
                workspace=told(record.get("session_id")),
                user=_one(nested, ("extra.metadata.user_id", "extra.metadata.ls_user_id")),
            ),
            usage=_usage(record),
            requests=1,
            billed_nanos=nanos(cost) if known else None,
            billed=Billed.NOT_CHARGED if failed else Billed.METERED,
            response_id=_response(nested),
            amount=f"{decimal(cost):f} USD" if known else "",
        )
    ]


def _one(record: Record, paths: tuple[str, ...]) -> str | None:
    found = [at(record, path) for path in paths]
    return next((each for each in found if isinstance(each, str) and each), None)


def _response(record: Record) -> str | None:
    """The provider's id of the response: what begins like one, not LangChain's own id of a message."""
    found = [at(record, path) for path in _RESPONSE]
    return next((each for each in found if isinstance(each, str) and each.startswith(_ID_STARTS)), None)


def _usage(record: Record) -> Usage:
    """Disjoint counts; `prompt_tokens` includes what its details name."""
    prompt, output = whole(record.get("prompt_tokens")), whole(record.get("completion_tokens"))
    details, results = inner(record.get("prompt_token_details")), inner(record.get("completion_token_details"))
    read, written = whole(details.get("cache_read")), whole(details.get("cache_creation"))
    five, hour = whole(details.get("ephemeral_5m_input_tokens")), whole(details.get("ephemeral_1h_input_tokens"))
    by_time = five is not None or hour is not None
    cached = (read or 0) + ((five or 0) + (hour or 0) if by_time else written or 0)
    if prompt is not None and cached > prompt:
        raise ValueError(f"its cached tokens are more than its prompt_tokens {prompt}")
    return Usage(
        input_tokens=None if prompt is None else prompt - cached,
        cache_read_tokens=read,
        cache_write_5m_tokens=five,
        cache_write_1h_tokens=hour,
        cache_write_tokens=None if by_time else written,
        output_tokens=output,
        reasoning_tokens=whole(results.get("reasoning")),
    )
