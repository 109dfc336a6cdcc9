"""A policy of thirty budgets over five kinds of window that all fit every call, for five hundred people: what the promises about
money are shown under again, beside the few budgets that they are shown under first."""

from __future__ import annotations

import getpass
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from spendgate.config.policy_file import parse_policy
from spendgate.fitting import scopes
from spendgate.policy import Policy
from spendgate.selector import Facts
from spendgate.standing import Scope

PEOPLE, TEAMS = 500, 20
WINDOWS = (" per hour", " per day", " per month", " per rolling 24h", "")
"""As a limit is written; the last one is for life."""
BUDGETS = 30


class Limited(NamedTuple):
    """A budget over all five windows, with the same limit in each."""

    name: str
    per: str = ""
    """Empty: one allowance for all."""
    limit: str = "$100,000"
    hold: str = "expected"
    wait: str = "60s"
    more: str = ""


AMPLE = (
    Limited("person", "person"), Limited("team", "team"), Limited("everyone"), Limited("session", "session"),
    Limited("tool", "tool"), Limited("person and tool", "[person, tool]"),
)  # fmt: skip
"""What nothing here spends, some held by what a call can cost at the most."""


def text(*narrow: Limited, more: str = "") -> str:
    """The policy: these budgets, and ample ones until there are thirty of them. Who runs the test is the person p0."""
    people = "".join(f"  p{number}: {{team: t{number % TEAMS}}}\n" for number in range(1, PEOPLE))
    teams = "".join(f"  t{number}: {{}}\n" for number in range(TEAMS))
    rules = (*narrow, *AMPLE)[: BUDGETS // len(WINDOWS)]
    budgets = "".join(
        f"  - {{name: {rule.name}, {f'per: {rule.per}, ' if rule.per else ''}hold: {rule.hold}, wait: {rule.wait}{rule.more},"
        f" limit: [{', '.join(f'{chr(34)}{rule.limit}{window}{chr(34)}' for window in WINDOWS)}]}}\n"
        for rule in rules
    )
    account = getpass.getuser()
    return (
        "version: 1\nowner: tests@acme.example\ntimezone: Europe/Berlin\n"
        f"teams:\n{teams}people:\n  p0: {{team: t0, accounts: [p0, '{account}']}}\n{people}budgets:\n{budgets}{more}"
    )


def rules(*narrow: Limited, more: str = "") -> Policy:
    """The same as values."""
    policy = parse_policy(text(*narrow, more=more).encode())
    assert len(policy.budgets) == BUDGETS
    return policy


def drawn(policy: Policy, number: int, now_ms: int) -> tuple[Scope, ...]:
    """The thirty allowances that a call of this person draws on."""
    facts = Facts.of(
        person=f"p{number}",
        team=f"t{number % TEAMS}",
        tool="claude-code",
        session=f"s{number}",
        model="claude-opus-4-5",
    )
    found = scopes(policy, facts, now_ms, enforced=True)
    assert len(found) == BUDGETS
    return found


def counters(path: Path) -> dict[str, tuple[int, int]]:
    """Of each budget what its balances say is settled and held, over all values and windows; nano-dollars."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as ledger:
        kept = "SELECT budget, sum(settled), sum(held) FROM balances WHERE budget <> '' GROUP BY budget"
        return {budget: (settled, held) for budget, settled, held in ledger.execute(kept)}


def booked(path: Path) -> dict[str, tuple[int, int]]:
    """The same from the calls' own rows: what each was charged there, and what the open ones hold."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as ledger:
        summed = """SELECT budget, coalesce(sum(charged_nanos), 0), coalesce(sum(nanos) FILTER (WHERE charged_nanos IS NULL), 0)
            FROM holds JOIN balances ON balances.id = holds.balance WHERE budget <> '' GROUP BY budget"""
        return {budget: (settled, held) for budget, settled, held in ledger.execute(summed)}


def agree(path: Path) -> dict[str, tuple[int, int]]:
    """Counter = settled + open holds, for each of the thirty budgets; what they are.

    For ledgers younger than a day, whose rolling windows have let nothing go.
    """
    found = counters(path)
    assert len(found) == BUDGETS
    assert found == booked(path)
    return found
