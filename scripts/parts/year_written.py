"""A ledger of a year and more, as gates leave it, for `scripts/purge-year`.

It is written row by row: 25 people in 5 teams, four models, budgets over six kinds of window, every call with its link in
the chain, its holds and its charges.
"""

from __future__ import annotations

import random
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path

from spendgate.config.policy_file import parse_policy
from spendgate.fitting import enforces, scopes
from spendgate.gate.past import counted
from spendgate.ledger import chain, open_calls, purgeable, rows
from spendgate.ledger.interface import CallRow, Settlement
from spendgate.ledger.ledger import Ledger
from spendgate.policy import Policy
from spendgate.selector import Facts
from spendgate.standing import Scope
from spendgate.usage import Usage
from spendgate.window import DAY_MS

NOW_MS = 1_795_312_800_000
KEEP_DAYS, YEAR_DAYS = 400, 365
PEOPLE, TEAMS = 25, 5
MODELS = ("claude-opus-4-5", "claude-sonnet-4-5", "gpt-5", "claude-haiku-4-5")
_AT_ONCE = 20_000
_COLUMNS = (*rows.OPENED, *rows.SETTLED, *rows.RUNNING, "holds", "gate")
POLICY = f"""\
version: 1
owner: bench@acme.example
privacy: {{keep: {KEEP_DAYS} days}}
teams: {{{", ".join(f"t{number}: {{}}" for number in range(TEAMS))}}}
people:
{"".join(f"  p{number}: {{team: t{number % TEAMS}}}{chr(10)}" for number in range(PEOPLE))}
budgets:
  - name: person
    per: person
    limit: [$999999 per day, $999999 per rolling 24h, $999999 per rolling 30d, $999999 per month, $999999]
  - {{name: team, per: team, limit: "$1,000,000 per quarter"}}
  - {{name: everyone, limit: "$1,000,000 per year"}}
  - {{name: runaway, per: person, limit: 4x mean of 7d per day, at_least: $20, at_most: "$1,000,000"}}
"""


@dataclass
class Written:
    """The balances of a ledger that is being written, by the scope's key."""

    ids: dict[tuple[str, str, str, str, int], int] = field(default_factory=dict)
    scopes: dict[int, Scope] = field(default_factory=dict)
    settled: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    kinds: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def balance(self, scope: Scope) -> int:
        """The number of its balance."""
        found = self.ids.setdefault(scope.balance, len(self.ids) + 1)
        self.scopes.setdefault(found, scope)
        return found


def _drawn(policy: Policy, written: Written, person: int, day_ms: int) -> list[tuple[int, int]]:
    """The balances that a call of this person's draws on that day: number, and the length of a rolling window."""
    facts = Facts.of(model=MODELS[0], person=f"p{person}", team=f"t{person % TEAMS}")
    found = scopes(policy, facts, day_ms, enforces(policy, facts))
    return [(written.balance(scope), scope.rolling_ms or 0) for scope in found]


def _calls(old: int, kept: int, written: Written, policy: Policy) -> Iterator[rows.Values]:
    """The values of `_COLUMNS`, oldest first; the same each time."""
    rng = random.Random(7)
    oldest_ms, border_ms = NOW_MS - (KEEP_DAYS + YEAR_DAYS) * DAY_MS, purgeable.before(NOW_MS, KEEP_DAYS)
    drawn: dict[int, list[tuple[int, int]]] = {}
    day = -1
    for number in range(old + kept):
        if number < old:
            at_ms = oldest_ms + (border_ms - oldest_ms) * number // old
        else:
            at_ms = border_ms + (NOW_MS - border_ms) * (number - old) // kept
        if at_ms // DAY_MS != day:
            day, drawn = at_ms // DAY_MS, {}
        person, model = rng.randrange(PEOPLE), MODELS[rng.randrange(len(MODELS))]
        if person not in drawn:
            drawn[person] = _drawn(policy, written, person, at_ms)
        cost = int(rng.lognormvariate(17.5, 1))
        kind = f"claude-code|{model}"
        row = CallRow(
            f"c{number:07d}", at_ms, f"p{person}", "m1", "anthropic", "api.anthropic.com", "/v1/messages",
            team=f"t{person % TEAMS}", account_os=f"p{person}", tool="claude-code", session=f"s{number // 40}-{person}",
            project="github.com/acme/widgets", process="claude", model_requested=model, kind=kind, estimate_nanos=cost,
            ceiling_nanos=8 * cost, typical_nanos=cost, request_bytes=9_000, text_bytes=8_000, policy_hash="x" * 16,
        )  # fmt: skip
        usage = Usage(
            input_tokens=rng.randrange(9_000), cache_read_tokens=rng.randrange(90_000), output_tokens=rng.randrange(900)
        )
        end = Settlement("settled", "reported", usage, cost, cost, (), at_ms + 9_000, model=model, http_status=200)
        holds = open_calls.charged([(at, cost, 8 * cost, "expected", 0, cost) for at, _ in drawn[person]])
        running = (None, at_ms, at_ms, cost, 0, None)
        for balance, length_ms in drawn[person]:
            if not length_ms or at_ms > NOW_MS - length_ms:
                written.settled[balance] += cost
        written.kinds[kind] += 1
        yield (*rows.opened(row), *rows.ended(end, ()), *running, holds, 1)


def write(path: Path, gates: Path, old: int, kept: int) -> None:
    """A ledger with so many calls in the year that is to go, and in the 400 days that stay."""
    policy, written = parse_policy(POLICY.encode()), Written()
    Ledger.open(path, gates, NOW_MS).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        conn.execute("PRAGMA cache_size = -200000")
        every, position, head = _calls(old, kept, written, policy), 0, chain.FIRST
        while chunk := list(islice(every, _AT_ONCE)):
            links = []
            for number, values in enumerate(chunk, position + 1):
                digest = sha256(chain.canonical(values[:-1])).digest()
                head = sha256(head + digest).digest()
                links.append((number, number, chain.SETTLED, digest, head))
            conn.execute("BEGIN")
            conn.executemany(rows.insert_sql(_COLUMNS), chunk)
            conn.executemany("INSERT INTO chain (position, call, form, digest, head) VALUES (?, ?, ?, ?, ?)", links)
            conn.execute("COMMIT")
            position += len(chunk)
        _write_balances(conn, written)
        notes = [(each.budget, each.noted_as, position, 0) for each in counted(policy, NOW_MS)]
        conn.executemany("INSERT INTO counted (budget, words, upto_seq, since_ms) VALUES (?, ?, ?, ?)", notes)


def _write_balances(conn: sqlite3.Connection, written: Written) -> None:
    conn.execute("BEGIN")
    numbered = [(number, key, written.scopes[number]) for key, number in written.ids.items()]
    conn.executemany(
        """INSERT INTO windows (id, budget, value, window, words, length_ms, starts_ms, ends_ms)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        [(number, *key, scope.starts_ms, scope.ends_ms) for number, key, scope in numbered],
    )
    conn.executemany(
        "INSERT INTO sums (id, edge_ms, settled) VALUES (?, ?, ?)",
        [(number, NOW_MS - key[-1] if key[-1] else None, written.settled[number]) for number, key, _ in numbered],
    )
    first = max(written.scopes) + 1
    conn.executemany(
        """INSERT INTO windows (id, budget, value, window, words, length_ms, starts_ms)
        VALUES (?, '', ?, '', '', 0, 0)""",
        list(enumerate(written.kinds, first)),
    )
    conn.executemany(
        "INSERT INTO sums (id, settled_calls) VALUES (?, ?)", list(enumerate(written.kinds.values(), first))
    )
    conn.execute("COMMIT")
