"""A file of cases beside a policy, `NAME.test.yaml` beside `NAME.yaml`, into values. Faults as a policy's, with their places."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from spendgate.config.faults import Faults, shown
from spendgate.config.reading import read_regular, unread
from spendgate.config.sections import Section
from spendgate.config.yaml_nodes import BYTES_MAX, read
from spendgate.contracts import PERSONAL_RULE
from spendgate.errors import PolicyError
from spendgate.money import Money
from spendgate.policy import Policy
from spendgate.review.cases import Calls, Case, Then, Verb
from spendgate.selector import ATTRIBUTES
from spendgate.window import DAY_MS, HOUR_MS, MINUTE_MS, zone_of

SUFFIX: Final = ".test.yaml"
NOON: Final = "2026-06-17T12:00"
"""When a case happens that says nothing of it: a Wednesday."""
COUNT_MAX: Final = 10_000
_LENGTH = re.compile(r"([0-9]{1,7})(ms|s|m|h|d)")
_UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_LONGEST_MS: Final = 3_660 * DAY_MS
_EVERY_MS: Final = 31 * DAY_MS
_YEARS: Final = range(1971, 3000)
"""Far enough from the ends of the calendar for every call that stands before or after."""
_WHOLE: Final = ("unknown_people", "valid_until")
"""What refusals name that are no rule's."""
_THEN = re.compile(r"(admitted|refused|would refuse)(?: by (.+))?")


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


def load_cases(path: Path, policy: Policy | None) -> CaseFile:
    """Read a file of cases; times without a zone are in the policy's. Raises PolicyError with every fault.

    Without a policy (it has faults of its own) nothing is known of its rules, so that the names of rules are not compared.
    """
    try:
        data = read_regular(path, BYTES_MAX + 1)
    except OSError as fault:
        raise PolicyError((unread(path, fault),)) from fault
    faults = Faults(str(path))
    node = read(data, faults)
    top = Section.of(node, "", faults) if node is not None else None
    cases = tuple(_case(section, policy, str(path)) for section in top.sections("cases")) if top is not None else ()
    if top is not None:
        top.done()
        if not cases and not faults:
            top.fault("cases", "is missing or empty; a file of cases has at least one")
    if faults:
        raise PolicyError(faults.lines())
    return CaseFile(path, policy_of(path), cases)


def _case(section: Section, policy: Policy | None, file: str) -> Case:
    name = section.prose("name") or ""
    if not section.has("name"):
        section.fault("", "name is missing; a failed case is called by it")
    asked = section.section("when")
    if asked is None and not section.has("when"):
        section.fault("", "when is missing; it says which call is asked about: {person: alice, costs: $0.10}")
    then = section.parsed("then", lambda text: _then(text, policy), required=True) or Then(Verb.ADMITTED)
    when = _when(asked, policy) if asked is not None else Calls(0, {}, 0)
    given = tuple(_given(each, when, policy) for each in section.sections("given"))
    section.done()
    return Case(name, f"{file}:{section.place.line}:{section.place.column}", given, when, then)


def _then(text: str, policy: Policy | None) -> Then:
    found = _THEN.fullmatch(" ".join(text.split()))
    if found is None or (found[1] == "admitted" and found[2]):
        raise ValueError(
            f"{shown(text)} is no end of a call; allowed: admitted, refused, refused by RULE, would refuse by RULE"
        )
    rule = found[2]
    if policy is None:
        return Then(Verb(found[1]), rule)
    personal = (PERSONAL_RULE,) if policy.billing.personal == "refuse" else ()
    known = [*(each.name for each in policy.budgets), *(each.name for each in policy.models)]
    known += [*(each.name for each in policy.rates), *personal, *_WHOLE]
    if rule is not None and rule not in known:
        raise ValueError(f"{shown(rule)} is no rule of this policy; it has: {', '.join(known) or 'none'}")
    return Then(Verb(found[1]), rule)


def _when(section: Section, policy: Policy | None) -> Calls:
    at_ms = section.parsed("at", lambda text: _instant(text, policy)) or _instant(NOON, policy)
    return _calls(section, at_ms, {}, "costs")


def _given(section: Section, when: Calls, policy: Policy | None) -> Calls:
    """As `when`, but for what it says itself; `ago` is before it."""
    at_ms = section.parsed("at", lambda text: _instant(text, policy))
    ago_ms = section.parsed("ago", _ago)
    if at_ms is not None and ago_ms is not None:
        section.fault("ago", "stands beside at; one of the two says when")
    at_ms = when.at_ms - (60_000 if ago_ms is None else ago_ms) if at_ms is None else at_ms
    if section.has("spent") == section.has("holds"):
        section.fault("", "exactly one of spent and holds is needed: what each call cost, or holds while it runs")
    return _calls(section, at_ms, when.values, "holds" if section.has("holds") else "spent")


def _calls(section: Section, at_ms: int, inherited: dict[str, str], amount: str) -> Calls:
    own = {name: text for name in ATTRIBUTES if (text := section.text(name)) is not None}
    cost = section.parsed(amount, Money.parse, required=amount == "costs")
    most = section.parsed("at_most", Money.parse) if amount == "costs" else None
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


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) <= COUNT_MAX):
        raise ValueError(f"{shown(text)} is no number of calls; allowed: 1 to {COUNT_MAX:,}")
    return int(text)


def _tokens(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,12}|[0-9]{1,3}(,[0-9]{3}){1,3}", text) is None:
        raise ValueError(f"{shown(text)} is no number of tokens; allowed: 0, 5000, 5,000, …")
    return int(text.replace(",", ""))


def _ago(text: str) -> int:
    return _length(text, _LONGEST_MS)


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


def _instant(text: str, policy: Policy | None) -> int:
    """`2026-11-27T09:30`, in the policy's zone unless it has its own; a day is its first instant."""
    try:
        read_at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{shown(text)} is not a time; write it as 2026-11-27T09:30, with or without a zone") from None
    if read_at.year not in _YEARS:
        raise ValueError(f"{shown(text)} is too far away; allowed: {_YEARS.start} to {_YEARS.stop - 1}")
    zone = zone_of(policy.timezone if policy is not None else "UTC")
    local = read_at if read_at.tzinfo else read_at.replace(tzinfo=zone)
    return (local - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
