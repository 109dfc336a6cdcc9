"""A ledger's file verified: recomputed, and against what is remembered beside it."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from pathlib import Path

from spendgate.cli.desk import Verified
from spendgate.cli.moments import iso
from spendgate.config import paths
from spendgate.ledger.heads_file import HeadsFile
from spendgate.ledger.queries import Reader

_MOST_FAULTS = 20


def verified(ledger: Path) -> Verified:
    """A ledger's file, recomputed, and against what is remembered beside it. Raises StateError where it is none."""
    seen = HeadsFile(ledger.parent, paths.write_private).read()
    with closing(Reader(ledger)) as reader:
        if sources := reader.sources():
            return _verified_merged(reader, len(sources))
        # Read before the ledger, which only grows: it has all of this, and maybe more.
        faults = reader.verify(seen.heads if seen else None)
        told, heads = list(islice(faults, _MOST_FAULTS)), reader.heads()
        more = sum(1 for _ in faults)
        gone, chained = reader.purged_calls(), reader.chained_from()
    against = "as remembered outside it" if seen and seen.heads else "nothing is remembered outside it"
    sums = f", of them {gone} purged by privacy.keep, whose sums by day hold" if gone else ""
    since = (
        f"\nchained from audit line {chained[0]} on, {iso(chained[1])}: those before it are of a version that did not chain them"
        if chained
        else ""
    )
    says = (
        f"ledger {heads.id} holds: {heads.audit.position} audit lines, {heads.calls.position} ended calls{sums}; {against}\n"
        f"head {heads.audit.head}{since}"
    )
    return Verified(tuple(str(fault).encode(errors="backslashreplace").decode() for fault in told), more, says)


def _verified_merged(reader: Reader, sources: int) -> Verified:
    faults = reader.verify_merged()
    told, calls = list(islice(faults, _MOST_FAULTS)), sum(each.links for each in reader.sources())
    says = (
        f"merged from {sources} ledgers of {calls} ended calls: their audit trails and sums by day hold, and no call is missing\n"
        "each call was verified when it was taken; whether one was changed here since, a merge into a new file shows"
    )
    return Verified(tuple(map(str, told)), sum(1 for _ in faults), says)
