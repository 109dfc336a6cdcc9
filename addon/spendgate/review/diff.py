"""What a change of a policy does, in words: who may spend more or less, who gains or loses which models, what is decrypted.

Every difference is told: what no sentence of its own covers is told by its path. So no change is silent, and two policies
without a line between them are the same policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from spendgate.policy import Policy
from spendgate.review.agreed import agreed
from spendgate.review.alert_changes import alert_changes
from spendgate.review.budget_changes import budgets
from spendgate.review.changes import Change, Effect, value_text
from spendgate.review.flows import exceptions, rates
from spendgate.review.gate_changes import capture, power
from spendgate.review.people_changes import models, people
from spendgate.review.reach import subjects

__all__ = ["Change", "Effect", "diff"]


def diff(old: Policy, new: Policy, today: date, names: Iterable[str]) -> tuple[Change, ...]:
    """Every change from `old` to `new`, by effect. `names` are the models that access is compared by."""
    if old.hash == new.hash:
        return ()
    before, after = subjects(old, today), subjects(new, today)
    found = [
        *capture(old, new),
        *power(old, new),
        *budgets(old, new, before, after),
        *exceptions(old, new, before, after),
        *rates(old, new, before, after),
        *models(old, new, before, after, tuple(names)),
        *people(old, new),
        *agreed(old, new),
        *alert_changes(old, new),
    ]
    found += _rest(old, new, {change.where for change in found})
    if not found:
        found = [Change(Effect.OTHER, "order", "the order of rules alone: which of several a refusal names")]
    order = list(Effect)
    return tuple(sorted(found, key=lambda change: order.index(change.effect)))


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
