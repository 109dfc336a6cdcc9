"""Which source says what: of each kind of charge one on each day, where several tell the same money; and which days are told.

A source is preferred for the whole run, and taken on the days that it covers; on others the next one is. Two that a person has
named as two accounts are both in force. What a statement does not tell is no zero: seats, taxes and counts without money say
nothing about what calls cost, so that calls are not compared with them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from spendgate.statement import DAY_MS, Charge, Line
from spendgate.usage import NO_USAGE

COMPARED: Final = frozenset({Charge.TOKENS, Charge.REQUESTS, Charge.MEDIA})
"""Charges that calls of the ledger are compared with; the rest is a fee, a credit or a tax."""
_CALLS: Final = frozenset(each.value for each in COMPARED)
COUNTS: Final = "counts"
"""Beside the kinds of charge: the tokens and requests themselves."""
INVOICE: Final = "invoice"
"""What a person types: the one source whose sums of several days may be all that there is."""
_WITHOUT_MONEY: Final = ("claude-code", "anthropic-usage-csv", "openai-usage-csv")
_WITHOUT_AMOUNTS: Final = ("github-copilot-requests-csv",)
"""They say what a plan includes, and not what the rest costs: another source's amounts go before theirs."""
_ONE_TOOLS: Final = ("claude-code",)
"""Counts of a part of what the provider bills: beside the money of all of it they would be a price that nobody has."""
_NAMED_BY_FILE: Final = ("openai-cost-csv", "github-copilot-csv", "github-copilot")
"""Whose account stands in the file, or is a path: the same one has another name in another source."""


class Said(NamedTuple):
    """A statement on a day of a provider: its source and whose it is."""

    source: str
    subject: str


class Use(Protocol):
    """A version in force on a day, with the lines of that day."""

    @property
    def said(self) -> Said: ...
    @property
    def at_ms(self) -> int: ...
    @property
    def lines(self) -> tuple[Line, ...]: ...


At = tuple[str, int]
"""Provider and day."""
Chosen = dict[At, dict[str, frozenset[Said]]]
"""By kind of charge who tells it."""


def choose[U: Use](used: dict[At, list[U]]) -> tuple[Chosen, list[str]]:
    """Who tells what, and notes on who tells it, too."""
    ranks = _ranks(used)
    chosen: Chosen = {}
    notes: set[str] = set()
    for (provider, day_ms), uses in sorted(used.items()):
        its = chosen[provider, day_ms] = {}
        kinds = ranks[provider]
        for kind in sorted(kinds, key=lambda each: (each == COUNTS, each)):
            money = {each.source for each in its.get(Charge.TOKENS.value, ())} if kind == COUNTS else set()
            able = [each.said for each in uses if each.said.source in kinds[kind] and _speaks(each, kind)]
            # Counts of the source that tells the money join to it at its own grain.
            able.sort(key=lambda each: (each.source in money, kinds[kind][each.source], each.source), reverse=True)
            taken: list[Said] = []
            for one in able:
                other = next((each for each in taken if _same_money(each, one)), None)
                if other is None:
                    taken.append(one)
                else:
                    notes.add(f"{provider}: {one.source} tells {kind}, too; {other.source} is taken")
            its[kind] = frozenset(taken)
        told = {each.said.source for each in uses if each.lines} & set(_ONE_TOOLS)
        notes |= {f"{provider}: {name} counts one tool's use alone, and is not compared" for name in told}
    return chosen, sorted(notes)


def taken(lines: Iterable[Line], said: Said, chosen: dict[str, frozenset[Said]]) -> list[Line]:
    """Those of a statement's lines that are the bill."""
    return [each for each in lines if all(said in chosen.get(kind, ()) for kind in kinds_of(each)[:1])]


def tells_use(use: Use) -> bool:
    """Whether it says what calls cost on its day. A person's invoice does for the days that it has such a line of."""
    if use.said.source == INVOICE:
        return any(each.charge in COMPARED and not of_a_period(each) for each in use.lines)
    return use.said.source not in _WITHOUT_MONEY


def of_a_period(line: Line) -> bool:
    """Whether it is one sum of several days, which no day's calls can be compared with."""
    return line.ends_ms - line.starts_ms > DAY_MS


def kinds_of(line: Line) -> list[str]:
    """What it tells: the kind of its money, then counts."""
    kinds = [line.charge.value] if line.billed_nanos is not None else []
    counts = line.usage != NO_USAGE or (line.requests is not None and line.billed_nanos is None)
    return [*kinds, COUNTS] if counts else kinds


def _speaks(use: Use, kind: str) -> bool:
    """Whether it says what this costs on its day: a person's invoice does where it has a line of it, and elsewhere is silent."""
    return use.said.source != INVOICE or kind not in _CALLS or any(kind in kinds_of(each) for each in use.lines)


def has_of[U: Use](used: Mapping[At, Sequence[U]], use: Use, one: Line) -> str:
    """Which other source, that may tell the same money, has this kind of charge on a day of the sum; "": none."""
    days = range(one.starts_ms - one.starts_ms % DAY_MS, one.ends_ms, DAY_MS)
    return next(
        (
            other.said.source
            for day_ms in days
            for other in used.get((one.provider, day_ms), ())
            if _same_money(use.said, other.said)
            for line in other.lines
            if one.charge.value in kinds_of(line)[:1] and not of_a_period(line)
        ),
        "",
    )


def _ranks[U: Use](used: dict[At, list[U]]) -> dict[str, dict[str, dict[str, tuple[int, int]]]]:
    """By provider, kind and source: how much it tells apart, and how new it is."""
    found: dict[str, dict[str, dict[str, tuple[int, int]]]] = defaultdict(lambda: defaultdict(dict))
    for (provider, _), uses in used.items():
        for use in uses:
            source = use.said.source
            for line in use.lines if source not in _ONE_TOOLS else ():
                for kind in kinds_of(line):
                    rank = (_detail(line) if source not in _WITHOUT_AMOUNTS or kind == COUNTS else -1, use.at_ms)
                    found[provider][kind][source] = max(rank, found[provider][kind].get(source, rank))
    return found


def _detail(line: Line) -> int:
    """How much a line tells apart."""
    by_id = 8 if line.response_id or line.request_id else 0
    return by_id + sum(
        (line.who.key is not None, line.who.email is not None or line.who.user is not None, line.model is not None,
         line.token_class is not None)
    )  # fmt: skip


def _same_money(one: Said, other: Said) -> bool:
    """Whether two may tell the same money: not one source's two accounts, nor what a person named as two."""
    if one.source == other.source:
        return False
    names = _names((one, other))
    by_file = {one.source, other.source} & set(_NAMED_BY_FILE)
    return bool(by_file) or "" in names or len(names) == 1


def _names(some: Sequence[Said]) -> set[str]:
    """As a person gave them: an invoice's has its provider before it."""
    return {each.subject.partition("/")[2] if each.source == INVOICE else each.subject for each in some}
