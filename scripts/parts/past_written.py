"""A long past, written into a ledger as calls of 500 people in 40 teams would have left it, for `parts.bench_history`."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from spendgate.standing import Size

ENDS_MS = 1_795_000_000_000
BETWEEN_MS = 2_600
PEOPLE, TEAMS = 500, 40
MODELS = ("claude-opus-4-5", "claude-sonnet-4-5", "gpt-5", "claude-haiku-4-5")
_AT_ONCE = 20_000
_COLUMNS = (
    "id", "state", "gate", "started_ms", "booked_ms", "ended_ms", "person", "team", "groups", "machine", "account_os", "tool",
    "session", "evidence", "provider", "host", "path", "model_requested", "model", "kind", "billing", "estimate_nanos",
    "ceiling_nanos", "typical_nanos", "held_nanos", "size", "cost_nanos", "value_nanos", "basis", "request_bytes", "text_bytes",
    "waited_ms", "policy_hash", "input_tokens", "output_tokens", "holds",
)  # fmt: skip


def _past(calls: int) -> Iterator[tuple[object, ...]]:
    """The rows of `_COLUMNS`, oldest first, the last at `ENDS_MS`; the same each time."""
    rng = random.Random(7)
    sessions: dict[int, str] = {}
    at_ms = ENDS_MS - calls * BETWEEN_MS
    for number in range(calls):
        at_ms += 1 + rng.randrange(2 * BETWEEN_MS - 2)
        person, model = rng.randrange(PEOPLE), MODELS[rng.randrange(len(MODELS))]
        if person not in sessions or rng.random() < 0.02:
            sessions[person] = f"s{number}"
        cost = int(rng.lognormvariate(17.5, 1))
        expected = int(cost * rng.uniform(0.5, 1.5))
        size = Size(
            ceiling_nanos=expected * 8, learned_nanos=expected, largest_nanos=expected * 4, typical_nanos=expected,
            guess_nanos=expected * 8, spread_nanos=expected // 2, output_nanos=expected // 3, seen=50, own_seen=50,
            output_most_nanos=expected * 5,
        )  # fmt: skip
        holds = ",".join(
            f'[{10_000 + person * 5 + each},{expected},{expected * 8},"expected",0,{cost}]' for each in range(5)
        )
        yield (
            f"c{number:07d}", "settled", 1, at_ms, min(at_ms, ENDS_MS), at_ms + rng.randrange(1_000, 30_000), f"p{person}",
            f"t{person % TEAMS}", "", f"m{person}", f"p{person}", "claude-code", sessions[person], "", "anthropic",
            "api.anthropic.com", "/v1/messages", model, model, f"claude-code|{model}", "metered", expected, expected * 8,
            expected, expected, size.text, cost, cost, "reported", 1_000, 1_000, 0, "x", 1_000, 100, f"[{holds}]",
        )  # fmt: skip


def write(path: Path, calls: int) -> None:
    """Add so many past calls to an open-able ledger, each with its link, and a tenth as many balances that have ended."""
    names = ", ".join(_COLUMNS)
    marks = ", ".join("?" * len(_COLUMNS))
    with sqlite3.connect(path, isolation_level=None) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        conn.execute("PRAGMA cache_size = -200000")
        first = conn.execute("SELECT coalesce(max(seq), 0) FROM call_rows").fetchone()[0]
        rows = _past(calls)
        while chunk := list(islice(rows, _AT_ONCE)):
            conn.execute("BEGIN")
            conn.executemany(f"INSERT INTO call_rows ({names}) VALUES ({marks})", chunk)  # noqa: S608 - this file's own words
            conn.execute("COMMIT")
        conn.execute(
            """INSERT INTO chain (position, call, form, digest, head)
            SELECT (SELECT coalesce(max(position), 0) FROM chain) + seq - ?1, seq, 7, randomblob(32), randomblob(32)
            FROM call_rows WHERE seq > ?1""",
            (first,),
        )
        conn.execute(
            """INSERT INTO windows (id, budget, words, value, window, length_ms, starts_ms, ends_ms)
            SELECT 1000000 + seq, 'b' || seq % 200, 'old', person, booked_ms, 0, booked_ms, booked_ms + 1
            FROM call_rows WHERE seq > ? AND seq % 10 = 0""",
            (first,),
        )
        conn.execute(
            "INSERT INTO sums (id, settled) SELECT 1000000 + seq, cost_nanos FROM call_rows WHERE seq > ? AND seq % 10 = 0",
            (first,),
        )
        # The gates that admitted these calls counted them in their budgets.
        conn.execute("UPDATE counted SET upto_seq = (SELECT max(seq) FROM call_rows)")
    conn.close()
