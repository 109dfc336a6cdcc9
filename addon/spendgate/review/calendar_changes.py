"""What another timezone, week or fiscal year does to spending, in words: windows are cut elsewhere once it takes force.

The window that runs is cut anew, too: it counts from its other beginning on. Where that is earlier, what was spent in between
counts in it, so that less is left; where it is later, that is not counted any more, so that more is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from spendgate.draws import Draw
from spendgate.policy import Policy
from spendgate.review.changes import Change, Effect
from spendgate.review.everybody import Pair
from spendgate.review.reach import counts, people_in_words
from spendgate.window import MONTHS, WEEKDAYS, Bounds, Calendar, Unit, Window, bounds, zone_of

_MINUTE_MS: Final = 60_000
_PARTS: Final = (("d", 24 * 60), ("h", 60), ("min", 1))
_DAY: Final = Window(Unit.DAY)


@dataclass(frozen=True, slots=True)
class _Cut:
    """Windows of one kind that another calendar cuts: whose, and which calendars."""

    whose: str
    window: Window
    was: Calendar
    now: Calendar


def calendars(old: Policy, new: Policy, everybody: tuple[Pair, ...], now_ms: int) -> Iterator[Change]:
    """Each word that differs, and for each kind of window that budgets keep what is the window that runs at `now_ms`: also of
    those who have another team's calendar from now on."""
    for where, text in _words(old, new, now_ms):
        yield Change(Effect.OTHER, where, text)
    cuts: dict[_Cut, list[str]] = {}
    befores = {draw.name: draw for draw, _ in old.draws}
    for draw, _ in new.draws:
        was = befores.get(draw.name)
        if was is not None and was.window == draw.window:
            drawing = _drawing(was, draw, (old, new), everybody)
            for cut in (*_cuts(was, draw, drawing), *_moved(was, draw, (old, new), everybody)):
                cuts.setdefault(cut, []).append(draw.name)
    for cut, names in cuts.items():
        before, after = (bounds(cut.window, calendar, now_ms) for calendar in (cut.was, cut.now))
        if (before.starts_ms, before.ends_ms) != (after.starts_ms, after.ends_ms):
            named = f"budget{'s' if len(names) > 1 else ''} {people_in_words(names)}"
            yield Change(Effect.EITHER, "timezone", f"{cut.whose}: {_cut_anew(cut, named, before, after)}")


def _drawing(
    was: Draw, now: Draw, policies: tuple[Policy, Policy], everybody: tuple[Pair, ...]
) -> frozenset[str] | None:
    """The teams, `""` for none, of all whom the budget counts, before or after; None where no team has a calendar of its own."""
    if not (was.team_calendars or now.team_calendars):
        return None
    sides = [next(each for each in policy.budgets if each.name == now.name) for policy in policies]
    return frozenset(
        next(iter(facts.values.get("team", ())), "")
        for pair in everybody
        for budget, facts in zip(sides, (pair.was, pair.now), strict=True)
        if facts is not None and counts(budget, facts)
    )


def _cuts(was: Draw, now: Draw, drawing: frozenset[str] | None) -> Iterator[_Cut]:
    """Whose windows the calendars cut; none of somebody whom the budget does not count."""
    if now.window is None or now.window.unit is Unit.ROLLING:
        return
    teams = [team for team in dict.fromkeys((*was.team_calendars, *now.team_calendars)) if team in (drawing or ())]
    own = [team for team in teams if team in was.team_calendars and team in now.team_calendars]
    if was.calendar != now.calendar and (drawing is None or drawing - set(own)):
        but = f" but for {people_in_words(own)}, with a timezone of their own" if own else ""
        yield _Cut(f"everybody{but}", now.window, was.calendar, now.calendar)
    for team in teams:
        before, after = (each.team_calendars.get(team, each.calendar) for each in (was, now))
        if before != after and (before, after) != (was.calendar, now.calendar):
            yield _Cut(f"team {team}", now.window, before, after)


def _moved(was: Draw, now: Draw, policies: tuple[Policy, Policy], everybody: tuple[Pair, ...]) -> Iterator[_Cut]:
    """Whose own allowance another team's calendar cuts, since the team of that person is another one."""
    sides = [next(each for each in policy.budgets if each.name == now.name) for policy in policies]
    if not (was.team_calendars or now.team_calendars) or any("person" not in each.per for each in sides):
        return
    found: dict[tuple[Calendar, Calendar], list[str]] = {}
    for pair in everybody:
        if pair.was is None or pair.now is None or not (counts(sides[0], pair.was) and counts(sides[1], pair.now)):
            continue
        teams = [next(iter(facts.values.get("team", ())), "") for facts in (pair.was, pair.now)]
        before, after = (
            draw.team_calendars.get(team, draw.calendar) for draw, team in zip((was, now), teams, strict=True)
        )
        if teams[0] != teams[1] and before != after:
            found.setdefault((before, after), []).append(pair.name)
    if now.window is not None and now.window.unit is not Unit.ROLLING:
        yield from (_Cut(people_in_words(names), now.window, *cut) for cut, names in found.items())


def _cut_anew(cut: _Cut, named: str, before: Bounds, after: Bounds) -> str:
    zone = cut.now.zone
    later = after.starts_ms - before.starts_ms
    unit = cut.window.unit.value
    text = f"the {unit} that runs now in {named} "
    if later:
        text += f"counts from {_at(after.starts_ms, zone)} on, was {_at(before.starts_ms, zone)}: "
        text += (
            "what was spent in between is not counted any more, so more is left"
            if later > 0
            else "what was spent in between counts in it, too, so less is left"
        )
    else:
        text += f"begins as before, at {_at(after.starts_ms, zone)}"
    if after.ends_ms is not None and before.ends_ms is not None and after.ends_ms != before.ends_ms:
        text += f"; it ends {_at(after.ends_ms, zone)}, {_length(after.ends_ms - before.ends_ms)}"
    return text


def _words(old: Policy, new: Policy, now_ms: int) -> Iterator[tuple[str, str]]:
    """Of each key how it was written and is."""
    if old.timezone != new.timezone:
        starts = [bounds(_DAY, Calendar(policy.timezone), now_ms).starts_ms for policy in (old, new)]
        shift = _nearest(starts[1] - starts[0])
        when = f"begin and end {_length(shift)}" if shift else "begin and end as before today"
        text = f"timezone: {old.timezone} -> {new.timezone}: days, weeks and all other windows of the calendar {when}"
        yield "timezone", f"{text}; {_SO_DO}"
    if old.week_starts != new.week_starts:
        yield "week_starts", f"a week begins on: {WEEKDAYS[old.week_starts]} -> {WEEKDAYS[new.week_starts]}"
    if old.fiscal_month != new.fiscal_month:
        months = f"{MONTHS[old.fiscal_month - 1]} -> {MONTHS[new.fiscal_month - 1]}"
        yield "fiscal_year_starts", f"the fiscal year begins in: {months}"


_SO_DO: Final = (
    "so do the days that exceptions, prices, listings and the file have, and the hours of alerts;"
    " windows that slide do not"
)


def _nearest(shift_ms: int) -> int:
    """Of two days that begin so far apart, how far the same day does: dates differ between zones for some hours each day."""
    day = 24 * 60 * _MINUTE_MS
    return (shift_ms + day // 2) % day - day // 2


def _length(ms: int) -> str:
    """`6 h later`, `1 d 30 min earlier`."""
    left, parts = abs(ms) // _MINUTE_MS, []
    for name, minutes in _PARTS:
        if count := left // minutes:
            parts.append(f"{count} {name}")
        left %= minutes
    return f"{' '.join(parts)} {'later' if ms > 0 else 'earlier'}"


def _at(ms: int, zone: str) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone_of(zone)).strftime("%Y-%m-%d %H:%M %Z")
