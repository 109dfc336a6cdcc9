"""Budgets that have another name from now on and are the same otherwise: told as that, not as gone and come."""

from __future__ import annotations

from collections.abc import Iterator

from spendgate.alert_rules import Pace
from spendgate.budget import Budget
from spendgate.policy import Policy
from spendgate.review.changes import Change, Effect


def renamed(old: Policy, new: Policy) -> dict[str, str]:
    """The names that go, of the file's budgets, each with the one that comes for it; of several that are alike by their order."""
    was, now = _by_base(old), _by_base(new)
    come = {base: _said(base, parts) for base, parts in now.items() if base not in was}
    found: dict[str, str] = {}
    for base in (each for each in was if each not in now):
        said = _said(base, was[base])
        twin = next((other for other, its in come.items() if its == said and other not in found.values()), None)
        if twin is not None:
            found[base] = twin
    return found


def under_new_names(old: Policy, names: dict[str, str]) -> Policy:
    """The policy with these budgets called so, in exceptions and alerts, too: then what else differs is told by itself."""
    whole = {
        each.name: names[each.base_name] + each.name.removeprefix(each.base_name)
        for each in old.budgets
        if each.base_name in names
    }
    budgets = tuple(
        each.model_copy(
            update={"name": whole.get(each.name, each.name), "base_name": names.get(each.base_name, each.base_name)}
        )
        for each in old.budgets
    )
    exceptions = tuple(
        each.model_copy(update={"budget": whole.get(each.budget, each.budget)}) for each in old.exceptions
    )
    alerts = tuple(
        each.model_copy(
            update={"form": each.form.model_copy(update={"budget": whole.get(each.form.budget, each.form.budget)})}
        )
        if isinstance(each.form, Pace)
        else each
        for each in old.alerts
    )
    fields = {name: getattr(old, name) for name in Policy.model_fields}
    return Policy(**{**fields, "budgets": budgets, "exceptions": exceptions, "alerts": alerts})


def name_changes(new: Policy, names: dict[str, str]) -> Iterator[Change]:
    """One line for each: a grant names its budget, and is lost with the name."""
    for was, now in names.items():
        text = f"budget {was} is called {now} from now on"
        effect = Effect.OTHER
        if new.approvers:
            effect, text = Effect.LESS, f"{text}: what approvers have granted of {was} no longer counts"
        yield Change(effect, f"budgets.{now}", text)


def _by_base(policy: Policy) -> dict[str, list[Budget]]:
    found: dict[str, list[Budget]] = {}
    for each in policy.budgets:
        found.setdefault(each.base_name, []).append(each)
    return found


def _said(base: str, parts: list[Budget]) -> list[object]:
    """All that its limits say, but for its name and place in the file."""
    return [
        (each.name.removeprefix(base), each.model_dump(mode="json", exclude={"name", "base_name", "order"}))
        for each in parts
    ]
