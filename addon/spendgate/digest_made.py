"""How a digest comes about from what calls add up to. Pure.

An outlier is somebody who spent at least three times the median of their own earlier weeks, and at least $20 more than it. The
weeks are those of the eight before in which they spent something; of fewer than three nothing is said. Somebody who spent $20 or
more for the first time in nine weeks is one, too, where the ledger has spend in three of those before. A median is what one wild
week does not move.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from spendgate.digest import (
    MODELS,
    OUTLIER_MORE_NANOS,
    OUTLIER_TIMES,
    TOP,
    WEEKS_LEAST,
    Digest,
    Gathered,
    ModelShare,
    Outlier,
    Refused,
    SharedKey,
    Spender,
    Stopped,
    Sums,
    of_team,
)
from spendgate.model_names import family
from spendgate.policy import Policy
from spendgate.window import Bounds, local_date


def digest_of(found: Gathered, policy: Policy, week: Bounds, *, team: str = "", guess: str) -> Digest:
    """The digest of everybody, or of a team with its children. `guess` is what a row's `prices` says where the policy guessed."""
    mine = of_team(policy, team)
    sums = [each for each in found.sums if mine(each.person, each.team)]
    before = [each for each in found.before if mine(each.person, each.team)]
    stopped = [each for each in found.stopped if mine(each.person, each.team)]
    zone, ends_ms = policy.timezone, week.ends_ms or week.starts_ms
    spenders = _spenders(sums, before)
    ending = [each for each in found.budgets if each.gone_on is not None]
    return Digest(
        team=team,
        machine=found.machine,
        timezone=zone,
        policy_hash=policy.hash,
        owner=policy.owner,
        starts_ms=week.starts_ms,
        ends_ms=ends_ms,
        first_day=local_date(zone, week.starts_ms),
        last_day=local_date(zone, ends_ms - 1),
        people=len({each.person for each in sums}),
        calls=sum(each.calls for each in sums),
        spent_nanos=sum(each.cost_nanos for each in sums),
        before_nanos=sum(each.cost_nanos for each in before),
        spenders=spenders[:TOP],
        outliers=_outliers(spenders, found.earlier),
        models=_models(sums, before),
        budgets=tuple(sorted(ending, key=lambda each: (each.gone_on, -each.spent_nanos, each.budget, each.value))),
        budgets_lasting=len(found.budgets) - len(ending),
        raised=found.raised,
        prices=found.prices,
        guessed=_guessed(sums, guess),
        estimated_nanos=sum(each.estimated_nanos for each in sums),
        keys=_keys(sums),
        refused=_refused(stopped),
        would_refuse=_would_refuse(sums),
    )


def _spenders(sums: Iterable[Sums], before: Iterable[Sums]) -> tuple[Spender, ...]:
    """Everybody who spent something, dearest first."""
    spent: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for each in sums:
        spent[each.person][0] += each.cost_nanos
        spent[each.person][1] += each.calls
    was: dict[str, int] = defaultdict(int)
    for each in before:
        was[each.person] += each.cost_nanos
    found = [Spender(person, calls, nanos, was[person]) for person, (nanos, calls) in spent.items() if nanos > 0]
    return tuple(sorted(found, key=lambda each: (-each.spent_nanos, each.person)))


def _outliers(spenders: Iterable[Spender], earlier: Sequence[Mapping[str, int]]) -> tuple[Outlier, ...]:
    has_past = sum(any(nanos > 0 for nanos in week.values()) for week in earlier) >= WEEKS_LEAST
    found = []
    for each in spenders:
        weeks = sorted(nanos for week in earlier if (nanos := week.get(each.person, 0)) > 0)
        if not weeks and has_past and each.spent_nanos >= OUTLIER_MORE_NANOS:
            found.append(Outlier(each.person, each.spent_nanos, None, 0))
        if len(weeks) >= WEEKS_LEAST:
            middle = median(weeks)
            more = each.spent_nanos - middle
            if each.spent_nanos >= OUTLIER_TIMES * middle and more >= OUTLIER_MORE_NANOS:
                found.append(Outlier(each.person, each.spent_nanos, middle, len(weeks)))
    return tuple(found)


def median(ordered: Sequence[int]) -> int:
    """Of sorted numbers; between two middle ones, their mean rounded down."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) // 2


def _models(sums: Iterable[Sums], before: Iterable[Sums]) -> tuple[ModelShare, ...]:
    now, was = _by_model(sums), _by_model(before)
    shares, before_shares = _shares(now), _shares(was)
    found = [
        ModelShare(model, calls, nanos, shares[model], before_shares.get(model, 0))
        for model, (nanos, calls) in now.items()
    ]
    found += [ModelShare(model, 0, 0, 0, share) for model, share in before_shares.items() if model not in now]
    ordered = sorted(found, key=lambda each: (-each.share, -each.spent_nanos, -each.before_share, each.model))
    return tuple(ordered[:MODELS])


def _by_model(sums: Iterable[Sums]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for each in sums:
        model = family(each.model) if each.model else "unknown"
        nanos, calls = found.get(model, (0, 0))
        found[model] = nanos + each.cost_nanos, calls + each.calls
    return {model: sums for model, sums in found.items() if any(sums)}


def _shares(by_model: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """In tenths of a percent of the money, or of the calls where no call cost anything."""
    paid = sum(nanos for nanos, _ in by_model.values())
    total = paid or sum(calls for _, calls in by_model.values())
    return {model: 1000 * (nanos if paid else calls) // total for model, (nanos, calls) in by_model.items() if total}


def _guessed(sums: Iterable[Sums], guess: str) -> tuple[tuple[str, int, int], ...]:
    found: dict[str, tuple[int, int]] = {}
    for each in sums:
        if each.prices and guess in each.prices and each.cost_nanos:
            calls, nanos = found.get(each.model or "unknown", (0, 0))
            found[each.model or "unknown"] = calls + each.calls, nanos + each.cost_nanos
    return tuple(sorted(((model, *pair) for model, pair in found.items()), key=lambda each: (-each[2], each[0])))


def _keys(sums: Iterable[Sums]) -> tuple[SharedKey, ...]:
    people: dict[str, set[str]] = defaultdict(set)
    spent: dict[str, int] = defaultdict(int)
    for each in sums:
        if each.api_key and each.calls:
            people[each.api_key].add(each.person)
            spent[each.api_key] += each.cost_nanos
    found = [SharedKey(key, tuple(sorted(who)), spent[key]) for key, who in people.items() if len(who) > 1]
    return tuple(sorted(found, key=lambda each: (-len(each.people), -each.spent_nanos, each.api_key)))


def _refused(stopped: Iterable[Stopped]) -> tuple[Refused, ...]:
    found: dict[tuple[str, str], list[Stopped]] = defaultdict(list)
    for each in stopped:
        found[each.rule, each.why].append(each)
    rows = [
        Refused(
            rule, why, len({each.person for each in own}), sum(each.calls for each in own),
            sum(each.requests for each in own), sum(each.held_back_nanos for each in own),
        )
        for (rule, why), own in found.items()
    ]  # fmt: skip
    return tuple(sorted(rows, key=lambda each: (-each.held_back_nanos, -each.calls, each.rule, each.why)))


def _would_refuse(sums: Iterable[Sums]) -> tuple[tuple[str, int, int], ...]:
    found: dict[str, tuple[int, int]] = {}
    for each in sums:
        if each.would_refuse_by:
            calls, nanos = found.get(each.would_refuse_by, (0, 0))
            found[each.would_refuse_by] = calls + each.calls, nanos + each.cost_nanos
    return tuple(sorted(((rule, *pair) for rule, pair in found.items()), key=lambda each: (-each[2], each[0])))
