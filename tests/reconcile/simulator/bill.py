"""What the providers send: entries summed at each provider's own grain, as statements.

Anthropic: money by day, key, model, product, tier, speed and token class, and counts by the same without the class. OpenAI:
money by day, project, key, model and class without tiers, and counts with them. OpenRouter, Cursor: a line for each request.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from functools import reduce
from hashlib import sha256
from operator import add
from random import Random
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconcile.simulator.books import Entry
from reconcile.simulator.month import Month
from reconcile.simulator.prices import PARTS, PLAIN, times
from spendgate.money import half_even
from spendgate.statement import DAY_MS, Axes, Billed, Charge, Line, Statement, TokenClass, Who
from spendgate.usage import Usage


class Written(Struct, frozen=True):
    """A line, and the money behind it before it was rounded, in parts of a nano-dollar."""

    line: Line
    billed_parts: int = 0
    list_parts: int = 0

    @property
    def rounding_parts(self) -> int:
        """What rounding has added to what is billed."""
        metered = self.line.billed is Billed.METERED and self.line.billed_nanos is not None
        return (self.line.billed_nanos or 0) * PARTS - self.billed_parts if metered else 0


class Bill(Struct, frozen=True):
    """One provider's newest statement with what is behind its lines, and an earlier version where it was revised."""

    provider: str
    written: tuple[Written, ...]
    statement: Statement
    earlier: Statement | None = None


def bills(month: Month) -> tuple[Bill, ...]:
    """One for each provider that anybody used or that bills anything; it may be empty."""
    made = []
    for provider, write in _WRITERS.items():
        mine = [each for each in month.requests if each.provider == provider]
        if not mine and not any(line.provider == provider for line, _ in month.lines):
            continue
        written = _in_month(month, provider, write, [each.entry for each in mine if each.entry is not None])
        earlier = None
        if any(each.earlier is not None for each in mine):
            told = [each.earlier or each.entry for each in mine]
            before = _in_month(month, provider, write, [each for each in told if each is not None])
            earlier = _statement(month, provider, before)
        made.append(Bill(provider, written, _statement(month, provider, written), earlier))
    return tuple(made)


Write = Callable[[Month, list[Entry]], list[Written]]


def _in_month(month: Month, provider: str, write: Write, entries: list[Entry]) -> tuple[Written, ...]:
    inside = [each for each in entries if month.from_ms <= each.at_ms < month.until_ms]
    written = write(month, inside)
    for line, _ in month.lines:
        if line.provider == provider:
            parts = (line.billed_nanos or 0) * PARTS if line.billed is Billed.METERED else 0
            written.append(Written(line, parts, parts))
    Random(len(written)).shuffle(written)
    return tuple(written)


def _statement(month: Month, provider: str, written: Iterable[Written]) -> Statement:
    lines = tuple(each.line for each in written)
    digest = sha256(repr(lines).encode()).hexdigest()
    return Statement(
        provider, provider, "", month.from_ms, month.until_ms, digest, f"{provider}.example", month.refreshed_ms, lines
    )


# -- amounts -----------------------------------------------------------------------------------------------------------


def _money(month: Month, line: Line, list_parts: int, *, tells_list: bool) -> Written:
    discounted = line.charge is Charge.TOKENS and line.billed is Billed.METERED
    billed_parts = times(list_parts, month.discounts.get(line.provider, PLAIN)) if discounted else list_parts
    unit = month.round_to_nanos.get(line.provider, 1)
    billed, listed = (half_even(parts, PARTS * unit) * unit for parts in (billed_parts, list_parts))
    return Written(
        _with_money(line, billed, listed if tells_list else None, unit),
        billed_parts if line.billed is Billed.METERED else 0,
        list_parts if line.billed is Billed.METERED else 0,
    )


def _with_money(line: Line, billed: int, listed: int | None, unit: int) -> Line:
    places = 9 - (len(str(unit)) - 1)
    whole, rest = divmod(billed, 10**9)
    amount = f"{whole}.{rest:09d}"[: len(str(whole)) + 1 + places].rstrip(".")
    return replace(line, billed_nanos=billed, list_nanos=listed, amount=f"{amount} USD")


def _groups(entries: list[Entry], key: Callable[[Entry], Hashable]) -> dict[Hashable, list[Entry]]:
    found: dict[Hashable, list[Entry]] = defaultdict(list)
    for each in entries:
        found[key(each)].append(each)
    return found


def _counts(entries: list[Entry]) -> Usage:
    """Sums of the classes that a provider counts; what no request has is zero there."""
    return reduce(add, [each.usage for each in entries])


def _classes(entries: list[Entry]) -> dict[TokenClass, int]:
    found: dict[TokenClass, int] = defaultdict(int)
    for each in entries:
        for name, parts in each.classes.items():
            found[name] += parts
    return found


def _metered(entries: list[Entry]) -> list[Entry]:
    return [each for each in entries if each.billed is Billed.METERED]


# -- grains ------------------------------------------------------------------------------------------------------------


def _anthropic(month: Month, entries: list[Entry]) -> list[Written]:
    written = []
    groups = _groups(entries, lambda each: (each.day_ms, each.key, each.model, each.product, each.tier, each.speed))
    for group in groups.values():
        first = group[0]
        line = Line(
            first.day_ms, first.day_ms + DAY_MS, "anthropic", first.model, first.product, Who(key=first.key),
            Axes(tier=first.tier, speed=first.speed),
        )  # fmt: skip
        requests = sum(each.requests for each in group)
        written.append(Written(replace(line, usage=_counts(group), requests=requests)))
        for name, parts in _classes(group).items():
            written.append(_money(month, replace(line, token_class=name), parts, tells_list=True))
        searches = sum(each.search_parts for each in group)
        if searches:
            written.append(_money(month, replace(line, charge=Charge.WEB_SEARCH), searches, tells_list=True))
    return written


def _openai(month: Month, entries: list[Entry]) -> list[Written]:
    written = []
    for group in _groups(entries, lambda each: (each.day_ms, each.workspace, each.key, each.model)).values():
        first = group[0]
        line = Line(
            first.day_ms, first.day_ms + DAY_MS, "openai", first.model,
            who=Who(workspace=first.workspace, key=first.key),
        )  # fmt: skip
        for name, parts in _classes(group).items():
            written.append(_money(month, replace(line, token_class=name), parts, tells_list=False))
        for tier, part in _groups(group, lambda each: each.tier).items():
            requests = sum(each.requests for each in part)
            counted = replace(
                line, product="completions", axes=Axes(tier=str(tier)), usage=_counts(part), requests=requests
            )
            written.append(Written(counted))
    return written


def _each(month: Month, entries: list[Entry]) -> list[Written]:
    """A line for each request; OpenRouter's name it by its id, Cursor's by its moment and the person."""
    written = []
    for each in entries:
        named = each.provider == "openrouter"
        who = Who(key_name=each.key_name) if named else Who(email=each.email)
        line = Line(
            each.at_ms, each.at_ms + 1, each.provider, each.model, each.product, who, usage=each.usage, requests=1,
            billed=each.billed, response_id=each.response_id if named else None,
        )  # fmt: skip
        written.append(_money(month, line, sum(each.classes.values()), tells_list=False))
    return written


_WRITERS: Final[dict[str, Write]] = {
    "anthropic": _anthropic,
    "openai": _openai,
    "openrouter": _each,
    "cursor": _each,
}
PROVIDERS: Final = tuple(_WRITERS)
