"""What a digest says, and in what order: its title, its sentence, its tables and the lines under them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from spendgate.digest import (
    OUTLIER_MORE_NANOS,
    OUTLIER_TIMES,
    SOON_DAYS,
    STALE_DAYS,
    TOP,
    WEEKS_BEFORE,
    Digest,
    ModelShare,
    Outlier,
    Raise,
)
from spendgate.money import short_dollars
from spendgate.plural import counted
from spendgate.window import local_date

ROWS_MAX: Final = 10
"""Of each table; what is left out is counted."""
_PEOPLE_MAX: Final = 6


class Section(Struct, frozen=True):
    """A heading, a table under it, and lines under that. A section without either is left out."""

    title: str
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    lines: tuple[str, ...] = ()


def title(digest: Digest) -> str:
    """`AI spend of infra, 2026-11-16 to 2026-11-22 (Europe/Berlin)`."""
    of = f" of {digest.team}" if digest.team else ""
    return f"AI spend{of}, {digest.first_day} to {digest.last_day} ({digest.timezone})"


def headline(digest: Digest) -> str:
    """One sentence: how much, by how many, against the week before, and what refusals held back."""
    calls = f"{counted(digest.calls, 'call')} of {_persons(digest.people)}"
    held = f"; refusals held back {short_dollars(digest.held_back_nanos)}" if digest.refused else ""
    return f"{short_dollars(digest.spent_nanos)} spent, {changed(digest.spent_nanos, digest.before_nanos)}, in {calls}{held}"


def changed(now: int, before: int) -> str:
    """`14% more than the week before`; in whole percent, rounded down."""
    if not before:
        return "nothing the week before" if now else "as the week before"
    percent = 100 * abs(now - before) // before
    if not percent:
        return "as the week before"
    return f"{percent}% {'more' if now > before else 'less'} than the week before ({short_dollars(before)})"


def sections(digest: Digest) -> tuple[Section, ...]:
    """The whole digest, in the order in which it is read."""
    found = (
        _spenders(digest),
        _outliers(digest),
        _models(digest),
        _budgets(digest),
        _raised(digest),
        _refused(digest),
        _keys(digest),
        _prices(digest),
    )
    return tuple(each for each in found if each.rows or each.lines)


def _cut(rows: Sequence[tuple[str, ...]]) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    more = len(rows) - ROWS_MAX
    return tuple(rows[:ROWS_MAX]), (f"… and {more:,} more",) if more > 0 else ()


def _spenders(digest: Digest) -> Section:
    rows = tuple(
        (
            each.person,
            short_dollars(each.spent_nanos),
            changed(each.spent_nanos, each.before_nanos),
            counted(each.calls, "call"),
        )
        for each in digest.spenders
    )
    lines = () if rows else ("Nobody spent anything.",)
    return Section(f"Top {TOP} spenders", ("who", "spent", "change", "calls"), rows, lines)


def _outliers(digest: Digest) -> Section:
    rows, lines = _cut([(each.person, short_dollars(each.spent_nanos), _unlike(each)) for each in digest.outliers])
    if rows:
        rule = (
            f"An outlier has spent {OUTLIER_TIMES} times the median of their own weeks of the {WEEKS_BEFORE} before, and at "
            f"least {short_dollars(OUTLIER_MORE_NANOS)} more than it."
        )
        lines = (*lines, rule)
    return Section("Outliers", ("who", "spent", "usually"), rows, lines)


def _unlike(each: Outlier) -> str:
    if each.median_nanos is None:
        return f"nothing in the {WEEKS_BEFORE} weeks before"
    return f"{short_dollars(each.median_nanos)} a week (median of {each.weeks})"


def _models(digest: Digest) -> Section:
    rows = tuple(
        (each.model, _percent(each.share), _points(each), short_dollars(each.spent_nanos), counted(each.calls, "call"))
        for each in digest.models
    )
    of = "money" if digest.spent_nanos else "calls"
    return Section("Models", ("model", f"share of the {of}", "change", "spent", "calls"), rows)


def _percent(tenths: int) -> str:
    return f"{tenths // 10}.{tenths % 10}%"


def _points(each: ModelShare) -> str:
    change = each.share - each.before_share
    if not change:
        return "as before"
    return f"{'+' if change > 0 else '-'}{abs(change) // 10}.{abs(change) % 10} points"


def _budgets(digest: Digest) -> Section:
    rows, lines = _cut(
        [
            (
                f"{each.budget}{f' of {each.value}' if each.value else ''}",
                f"{short_dollars(each.spent_nanos)} of {short_dollars(each.limit_nanos)}",
                "spent" if each.spent_nanos >= each.limit_nanos else f"gone on {each.gone_on}",
                f"resets {each.resets_on}",
            )
            for each in digest.budgets
        ]
    )
    lines = (*lines, *_lasting(digest.budgets_lasting, others=bool(rows)))
    return Section(
        "Budgets that end early, as they stand now", ("budget", "spent", "projected end", "resets"), rows, lines
    )


def _lasting(allowances: int, *, others: bool) -> Iterator[str]:
    """What is said of those that do not end early."""
    if allowances == 1:
        yield f"{'One other' if others else 'The one allowance'} lasts until it resets, at the pace so far."
    elif allowances:
        of = "others" if others else "allowances, which is all of them,"
        yield f"{allowances:,} {of} last until they reset, at the pace so far."


def _raised(digest: Digest) -> Section:
    rows, lines = _cut([_raise(each, digest.timezone) for each in digest.raised])
    headings = ("what", "budget", "for", "more", "used", "until", "why")
    return Section(f"Exceptions and grants (! ends within {SOON_DAYS} days)", headings, rows, lines)


def _raise(each: Raise, zone: str) -> tuple[str, ...]:
    more = f"limit {short_dollars(each.limit_nanos or 0)}" if each.add_nanos is None else short_dollars(each.add_nanos)
    until = f"{local_date(zone, each.until_ms - 1)}{' !' if each.ends_soon else ''}"
    return (
        each.kind,
        each.budget,
        each.whom,
        more,
        f"{short_dollars(each.used_nanos)} used",
        until,
        f"{each.reason} ({each.by})",
    )


def _refused(digest: Digest) -> Section:
    rows, lines = _cut(
        [
            (
                each.rule,
                each.why,
                f"{counted(each.calls, 'call')} of {_persons(each.people)}",
                f"{short_dollars(each.held_back_nanos)} held back",
            )
            for each in digest.refused
        ]
    )
    if rows:
        lines = (*lines, "Held back is what each request would have held; one that was asked again counts once.")
    lines = (
        *lines,
        *(
            f"{rule} would have refused {counted(calls, 'call')}, {short_dollars(nanos)}."
            for rule, calls, nanos in digest.would_refuse[:ROWS_MAX]
        ),
    )
    return Section("Refusals", ("rule", "why", "calls", "stopped"), rows, lines)


def _keys(digest: Digest) -> Section:
    rows, lines = _cut([(each.api_key, _people(each.people), short_dollars(each.spent_nanos)) for each in digest.keys])
    return Section("Keys used by more than one person", ("key", "who", "spent"), rows, lines)


def _persons(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def _people(people: tuple[str, ...]) -> str:
    more = len(people) - _PEOPLE_MAX
    return ", ".join(people[:_PEOPLE_MAX]) + (f" and {more} more" if more > 0 else "")


def _prices(digest: Digest) -> Section:
    prices = digest.prices
    stale = f": stale, older than {STALE_DAYS} days (pricing.updates: daily fetches newer ones)" if prices.stale else ""
    lines = [f"Prices: {prices.said}{stale}."]
    lines += [
        f"No list prices {model}: {counted(calls, 'call')}, {short_dollars(nanos)} by unknown_model."
        for model, calls, nanos in digest.guessed[:ROWS_MAX]
    ]
    if digest.estimated_nanos:
        lines.append(
            f"{short_dollars(digest.estimated_nanos)} of it is estimated: no provider has reported those counts."
        )
    return Section("Prices and guesses", lines=tuple(lines))


def end(digest: Digest) -> str:
    """The last line: where it was made, and who answers for it."""
    return f"On the machine {digest.machine}, policy {digest.policy_hash}; {digest.owner} answers for it. More: spendgate digest"
