"""macOS' table of connections, read as Apple's sources write it."""

from __future__ import annotations

import sys
from ctypes import sizeof

import pytest

from identity.darwin import Ends, Holder, Line, NewerHolder, Packed, table
from spendgate.identity import pcblist
from spendgate.identity.interface import Endpoints
from spendgate.identity.pcblist import Row, find, rows

HERE, GATE = ("127.0.0.1", 50_001), ("127.0.0.1", 8080)


@pytest.mark.parametrize("holder", [Holder, NewerHolder])
def test_rows_are_read_with_their_owners(holder: type[Packed]) -> None:
    """Both ends as a client sees them, the socket's account, the process of its last use; of two lengths of records."""
    found = list(rows(table([Line(HERE, GATE, 501, 71), Line(("::1", 50_002), ("::1", 8080), 502, 72)], holder)))

    assert (sizeof(Ends), sizeof(Holder)) == (104, 76)
    assert found == [Row(HERE, GATE, 501, 71, 4), Row(("::1", 50_002), ("::1", 8080), 502, 72, 4)]


@pytest.mark.parametrize(
    ("line", "uid", "pid"),
    [
        pytest.param(Line(HERE, GATE, 0, 71), 0, 71, id="root's"),
        pytest.param(Line(HERE, GATE, 0, 0, so=0), None, None, id="without a socket: zeros are nobody, not root"),
        pytest.param(Line(HERE, GATE, 0, 71, so=0), None, 71, id="a process's own, without a socket"),
        pytest.param(
            Line(("::ffff:127.0.0.1", 50_001), ("::ffff:127.0.0.1", 8080), 501, 71, vflag=5), 501, 71, id="mapped"
        ),
        pytest.param(
            Line(("::ffff:127.0.0.1", 50_001), ("::ffff:127.0.0.1", 8080), 501, 71), 501, 71, id="mapped, as IPv6"
        ),
    ],
)
def test_one_connection_is_found_by_its_ends(line: Line, uid: int | None, pid: int | None) -> None:
    """Among others that differ in one of them."""
    others = [
        Line(("127.0.0.2", 50_001), GATE, 9, 9),
        Line(HERE, ("127.0.0.2", 8080), 9, 9),
        Line(GATE, HERE, 9, 9),
        Line(HERE, ("127.0.0.1", 8081), 9, 9),
    ]
    for place in range(len(others) + 1):
        found = find(table([*others[:place], line, *others[place:]]), Endpoints(HERE, ("::ffff:127.0.0.1", 8080)))
        assert found == Row(HERE, GATE, uid, pid, 4)
    assert find(table(others), Endpoints(HERE, GATE)) is None


def test_of_two_with_the_same_ends_the_one_that_is_held_is_meant() -> None:
    """The other one is what is left of it."""
    left, held = Line(HERE, GATE, so=0, state=10), Line(HERE, GATE, 501, 71)
    for lines in ([left, held], [held, left]):
        found = find(table(lines), Endpoints(HERE, GATE))
        assert found is not None
        assert found.uid == 501


def test_a_links_number_is_not_of_the_address() -> None:
    """The kernel keeps it in the address; clients write it behind."""
    lines = [Line(("fe80:4::1", 50_001), ("fe80:4::2", 8080), 501, 71)]
    found = find(table(lines), Endpoints(("fe80::1%en0", 50_001), ("fe80::2%en0", 8080)))
    assert found is not None
    assert found.local == ("fe80::1", 50_001)


def test_what_listens_is_no_connection() -> None:
    """It has no other end."""
    assert list(rows(table([Line(GATE, ("127.0.0.9", 0), 501, 71, state=1)]))) == []


def test_the_tail_is_no_row() -> None:
    """Its count stands where a record's kind does: 16 is that of a row's first."""
    assert len(list(rows(table([Line(HERE, GATE, 501, 71)], count=16)))) == 1


def test_a_system_without_connections() -> None:
    """A head alone, or head and tail."""
    assert list(rows(table([]))) == list(rows(table([])[:24])) == []


def test_what_is_laid_out_otherwise_is_not_guessed_at() -> None:
    """Cut anywhere within a row, or with other kinds, lengths, or rows of two sizes: a ValueError, never another's account."""
    whole = table([Line(HERE, GATE, 501, 71)])
    for cut in range(32, len(whole) - 24):
        try:
            assert list(rows(whole[:cut])) == []
        except ValueError:
            continue
    for at, byte in ((28, 1), (24, 200), (24 + 104 + 4, 3)):
        with pytest.raises(ValueError, match="the table of connections"):
            list(rows(whole[:at] + bytes([byte]) + whole[at + 1 :]))
    older = table([Line(HERE, GATE, 501, 71)], Holder)
    with pytest.raises(ValueError, match="several sizes"):
        list(rows(older[:-24] + whole[24:]))


@pytest.mark.skipif(sys.platform == "darwin", reason="there it is the system's own")
def test_another_system_has_no_such_table() -> None:
    """Said by an exception that the look-up knows."""
    with pytest.raises((AttributeError, OSError)):
        pcblist.read()
