"""What a person downloads from the Claude Console: usage (counts by key's name) and cost (dollars by key).

Source: exports as public parsers read them (facts: Console CSV exports); columns are found by name, since their order and number
have changed: older files lack context window, geo, speed, list price and the key's id. Amounts are dollars, where the API has
cents, and models of the cost file display names. The usage file has keys by name alone: two keys of one name are one in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from spendgate.reconcile.sources.assembling import Reading, begins, told, whole
from spendgate.reconcile.sources.reading import Row, count, day_ms, nanos
from spendgate.statement import DAY_MS, Axes, Charge, Line, Statement, TokenClass, Who
from spendgate.usage import Usage

_COST: Final = ("usage_date_utc", "model", "token_type", "cost_usd")
_USAGE: Final = (
    "usage_date_utc", "model_version", "usage_input_tokens_no_cache", "usage_input_tokens_cache_read", "usage_output_tokens",
)  # fmt: skip
_WRITES: Final = ("usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write_1h")
_OPTIONAL: Final = ("workspace", "api_key", "context_window", "inference_geo", "speed")
_CHARGES: Final = {
    "token": Charge.TOKENS,
    "tokens": Charge.TOKENS,
    "web_search": Charge.WEB_SEARCH,
    "code_execution": Charge.CODE_EXECUTION,
    "session_usage": Charge.SESSION,
}
_CLASSES: Final = {
    "input_no_cache": TokenClass.INPUT,
    "input_cache_read": TokenClass.CACHE_READ,
    "input_cache_write_5m": TokenClass.CACHE_WRITE_5M,
    "input_cache_write_1h": TokenClass.CACHE_WRITE_1H,
    "output": TokenClass.OUTPUT,
}
_NAMES: Final = "keys told by name alone: two keys of one name are counted as one"
_TIERS: Final = ("standard", "batch", "priority", "flex")
"""What `usage_type` may say of a tier; `message` says none."""


class AnthropicCostCsv:
    """`anthropic-cost-csv`."""

    name = "anthropic-cost-csv"
    title = "Claude Console, Cost, Export (claude_api_cost_….csv): dollars by day, key, model and token class"

    def recognises(self, head: bytes) -> bool:
        """See `FileSource`."""
        return begins(head, _COST)

    def read(self, data: bytes, origin: str) -> Statement:
        """See `FileSource`."""
        reading = Reading(self.name, "anthropic", data, origin)
        return reading.rows(_COST, lambda row: _cost(row, reading)).statement()


class AnthropicUsageCsv:
    """`anthropic-usage-csv`."""

    name = "anthropic-usage-csv"
    title = "Claude Console, Usage, Export (claude_api_tokens_….csv): counts by day, key's name and model"

    def recognises(self, head: bytes) -> bool:
        """See `FileSource`."""
        return begins(head, _USAGE)

    def read(self, data: bytes, origin: str) -> Statement:
        """See `FileSource`."""
        reading = Reading(self.name, "anthropic", data, origin)
        return reading.rows((*_USAGE, *_WRITES), lambda row: _usage(row, reading)).statement()


def _common(row: Row, reading: Reading) -> tuple[int, int, Who, Axes]:
    starts = day_ms(row["usage_date_utc"])
    reading.covers(starts, starts + DAY_MS)
    lacking = [name for name in _OPTIONAL if name not in row]
    reading.notes.update([f"without {', '.join(lacking)}: not told"] if lacking else [])
    name = row.get("api_key")
    key = row.get("api_key_id", "" if name == "" else None)
    who = Who(workspace=told(row.get("workspace")), key=key, key_name=told(name))
    kind = row.get("usage_type", "")
    axes = Axes(
        tier=kind if kind in _TIERS else None,
        speed=told(row.get("speed")),
        geo=told(row.get("inference_geo")),
        context=told(row.get("context_window")),
    )
    return starts, starts + DAY_MS, who, axes


def _cost(row: Row, reading: Reading) -> Iterable[Line]:
    starts, ends, who, axes = _common(row, reading)
    if "api_key_id" in row:  # names alone may be those of two keys that cost the same
        reading.once(row)
    kind, token_type = row.get("cost_type", "token"), row["token_type"]
    charge, token_class = _CHARGES.get(kind, Charge.OTHER), _CLASSES.get(token_type)
    if charge is Charge.TOKENS and token_class is None:
        charge = Charge.OTHER  # a class that came after this was written
    listed = told(row.get("list_price_usd"))
    yield Line(
        starts,
        ends,
        "anthropic",
        model=told(row["model"]),
        product=told(row.get("usage_type")),
        who=who,
        axes=axes,
        charge=charge,
        token_class=token_class if charge is Charge.TOKENS else None,
        unit=(token_type or kind) if charge is Charge.OTHER else None,
        billed_nanos=nanos(row["cost_usd"]),
        list_nanos=None if listed is None else nanos(listed),
        amount=f"{row['cost_usd']} USD",
    )


def _usage(row: Row, reading: Reading) -> Iterable[Line]:
    starts, ends, who, axes = _common(row, reading)
    reading.notes.update([_NAMES] if who.key_name else [])
    usage = Usage(
        input_tokens=count(row["usage_input_tokens_no_cache"]),
        cache_read_tokens=count(row["usage_input_tokens_cache_read"]),
        cache_write_5m_tokens=count(row["usage_input_tokens_cache_write_5m"]),
        cache_write_1h_tokens=count(row["usage_input_tokens_cache_write_1h"]),
        output_tokens=count(row["usage_output_tokens"]),
        web_searches=whole(row.get("web_search_count")),
    )
    yield Line(starts, ends, "anthropic", model=told(row["model_version"]), who=who, axes=axes, usage=usage)
