"""Money: balance = settled + open holds + what bills have and no call, in whatever order, however often, and killed wherever."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.kit import DAY, NOW, admit, open_ledger, row, settled
from ledger.processes import worker
from ledger.worker import BILLED, BILLED_SPAN, BUDGETS, billed
from spendgate.admission import Admit
from spendgate.budget import Budget
from spendgate.fitting import scopes
from spendgate.gate import billed as budgets_of
from spendgate.gate import past
from spendgate.ledger.check import check
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.queries import Reader
from spendgate.ledger.statements import StatementBook
from spendgate.ledger.uncaptured import NOON_MS, Uncaptured, in_force
from spendgate.policy import Policy
from spendgate.selector import Facts
from spendgate.standing import Scope, Standing
from spendgate.window import Unit, Window

TODAY = NOW // DAY * DAY
PEOPLE = ("alice", "bob", "")
DAYS = 6


def _budget(name: str, order: int, window: Window | None, **words: object) -> Budget:
    return Budget(name=name, base_name=name, limit_nanos=10**15, window=window, order=order, counts="billed", **words)


RULES = Policy(
    owner="admin@acme.example",
    budgets=(
        _budget("person/month", 0, Window(Unit.MONTH), per=("person",)),
        _budget("person/72h", 1, Window(Unit.ROLLING, 72 * 3_600_000), per=("person",)),
        _budget("week", 2, Window(Unit.WEEK)),
        _budget("life", 3, None),
        _budget("captured", 4, None).model_copy(update={"counts": "captured"}),
    ),
)
Version = tuple[int, int, dict[tuple[int, str], int]]
"""From and until which of DAYS days, and how much of a day and person."""


@st.composite
def _versions(draw: st.DrawFn) -> Version:
    first = draw(st.integers(0, DAYS - 1))
    last = draw(st.integers(first + 1, DAYS))
    at = st.tuples(st.integers(first, last - 1), st.sampled_from(PEOPLE))
    return first, last, draw(st.dictionaries(at, st.integers(1, 10**9)))


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.sampled_from(PEOPLE[:2]), st.integers(0, 10**6)),
        st.tuples(st.just("settle"), st.integers(0, 9), st.integers(0, 10**6)),
        st.tuples(st.just("import"), _versions()),
        st.tuples(st.just("charge")),
        st.tuples(st.just("fill")),
        st.tuples(st.just("later"), st.integers(-5, 40)),
        st.tuples(st.just("gate again")),
    ),
    max_size=14,
)


class World:
    """A ledger, and beside it what should be in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now_ms = folder, NOW
        self.ledger = open_ledger(folder)
        self.ledger.prepare(past.counted(RULES, NOW), past.scopes_of(RULES), NOW)
        self.calls: list[tuple[str, int, int, bool]] = []
        """Person, when, nanos, whether it still runs."""
        self.drawn: list[tuple[Scope, ...]] = []
        self.said: dict[int, dict[str, int]] = {}
        self.charged = True

    def step(self, word: str, *told: object) -> None:
        getattr(self, word.replace(" ", "_"))(*told)

    def call(self, person: str, nanos: int) -> None:
        facts = Facts.of(model="claude-opus-4-5", person=person)
        drawn = scopes(RULES, facts, self.now_ms, True)
        name = f"call-{len(self.calls)}"
        assert isinstance(self.ledger.hold(row(name, person=person), drawn, admit(nanos), self.now_ms), Admit)
        self.calls.append((person, self.now_ms, nanos, True))
        self.drawn.append(drawn)

    def settle(self, number: int, nanos: int) -> None:
        if number < len(self.calls) and self.calls[number][3]:
            person, at_ms, _, _ = self.calls[number]
            self.ledger.settle(f"call-{number}", settled(nanos, *self.drawn[number]))
            self.calls[number] = (person, at_ms, nanos, False)

    def import_(self, version: Version) -> None:
        first, last, amounts = version
        span = (TODAY - (DAYS - first) * DAY, TODAY - (DAYS - last) * DAY)
        cells = [cell(day, person, nanos) for (day, person), nanos in amounts.items()]
        with StatementBook(self.folder / "ledger.db") as book:
            book.count(span, cells, "admin", self.now_ms, book.upto())
        for day in range(first, last):
            self.said[day] = {person: nanos for (at, person), nanos in amounts.items() if at == day}
        self.charged = False

    def charge(self) -> None:
        with StatementBook(self.folder / "ledger.db") as book:
            book.charge(budgets_of.counted(RULES, self.now_ms), budgets_of.scopes_of(RULES))
        self.charged = True

    def fill(self) -> None:
        self.ledger.prepare(past.counted(RULES, self.now_ms), past.scopes_of(RULES), self.now_ms)

    def later(self, hours: int) -> None:
        self.now_ms = max(NOW, self.now_ms + hours * 3_600_000)

    def gate_again(self) -> None:
        for number, (person, at_ms, nanos, runs) in enumerate(self.calls):
            if runs:
                self.ledger.settle(f"call-{number}", settled(nanos, *self.drawn[number]))
                self.calls[number] = (person, at_ms, nanos, False)
        self.ledger.close()
        self.ledger = open_ledger(self.folder, self.now_ms)

    def close(self) -> None:
        self.ledger.close()

    def right(self) -> None:
        """Each balance against the plain sum of all that happened; only for windows that run."""
        self.charge()
        with Reader(self.folder / "ledger.db") as reader:
            assert reader.check() == ()
            for person in ("alice", "bob"):
                facts = Facts.of(model="claude-opus-4-5", person=person)
                for standing in reader.standings(scopes(RULES, facts, self.now_ms, True), self.now_ms):
                    assert (standing.settled_nanos, standing.held_nanos) == self._plain(standing, person), (
                        standing.scope
                    )
                    assert standing.billed_nanos == self._billed(standing.scope, person)

    def _plain(self, standing: Standing, person: str) -> tuple[int, int]:
        scope = standing.scope
        own = [each for each in self.calls if self._within(scope, each[1]) and (each[0] == person or not scope.value)]
        ended = sum(nanos for _, _, nanos, runs in own if not runs)
        return ended + self._billed(scope, person), sum(nanos for _, _, nanos, runs in own if runs)

    def _billed(self, scope: Scope, person: str) -> int:
        if not scope.by_bill:
            return 0
        return sum(
            nanos
            for day, amounts in self.said.items()
            for who, nanos in amounts.items()
            if self._within(scope, TODAY - (DAYS - day) * DAY + NOON_MS) and (who == person or not scope.value)
        )

    def _within(self, scope: Scope, at_ms: int) -> bool:
        if scope.rolling_ms is not None:
            return at_ms > self.now_ms - scope.rolling_ms
        return scope.starts_ms <= at_ms and (scope.ends_ms is None or at_ms < scope.ends_ms)


def cell(day: int, person: str, nanos: int) -> Uncaptured:
    """So much of a person's on one of the days before this one."""
    at_ms = TODAY - (DAYS - day) * DAY
    return Uncaptured(at_ms, "cursor", person, "", "cursor", "claude-opus-4-5", nanos, 1, (f"import{day}",))


@given(_steps)
@settings(max_examples=60, deadline=None)
def test_a_balance_is_its_calls_and_what_was_billed_beside_them(steps: Sequence[tuple]) -> None:
    with TemporaryDirectory() as folder:
        world = World(Path(folder))
        try:
            for word, *told in steps:
                world.step("import_" if word == "import" else word, *told)
                with closing(sqlite3.connect(world.folder / "ledger.db", isolation_level=None)) as conn:
                    assert check(conn) == (), word
            world.right()
            world.charge()
            world.right()
        finally:
            world.close()


def test_killed_while_an_import_is_counted_beside_a_gate(tmp_path: Path) -> None:
    """A gate that holds and settles, and one import after the other, both killed at any point: the balances stay what their calls
    and charges make, and the next count brings them to what the last import said."""
    chance = random.Random(5)
    open_ledger(tmp_path).close()
    for number in range(12):
        running = []
        try:
            for words in (("churn", tmp_path, f"run{number}", len(BUDGETS)), ("bill", tmp_path, number)):
                running.append(one := worker(*words))
                assert one.stdout is not None
                assert one.stdout.readline(), "it ended by itself"
            time.sleep(chance.uniform(0, 0.05))
        finally:
            for each in reversed(running):
                each.kill()
                each.communicate()
        with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
            assert check(conn) == ()
    ledger = open_ledger(tmp_path)
    ledger.resolve_orphans(NOW)
    ledger.close()
    with StatementBook(tmp_path / "ledger.db") as book:
        book.charge(BILLED, lambda _: BUDGETS)
        assert book.charge(BILLED, lambda _: BUDGETS) == 0, "what is right stays"
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        calls = conn.execute("SELECT sum(cost_nanos) FROM call_rows").fetchone()[0]
        said = {each.day_ms: each.nanos for each in in_force(conn)}
    with Reader(tmp_path / "ledger.db") as reader:
        day, rolling = reader.standings(BUDGETS, NOW)
        assert reader.check() == ()
    assert (day.settled_nanos, day.held_nanos) == (calls + sum(said.values()), 0)
    assert rolling.settled_nanos == calls + said.get(BILLED_SPAN[0] + 2 * DAY, 0), "24 hours back is one noon"


def test_two_that_count_at_once_count_once(tmp_path: Path) -> None:
    """Two gates and a command take the same import in, in whatever order."""
    ledgers = [open_ledger(tmp_path), open_ledger(tmp_path)]
    with StatementBook(tmp_path / "ledger.db") as book:
        book.count(BILLED_SPAN, [billed(at, 100) for at in range(3)], "admin", NOW, book.upto())
        made = [
            take(BILLED, lambda _: BUDGETS) for take in (ledgers[0].take_billed, book.charge, ledgers[1].take_billed)
        ]
        book.count(BILLED_SPAN, [billed(0, 40)], "admin", NOW, book.upto())
        made += [take(BILLED, lambda _: BUDGETS) for take in (ledgers[1].take_billed, ledgers[0].take_billed)]
    assert made == [6, 0, 0, 6, 0]
    assert [sees(each) for each in ledgers] == [(40, 0)] * 2
    for each in ledgers:
        each.close()


def sees(ledger: Ledger) -> tuple[int, ...]:
    """What a gate's own memory has of the two budgets."""
    return tuple(each.settled_nanos for each in ledger.standings(BUDGETS, NOW, {}))


@pytest.mark.parametrize(
    "edit", ["UPDATE {} SET imports = ''", "UPDATE OR IGNORE {} SET imports = ''", "DELETE FROM {}"]
)
@pytest.mark.parametrize("table", ["uncaptured", "billed_charges"])
def test_what_bills_have_is_added_to_and_never_edited(tmp_path: Path, table: str, edit: str) -> None:
    charged(tmp_path)
    with (
        closing(sqlite3.connect(tmp_path / "ledger.db")) as conn,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        conn.execute(edit.format(table))


@pytest.mark.parametrize("gone", ["DELETE FROM balances WHERE id = ?", "DELETE FROM windows WHERE id = ?"])
def test_a_balance_that_goes_takes_what_bills_have_of_it(tmp_path: Path, gone: str) -> None:
    """By a purge of this version or of the one before it: nothing is left of a window that is over."""
    charged(tmp_path)
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        (balance, *_), *others = conn.execute("SELECT balance, sum(nanos) FROM billed_charges GROUP BY 1").fetchall()
        conn.execute(gone, (balance,))
        conn.execute("DELETE FROM sums WHERE id NOT IN (SELECT id FROM windows)")
        assert conn.execute("SELECT balance, sum(nanos) FROM billed_charges GROUP BY 1").fetchall() == others != []
        assert check(conn) == ()


def charged(folder: Path) -> None:
    """A ledger whose two budgets have three days of a bill."""
    open_ledger(folder).close()
    with StatementBook(folder / "ledger.db") as book:
        book.count(BILLED_SPAN, [billed(at, 100) for at in range(3)], "admin", NOW, book.upto())
        assert book.charge(BILLED, lambda _: BUDGETS) == 6
