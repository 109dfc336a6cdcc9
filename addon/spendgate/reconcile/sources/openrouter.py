"""OpenRouter: its activity API by day, model and workspace, and the activity export with one row for each generation.

Source: the PyPI package `openrouter` 1.3.84 (`components/activityitem.py`, `operations/getuseractivity.py`,
`operations/getcredits.py`) and the columns of real exports (`facts/reconciliation.md` 5). Amounts are dollars. `prompt_tokens`
include cached ones, except where a cached response was replayed. What was used on one's own key (BYOK) is on that provider's
bill; OpenRouter's is a fee. The export's times have no zone: they are UTC, by the seconds in the ids beside them, and held
against these.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from msgspec.structs import replace

from spendgate.money import dollars
from spendgate.reconcile.sources.assembling import Reading, begins, day_word, days_of, fields, flag, obj, told, whole
from spendgate.reconcile.sources.interface import Asking, Page, Request, Span
from spendgate.reconcile.sources.reading import Faults, Row, count, day_ms, instant_ms, loads, nanos, shown
from spendgate.statement import DAY_MS, Axes, Billed, Charge, Line, Statement, Who
from spendgate.usage import Usage

PROVIDER: Final = "openrouter"
_DAYS: Final = 30
_TIERS: Final = ("batch", "flex", "priority")
_ID: Final = re.compile(r"gen-(?P<seconds>\d{10})-.+")
_SHIFT_MS: Final = 1_800_000
"""No generation takes half an hour, and no zone is nearer to UTC."""
_REPLAYED: Final = "more cached tokens than prompt tokens: taken as not among them"
_MIXED: Final = "own keys and OpenRouter's together: tokens and requests are of both"


class OpenRouter:
    """`openrouter`: the API."""

    name = "openrouter"
    title = "OpenRouter activity of the last 30 completed UTC days; a management key"
    host = "openrouter.ai"
    variable = "OPENROUTER_MANAGEMENT_KEY"
    gap_ms = 500  # no limit is published for it

    def headers(self, credential: str) -> dict[str, str]:
        """See `ApiSource`."""
        return {"authorization": f"Bearer {credential}"}

    def ask(self, span: Span) -> Asking:
        """The account's credits, then each day; of a longer span the last thirty days."""
        faults, hashed, notes = Faults(self.host), sha256(), Counter[str]()
        first = max(span.from_ms, span.until_ms - _DAYS * DAY_MS)
        page = yield Request("/api/v1/credits")
        hashed.update(page.body)
        said = [f"it tells of 30 days: the statement begins on {day_word(first)}"] if first > span.from_ms else []
        with faults.at(f"page {page.number}"):
            said.append(_credits(page))
        lines: list[Line] = []
        for starts_ms in days_of(first, span.until_ms):
            page = yield Request(f"/api/v1/activity?date={day_word(starts_ms)}&group_by=workspace")
            hashed.update(page.body)
            lines += _day(page, starts_ms, faults, notes)
        faults.raise_any()
        said += [f"{times} rows: {note}" for note, times in notes.items()]
        return Statement(
            self.name,
            PROVIDER,
            "",
            first,
            span.until_ms,
            hashed.hexdigest(),
            self.host,
            None,
            tuple(lines),
            tuple(said),
        )


def _credits(page: Page) -> str:
    """What the account used in all: of two imports the difference is what was billed between them."""
    found = fields(fields(loads(page.body))["data"])
    used, bought = nanos(found["total_usage"]), nanos(found["total_credits"])
    return f"the account has used {dollars(used)} of {dollars(bought)} bought, in all of its time"


def _day(page: Page, starts_ms: int, faults: Faults, notes: Counter[str]) -> list[Line]:
    lines: list[Line] = []
    seen: set[tuple[object, ...]] = set()
    with faults.at(f"page {page.number}"):
        for number, each in enumerate(obj(page.body, "data")["data"]):
            with faults.at(f"page {page.number} data[{number}]"):
                item = fields(each)
                if day_ms((told(item["date"]) or "").removesuffix(" 00:00:00")) != starts_ms:
                    raise ValueError("it is about another day than was asked for")
                key = tuple(told(item.get(name)) for name in ("model_permaslug", "endpoint_id", "workspace_id"))
                if key in seen:
                    raise ValueError("this model, endpoint and workspace came before: rows have come twice")
                seen.add(key)
                lines.extend(_activity(item, starts_ms, notes))
    return lines


def _activity(item: dict[str, Any], starts_ms: int, notes: Counter[str]) -> Iterator[Line]:
    """A row: OpenRouter's money and, on own keys, what the upstream bills."""
    billed, upstream = nanos(item["usage"]), nanos(item["byok_usage_inference"])
    usage = _usage(
        item["prompt_tokens"], item["completion_tokens"], item["cached_tokens"], item["reasoning_tokens"], notes
    )
    requests = count(item["requests"])
    upon = Line(
        starts_ms, starts_ms + DAY_MS, PROVIDER, told(item["model_permaslug"]), told(item["provider_name"]),
        Who(workspace=told(item.get("workspace_id"))),
    )  # fmt: skip
    counted = replace(upon, usage=usage, requests=requests)
    if upstream:
        notes.update([_MIXED] if billed else [])
        yield replace(
            upon if billed else counted, billed_nanos=0, list_nanos=upstream, billed=Billed.ELSEWHERE,
            amount=f"{item['byok_usage_inference']} USD",
        )  # fmt: skip
    if billed or not upstream:
        yield replace(counted, billed_nanos=billed, amount=f"{item['usage']} USD")


def _usage(prompt: object, completion: object, cached: object, reasoning: object, notes: Counter[str]) -> Usage:
    """Disjoint: prompt tokens include cached ones, as long as there are not more of those."""
    total, read = count(prompt), whole(cached)
    if read is not None and read > total:
        notes[_REPLAYED] += 1
    elif read is not None:
        total -= read
    return Usage(total, read, output_tokens=count(completion), reasoning_tokens=whole(reasoning))


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
                raise ValueError(f"generation {shown(one)} came before, in line {seen[one]}")
            seen[one] = row.number
            at_ms = _created_ms(row["created_at"], one)
            return _generation(row, one, *reading.covers(at_ms, at_ms + 1), reading.notes)

        return reading.rows(self._columns, take).statement()


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
    total, upstream = _nanos(row["cost_total"]), _nanos(row["byok_usage_inference"])
    extras = {
        Charge.WEB_SEARCH: _nanos(row.get("cost_web_search")),
        Charge.TOOL: _nanos(row.get("cost_file_processing")),
    }
    of_tokens = total - sum(extras.values())
    if of_tokens < -len(extras) and total >= 0:  # each part is rounded to the nano-dollar by itself
        raise ValueError(f"its parts are more than cost_total {shown(row['cost_total'])}")
    usage = _usage(
        row["tokens_prompt"], row["tokens_completion"], row.get("tokens_cached"), row.get("tokens_reasoning"), notes
    )
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
