"""A file of cases beside a policy, `NAME.test.yaml` beside `NAME.yaml`, into values. Faults as a policy's, with their places."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from spendgate.budget import whole_name
from spendgate.config import forms
from spendgate.config.case_words import CaseWords
from spendgate.config.faults import Faults, shown
from spendgate.config.forms import Schema
from spendgate.config.reading import read_regular, unread
from spendgate.config.rules import RULES_OF_ITS_OWN
from spendgate.config.schema import DIALECT, schema_of
from spendgate.config.sections import Section
from spendgate.config.words import amount as limit_amount
from spendgate.config.yaml_nodes import BYTES_MAX, read
from spendgate.contracts import PERSONAL_RULE
from spendgate.errors import PolicyError
from spendgate.policy import Policy
from spendgate.review.asked import provider_of
from spendgate.review.cases import Calls, Case, Then, Verb
from spendgate.selector import ATTRIBUTES
from spendgate.wall_clock import skipped
from spendgate.window import DAY_MS, HOUR_MS, MINUTE_MS, day_starts_ms, zone_of

SUFFIX: Final = ".test.yaml"
NOON: Final = "2026-06-17T12:00"
"""When a case happens that says nothing of it: a Wednesday."""
COUNT_MAX: Final = 10_000
_LENGTH = re.compile(r"(0|[1-9][0-9]{0,6})(ms|s|m|h|d)")
_UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_LONGEST_MS: Final = 3_660 * DAY_MS
_EVERY_MS: Final = 31 * DAY_MS
_YEARS: Final = range(1971, 3000)
"""Far enough from the ends of the calendar for every call that stands before or after."""
_THEN = re.compile(r"(admitted|refused|would refuse|uncaptured)(?: by (.+))?")
_RULE: Final = rf"{forms.NAME}(?:/[A-Za-z0-9 -]+)?"
_END: Final = rf"admitted|uncaptured|(?:refused|would\s+refuse)(?:\s+by\s+{_RULE})?"


@dataclass(frozen=True, slots=True)
class CaseFile:
    """The cases of one file, and the policy that they are about."""

    path: Path
    policy: Path
    cases: tuple[Case, ...]


def policy_of(path: Path) -> Path:
    """The policy that a file of cases stands beside. Raises PolicyError where its name does not say."""
    if not path.name.endswith(SUFFIX):
        raise PolicyError((f"{path}: is no file of cases; their names end in {SUFFIX}",))
    return path.with_name(path.name.removesuffix(SUFFIX) + ".yaml")


def load_cases(path: Path, policy: Policy | None, tools: Iterable[str] = ()) -> CaseFile:
    """Read a file of cases; times without a zone are in the policy's. Raises PolicyError with every fault. `tools`: those that
    are known by name.

    Without a policy (it has faults of its own) nothing is known of its rules, so that the names of rules are not compared.
    """
    try:
        data = read_regular(path, BYTES_MAX + 1)
    except OSError as fault:
        raise PolicyError((unread(path, fault),)) from fault
    faults = Faults(str(path))
    node = read(data, faults)
    top = Section.of(node, "", faults) if node is not None else None
    words, names = CaseWords(policy, tuple(tools)), Names()
    cases = _cases(top, words, names) if top is not None else ()
    if top is not None:
        top.done()
        if not cases and not faults:
            top.fault("cases", "is missing or empty; a file of cases has at least one")
    if faults:
        raise PolicyError(faults.lines())
    return CaseFile(path, policy_of(path), cases)


def cases_schema() -> Schema:
    """The JSON Schema (draft 2020-12) of a file of cases."""
    made = schema_of(lambda top: _cases(top, CaseWords(None, ()), Names()))
    return {"$schema": DIALECT, "title": "Spendgate policy, cases", **made}


def _cases(top: Section, words: CaseWords, names: Names) -> tuple[Case, ...]:
    return tuple(_case(section, words, names) for section in top.sections("cases"))


def _case(section: Section, words: CaseWords, names: Names) -> Case:
    policy = words.policy
    name = names.of(section.prose("name") or "", section)
    if not section.has("name"):
        section.fault("", "name is missing; a failed case is called by it")
    asked = section.section("when")
    if asked is None and not section.has("when"):
        section.fault("", "when is missing; it says which call is asked about: {person: alice, costs: $0.10}")
    then = section.parsed("then", partial(_then, policy=policy), required=True) or Then(Verb.ADMITTED)
    when = _when(asked, words) if asked is not None else Calls(0, {}, 0)
    if policy is not None and policy.capture.providers is not None and not _has_provider(when):
        section.fault("when", "provider is missing: capture.providers names some alone, and no model says whose it is")
    given = tuple(_given(each, when, words) for each in section.sections("given"))
    section.done()
    return Case(name, f"{section.faults.file}:{section.place.line}:{section.place.column}", given, when, then)


class Names:
    """The names of cases given so far: a failed one is called by it."""

    def __init__(self) -> None:
        self._lines: dict[str, int] = {}

    def of(self, name: str, section: Section) -> str:
        """The name; a fault where it is taken."""
        first = self._lines.setdefault(name.casefold(), section.place.line)
        if name and first != section.place.line:
            section.fault("name", f"{shown(name)} is taken, first in line {first}")
        return name


def _has_provider(when: Calls) -> bool:
    return bool(provider_of(when.values)) or when.values.get("billing") == "gateway"


@forms.written(_END, "admitted", "refused by RULE", "would refuse by RULE", "uncaptured")
def _then(text: str, policy: Policy | None) -> Then:
    found = _THEN.fullmatch(" ".join(text.split()))
    if found is None or (found[1] in ("admitted", "uncaptured") and found[2]):
        ends = "admitted, refused, refused by RULE, would refuse by RULE, uncaptured"
        raise ValueError(f"{shown(text)} is no end of a call; allowed: {ends}")
    if found[2] and not re.fullmatch(_RULE, found[2]):
        raise ValueError(f"{shown(found[2])} is no rule's name")
    rule = whole_name(found[2]) if found[2] else None
    if policy is None:
        return Then(Verb(found[1]), rule)
    personal = (PERSONAL_RULE,) if policy.billing.personal == "refuse" else ()
    known = [*(each.name for each in policy.budgets), *(each.name for each in policy.models)]
    known += [
        *(each.name for each in policy.rates),
        *personal,
        *(name for name in RULES_OF_ITS_OWN if name != PERSONAL_RULE),
    ]
    if rule is not None and rule not in known:
        raise ValueError(f"{shown(rule)} is no rule of this policy; it has: {', '.join(known) or 'none'}")
    return Then(Verb(found[1]), rule)


def _when(section: Section, words: CaseWords) -> Calls:
    at_ms = section.parsed("at", partial(_instant, policy=words.policy)) or _instant(NOON, words.policy)
    return _calls(section, at_ms, {}, "costs", words)


def _given(section: Section, when: Calls, words: CaseWords) -> Calls:
    """As `when`, but for what it says itself; `ago` is before it, and so is each of its calls."""
    at_ms = section.parsed("at", partial(_instant, policy=words.policy))
    ago_ms = section.parsed("ago", _ago)
    if at_ms is not None and ago_ms is not None:
        section.fault("ago", "stands beside at; one of the two says when")
    at_ms = when.at_ms - (60_000 if ago_ms is None else ago_ms) if at_ms is None else at_ms
    if section.has("spent") == section.has("holds"):
        section.fault("", "exactly one of spent and holds is needed: what each call cost, or holds while it runs")
    found = _calls(section, at_ms, when.values, "holds" if section.has("holds") else "spent", words)
    if found.at_ms + (found.count - 1) * found.every_ms >= when.at_ms:
        which = "it" if found.count == 1 else "the last of its calls"
        section.fault("at" if section.has("at") else "ago", f"{which} is not before the call that is asked about")
    return found


def _calls(section: Section, at_ms: int, inherited: dict[str, str], amount: str, words: CaseWords) -> Calls:
    own = {name: text for name in ATTRIBUTES if (text := section.parsed(name, words.parser(name))) is not None}
    section.parsed("host", words.no_host)
    cost = section.parsed(amount, limit_amount, required=amount == "costs")
    most = section.parsed("at_most", limit_amount) if amount == "costs" else None
    count, tokens = section.parsed("calls", _count), section.parsed("tokens", _tokens)
    every_ms = section.parsed("every", _every)
    section.done()
    return Calls(
        at_ms,
        {**inherited, **own},
        cost.nanos if cost else 0,
        most.nanos if most else None,
        count or 1,
        1_000 if every_ms is None else every_ms,
        open=amount == "holds",
        tokens=tokens or 0,
    )


@forms.number(rf"0{{0,5}}{forms.upto(COUNT_MAX)}", "integer", COUNT_MAX, least=1)
def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) <= COUNT_MAX):
        raise ValueError(f"{shown(text)} is no number of calls; allowed: 1 to {COUNT_MAX:,}")
    return int(text)


@forms.number(r"[0-9]{1,12}|[0-9]{1,3}(?:,[0-9]{3}){1,3}", "integer", 10**12 - 1)
def _tokens(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,12}|[0-9]{1,3}(,[0-9]{3}){1,3}", text) is None:
        raise ValueError(f"{shown(text)} is no number of tokens; allowed: 0, 5000, 5,000, …")
    return int(text.replace(",", ""))


@forms.written(r"(?:0|[1-9][0-9]{0,6})(?:ms|s|m|h|d)", "90s", "10m", "2h", "3d")
def _ago(text: str) -> int:
    return _length(text, _LONGEST_MS)


@forms.written(r"(?:0|[1-9][0-9]{0,6})(?:ms|s|m|h|d)", "300ms", "90s", "10m", "1d")
def _every(text: str) -> int:
    return _length(text, _EVERY_MS)


def _length(text: str, most_ms: int) -> int:
    found = _LENGTH.fullmatch(text)
    length_ms = int(found[1]) * _UNITS_MS[found[2]] if found else most_ms + 1
    if length_ms > most_ms:
        raise ValueError(
            f"{shown(text)} is no length of time; allowed: 300ms, 90s, 10m, 2h, 3d, … up to {most_ms // DAY_MS}d"
        )
    return length_ms


@forms.written(r"(?:19[7-9]|2[0-9]{2})[0-9][-W0-9].*", NOON, type=["string", "number"])
def _instant(text: str, policy: Policy | None) -> int:
    """`2026-11-27T09:30`, in the policy's zone unless it has its own; a day is its first instant."""
    try:
        read_at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{shown(text)} is not a time; write it as 2026-11-27T09:30, with or without a zone") from None
    if read_at.year not in _YEARS:
        raise ValueError(f"{shown(text)} is too far away; allowed: {_YEARS.start} to {_YEARS.stop - 1}")
    zone = policy.timezone if policy is not None else "UTC"
    with suppress(ValueError):  # else it has an hour, too
        return day_starts_ms(zone, date.fromisoformat(text))
    local = read_at if read_at.tzinfo else read_at.replace(tzinfo=zone_of(zone))
    if skipped(local):
        raise ValueError(f"{shown(text)} is a time that the clocks of {zone} skip on that day; write another one")
    return (local - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
