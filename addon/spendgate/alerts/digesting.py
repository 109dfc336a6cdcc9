"""Reads what a digest is made of, by the policy in force, grants included."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from spendgate.budget import Budget
from spendgate.digest import WEEKS_BEFORE, BudgetEnd, Gathered, Prices, Raise, Sums, gone_on, of_team, soon, week_before
from spendgate.draws import Draw
from spendgate.exceptions import BudgetException, Extra, Granted
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span
from spendgate.ledger.spending import Spend
from spendgate.policy import Policy, person_then
from spendgate.selector import Facts
from spendgate.standing import Scope, Standing
from spendgate.window import Bounds, Unit, local_date, zone_of

ALLOWANCES_MAX: Final = 500
"""Of one budget so many allowances are looked at, the most spent ones."""
_DAYS_LEAST: Final = (Unit.WEEK, Unit.MONTH, Unit.QUARTER, Unit.YEAR)
"""Windows long enough for a day on which their budget is gone to mean something."""
_BY: Final = ("person", "team", "model", "api_key", "prices", "would_refuse_by")


def gathered(
    policy: Policy, reader: Reader, week: Bounds, now_ms: int, *, prices: Prices, machine: str, team: str = ""
) -> Gathered:
    """What the digest of this week takes, from a ledger as it is now."""
    zone = zone_of(policy.timezone)
    weeks = [week]
    for _ in range(WEEKS_BEFORE):
        weeks.append(week_before(policy, weeks[-1]))
    spans = [Span(since_ms=each.starts_ms, until_ms=each.ends_ms) for each in weeks]
    earlier = []
    for span in spans[1:]:
        spent: dict[str, int] = defaultdict(int)
        for each in reader.spend(("person",), span, zone):
            spent[each.key[0] or ""] += each.cost_nanos
        earlier.append(spent)
    return Gathered(
        sums=_sums(reader.spend(_BY, spans[0], zone)),
        before=_sums(reader.spend(_BY[:3], spans[1], zone)),
        earlier=tuple(earlier),
        stopped=reader.stopped(spans[0]),
        raised=tuple(_raised(policy, reader, week, now_ms, team)),
        budgets=tuple(_budgets(policy, reader, machine, now_ms, team)),
        prices=prices,
        machine=machine,
    )


def _sums(found: tuple[Spend, ...]) -> tuple[Sums, ...]:
    found_sums = []
    for each in found:
        named = dict(zip(_BY, each.key, strict=False))  # the week before is asked for less
        if each.calls:
            found_sums.append(
                Sums(
                    named["person"] or "", named["team"], named["model"], named.get("api_key"), named.get("prices"),
                    named.get("would_refuse_by"), each.calls, each.cost_nanos, each.not_reported_nanos,
                )
            )  # fmt: skip
    return tuple(found_sums)


# -- budgets --------------------------------------------------------------------------------------------------------


def _budgets(policy: Policy, reader: Reader, machine: str, now_ms: int, team: str) -> Iterator[BudgetEnd]:
    """Each allowance with something in its window, of the budgets whose windows are of a week and more."""
    for budget, (draw, _) in zip(policy.budgets, policy.draws, strict=True):
        if budget.window is None or budget.window.unit not in _DAYS_LEAST:
            continue
        for value, window, words in reader.running(budget.name, now_ms)[:ALLOWANCES_MAX]:
            facts = _facts(policy, budget, value, machine, now_ms)
            if facts is None or not _concerns(policy, budget, facts, team):
                continue
            scopes: list[Scope] = []
            draw.add_scopes(scopes, facts, now_ms, True)
            mine = [each for each in scopes if each.balance == (budget.name, value, window, words, 0)]
            for standing in reader.standings(tuple(mine), now_ms):
                yield _end(draw, facts, standing, now_ms)


def _end(draw: Draw, facts: Facts, standing: Standing, now_ms: int) -> BudgetEnd:
    scope, spent, limit_nanos = standing.scope, standing.settled_nanos, standing.limit_nanos
    team = facts.values.get("team", ("",))[0]
    zone = draw.team_calendars[team].zone if team in draw.team_calendars else draw.calendar.zone
    gone = gone_on(zone, Bounds(scope.window, scope.starts_ms, scope.ends_ms), spent, limit_nanos, now_ms)
    resets = local_date(zone, scope.ends_ms or now_ms)
    return BudgetEnd(scope.budget, scope.value.replace("|", ", "), scope.window, spent, limit_nanos, gone, resets)


def _facts(policy: Policy, budget: Budget, value: str, machine: str, now_ms: int) -> Facts | None:
    """A call of this allowance, as far as it is known; None: the value is of another `per`."""
    parts = value.split("|") if len(budget.per) > 1 else [value] if budget.per else []
    if len(parts) != len(budget.per):
        return None
    if len(parts) > 1:
        parts = [part.replace("%7C", "|").replace("%25", "%") for part in parts]
    own = dict(zip(budget.per, parts, strict=True))
    who = person_then(policy, own["person"], None, own.get("machine", machine), now_ms) if "person" in own else None
    more = {name: text for name, text in own.items() if name not in ("team", "group", "model")}
    named = policy.roster.team_by_name.get(own.get("team", ""))
    team = named.lineage if named else who.team if who else own.get("team")
    return Facts.of(model=own.get("model"), team=team, group=own.get("group") or (who.groups if who else None), **more)


def _concerns(policy: Policy, budget: Budget, facts: Facts, team: str) -> bool:
    """Whether the allowance is the team's, or of somebody in it."""
    own = facts.values.get("team", ()) or tuple(budget.match.texts("team"))
    return not team or any(of_team(policy, team)("", each) for each in own)


# -- what raises them -----------------------------------------------------------------------------------------------


def _raised(policy: Policy, reader: Reader, week: Bounds, now_ms: int, team: str) -> Iterator[Raise]:
    """Those that held in the week or hold now, and were used or are about to end; the first to end first."""
    found = []
    for draw, _ in policy.draws:
        for extra in draw.extras:
            spec = extra.spec
            held = spec.from_ms < (week.ends_ms or now_ms) and spec.until_ms > week.starts_ms
            if (held or spec.holds(now_ms)) and _about(policy, spec, team):
                used = _used(reader, draw, extra)
                near = soon(policy.timezone, spec.until_ms, now_ms)
                if used or near:
                    found.append(_raise(spec, used, near))
    yield from sorted(found, key=lambda each: (each.until_ms, each.budget, each.whom))


def _used(reader: Reader, draw: Draw, extra: Extra) -> int:
    """What was spent under it, of what it adds: the sum over all windows and allowances."""
    most = extra.spec.add_nanos
    sums = [nanos for name, words in draw.tallies_of(extra) for nanos in reader.tallied(name, words)]
    return sum(min(nanos, most) if most is not None else nanos for nanos in sums)


def _raise(spec: BudgetException, used: int, near: bool) -> Raise:
    data: Mapping[str, tuple[str, ...] | list[str]] = spec.match.as_data()
    whom = ", ".join(f"{name} {' or '.join(texts)}" for name, texts in data.items()) or "everybody"
    kind = "grant" if isinstance(spec, Granted) else "exception"
    reason = spec.reason.removesuffix(f" (grant {spec.grant})") if isinstance(spec, Granted) else spec.reason
    return Raise(
        kind, spec.budget, whom, spec.add_nanos, spec.limit_nanos, used, spec.until_ms, reason, spec.approved_by, near
    )


def _about(policy: Policy, spec: BudgetException, team: str) -> bool:
    """Whether it is the team's: it names the team, one below it, or somebody of theirs."""
    if not team:
        return True
    listed = [policy.roster.listed(name) for name in spec.match.texts("person")]
    names = (*spec.match.texts("team"), *(person.team for person in listed if person is not None and person.team))
    return any(of_team(policy, team)("", name) for name in names)
