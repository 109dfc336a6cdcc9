"""The short bill at the end of `exec`, on stderr: the command's own output stays what it was."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from spendgate.cli.observed import LISTED, priced_by_guess, would_have_been_refused
from spendgate.cli.output import note
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span
from spendgate.ledger.spending import Spend
from spendgate.money import short_dollars
from spendgate.window import zone_of


def bill(ledger: Path, gate: int) -> None:
    """Print what the calls of one gate cost, by model. Raises StateError where the ledger cannot be read."""
    own = Span(gate=gate)
    with closing(Reader(ledger)) as reader:
        lines = reader.spend(("model",), own, zone_of("UTC"))
        unrecognized = reader.states(own).get("unrecognized", 0)
        told = (priced_by_guess(*reader.guessed_prices(own)), would_have_been_refused(reader.would_refuse(own)))
    paid = [line for line in lines if line.calls]
    refused = sum(line.refused for line in lines)
    for line in paid:
        cost = f"{short_dollars(line.cost_nanos)}{_estimated(line)}"
        note(f"  {line.key[0] or 'unknown model'}: {_counted(line.calls)}, {_tokens(line)}, {cost}")
    total = sum(line.cost_nanos for line in paid)
    said = f"{_counted(sum(line.calls for line in paid), 'billable call')}, {short_dollars(total)}"
    # What was not recognized may have cost money, too: a bill that did not name it would promise too much.
    unread = f"unrecognized ({LISTED})"
    besides = [f"{count} {what}" for count, what in ((refused, "refused"), (unrecognized, unread)) if count]
    note("; ".join([said, *filter(None, [", ".join(besides)])]))
    for words in filter(None, told):
        note(words)


def _tokens(line: Spend) -> str:
    """Reads of a cache cost a tenth of other input, writes more than it: one sum of both would say nothing of the cost."""
    cached = ((line.cache_read_tokens, "cache read"), (line.cache_write_tokens, "cache write"))
    counts = [(line.input_tokens, "in"), *[each for each in cached if each[0]], (line.output_tokens, "out")]
    return ", ".join(f"{count:,} {what}" for count, what in counts)


def _estimated(line: Spend) -> str:
    """How much of a line nobody counted."""
    if not line.not_reported_nanos:
        return ""
    whole = line.not_reported_nanos == line.cost_nanos
    told = "estimated" if whole else f"of it {short_dollars(line.not_reported_nanos)} estimated"
    if not line.calibrated_nanos:
        return f", {told}"
    calibrated = line.calibrated_nanos == line.not_reported_nanos
    part = "calibrated" if calibrated else f"{short_dollars(line.calibrated_nanos)} of that calibrated"
    return f", {told} ({part})"


def _counted(count: int, what: str = "call") -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
