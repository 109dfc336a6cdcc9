"""Reads the rules of a policy: selectors, budgets and model rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from spendgate.budget import WAIT_MS_DEFAULT, Budget, Missing
from spendgate.config import words
from spendgate.config.alert_words import threshold
from spendgate.config.faults import Faults, NotAmong, Place, one_of, shown
from spendgate.config.limits import Limit, read_bounds, read_limits, read_per_machine
from spendgate.config.nodes import Items, Node, Text
from spendgate.config.people import Declared
from spendgate.config.sections import Section
from spendgate.contracts import PERSONAL_RULE
from spendgate.model_names import ModelPattern, family, fold
from spendgate.model_rules import ModelRule
from spendgate.selector import ATTRIBUTES, EVERY, Selector
from spendgate.standing import Hold

RULES_OF_ITS_OWN: Final = ("unknown_people", "valid_until", PERSONAL_RULE)
"""What refusals name that are no rule's: a rule of that name could not be told apart from them."""

_NO_HOST: Final = (
    "; no rule asks for a host: calls to one of capture.hosts have its prices, else its dialect, as their provider,"
    " and its billing"
)

_SELECTOR: Final = (
    "attributes that must all fit, each with a value, or with a list of which any may: {group: [senior, lead]}"
)
"""What `match` and `except` are: people write them as the list that `mode.enforce` is."""


class Names:
    """The names of rules given so far: unique over budgets, model rules and rates, for a refusal names them alone."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[Place, Faults]] = {}

    def take(self, section: Section) -> str:
        """The rule's `name`; a fault where it is missing or taken."""
        found = section.scalar("name", required=True)
        name = section.parsed("name", words.name) if found else None
        if found is None or name is None:
            return ""
        if name.casefold() in RULES_OF_ITS_OWN:
            section.fault("name", f"{shown(name)} is what refusals of Spendgate's own are called; choose another name")
        first, faults = self._places.setdefault(name.casefold(), (found.place, section.faults))
        if first is not found.place:
            where = f"line {first.line}" if faults is section.faults else f"{faults.file}:{first.line}"
            section.fault("name", f"{shown(name)} is taken, first in {where}")
        return name


def read_selector(section: Section, key: str, declared: Declared) -> Selector:
    """The selector under `match` or `except`; one that fits everything where the key is not there.

    In a file of one team's rules `match` is bound to that team: where it names none, the team itself is added.
    """
    inner = section.section(key, form=_SELECTOR)
    found = selector_in(inner, declared) if inner is not None else EVERY
    if key == "match" and declared.team is not None and not found.texts("team"):
        return Selector((*Selector.of({"team": (declared.team,)}).clauses, *found.clauses))
    return found


def selector_in(section: Section, declared: Declared) -> Selector:
    """The section itself as a selector. An empty one is a fault: nobody can tell whether it means all or none."""
    if section.empty:
        section.fault("", f"is empty; name an attribute; {one_of(ATTRIBUTES)}")
    values = {name: section.names(name, declared.parser(name)) for name in ATTRIBUTES}
    section.done(hint=_NO_HOST if section.has("host") else "")
    return Selector.of({name: texts for name, texts in values.items() if texts})


def attribute(text: str) -> str:
    """One attribute of `per`. Raises ValueError for a word that is none."""
    if text not in ATTRIBUTES:
        raise NotAmong(f"{shown(text)} is not an attribute; {one_of(ATTRIBUTES)}", text, ATTRIBUTES)
    return text


def read_budgets(
    top: Section, declared: Declared, names: Names, order: int = 0
) -> tuple[tuple[Budget, ...], tuple[str, ...]]:
    """The budgets in file order from `order` on, one for each limit; and the names of those whose limit is `none`."""
    budgets: list[Budget] = []
    unlimited: list[str] = []
    for section in top.sections("budgets"):
        name = names.take(section)
        parts = read_limits(section)
        found = _budgets(section, name, parts, declared, order + len(budgets))
        budgets.extend(found)
        if not parts and name:
            unlimited.append(name)
        section.done()
    return tuple(budgets), tuple(unlimited)


def read_thresholds(section: Section, *, limited: bool) -> tuple[int, ...]:
    """A budget's `alerts` in percent, rising."""
    found: set[int] = set()
    for _, percent in section.parsed_list("alerts", threshold) or ():
        if percent in found:
            section.fault("alerts", f"{percent}% is given twice")
        found.add(percent)
    if section.has("alerts") and not limited and _is_none(section.node("limit")):
        section.fault("alerts", "limit: none leaves nothing to be a share of")
    return tuple(sorted(found))


def _is_none(node: Node | None) -> bool:
    if isinstance(node, Items) and len(node.items) == 1:
        node = node.items[0]
    return isinstance(node, Text) and node.value.strip() == "none"


def _budgets(section: Section, name: str, parts: list[Limit], declared: Declared, order: int) -> Iterator[Budget]:
    """One budget for each limit: `person/month` where there are several, `person` for a single one."""
    per = section.names("per", attribute)
    match, excepted = read_selector(section, "match", declared), read_selector(section, "except", declared)
    hold = section.word("hold", (Hold.EXPECTED.value, Hold.CEILING.value))
    wait_ms = section.parsed("wait", words.duration_ms)
    cut, action = section.flag("cut"), section.word("action", ("refuse", "warn"))
    alerts = read_thresholds(section, limited=bool(parts))
    missing = section.word("missing", [word.value for word in Missing])
    if missing and not per:
        section.fault("missing", "has nothing to be missing from; it needs per")
    read_bounds(section, parts)
    per_machine = read_per_machine(section, parts, per)
    counts = section.parsed("counts", words.counts) or "captured"
    return (
        Budget(
            name=name if len(parts) == 1 else f"{name}/{limit.window.name if limit.window else 'life'}",
            base_name=name,
            per=per,
            match=match,
            excepted=excepted,
            limit_nanos=limit.nanos,
            window=limit.window,
            mean=limit.mean,
            counts=counts,
            per_machine_nanos=per_machine,
            hold=Hold(hold) if hold else Hold.EXPECTED,
            wait_ms=WAIT_MS_DEFAULT if wait_ms is None else wait_ms,
            cut=bool(cut),
            enforce_action=action != "warn",
            order=order + place,
            missing=Missing(missing) if missing else Missing.SKIP,
            alerts=alerts,
        )
        for place, limit in enumerate(parts)
    )


def read_model_rules(top: Section, declared: Declared, names: Names, order: int = 0) -> tuple[ModelRule, ...]:
    """The model rules in file order from `order` on."""
    sections = enumerate(top.sections("models"), order)
    return tuple(_model_rule(section, declared, names, place) for place, section in sections)


def _model_rule(section: Section, declared: Declared, names: Names, order: int) -> ModelRule:
    allow, deny = section.names("allow"), section.names("deny")
    suggest, unresolved = section.text("suggest"), section.word("unresolved", ("deny", "allow"))
    if section.has("allow") == section.has("deny"):
        section.fault(
            "allow" if section.has("allow") else "", "exactly one of allow and deny is needed; allow denies the rest"
        )
    elif suggest and _fits(suggest, deny or allow) is bool(deny):
        section.fault("suggest", f"{shown(suggest)} is what this rule refuses")
    rule = ModelRule(
        name=names.take(section),
        match=read_selector(section, "match", declared),
        excepted=read_selector(section, "except", declared),
        allow=allow,
        deny=deny,
        suggest=suggest,
        unresolved="allow" if unresolved == "allow" else "deny",
        order=order,
    )
    section.done()
    return rule


def _fits(model: str, patterns: tuple[str, ...]) -> bool:
    compiled = [ModelPattern.of(text) for text in patterns]
    return any(pattern.fits(name) for pattern in compiled for name in (fold(model), family(model)))
