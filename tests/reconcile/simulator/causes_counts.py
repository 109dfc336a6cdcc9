"""Injected: requests that both books have and count differently, or that one of them should not have."""

from __future__ import annotations

from msgspec.structs import replace

from reconcile.simulator.books import Entry, Request, Row
from reconcile.simulator.causes_scope import few
from reconcile.simulator.fleet import HOUR_MS
from reconcile.simulator.month import Month, Witness
from spendgate.reconcile.result import Cause
from spendgate.statement import DAY_MS, Billed
from spendgate.usage import NO_USAGE, Usage

_SETTLED_DAYS_MS = 2 * DAY_MS


def no_counts(month: Month) -> None:
    """Answers in which the gate found no counts: charged what such calls usually cost."""
    for each in month.some(few(month), lambda row, entry: row.provider in ("anthropic", "openai")):
        if each.row is not None:
            usual = each.row.cost_nanos * month.rng.randrange(40, 90) // 100
            each.row = replace(
                each.row, usage=NO_USAGE, cost_nanos=usual, value_nanos=usual, price=None, prices=None, basis="estimated",
                flags=("an answer without usage", "no counts"), response_id=None,
            )  # fmt: skip
            each.why = Cause.PARSE_MISS


def compaction(month: Month) -> None:
    """Samplings that the provider bills and the top of the answer does not count; Claude Code's own log has them."""
    for each in month.some(few(month), lambda row, entry: row.tool == "claude-code"):
        if each.row is not None and each.entry is not None:
            step = month.size.step
            more = Usage(
                input_tokens=month.rng.randrange(20_000, 90_000) // step * step,
                cache_read_tokens=0, cache_write_5m_tokens=0, cache_write_1h_tokens=0,
                output_tokens=month.rng.randrange(500, 4_000) // step * step,
            )  # fmt: skip
            each.entry = replace(each.entry, usage=each.entry.usage + more)
            month.known.witnessed.append(Witness(replace(each.row, usage=each.row.usage + more), more))
            each.why = Cause.SUBCALL_TOKENS


def client_gone(month: Month) -> None:
    """Streams that a client left: the gate saw a part of the output, the provider bills what it made."""
    for each in month.some(few(month), lambda row, entry: row.provider in ("anthropic", "openai") and _talks(row)):
        if each.row is not None:
            step, output = month.size.step, each.row.usage.output_tokens or 0
            seen = output * month.rng.randrange(10, 70) // 100 // step * step
            less = each.row.priced(replace(each.row.usage, output_tokens=seen))
            each.row = replace(less, state="interrupted", basis="estimated", flags=("ended by client disconnect",))
            each.why = Cause.ABORTED_STREAM


def _talks(row: Row) -> bool:
    return (row.usage.output_tokens or 0) >= 500


def error_after_work(month: Month) -> None:
    """The client got an error, the provider bills the work all the same."""
    for each in month.some(few(month), lambda row, entry: row.provider in ("anthropic", "openai")):
        if each.row is not None:
            each.row = _errored(each.row, 529)
            each.why = Cause.FAILED_BILLED


def cancelled_and_billed(month: Month) -> None:
    """The same on a bill that names each request."""
    for each in month.some(few(month), lambda row, entry: row.provider == "openrouter"):
        if each.row is not None:
            each.row = replace(_errored(each.row, 502), response_id=each.row.response_id)
            each.why = Cause.FAILED_BILLED


def _errored(row: Row, status: int) -> Row:
    return replace(
        row, usage=NO_USAGE, cost_nanos=0, value_nanos=0, price=None, prices=None, http_status=status, response_id=None
    )


def forgiven(month: Month) -> None:
    """Calls that were charged here and that the provider does not bill at all: refusals, expired items of a batch."""
    until = month.until_ms - _SETTLED_DAYS_MS
    for each in month.some(few(month), lambda row, entry: row.provider == "anthropic" and entry.at_ms < until):
        each.entry, each.why = None, Cause.CAPTURED_NOT_BILLED


def named_not_charged(month: Month) -> None:
    """The same on bills that name them, with an amount beside them that is none."""
    for each in month.some(few(month), lambda row, entry: row.provider in ("openrouter", "cursor")):
        if each.entry is not None:
            each.entry = replace(each.entry, billed=Billed.NOT_CHARGED)
            each.why = Cause.CAPTURED_NOT_BILLED


def counted_twice(month: Month) -> None:
    """Two rows of one answer."""
    twins = []
    for each in month.some(few(month), lambda row, entry: row.response_id is not None):
        if each.row is not None:
            late = month.rng.randrange(200, 30_000)
            again = replace(
                each.row, id=f"{each.row.id}b", started_ms=min(each.row.started_ms + late, each.row.day_ms + DAY_MS - 1),
                ended_ms=each.row.ended_ms + late,
            )  # fmt: skip
            twins.append(Request(again, None, Cause.RETRY_DUP))
    month.requests += twins


def plan_pays(month: Month) -> None:
    """Calls that the ledger counts as metered and a plan pays; what stands beside them is notional."""
    for each in month.some(few(month), lambda row, entry: row.provider == "cursor"):
        if each.entry is not None:
            each.entry = replace(each.entry, billed=Billed.INCLUDED)
            each.why = Cause.SUBSCRIPTION_INCLUDED


def estimated(month: Month) -> None:
    """A tool whose wire shows no counts: every one of its calls is off by something."""
    for each in list(month.some(len(month.requests), lambda row, entry: row.provider == "cursor", most_shared=1)):
        if each.row is not None and each.row.price is not None:
            percent, use = month.rng.randrange(50, 180), each.row.usage
            guess = Usage(
                input_tokens=(use.input_tokens or 0) * percent // 100,
                cache_read_tokens=(use.cache_read_tokens or 0) * percent // 100,
                output_tokens=(use.output_tokens or 0) * percent // 100,
            )
            each.row = replace(each.row.priced(guess), price=None)
            each.why = Cause.ESTIMATE


def not_yet_there(month: Month) -> None:
    """The bill was fetched some hours after the last day: what came late on it is not on the bill yet."""
    month.fresh = True
    last, until = month.until_ms - DAY_MS, month.until_ms

    def of_last(row: Row, entry: Entry) -> bool:
        return entry.provider in ("anthropic", "openai") and entry.day_ms == last

    late = [(each.entry.at_ms, each) for each in month.some(len(month.requests), of_last) if each.entry is not None]
    late.sort(key=lambda pair: -pair[0])
    cut = min(until - 3 * HOUR_MS, late[len(late) // 3][0]) if late else until
    for at_ms, each in late:
        if at_ms >= cut:
            each.entry, each.why = None, Cause.LATE_DATA


def past_midnight(month: Month) -> None:
    """The provider books a call on the day after the one on which it left; at the month's edges that is another month."""
    for each in month.some(few(month), _of_a_bill_by_day, most_in_cell=1):
        _move(month, each, month.rng.choice((0, 1)))


def past_both_midnights(month: Month) -> None:
    """The same of a key that is used in both nights: a day has a call that came from the one before, and lacks one of its own."""
    for at, each in enumerate(month.some(few(month), _of_a_bill_by_day, most_in_cell=2)):
        _move(month, each, at % 2)


def _of_a_bill_by_day(row: Row, entry: Entry) -> bool:
    return row.provider in ("anthropic", "openai")


def _move(month: Month, each: Request, days: int) -> None:
    if each.row is None or each.entry is None:
        raise ValueError("a call that one book has not cannot be moved in both")
    midnight = each.row.day_ms + DAY_MS * days
    started_ms, billed_ms = midnight - month.rng.randrange(10_000, 480_000), midnight + month.rng.randrange(60_000)
    each.row = replace(each.row, started_ms=started_ms, ended_ms=billed_ms + 1_000)
    each.entry, each.why = replace(each.entry, at_ms=billed_ms), Cause.CUTOFF


def told_anew(month: Month) -> None:
    """A newer version of the bill has more output for some requests than the one that it replaces."""
    for each in month.some(few(month), lambda row, entry: row.provider == "anthropic"):
        if each.entry is not None:
            more = month.rng.randrange(1_000, 20_000) // 20 * 20
            each.earlier = each.entry
            output = (each.entry.usage.output_tokens or 0) + more
            each.entry = replace(each.entry, usage=replace(each.entry.usage, output_tokens=output))
            each.why = Cause.REVISION
