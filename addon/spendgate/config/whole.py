"""Reads what a policy file says as a whole: its revision and end, privacy, and the fleet it belongs to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from spendgate.adaptive import Mean
from spendgate.alert_rules import Spike
from spendgate.budget import Missing
from spendgate.config import forms, words
from spendgate.config.faults import shown
from spendgate.config.sections import Section
from spendgate.model_names import glob
from spendgate.policy import Mode
from spendgate.privacy import PROGRAMS, Privacy
from spendgate.reach import Fleet
from spendgate.selector import Selector
from spendgate.validity import Validity
from spendgate.window import DAY_MS, Unit, Window

KEEP_DAYS_MAX = 3660
_YEARS = range(2020, 3000)
_HUB_LENGTH_MAX = 200
_REVISION = re.compile(r"[1-9]\d{0,8}", re.ASCII)
_DAYS = re.compile(r"([1-9]\d{0,4}) days?", re.ASCII)
_UNIT_DAYS = {Unit.HOUR: 1, Unit.DAY: 1, Unit.WEEK: 7, Unit.MONTH: 31, Unit.QUARTER: 92, Unit.YEAR: 366}


def read_validity(top: Section) -> Validity:
    """`revision`, `valid_until` and `expired`."""
    revision, last = top.parsed("revision", revision_of), top.parsed("valid_until", _last_day)
    refuses = top.word("expired", ("keep", "refuse")) == "refuse"
    if top.has("expired") and not top.has("valid_until"):
        top.fault("expired", "changes nothing without valid_until; give the last day, or leave it out")
    return Validity(revision=revision, valid_until=last, expired="refuse" if refuses else "keep")


@forms.number(r"[1-9][0-9]{0,8}", "integer", 999_999_999, least=1)
def revision_of(text: str) -> int:
    """Raises ValueError."""
    if _REVISION.fullmatch(text) is None:
        raise ValueError(
            f"{shown(text)} is not a revision; allowed: a whole number from 1 to 999999999, without leading 0"
        )
    return int(text)


@forms.written(forms.DAY_TO_COME, "2027-03-31")
def _last_day(text: str) -> date:
    found = words.day(text)
    if found.year not in _YEARS:
        raise ValueError(
            f"{shown(text)} is no day on which a policy can end; allowed: years {_YEARS[0]} to {_YEARS[-1]}"
        )
    return found


def read_fleet(section: Section | None) -> Fleet:
    """`fleet`."""
    if section is None:
        return Fleet()
    hub = section.parsed("hub", _hub, required=True)
    offline = section.word("offline", ("lease", "allow", "refuse"))
    section.done()
    return Fleet.model_validate({"hub": hub, "offline": offline or "lease"})


@forms.written(rf"{forms.any_case('https')}://[!-~]+", "https://spend.acme.example", maxLength=_HUB_LENGTH_MAX)
def _hub(text: str) -> str:
    """An https address. What could be a password in it is never repeated."""
    try:
        found = urlsplit(text)
        host, _ = found.hostname, found.port
    except ValueError:
        raise ValueError("is not an address; allowed: https://spend.acme.example") from None
    if "@" in text:
        raise ValueError("has a name or password in it; write the address alone: https://spend.acme.example")
    if found.query or found.fragment or len(text) > _HUB_LENGTH_MAX or re.search(r"[^!-~]", text):
        raise ValueError(
            "is not an address alone; allowed: https://spend.acme.example, with a port or path where needed"
        )
    if found.scheme != "https" or not host:
        raise ValueError(f"{shown(text)} is not an https address; allowed: https://spend.acme.example")
    words.host(host)
    return text.rstrip("/")


def read_privacy(section: Section | None, rules: Mapping[str, Any]) -> Privacy:
    """`privacy`. `rules` are the policy's own values: what they count by must be kept, and for as long as they count."""
    if section is None:
        return Privacy()
    keep = section.parsed("keep", _keep)
    project = section.word("project", ("repository", "none"))
    process = section.word("process", ("name", "path", "none"))
    if project == "none":
        by_project = tuple(dict.fromkeys(_counting_by("project", rules)))
        if by_project:
            section.fault("project", f"no project is kept, and {', '.join(by_project[:3])} would count by it")
    if process == "none":
        by_tool = tuple(dict.fromkeys(_counting_by("tool", rules, _programs)))
        if by_tool:
            section.fault(
                "process",
                f"no program is kept, and {', '.join(by_tool[:3])} would count by tools that are known as one alone: "
                f"{', '.join(PROGRAMS[:4])}, …; allowed: name, path, or rules by tools that are known ones",
            )
    if keep is not None:
        days, name = max(_windows(rules), default=(0, ""))
        if keep < days:
            section.fault("keep", f"{keep} days is shorter than the window of {name}; allowed: {days} days or more")
    section.done()
    return Privacy.model_validate({"keep_days": keep, "project": project or "repository", "process": process or "name"})


@forms.written(rf"{forms.upto(KEEP_DAYS_MAX)}\s+days?", "400 days")
def _keep(text: str) -> int:
    found = _DAYS.fullmatch(" ".join(text.split()))
    if found is None or int(found[1]) > KEEP_DAYS_MAX:
        raise ValueError(
            f"{shown(text)} is not how long rows are kept; allowed: 400 days, at most {KEEP_DAYS_MAX} days"
        )
    return int(found[1])


def _counting_by(
    attribute: str, values: Mapping[str, Any], by: Callable[[tuple[str, ...]], bool] = bool
) -> Iterable[str]:
    """The names of the rules, of whatever kind, that tell calls apart by an attribute; `mode` for the mode's own.

    `by`: whether texts of a selector do. One kept per the attribute that misses none of the calls without it is not one.
    """
    mode = values.get("mode")
    if isinstance(mode, Mode) and any(by(selector.texts(attribute)) for selector in mode.enforce):
        yield "mode"
    for name, rule in _rules(values):
        chosen = [getattr(rule, key, None) for key in ("match", "excepted")]
        texts = any(by(selector.texts(attribute)) for selector in chosen if isinstance(selector, Selector))
        lets_by = by is bool or getattr(rule, "missing", Missing.SKIP) is Missing.SKIP
        if texts or (attribute in getattr(rule, "per", ()) and lets_by):
            yield name


def _programs(texts: tuple[str, ...]) -> bool:
    """Whether one of these tools may be a program that is known by nothing else."""
    return any(glob(text.casefold()).fullmatch(name) for text in texts for name in PROGRAMS)


def _windows(values: Mapping[str, Any]) -> Iterable[tuple[int, str]]:
    """How many days the window of each rule may last, and the rule's name. The sum over a life is kept without its rows."""
    for name, rule in _rules(values):
        form = getattr(rule, "form", None)
        if isinstance(form, Spike):
            yield form.days + 1, name
        mean = getattr(rule, "mean", None)
        if isinstance(mean, Mean):
            yield mean.days + 1, name
        window = getattr(rule, "window", None)
        if isinstance(window, Window):
            rolls = window.unit is Unit.ROLLING
            yield (-(-window.length_ms // DAY_MS) if rolls else _UNIT_DAYS[window.unit]), name


def _rules(values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Everything in the lists of the policy, by its name, else by its list's."""
    lists = ((key, every) for key, every in values.items() if isinstance(every, tuple))
    return ((str(getattr(rule, "name", key)), rule) for key, every in lists for rule in every)
