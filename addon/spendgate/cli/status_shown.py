"""What a person reads of `status` on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from spendgate.cli import budget_rows, rates_shown, seats
from spendgate.cli.moments import shown
from spendgate.cli.observed import LISTED, priced_by_guess, would_have_been_refused
from spendgate.cli.output import Column, Format, console, emit, safe, writing
from spendgate.cli.report import ON_THIS_MACHINE, Report
from spendgate.money import short_dollars

_SHOWN_HEAD = 12
_WENT_BY = (
    Column("budget", "budget"),
    Column("lacks", "calls without"),
    Column("calls", "calls", right=True),
    Column("spent_nanos", "spent", right=True),
    Column("since", "since"),
)
_COVERAGE = (
    Column("tool", "tool"),
    Column("account", "account"),
    Column("host", "host"),
    Column("reason", "not read because"),
    Column("count", "connections", right=True),
)


def _about(report: Report) -> Iterable[str]:
    """Which state of the policy's files it is, and until when it holds."""
    policy, included = report.policy, report.said.included if report.said else ()
    if policy.revision is not None:
        yield f"revision {policy.revision}"
    if included:
        yield f"with {', '.join(included)}"
    if report.said and report.said.signed_by:
        yield f"signed by {report.said.signed_by}"
    if policy.valid_until is not None:
        then = "then calls are refused" if policy.expired == "refuse" else "then it is kept"
        yield f"valid until {policy.valid_until}, {then}"


def _about_ledger(report: Report) -> Iterable[str]:
    """What is wrong with it, and what stands in it that a person should know."""
    for line in report.outside.warnings():
        yield f"[red]{safe(line)}[/]"
    for line in (priced_by_guess(*report.guessed), would_have_been_refused(report.would_refuse)):
        if line:
            yield safe(line)


def _merged(report: Report) -> str:
    """Of how many ledgers it was made, and which of them are marked."""
    sources = report.ledger["merged_from"]
    marked = [each["machine"] or each["id"] for each in sources if each["fault"]]
    not_so = f"; not as they were written: {', '.join(marked)}" if marked else ""
    return (
        f"merged from {len(sources)} ledgers{not_so}; limits, holds and asks are in each one's own" if sources else ""
    )


def _kept(report: Report) -> str:
    """For how long rows are kept, and what has become of older ones."""
    days, until = report.ledger["keep_days"], report.ledger["purged_until"]
    kept = f"rows are kept for {days} days, then sums by day" if days else ""
    gone = f"before {str(until)[:10]} there are sums by day" if until else ""
    return "; ".join(part for part in (kept, gone) if part)


def _undelivered(report: Report) -> str:
    number, why = report.undelivered
    if not number:
        return ""
    reasons, plural = "; ".join(why[:2]) or "not sent yet", "s" if number > 1 else ""
    return f"; {number} message{plural} not delivered ({reasons}): `spendgate alerts list`"


def _print_alerts(report: Report, zone: ZoneInfo) -> None:
    """What may be told, what could not be delivered, and what was told about this person and nobody has acknowledged."""
    out, rules, shares, late = console(), report.policy.alerts, report.policy.thresholds, _undelivered(report)
    if rules or shares or late:
        out.print(f"alerts    {rules} rules, {shares} thresholds{safe(late)}")
    for row in report.unseen:
        told = f"{shown(row['made_ms'], zone)}  {row['text']} (`spendgate alerts ack {row['name']}`)"
        out.print(f"          [yellow]{safe(row['severity'])}[/] {safe(told)}")


def _print_ledger(report: Report) -> None:
    out = console()
    listed = f" ({LISTED})" if report.unrecognized else ""
    counts = f"{report.free} free, {report.unrecognized} unrecognized{listed}"
    out.print(f"ledger    {report.ledger['rows']} ended calls, {counts}")
    if merged := report.ledger["merged_from"]:
        marked = [each["machine"] or each["id"] for each in merged if each["fault"]]
        not_so = f"; not as they were written: {', '.join(marked)}" if marked else ""
        out.print(
            f"          merged from {len(merged)} ledgers{safe(not_so)}; limits, holds and asks are in each one's own"
        )
    if kept := _kept(report):
        out.print(f"          {kept}")
    out.print(f"          id {report.ledger['id']}  head {str(report.ledger['head'])[:_SHOWN_HEAD]}")
    for line in _about_ledger(report):
        out.print(f"          {line}")


@writing()
def print_report(report: Report) -> None:
    """The whole table."""
    out, said, zone = console(), report.said, ZoneInfo(report.policy.timezone)
    up = f"up ({', '.join(said.modes)})" if report.gates and said else "not running"
    if report.gates > 1:
        up += f", {report.gates} gates on this ledger"
    out.print(f"gate      {up}")
    for way in report.silent:
        out.print(f"          [red]captures nothing through {safe(way)}:[/] a canary call there was not answered")
    source = said.source if said else "not started yet"
    out.print(
        f"policy    {safe(source)}  {report.policy.hash}  {report.policy.mode}  owner {safe(report.policy.owner)}"
    )
    for line in _about(report):
        out.print(f"          {safe(line)}")
    for notice in report.notices:
        out.print(f"          [yellow]{safe(notice)}[/]")
    since = safe(shown(said.refused_ms, zone)) if said else ""
    for fault in said.refused if said else ():
        out.print(f"          [yellow]refused since {since}:[/] {safe(fault)}")
    _print_alerts(report, zone)
    out.print(f"person    {safe(report.person)}")
    for ask in report.asks:
        more = (
            f"asked for {short_dollars(ask['amount_nanos'])} more of {ask['budget']} until {ask['until']} ({ask['id']})"
        )
        out.print(f"          {safe(more)}: {safe(ask['reached'])}")
    groups = ", ".join(f"{name} of {owner}" if owner else name for name, owner in report.machine_groups)
    out.print(f"machine   {safe(report.machine)}{f'  {safe(groups)}' if groups else ''}")
    out.print(f"prices    {safe(said.prices if said else 'bundled')}")
    _print_ledger(report)
    out.print()
    _print_limits(report)
    if report.seats:
        _print_seats(report)
    if report.over_nanos:
        out.print(f"\nopen calls could still cost {short_dollars(report.over_nanos)} above what they hold")
    if report.went_by:
        out.print("\nwent by (missing: skip):")
        emit([{**row, "since": shown(row["since_ms"], zone)} for row in report.went_by], _WENT_BY, Format.TABLE)
    if report.coverage:
        out.print("\nnot seen:")
        emit(report.coverage, _COVERAGE, Format.TABLE)


def _print_seats(report: Report) -> None:
    out = console()
    out.print("\nseats:")
    for seat in report.seats:
        out.print(safe(seat.line))
    if mine := [seat.own_shown for seat in report.seats if seat.own_shown is not None]:
        emit(mine, seats.COLUMNS, Format.TABLE)


def _print_limits(report: Report) -> None:
    """Budgets and rates, each under what it is."""
    out = console()
    if report.budgets:
        out.print(f"limits, {ON_THIS_MACHINE}:")
    budgets = [budget_rows.beside(budget) for budget in report.budgets]
    empty = (
        "limits hold on each machine by itself" if report.ledger["merged_from"] else "no budget applies to this person"
    )
    emit(budgets, budget_rows.COLUMNS, Format.TABLE, empty=empty)
    for remark in (line for budget in report.budgets for line in budget_rows.remarks(budget)):
        out.print(f"  {safe(remark)}")
    if report.rates:
        out.print()
        emit(report.rates, rates_shown.COLUMNS, Format.TABLE)
