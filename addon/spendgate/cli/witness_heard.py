"""How much each log has told, and what of it could not be read: in words, for `reconcile witness` and `reconcile report`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from spendgate.cli.output import note
from spendgate.reconcile.witnesses.hearing import Hearing
from spendgate.reconcile.witnesses.interface import Told
from spendgate.reconcile.witnesses.matching import Matched

_UNREAD = {
    "unreadable": "lines or rows that could not be read",
    "encoded": "files that are compressed or in UTF-16: unpack them, or write them as UTF-8",
    "too_long": "lines that are too long",
    "cut_off": "lines that are still being written",
    "links": "links, which are not followed",
    "foreign": "files of another account, which are not read",
    "closed": "files that could not be opened",
}


def nothing(hearings: Sequence[Hearing]) -> str:
    """What no row means."""
    if any(each.there for each in hearings):
        return "the logs and the ledger know the same requests"
    if all(each.told.whole for each in hearings):
        return "no tool has a session log here: nothing was compared"
    return "no session log here could be read: nothing was compared"


def sum_up(matched: Matched, hearings: Sequence[Hearing]) -> None:
    """A line for each witness, on stderr: how much it knows, and what of its log could not be read."""
    both = Counter(pair.seen.witness for pair in matched.both)
    odd = Counter(pair.seen.witness for pair in matched.both if pair.differs)
    around = Counter(seen.witness for seen in matched.around)
    alone = Counter(call.tool for call in matched.ledger_only)
    for each in hearings:
        if not each.there:
            if not each.told.whole:
                note(f"{each.witness.name}: nothing was read ({_unread(each.told)})")
            continue
        name = each.witness.name
        told = f"{both[name]:,} in both, {around[name]:,} around the gate"
        told += f", {odd[name]:,} with other counts" if odd[name] else ""
        if each.witness.name == each.witness.tool:
            told += f", {alone[each.witness.tool]:,} in the ledger only"
        note(f"{name}: {told}" + ("" if each.told.whole else f" ({_unread(each.told)})"))
    silent = ", ".join(each.witness.name for each in hearings if not each.there and each.told.whole)
    if silent:
        note(f"no log here of: {silent}")


def tell_unread(hearings: Sequence[Hearing]) -> None:
    """On stderr, what of each log could not be read, where that is anything."""
    for each in hearings:
        if not each.told.whole:
            note(f"{each.witness.name}: {_unread(each.told)}")


def _unread(told: Told) -> str:
    counts = {words: getattr(told, name) for name, words in _UNREAD.items()}
    found = "; ".join(f"{count:,} {words}" for words, count in counts.items() if count)
    return f"not read: {found}"
