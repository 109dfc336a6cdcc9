"""OpenRouter's activity export: a row for each generation, by its id, which is that of the response.

Source: the columns of real exports (`facts/reconciliation.md` 5). Amounts are dollars. What was used on one's own key (BYOK) is
on that provider's bill; OpenRouter's is a fee. Times have no zone: they are UTC, by the seconds in the ids beside them, and held
against these.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from spendgate.reconcile.sources.assembling import Reading, begins, filled, flag, told, whole
from spendgate.reconcile.sources.openrouter_api import PROVIDER, disjoint
from spendgate.reconcile.sources.reading import Row, count, instant_ms, nanos, shown
from spendgate.statement import Axes, Billed, Charge, Line, Statement, Who

_TIERS: Final = ("batch", "flex", "priority")
_ID: Final = re.compile(r"gen-(?P<seconds>\d{10})-.+")
_OWN_KEY_NOT_TOLD: Final = "byok_usage_inference is empty: taken as used on no key of one's own"
_SHIFT_MS: Final = 1_800_000
"""No generation takes half an hour, and no zone is nearer to UTC."""


class OpenRouterCsv:
    """`openrouter-csv`."""

    name = "openrouter-csv"
    title = "OpenRouter generations, from openrouter.ai/activity: Export; a row for each, by its id"
    _columns: Final = (
        "generation_id", "created_at", "cost_total", "byok_usage_inference", "tokens_prompt", "tokens_completion",
        "model_permaslug",
    )  # fmt: skip

    def recognises(self, head: bytes) -> bool:
        """See `FileSource`."""
        return begins(head, self._columns)

    def read(self, data: bytes, origin: str) -> Statement:
        """See `FileSource`."""
        reading, seen = Reading(self.name, PROVIDER, data, origin), dict[str, int]()

        def take(row: Row) -> Iterator[Line]:
            one = row["generation_id"].strip()
            if not one:
                raise ValueError("it has no generation_id")
            if one in seen:
                raise ValueError(f"generation {shown(one)} came before, in line {seen[one]}, with other words")
            seen[one] = row.number
            at_ms = _created_ms(row["created_at"], one)
            return _generation(row, one, *reading.covers(at_ms, at_ms + 1), reading.notes)

        return reading.rows(self._columns, take, "generation_id").statement()


def _created_ms(cell: str, generation: str) -> int:
    """`2026-06-28 03:46:57.713` is UTC, or a fault where the second in the id says otherwise."""
    text = cell.strip()
    try:
        naive = datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        naive = False
    at_ms = instant_ms(f"{text}Z" if naive else text)
    found = _ID.fullmatch(generation)
    if found is not None and abs(int(found["seconds"]) * 1000 - at_ms) >= _SHIFT_MS:
        began = datetime.fromtimestamp(int(found["seconds"]), UTC)
        raise ValueError(f"created_at {shown(cell)} is not UTC: by its id it began at {began:%Y-%m-%d %H:%M:%S} UTC")
    return at_ms


def _generation(row: Row, one: str, starts_ms: int, ends_ms: int, notes: Counter[str]) -> Iterator[Line]:
    """One generation: its tokens, and searches and files where they cost."""
    notes.update([] if row["byok_usage_inference"].strip() else [_OWN_KEY_NOT_TOLD])
    total, upstream = nanos(filled(row, "cost_total")), _nanos(row["byok_usage_inference"])
    extras = {
        Charge.WEB_SEARCH: _nanos(row.get("cost_web_search")),
        Charge.TOOL: _nanos(row.get("cost_file_processing")),
    }
    of_tokens = total - sum(extras.values())
    if of_tokens < -len(extras) and total >= 0:  # each part is rounded to the nano-dollar by itself
        raise ValueError(f"its parts are more than cost_total {shown(row['cost_total'])}")
    tokens = count(row["tokens_prompt"]), whole(row.get("tokens_cached"))
    usage = disjoint(*tokens, count(row["tokens_completion"]), whole(row.get("tokens_reasoning")), notes)
    variant = (row.get("variant") or "").strip()
    upon = Line(
        starts_ms, ends_ms, PROVIDER, told(row["model_permaslug"]), told(row.get("provider_name")),
        Who(key_name=told(row.get("api_key_name")), user=told(row.get("user"))),
        Axes(tier=variant if variant in _TIERS else None), response_id=one,
    )  # fmt: skip
    if upstream:
        billed, counted, listed, written = Billed.ELSEWHERE, 0, upstream, row["byok_usage_inference"]
    else:
        free = flag(row.get("cancelled")) and not total
        billed, counted, listed, written = (
            Billed.NOT_CHARGED if free else Billed.METERED,
            of_tokens,
            None,
            row["cost_total"],
        )
    yield replace(
        upon,
        usage=usage,
        requests=1,
        billed_nanos=counted,
        list_nanos=listed,
        billed=billed,
        amount=f"{written.strip()} USD",
    )
    for charge, amount in {**extras, Charge.SERVICE_FEE: of_tokens if upstream else 0}.items():
        if amount:
            yield replace(upon, charge=charge, billed_nanos=amount)


def _nanos(cell: str | None) -> int:
    """Nothing where there is no such column, or an empty cell."""
    return nanos(cell) if cell is not None and cell.strip() else 0
