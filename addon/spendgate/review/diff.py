"""What a change of a policy does, in words: who may spend more or less, who gains or loses which models, what is decrypted.

No change is silent: a difference that no sentence of its own covers is told by its path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from spendgate.policy import Policy
from spendgate.review.agreed import agreed
from spendgate.review.alert_changes import alert_changes
from spendgate.review.budget_changes import budgets
from spendgate.review.calendar_changes import calendars
from spendgate.review.changes import Change, Effect, value_text
from spendgate.review.everybody import everybody
from spendgate.review.exception_changes import exceptions
from spendgate.review.flows import rates
from spendgate.review.force_changes import admitted, enforced, fleet, revision, validity
from spendgate.review.gate_changes import capture, power
from spendgate.review.model_changes import models
from spendgate.review.people_changes import people
from spendgate.review.price_changes import Priced, prices
from spendgate.review.reach import subjects
from spendgate.review.renaming import name_changes, renamed, under_new_names
from spendgate.review.staged import People, as_enforced, by_force
from spendgate.window import DAY_MS, day_starts_ms

__all__ = ["Change", "Effect", "diff"]


def diff(
    old: Policy,
    new: Policy,
    today: date,
    names: Iterable[str],
    priced: Priced | None = None,
    *,
    now_ms: int | None = None,
) -> tuple[Change, ...]:
    """Every change from `old` to `new`, by effect. `names` are the models that access is compared by, `priced` their list prices,
    `now_ms` is when the new one takes force: noon of today where it is not given.

    Without `priced` no direction is claimed between a price that is set and the list's."""
    known = tuple(names)
    if old.hash == new.hash:
        return ()
    at_ms = day_starts_ms(new.timezone, today) + DAY_MS // 2 if now_ms is None else now_ms
    names_of = renamed(old, new)
    old = under_new_names(old, names_of) if names_of else old
    before, after = subjects(old, today), subjects(new, today)
    who = everybody(old, new, today)

    def limits(people: People) -> Iterator[Change]:
        sides = people.before, people.after, people.pairs
        yield from budgets(old, new, *sides)
        yield from exceptions(old, new, *sides, now_ms=at_ms)
        yield from rates(old, new, *sides)
        yield from models(old, new, people.pairs, known)

    found = [
        *capture(old, new),
        *power(old, new),
        *validity(old, new, today),
        *revision(old, new),
        *fleet(old, new),
        *enforced(old, new, who),
        *calendars(old, new, who, at_ms),
        *admitted(old, new, who),
        *name_changes(new, names_of),
        *by_force(old, new, People(before, after, who), limits),
        *people(old, new),
        *agreed(old, new),
        *prices(old, new, who, known, priced, now_ms=at_ms),
        *alert_changes(old, new),
    ]
    found += _rest(old, new)
    if not found:
        found = [_last(old, new)]
    order = list(Effect)
    return tuple(sorted(as_enforced(old, new, found), key=lambda change: order.index(change.effect)))


# -- all else -------------------------------------------------------------------------------------------------------

_EFFECTS: Final = (
    ("privacy", Effect.KEEPS),
    ("roster", Effect.PEOPLE),
)
"""What a difference without a sentence of its own is about, by the beginning of its path."""
_TOLD: Final = (
    "validity", "fleet", "capture", "mode", "on_failure", "refusals",
    "roster.people", "roster.unknown", "roster.machines", "roster.teams",
    "timezone", "week_starts", "fiscal_month",
    "exceptions", "rates", "adjust", "billing", "models", "budgets", "alerts", "notify", "approvers",
)  # fmt: skip
"""Where every difference has a sentence above."""


def _rest(old: Policy, new: Policy) -> Iterator[Change]:
    """What differs and no sentence has told, by its path."""
    before, after = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    for path in dict.fromkeys((*before, *after)):
        if (
            before.get(path) == after.get(path)
            or any(path == told_path or path.startswith(f"{told_path}.") for told_path in _TOLD)
            or _order_alone(path)
            or path.endswith(".notify")
        ):
            continue
        effect = next((effect for begins, effect in _EFFECTS if path.startswith(begins)), Effect.OTHER)
        if path.startswith("unknown_model."):
            # A lower price is a wider budget.
            cheaper = getattr(new.unknown_model, path.split(".")[1]) < getattr(old.unknown_model, path.split(".")[1])
            effect = Effect.MORE if cheaper else Effect.LESS
        was, now = (value_text(each.get(path), path) for each in (before, after))
        yield Change(effect, path, f"{_NAMES.get(path, path)}: {was} -> {now}")


_NAMES: Final = {
    "unlimited": "budgets without a limit",
    "prices_update": "pricing.updates",
    "unknown_model.input_nanos": "a model without a known price, a million input tokens",
    "unknown_model.output_nanos": "a model without a known price, a million output tokens",
}
"""What a file calls a value that goes by another name here."""


def _last(old: Policy, new: Policy) -> Change:
    """Of policies that differ where nothing above has looked: the order of what has names, or else the paths."""
    before, after = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    paths = [path for path in dict.fromkeys((*before, *after)) if before.get(path) != after.get(path)]
    if all(path.endswith(".order") for path in paths):
        return Change(Effect.OTHER, "order", "the order of rules alone: which of several a refusal names")
    return Change(Effect.OTHER, paths[0], f"changed: {', '.join(paths)}")


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
