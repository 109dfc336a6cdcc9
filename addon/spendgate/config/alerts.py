"""Reads `alerts`: each entry is one form (`spike`, `burn`, `share`, `pace`, `spend`) with what goes with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from spendgate.alert_rules import AlertRule, Form, Pace, Severity, Share, Spike
from spendgate.budget import Budget, whole_name
from spendgate.config import alert_words
from spendgate.config.faults import NotAmong, one_of, shown
from spendgate.config.people import Declared
from spendgate.config.rules import Names, attribute, read_selector
from spendgate.config.sections import Section
from spendgate.window import DAY_MS, Unit, Window

FORMS: Final[dict[str, Callable[[str], Form]]] = {
    "spike": alert_words.spike,
    "burn": alert_words.burn,
    "share": alert_words.share,
    "pace": alert_words.pace,
    "spend": alert_words.outside,
}
_GOES_WITH: Final = {"minimum": ("spike",), "minimum_calls": ("share",), "budget": ("pace",)}
_BY_ITS_BUDGET: Final = ("per", "match", "except")
_DAYS: Final = {Unit.HOUR: 0, Unit.DAY: 1, Unit.WEEK: 7, Unit.MONTH: 31, Unit.QUARTER: 92, Unit.YEAR: 366}
"""The most days that a window has."""


def read_alerts(
    top: Section, declared: Declared, names: Names, budgets: tuple[Budget, ...], unlimited: tuple[str, ...]
) -> tuple[AlertRule, ...]:
    """The alert rules in file order; those with a fault are left out."""
    found = [_alert(section, declared, names, budgets, unlimited) for section in top.sections("alerts")]
    return tuple(rule for rule in found if rule is not None)


def _alert(
    section: Section, declared: Declared, names: Names, budgets: tuple[Budget, ...], unlimited: tuple[str, ...]
) -> AlertRule | None:
    name = names.take(section)
    word, form = _form(section)
    minimum = section.parsed("minimum", alert_words.positive)
    calls = section.parsed("minimum_calls", alert_words.count)
    budget = section.parsed("budget", _budget_in(budgets, unlimited))
    per = section.names("per", attribute)
    match, excepted = read_selector(section, "match", declared), read_selector(section, "except", declared)
    severity = section.word("severity", [each.value for each in Severity])
    _misplaced(section, word)
    match form:
        case Spike():
            form = form.model_copy(update={"minimum_nanos": minimum or 0})
        case Share():
            form = form.model_copy(update={"minimum_calls": calls or 1})
            if not section.has("match"):
                section.fault("", "needs match: share is the part of all calls that fit it")
        case Pace():
            form = _paced(section, form, budget)
    section.done()
    if form is None or not name:
        return None
    return AlertRule(
        name=name,
        form=form,
        per=per,
        match=match,
        excepted=excepted,
        severity=Severity(severity) if severity else Severity.ALERT,
    )


def _form(section: Section) -> tuple[str | None, Form | None]:
    """The one form that the entry has, by its key."""
    read = {key: section.parsed(key, parse) for key, parse in FORMS.items()}
    there = [key for key in FORMS if section.has(key)]
    if len(there) != 1:
        also = f", found {' and '.join(there)}" if there else ""
        section.fault(there[1] if there else "", f"exactly one of {', '.join(FORMS)} is needed{also}")
        return None, None
    return there[0], read[there[0]]


def _misplaced(section: Section, word: str | None) -> None:
    """Keys that say nothing beside this form."""
    if word is None:
        return
    for key, forms in _GOES_WITH.items():
        if section.has(key) and word not in forms:
            section.fault(key, f"says nothing beside {word}; it goes with {' and '.join(forms)}")
    if word == "pace":
        for key in _BY_ITS_BUDGET:
            if section.has(key):
                section.fault(key, "says nothing beside pace, which goes by its budget's own per, match and except")


def _budget_in(budgets: tuple[Budget, ...], unlimited: tuple[str, ...]) -> Callable[[str], Budget]:
    """The budget of that whole name. Raises ValueError where there is none, or none whose window has weeks."""
    by_name = {budget.name: budget for budget in budgets}

    def parse(text: str) -> Budget:
        budget = by_name.get(whole_name(text))
        if budget is None:
            parts = [name for name in by_name if name.startswith(f"{text}/")]
            if text in unlimited:
                raise ValueError(f"{text} has no limit to be a share of")
            several = f"{text} has several limits; " if parts else ""
            allowed = one_of(parts or by_name) if by_name else "the file has no budget with a limit"
            raise NotAmong(f"{several}{shown(text)} is no budget; {allowed}", text, parts or by_name)
        if budget.window is None or budget.window.unit is Unit.ROLLING:
            raise ValueError(
                f"{text} has no window that starts and ends; a pace needs one: week, month, quarter or year"
            )
        return budget

    return parse


def _paced(section: Section, form: Pace, budget: Budget | None) -> Pace | None:
    if not section.has("budget"):
        section.fault("", "needs budget: the one whose pace it is")
    if budget is None or budget.window is None:
        return None
    days = _longest(budget.window)
    if form.days >= days:
        section.fault("pace", f"{form.by} is not before the end of {budget.name}, which has at most {days} days")
    return form.model_copy(update={"budget": budget.name})


def _longest(window: Window) -> int:
    return _DAYS.get(window.unit, window.length_ms // DAY_MS)
