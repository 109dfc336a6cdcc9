"""What a change of a policy does, in words: who may spend more or less, who gains or loses which models, what is decrypted.

Every difference is told: what no sentence of its own covers is told by its path. So no change is silent, and two policies
without a line between them are the same policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any, Final

from spendgate.budget import Budget
from spendgate.money import short_dollars
from spendgate.policy import Host, Policy
from spendgate.review.agreed import agreed
from spendgate.review.alert_changes import alert_changes
from spendgate.review.changes import Change, Effect, limit, selector_text, value_text, whom
from spendgate.review.flows import exceptions, rates
from spendgate.review.reach import Subject, people_in_words, reaches, refused_models, subjects

__all__ = ["Change", "Effect", "diff"]

_MODELS_SHOWN: Final = 8


def diff(old: Policy, new: Policy, today: date, models: Iterable[str]) -> tuple[Change, ...]:
    """Every change from `old` to `new`, by effect. `models` are the names that access is compared by."""
    if old.hash == new.hash:
        return ()
    before, after = subjects(old, today), subjects(new, today)
    found = [
        *_capture(old, new),
        *_power(old, new),
        *_budgets(old, new, before, after),
        *exceptions(old, new, before, after),
        *rates(old, new, before, after),
        *_models(old, new, before, after, tuple(models)),
        *_people(old, new),
        *agreed(old, new),
        *alert_changes(old, new),
    ]
    found += _rest(old, new, {change.where for change in found})
    if not found:
        found = [Change(Effect.OTHER, "order", "the order of rules alone: which of several a refusal names")]
    order = list(Effect)
    return tuple(sorted(found, key=lambda change: order.index(change.effect)))


# -- what is decrypted ----------------------------------------------------------------------------------------------


def _capture(old: Policy, new: Policy) -> Iterator[Change]:
    before, after = old.capture, new.capture
    if before.providers != after.providers:
        text = f"providers: {_names(before.providers, 'all that are known')} -> {_names(after.providers, 'all that are known')}"
        yield Change(Effect.DECRYPTS, "capture.providers", text)
    hosts = {host.host: host for host in before.hosts}, {host.host: host for host in after.hosts}
    for name in sorted(hosts[0].keys() | hosts[1].keys()):
        was, now = hosts[0].get(name), hosts[1].get(name)
        if was != now:
            what = (
                "is decrypted from now on"
                if was is None
                else "is no longer decrypted"
                if now is None
                else "is read otherwise"
            )
            yield Change(Effect.DECRYPTS, "capture.hosts", f"{name} {what}: {_host(was)} -> {_host(now)}")
    if before.never != after.never:
        gone, added = set(before.never) - set(after.never), set(after.never) - set(before.never)
        parts = [f"{name} may be decrypted from now on" for name in sorted(gone)]
        parts += [f"{name} is never decrypted from now on" for name in sorted(added)]
        yield Change(Effect.DECRYPTS, "capture.never", "; ".join(parts) or "the order of never")
    for key in ("browsers", "stream_usage"):
        was_word, word = getattr(before, key), getattr(after, key)
        if was_word != word:
            yield Change(Effect.DECRYPTS, f"capture.{key}", f"{key}: {was_word} -> {word}")


def _names(names: tuple[str, ...] | None, every: str) -> str:
    return every if names is None else ", ".join(names)


def _host(host: Host | None) -> str:
    if host is None:
        return "not captured"
    return ", ".join(part for part in (host.dialect, host.prices, host.billing) if part)


# -- what a refusal is worth ----------------------------------------------------------------------------------------


def _power(old: Policy, new: Policy) -> Iterator[Change]:
    if old.mode != new.mode:
        yield Change(Effect.POWER, "mode", f"mode: {_mode(old)} -> {_mode(new)}")
    if old.on_failure != new.on_failure:
        text = f"while the gate cannot decide: {_failure(old)} -> {_failure(new)}"
        yield Change(Effect.POWER, "on_failure", text)
    if old.refusals != new.refusals:
        yield Change(Effect.POWER, "refusals", f"refusals: {old.refusals} -> {new.refusals}")


def _mode(policy: Policy) -> str:
    chosen = [selector_text(selector.as_data()) for selector in policy.mode.enforce]
    return policy.mode.default + (f", enforced for {'; '.join(chosen)}" if chosen else "")


def _failure(policy: Policy) -> str:
    limit = policy.on_failure.limit_nanos
    return policy.on_failure.action + (f" up to {short_dollars(limit)} per person" if limit is not None else "")


# -- money ----------------------------------------------------------------------------------------------------------


def _budgets(old: Policy, new: Policy, before: tuple[Subject, ...], after: tuple[Subject, ...]) -> Iterator[Change]:
    was_by, now_by = ({budget.name: budget for budget in policy.budgets} for policy in (old, new))
    for name in dict.fromkeys((*was_by, *now_by)):
        was, now = was_by.get(name), now_by.get(name)
        if was is None and now is not None:
            text = f"{whom(now, after)}: limited anew to {limit(now)}{_words(now)}"
            yield Change(Effect.LESS, f"budgets.{name}", text)
        elif was is not None and now is None:
            text = f"{whom(was, before)}: the limit of {limit(was)} is gone{_words(was)}"
            yield Change(Effect.MORE, f"budgets.{name}", text)
        elif was is not None and now is not None and _plain(was) != _plain(now):
            yield from _changed(was, now, before, after)


def _changed(was: Budget, now: Budget, before: tuple[Subject, ...], after: tuple[Subject, ...]) -> Iterator[Change]:
    where = f"budgets.{now.name}"
    if (was.limit_nanos, was.mean) != (now.limit_nanos, now.mean):
        effect = Effect.MORE if _room(now) > _room(was) else Effect.LESS
        yield Change(effect, where, f"{whom(now, after)}: {limit(was)} -> {limit(now)}")
    gone, come = _moved(was, now, before, after)
    if gone:
        yield Change(Effect.MORE, where, f"{people_in_words(gone)}: no longer under {limit(was)}")
    if come:
        yield Change(Effect.LESS, where, f"{people_in_words(come)}: now under {limit(now)}")
    if was.enforce_action != now.enforce_action:
        effect = Effect.LESS if now.enforce_action else Effect.MORE
        text = f"{whom(now, after)}: {limit(now)} {'refuses' if now.enforce_action else 'only warns'} from now on"
        yield Change(effect, where, text)
    yield from _counts(was, now, whom(now, after))
    told = {"limit_nanos", "mean", "counts", "per_machine_nanos", "enforce_action", "order", "alerts"}
    if (gone or come) and was.match.as_data() == now.match.as_data():
        told.add("excepted")
    rest = [
        f"{_KEYS.get(key, key)}: {value_text(was_value, key)} -> {value_text(now_value, key)}"
        for key, was_value, now_value in _pairs(was, now)
        if key not in told
    ]
    if rest:
        yield Change(Effect.OTHER, where, f"{now.name}: {'; '.join(rest)}")


def _room(budget: Budget) -> tuple[int, bool, int, int]:
    """What a limit allows, for comparing two: the most that it can be, whether it is always that, and what moves it."""
    mean = budget.mean
    if mean is None:
        return budget.limit_nanos, True, 0, 0
    return budget.limit_nanos, False, mean.thousandths, mean.at_least_nanos


def _counts(was: Budget, now: Budget, people: str) -> Iterator[Change]:
    where = f"budgets.{now.name}"
    if was.counts != now.counts:
        effect = Effect.LESS if now.counts == "value" else Effect.MORE
        what = "counts" if now.counts == "value" else "no longer counts"
        yield Change(effect, where, f"{people}: {now.name} {what} subscription traffic at list price")
    before, after = was.per_machine_nanos, now.per_machine_nanos
    if before != after:
        effect = Effect.LESS if after is not None and (before is None or after < before) else Effect.MORE
        amounts = [short_dollars(each) if each is not None else "the whole limit" for each in (before, after)]
        text = (
            f"one machine without the fleet's ledger: {amounts[0]} -> {amounts[1]} of {now.name}, once there is a hub"
        )
        yield Change(effect, where, text)


_KEYS = {"excepted": "except", "wait_ms": "wait"}


def _moved(
    was: Budget, now: Budget, before: tuple[Subject, ...], after: tuple[Subject, ...]
) -> tuple[list[str], list[str]]:
    """Whom the budget no longer reaches, and whom it reaches now, of those who are there on both sides."""
    old_side = {subject.name for subject in before if reaches(was.match, was.excepted, subject.facts)}
    new_side = {subject.name for subject in after if reaches(now.match, now.excepted, subject.facts)}
    both = {subject.name for subject in before} & {subject.name for subject in after}
    return sorted((old_side - new_side) & both), sorted((new_side - old_side) & both)


def _plain(budget: Budget) -> dict[str, Any]:
    return budget.model_dump(mode="json", exclude={"order"})


def _pairs(was: Budget, now: Budget) -> Iterator[tuple[str, Any, Any]]:
    before, after = _plain(was), _plain(now)
    for key in dict.fromkeys((*before, *after)):
        if before.get(key) != after.get(key):
            yield key, before.get(key), after.get(key)


def _words(budget: Budget) -> str:
    return "" if budget.enforce_action else ", which only warned"


# -- models ---------------------------------------------------------------------------------------------------------


def _models(
    old: Policy, new: Policy, before: tuple[Subject, ...], after: tuple[Subject, ...], models: tuple[str, ...]
) -> Iterator[Change]:
    if _rules(old) == _rules(new) and old.roster == new.roster:
        return
    then = {subject.name: subject for subject in before}
    groups: dict[tuple[frozenset[str], frozenset[str]], list[str]] = {}
    was_known: dict[object, frozenset[str]] = {}
    now_known: dict[object, frozenset[str]] = {}
    for subject in after:
        if subject.name not in then:
            continue
        was = _refused(old, then[subject.name], models, was_known)
        now = _refused(new, subject, models, now_known)
        if was != now:
            groups.setdefault((was - now, now - was), []).append(subject.name)
    for (gains, loses), names in groups.items():
        parts = [f"gain {_listed(gains)}"] if gains else []
        parts += [f"lose {_listed(loses)}"] if loses else []
        yield Change(Effect.MODELS, "models", f"{people_in_words(names)}: {', '.join(parts)}")


def _refused(
    policy: Policy, subject: Subject, models: tuple[str, ...], known: dict[object, frozenset[str]]
) -> frozenset[str]:
    """As `refused_models`; once for all who differ in nothing that a model rule asks for."""
    values = subject.facts.values
    by_name = any(selector.texts("person") for rule in policy.models for selector in (rule.match, rule.excepted))
    key = (values.get("team"), values.get("group"), values.get("person") if by_name else None)
    if key not in known:
        known[key] = refused_models(policy, subject.facts, models)
    return known[key]


def _rules(policy: Policy) -> list[dict[str, Any]]:
    return [rule.model_dump(mode="json") for rule in policy.models]


def _listed(models: frozenset[str]) -> str:
    every = sorted(models)
    more = f" and {len(every) - _MODELS_SHOWN} more" if len(every) > _MODELS_SHOWN else ""
    return ", ".join(every[:_MODELS_SHOWN]) + more


# -- people ---------------------------------------------------------------------------------------------------------


def _people(old: Policy, new: Policy) -> Iterator[Change]:
    was, now = ({person.name: person for person in policy.roster.people} for policy in (old, new))
    if come := sorted(now.keys() - was.keys()):
        yield Change(Effect.PEOPLE, "people", f"listed from now on: {people_in_words(come)}")
    if gone := sorted(was.keys() - now.keys()):
        yield Change(Effect.PEOPLE, "people", f"no longer listed: {people_in_words(gone)}")
    for name in sorted(was.keys() & now.keys()):
        parts = [
            f"{key}: {value_text(getattr(was[name], key))} -> {value_text(getattr(now[name], key))}"
            for key in ("team", "groups", "accounts", "email", "until")
            if getattr(was[name], key) != getattr(now[name], key)
        ]
        if parts:
            yield Change(Effect.PEOPLE, f"people.{name}", f"{name}: {'; '.join(parts)}")
    if old.roster.unknown is not new.roster.unknown:
        text = f"accounts that are not listed: {old.roster.unknown} -> {new.roster.unknown}"
        yield Change(Effect.PEOPLE, "unknown_people", text)


# -- all else -------------------------------------------------------------------------------------------------------

_EFFECTS: Final = (
    ("privacy", Effect.KEEPS),
    ("validity.revision", Effect.OTHER),
    ("validity", Effect.POWER),
    ("fleet", Effect.POWER),
    ("roster.machines", Effect.PEOPLE),
    ("roster", Effect.PEOPLE),
)
"""What a difference without a sentence of its own is about, by the beginning of its path."""
_TOLD: Final = (
    "capture.", "mode", "on_failure", "refusals", "roster.people", "roster.unknown", "exceptions", "rates", "adjust", "billing.",
    "alerts", "notify", "approvers",
)  # fmt: skip
"""Where every difference has a sentence above."""


def _rest(old: Policy, new: Policy, told: set[str]) -> Iterator[Change]:
    """What differs and no sentence has told, by its path."""
    before, after = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    for path in dict.fromkeys((*before, *after)):
        if (
            before.get(path) == after.get(path)
            or path.startswith(_TOLD)
            or _order_alone(path)
            or path.endswith(".notify")
        ):
            continue
        parts = path.split(".")
        if parts[0] == "budgets" and f"budgets.{parts[1]}" in told:
            continue
        effect = next((effect for begins, effect in _EFFECTS if path.startswith(begins)), Effect.OTHER)
        yield Change(
            effect, path, f"{path}: {value_text(before.get(path), path)} -> {value_text(after.get(path), path)}"
        )


def _order_alone(path: str) -> bool:
    """Rules are told by their names; a place in the file only breaks ties of which one a refusal names."""
    return path.startswith(("budgets.", "models.")) and path.endswith(".order")


def _flat(value: object, path: str = "") -> dict[str, object]:
    """Every leaf by its path; entries of a list that have a name by that name."""
    if isinstance(value, dict):
        return {
            name: leaf
            for key, inner in value.items()
            for name, leaf in _flat(inner, f"{path}.{key}".strip(".")).items()
        }
    if isinstance(value, list) and value and all(isinstance(inner, dict) and "name" in inner for inner in value):
        return {name: leaf for inner in value for name, leaf in _flat(inner, f"{path}.{inner['name']}").items()}
    return {path: value}
