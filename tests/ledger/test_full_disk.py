"""A full disk: new calls are told at once, open holds still settle on the reserve, and nothing is half-written."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.kit import NOW, admit, open_ledger, row, scope, settled, standing_of
from small_disk import fill_up, mounted
from spendgate.errors import LedgerBusy, LedgerUnavailable, StateError
from spendgate.ledger.queries import Reader
from spendgate.ledger.reserve import Reserve
from spendgate.ledger.statements import StatementBook
from spendgate.statement import DAY_MS, Line, Statement


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB."""
    with mounted(tmp_path / "disk", 16) as folder:
        yield folder


def filled(folder: Path) -> None:
    """Take every block that is left."""
    with (folder / "ballast").open("wb", buffering=0) as file:
        fill_up(file)


def test_open_holds_settle_on_the_reserve(small_disk: Path) -> None:
    """Full: no new call is held, LedgerUnavailable says why; all open ones settle; sums and chain are right."""
    ledger, budget = open_ledger(small_disk), scope()
    names = [str(number) for number in range(50)]
    for name in names:
        ledger.hold(row(name), (budget,), admit(700), NOW)
    filled(small_disk)
    with pytest.raises(LedgerUnavailable, match="disk is full") as refusal:
        for number in range(1000):
            ledger.hold(row(f"new-{number}"), (budget,), admit(700), NOW)
            names.append(f"new-{number}")
    assert not isinstance(refusal.value, LedgerBusy)
    assert (small_disk / "ledger.db-reserve").exists(), "a new call must not use the room that open calls need"
    for name in names:
        assert ledger.settle(name, settled(500, budget))
    assert not (small_disk / "ledger.db-reserve").exists()
    with pytest.raises(LedgerUnavailable, match="disk is full"):
        ledger.hold(row("newer"), (budget,), admit(700), NOW)  # though there is room now: it is for endings
    with Reader(small_disk / "ledger.db") as reader:
        assert reader.check() == ()
    (small_disk / "ballast").unlink()
    ledger.resolve_orphans(NOW)
    assert (small_disk / "ledger.db-reserve").exists(), "the reserve is taken again when there is room"
    assert standing_of(ledger, budget).settled_nanos == 500 * len(names)
    ledger.close()


def test_an_import_leaves_the_reserve_to_open_calls(small_disk: Path) -> None:
    """A bill can be imported again; what a call cost cannot."""
    ledger, budget = open_ledger(small_disk), scope()
    ledger.hold(row("c"), (budget,), admit(700), NOW)
    filled(small_disk)
    start = NOW // DAY_MS * DAY_MS
    lines = tuple(Line(start, start + 1, "x", response_id=sha256(str(at).encode()).hexdigest()) for at in range(20_000))
    said = Statement("x", "x", "", start, start + DAY_MS, "ab" * 32, "x.csv", None, lines)
    with StatementBook(small_disk / "ledger.db") as book, pytest.raises(StateError, match="disk is full"):
        book.take(said, "alice", NOW)
    assert (small_disk / "ledger.db-reserve").exists()
    assert ledger.settle("c", settled(500, budget))
    ledger.close()


def test_reserve_holds_real_blocks(tmp_path: Path) -> None:
    """A sparse file would keep nothing in reserve."""
    reserve = Reserve(tmp_path / "reserve", 1024 * 1024)
    assert reserve.fill()
    assert reserve.path.stat().st_blocks * 512 >= 1024 * 1024
    assert reserve.free()
    assert not reserve.free()


def test_reserve_that_does_not_fit_is_not_kept(small_disk: Path) -> None:
    """Half a reserve is given back: it would only make the disk fuller."""
    reserve = Reserve(small_disk / "reserve", 1024 * 1024 * 1024)
    assert not reserve.fill()
    assert not reserve.path.exists()


def test_the_room_of_many_open_calls_is_not_eaten_by_new_ones(small_disk: Path) -> None:
    """Calls hold and settle one after another on a disk that has become full: those that were open before can still end."""
    ledger, budget = open_ledger(small_disk), scope()
    before = [str(number) for number in range(200)]
    for name in before:
        ledger.hold(row(name), (budget,), admit(700), NOW)
    filled(small_disk)
    refused = 0
    for number in range(2_000):
        try:
            ledger.hold(row(f"new-{number}"), (budget,), admit(700), NOW)
            ledger.settle(f"new-{number}", settled(500, budget))
        except LedgerUnavailable:
            refused += 1
    assert refused > 1_000
    assert all(ledger.settle(name, settled(500, budget)) for name in before)
    ledger.close()


def test_when_no_call_comes_any_more_the_rest_may_use_the_reserve(small_disk: Path) -> None:
    """What a stopping gate still has to tell is told, as far as there is room at all."""
    ledger, budget = open_ledger(small_disk), scope()
    filled(small_disk)
    left = [f"left-{number}" for number in range(200)]
    with pytest.raises(LedgerUnavailable):
        for name in left:
            ledger.hold(row(name), (budget,), admit(700), NOW)
    ledger.spend_reserve()
    for name in (*left, "last"):
        if not ledger.settle(name, settled(500, budget)):
            ledger.hold(row(name), (budget,), admit(700), NOW)
            assert ledger.settle(name, settled(500, budget))
    ledger.close()
