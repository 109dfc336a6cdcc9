"""OpenRouter's activity API: dollars, tokens and requests by day, model, endpoint, workspace and key.

Source: the PyPI package `openrouter` 1.3.84 (`components/activityitem.py`, `operations/{getuseractivity,getcredits,list}.py`).
Amounts are dollars. `prompt_tokens` include cached ones, except where a cached response was replayed. What was used on one's own
key (BYOK) is on that provider's bill. A key is a filter there and no column: each day is asked for as a whole and then for each
key that was there and in use, until nothing is left; what is left is no key's (the chat room).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from hashlib import sha256
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict, replace

from spendgate.money import dollars
from spendgate.reconcile.sources.assembling import day_word, days_of, fields, obj, told
from spendgate.reconcile.sources.interface import Asking, Page, Request, Span
from spendgate.reconcile.sources.reading import Faults, count, day_ms, instant_ms, loads, nanos
from spendgate.statement import DAY_MS, Billed, Charge, Line, Statement, Who
from spendgate.usage import Usage

PROVIDER: Final = "openrouter"
_DAYS: Final = 30
_KEYS_MAX: Final = 100_000
_NOISE_NANOS: Final = 1_000
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
        """The account's credits, its keys, then each day; of a longer span the last thirty days."""
        faults, run = Faults(self.host), _Run()
        first = max(span.from_ms, span.until_ms - _DAYS * DAY_MS)
        yield from run.account(faults)
        for starts_ms in days_of(first, span.until_ms):
            yield from run.day(starts_ms, faults)
        faults.raise_any()
        cut = (f"it tells of 30 days: the statement begins on {day_word(first)}",) if first > span.from_ms else ()
        notes = (*cut, *run.said, *(f"{times} rows: {note}" for note, times in run.notes.items()))
        return Statement(
            self.name,
            PROVIDER,
            "",
            first,
            span.until_ms,
            run.hashed.hexdigest(),
            self.host,
            None,
            tuple(run.lines),
            notes,
        )


class _Key(Struct, frozen=True):
    """A key of the account, and when it can have been used."""

    who: Who
    from_ms: int
    until_ms: int | None
    """When it was last used; None: that is not told."""

    def used_on(self, starts_ms: int) -> bool:
        """Whether it can have been used on this day."""
        return self.from_ms < starts_ms + DAY_MS and (self.until_ms is None or starts_ms <= self.until_ms)


class _Place(Struct, frozen=True):
    """What rows of a day are told apart by, besides the key."""

    model: str | None
    endpoint: str | None
    upstream: str | None
    workspace: str | None


class _Sums(Struct, frozen=True):
    """What a row says: nano-dollars and counts, as they are written."""

    usage: int
    byok: int
    requests: int
    prompt: int
    cached: int
    completion: int
    reasoning: int


class _Run:
    """One run through an account's days."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.said: list[str] = []
        self.notes: Counter[str] = Counter()
        self.hashed = sha256()
        self._keys: dict[str, _Key] = {}

    def account(self, faults: Faults) -> Generator[Request, Page]:
        """What the account used in all (of two imports the difference is what was billed between them), and its keys."""
        page = yield Request("/api/v1/credits")
        self.hashed.update(page.body)
        with faults.at(f"page {page.number}"):
            found = fields(fields(loads(page.body))["data"])
            used, bought = nanos(found["total_usage"]), nanos(found["total_credits"])
            self.said.append(f"the account has used {dollars(used)} of {dollars(bought)} bought, in all of its time")
        more = True
        while more and len(self._keys) < _KEYS_MAX:
            words = f"include_disabled=true&include_expired=true&offset={len(self._keys)}"
            page = yield Request(f"/api/v1/keys?{words}")
            self.hashed.update(page.body)
            more = False
            with faults.at(f"page {page.number}"):
                keys = obj(page.body, "data")["data"]
                for number, each in enumerate(keys):
                    with faults.at(f"page {page.number} data[{number}]"):
                        self._key(fields(each))
                        more = True

    def _key(self, item: dict[str, Any]) -> None:
        one, last = told(item["hash"]), item.get("last_used_at")
        if one is None or one in self._keys:
            raise ValueError("this key has no hash, or came before: a page has come twice")
        who = Who(
            key=one, key_name=told(item["name"]), key_hint=told(item["label"]), user=told(item["creator_user_id"])
        )
        self._keys[one] = _Key(who, instant_ms(item["created_at"]), None if last is None else instant_ms(last))

    def day(self, starts_ms: int, faults: Faults) -> Generator[Request, Page]:
        """One day: all of it, then each key's part until nothing is left."""
        path = f"/api/v1/activity?date={day_word(starts_ms)}&group_by=workspace"
        page = yield Request(path)
        left = self._read(page, starts_ms, faults)
        for one, key in self._keys.items():
            if not any(_matters(each) for each in left.values()):
                break
            if key.used_on(starts_ms):
                page = yield Request(f"{path}&api_key_hash={one}")
                with faults.at(f"page {page.number}"):
                    for place, sums in self._read(page, starts_ms, faults).items():
                        self.lines.extend(_lines(starts_ms, place, sums, key.who, self.notes))
                        left[place] = _less(left.get(place), sums)
        for place, sums in left.items():
            if _matters(sums):
                self.lines.extend(_lines(starts_ms, place, sums, Who(), self.notes))
            elif sums.usage:
                upon = _upon(starts_ms, place, Who())
                self.lines.append(replace(upon, charge=Charge.ROUNDING, billed_nanos=sums.usage))

    def _read(self, page: Page, starts_ms: int, faults: Faults) -> dict[_Place, _Sums]:
        """A page's rows; {} where it cannot be read."""
        self.hashed.update(page.body)
        found: dict[_Place, _Sums] = {}
        with faults.at(f"page {page.number}"):
            for number, each in enumerate(obj(page.body, "data")["data"]):
                with faults.at(f"page {page.number} data[{number}]"):
                    place, sums = _row(fields(each), starts_ms)
                    if place in found:
                        raise ValueError("this model, endpoint and workspace came before: rows have come twice")
                    found[place] = sums
        return found


def _row(item: dict[str, Any], starts_ms: int) -> tuple[_Place, _Sums]:
    if day_ms((told(item["date"]) or "").removesuffix(" 00:00:00")) != starts_ms:
        raise ValueError("it is about another day than was asked for")
    words = (told(item.get(name)) for name in ("model_permaslug", "endpoint_id", "provider_name", "workspace_id"))
    counts = ("requests", "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens")
    money = nanos(item["usage"]), nanos(item["byok_usage_inference"])
    return _Place(*words), _Sums(*money, *(count(item[name]) for name in counts))


def _matters(sums: _Sums) -> bool:
    """Whether it is more than the rounding of its parts."""
    return bool(sums.requests) or abs(sums.usage) > _NOISE_NANOS or abs(sums.byok) > _NOISE_NANOS


def _less(whole: _Sums | None, part: _Sums) -> _Sums:
    """What is left. Raises ValueError where a part is more than its whole."""
    one, other = asdict(whole or _Sums(*[0] * len(_Sums.__struct_fields__))), asdict(part)
    left = _Sums(**{name: one[name] - other[name] for name in one})
    if any(value < -_NOISE_NANOS if name in ("usage", "byok") else value < 0 for name, value in asdict(left).items()):
        raise ValueError("a key has more than the whole: it was revised meanwhile; run the command again")
    return left


def _upon(starts_ms: int, place: _Place, who: Who) -> Line:
    return Line(
        starts_ms, starts_ms + DAY_MS, PROVIDER, place.model, place.upstream, replace(who, workspace=place.workspace)
    )


def _lines(starts_ms: int, place: _Place, sums: _Sums, who: Who, notes: Counter[str]) -> Iterator[Line]:
    """OpenRouter's money and, on own keys, what the upstream bills."""
    usage = disjoint(sums.prompt, sums.cached, sums.completion, sums.reasoning, notes)
    upon = _upon(starts_ms, place, who)
    counted = replace(upon, usage=usage, requests=sums.requests)
    if sums.byok > 0:
        notes.update([_MIXED] if sums.usage else [])
        yield replace(
            upon if sums.usage else counted, billed_nanos=0, list_nanos=sums.byok, billed=Billed.ELSEWHERE,
            amount=_written(sums.byok),
        )  # fmt: skip
    if sums.usage or sums.byok <= 0:
        yield replace(counted, billed_nanos=sums.usage, amount=_written(sums.usage))


def _written(amount: int) -> str:
    """Exact dollars: parts of a sum have no text of their own."""
    return f"{dollars(amount).replace('$', '').replace(',', '')} USD"


def disjoint(prompt: int, cached: int | None, completion: int, reasoning: int | None, notes: Counter[str]) -> Usage:
    """Prompt tokens include cached ones, as long as there are not more of those."""
    if cached is not None and cached > prompt:
        notes[_REPLAYED] += 1
    else:
        prompt -= cached or 0
    return Usage(prompt, cached, output_tokens=completion, reasoning_tokens=reasoning)
