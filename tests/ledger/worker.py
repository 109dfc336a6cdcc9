"""A gate in a process of its own, for tests that need several or must kill one.

python worker.py race FOLDER CALLS NANOS      hold CALLS calls of NANOS within the limit, settle none, print how many went
python worker.py churn FOLDER NAME BUDGETS    hold, send, settle without end; each served call's id goes to stdout first
python worker.py lock FOLDER                  keep the write lock until stdin closes
python worker.py steps FOLDER NAME            start a gate with its budgets filled; for each line of stdin settle one call and
                                              print its id; stop as a gate does when stdin closes
python worker.py decide FOLDER TEXT NOW CALLS NANOS
                                              decide CALLS calls of NANOS under a policy text, print how many went, keep open
python worker.py purge FOLDER NOW KEEP CHUNK  purge all that may go then, so many calls at a time
python worker.py bill FOLDER SEED             count and charge what bills have and no call, without end, each time another amount
python worker.py read FOLDER                  look at the ledger as `status` does, print how many calls it shows
"""

from __future__ import annotations

import itertools
import os
import random
import sqlite3
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import crowded
from ledger.desk import Desk
from ledger.kit import DAY, NOW, admit, keeper_of, open_ledger, row, scope, settled, within_limits
from spendgate.admission import Admit
from spendgate.audit_words import AuditWord
from spendgate.errors import LedgerBusy
from spendgate.ledger import purge as purging
from spendgate.ledger.audit_log import Line
from spendgate.ledger.counted import Counted
from spendgate.ledger.heads_file import SeenClock
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span
from spendgate.ledger.statements import StatementBook
from spendgate.ledger.uncaptured import Uncaptured
from spendgate.policy import Policy
from spendgate.standing import Scope

LIMIT = 5_000_000_000
BUDGETS = (scope("person/day", limit=LIMIT), scope("person/24h", limit=LIMIT, rolling_ms=86_400_000))


BILLED_SPAN = (NOW // DAY * DAY - 3 * DAY, NOW // DAY * DAY)
BILLED = tuple(Counted(each.budget, each.words, 0) for each in BUDGETS)


def billed(day: int, nanos: int) -> Uncaptured:
    """So much of alice's on one of three days before this one."""
    return Uncaptured(BILLED_SPAN[0] + day * DAY, "anthropic", "alice", "", "", "opus", nanos, None, ("a1b2c3d4",))


def retried(action: Callable[[], object]) -> object:
    """Try until the ledger is not busy, as a gate does."""
    while True:
        try:
            return action()
        except LedgerBusy:
            time.sleep(0.001)


def race(folder: Path, calls: int, nanos: int) -> None:
    """As many calls as fit."""
    ledger, name = open_ledger(folder), Path(sys.argv[0]).stem + str(time.monotonic_ns())
    decisions = [
        retried(lambda n=n: ledger.hold(row(f"{name}-{n}"), BUDGETS, within_limits(nanos), NOW)) for n in range(calls)
    ]
    print(sum(isinstance(each, Admit) for each in decisions), flush=True)
    sys.stdin.read()


def drawn(budgets: int, number: int) -> tuple[Scope, ...]:
    """What the call of this number draws on: the two budgets of one person, or thirty, of one of five hundred people."""
    return BUDGETS if budgets == len(BUDGETS) else crowded.drawn(_crowd(), number % crowded.PEOPLE, NOW)


@cache
def _crowd() -> Policy:
    return crowded.rules(crowded.Limited("firm", "person", hold="ceiling"))


def churn(folder: Path, name: str, budgets: int) -> None:
    """One call after the other, each a little late to settle, so that some are always open."""
    ledger = open_ledger(folder)
    ledger.resolve_orphans(NOW)
    keeper = keeper_of(folder, ledger)
    waiting: list[tuple[str, tuple[Scope, ...]]] = []
    for number in itertools.count():
        call, scopes = f"{name}-{number}", drawn(budgets, number)
        retried(lambda call=call, scopes=scopes: ledger.hold(row(call), scopes, admit(1_000), NOW))
        retried(lambda call=call: ledger.sent(call, NOW))
        print(call, flush=True)
        waiting.append((call, scopes))
        if len(waiting) > 3:
            oldest, charged = waiting.pop(0)
            retried(lambda oldest=oldest, charged=charged: ledger.settle(oldest, settled(700, *charged)))
            retried(lambda number=number: ledger.audit(Line(NOW, AuditWord.ALERT, f"{name} {number}")))
            retried(lambda: keeper.look(SeenClock(NOW)))


def lock(folder: Path) -> None:
    """Another process that writes for too long."""
    conn = sqlite3.connect(folder / "ledger.db", isolation_level=None)
    conn.execute("BEGIN IMMEDIATE")
    print("locked", flush=True)
    sys.stdin.read()


def steps(folder: Path, name: str) -> None:
    """A gate that does what it is told: a start with all it opens, calls, an orderly stop."""
    ledger = open_ledger(folder)
    # As a gate does at its start and at each change of the policy: with a second connection, closed again.
    counted = (Counted("person/day", BUDGETS[0].words, NOW - 86_400_000),)
    ledger.prepare(counted, lambda _: BUDGETS[:1], NOW)
    print("started", flush=True)
    for number, _ in enumerate(sys.stdin):
        call = f"{name}-{os.getpid()}-{number}"
        retried(lambda call=call: ledger.hold(row(call), BUDGETS, admit(1_000), NOW))
        retried(lambda call=call: ledger.settle(call, settled(700, *BUDGETS)))
        print(call, flush=True)
    ledger.close()


def decide(folder: Path, *told: str) -> None:
    """Calls of alice's for project x and for none in turns, as many as fit."""
    text, now_ms, calls, nanos = told
    gate = retried(lambda: Desk(folder, text))
    assert isinstance(gate, Desk)
    projects = ("x", None)
    decisions = [
        retried(lambda n=n: gate.ask(int(now_ms), int(nanos), project=projects[n % 2])) for n in range(int(calls))
    ]
    print(sum(isinstance(each, tuple) and isinstance(each[1], Admit) for each in decisions), flush=True)
    sys.stdin.read()


def purge(folder: Path, *told: str) -> None:
    """A purge, as a gate or the command does it."""
    now_ms, keep, chunk = map(int, told)
    purging.CHUNK = chunk  # type: ignore[misc] - smaller transactions have more points at which to die
    with purging.Purge(folder / "ledger.db", folder / "gates") as purge:
        print("purging", flush=True)
        retried(lambda: purging.run(purge, keep, now_ms))


def bill(folder: Path, seed: str) -> None:
    """Import after import, each another version of the same three days."""
    chance = random.Random(seed)
    with StatementBook(folder / "ledger.db") as book:
        for number in itertools.count():
            cells = [billed(at, chance.choice((0, 1, 2, 10**6))) for at in range(3)]
            book.count(BILLED_SPAN, [each for each in cells if each.nanos], "admin", NOW, book.upto())
            book.charge(BILLED, lambda _: BUDGETS)
            print(number, flush=True)


def read(folder: Path) -> None:
    """A reading command, from its open to its close."""
    with Reader(folder / "ledger.db") as reader:
        print(sum(1 for _ in reader.calls(Span())), flush=True)


if __name__ == "__main__":
    word, folder, *rest = sys.argv[1:]
    {"race": lambda: race(Path(folder), int(rest[0]), int(rest[1])), "churn": lambda: churn(Path(folder), rest[0], int(rest[1])),
     "lock": lambda: lock(Path(folder)), "steps": lambda: steps(Path(folder), rest[0]),
     "decide": lambda: decide(Path(folder), *rest), "purge": lambda: purge(Path(folder), *rest),
     "bill": lambda: bill(Path(folder), rest[0]), "read": lambda: read(Path(folder))}[word]()  # fmt: skip
