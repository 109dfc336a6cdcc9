"""What a person reads of `status` on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo
from pathlib import Path

from spendgate.capture.ca_next import seen_next
from spendgate.cli import awaiting, budget_rows, not_signed, rates_shown, seats
from spendgate.cli.captured import Tool
from spendgate.cli.lines import counted, say, value
from spendgate.cli.moments import shown
from spendgate.cli.observed import LISTED, priced_by_guess, would_have_been_refused
from spendgate.cli.output import Column, Format, console, emit, too_narrow, writing
from spendgate.cli.report import ON_THIS_MACHINE, Report
from spendgate.errors import Why
from spendgate.money import short_dollars
from spendgate.window import zone_of

_SHOWN_HEAD = 12
_SOON_DAYS = 14
"""Certificates of an organization hold 45 days: the last third is due for renewal."""
_WENT_BY = (
    Column("budget", "budget"),
    Column("lacks", "calls without"),
    Column("calls", "calls", right=True),
    Column("spent_nanos", "spent", right=True),
    Column("since", "since"),
)
_TOOLS = (
    Column("tool", "tool"),
    Column("captured", "calls captured", right=True),
    Column("unrecognized", "of them unrecognized", right=True),
    Column("not_read", "connections not read", right=True),
    Column("share", "coverage", right=True),
    Column("last", "last call"),
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


def _merged(report: Report) -> str:
    """Of how many ledgers it was made, and which of them are marked."""
    sources = report.ledger["merged_from"]
    marked = [value(each["machine"] or each["id"]) for each in sources if each["fault"]]
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


def _print_alerts(report: Report, zone: tzinfo) -> None:
    """What may be told, what could not be delivered, and what was told about this person and nobody has acknowledged."""
    rules, shares, late = report.policy.alerts, report.policy.thresholds, _undelivered(report)
    if rules or shares or late:
        say("alerts", f"{counted(rules, 'rule')}, {counted(shares, 'threshold')}{late}")
    for row in report.unseen:
        told = f"{row['severity']} {shown(row['made_ms'], zone)}"
        say("", value(told), f"{row['text']} (`spendgate alerts ack {row['name']}`)", style="yellow")


def _print_ledger(report: Report) -> None:
    """How much stands in it, of whom, for how long, and what is wrong with it."""
    listed = f" ({LISTED})" if report.unrecognized else ""
    counts = f"{report.free} free, {report.unrecognized} unrecognized{listed}"
    say("ledger", f"{counted(int(str(report.ledger['rows'])), 'ended call')}, {counts}")
    for line in (_merged(report), _kept(report)):
        if line:
            say("", line)
    say("", value(f"id {report.ledger['id']}"), value(f"head {str(report.ledger['head'])[:_SHOWN_HEAD]}"))
    for line in report.outside.warnings():
        say("", line, style="red")
    for line in (priced_by_guess(*report.guessed), would_have_been_refused(report.would_refuse)):
        if line:
            say("", line)


@writing()
def print_report(report: Report) -> None:
    """The whole table."""
    out, zone = console(), zone_of(report.policy.timezone)
    if report.ledger["merged_from"]:
        say("gate", "none: no gate writes to a merged ledger; policy, prices and limits are each machine's own")
    else:
        _print_here(report, zone)
    _print_ledger(report)
    out.print()
    _print_limits(report)
    if report.seats:
        _print_seats(report)
    if report.over_nanos or report.unbounded:
        out.print()
        bounded = f"open calls could still cost {short_dollars(report.over_nanos)} above what they hold"
        without = f", and {report.unbounded:,} that nothing bounds any amount" if report.unbounded else ""
        say("", bounded + without, indent=0)
    if report.went_by:
        out.print("\nwent by (missing: skip):")
        emit([{**row, "since": shown(row["since_ms"], zone)} for row in report.went_by], _WENT_BY, Format.TABLE)
    if report.tools:
        out.print("\ncoverage by tool (captured / (captured + not read)):")
        emit([_covered(each, zone) for each in report.tools], _TOOLS, Format.TABLE)
    if report.coverage:
        out.print("\nnot seen:")
        emit(report.coverage, _COVERAGE, Format.TABLE)


def _print_here(report: Report, zone: tzinfo) -> None:
    """By what the gate of this ledger goes, on which machine, and who asks."""
    _print_policy(report, zone)
    _print_alerts(report, zone)
    say("person", value(report.person))
    for ask in report.asks:
        amount = short_dollars(ask["amount_nanos"])
        more = f"asked for {amount} more of {value(ask['budget'])} until {ask['ends']} ({ask['id']})"
        say("", f"{more}: {ask['reached']}")
    groups = [f"{name} of {owner}" if owner else name for name, owner in report.machine_groups]
    say("machine", value(report.machine), ", ".join(value(each) for each in groups))
    say("prices", value(report.said.prices if report.said else "bundled"))


def _covered(tool: Tool, zone: tzinfo) -> dict[str, object]:
    return {
        **tool.row(),
        "unrecognized": tool.unrecognized or None,
        "share": f"{tool.share:.1%}",
        "last": shown(tool.last_ms, zone),
    }


def _print_policy(report: Report, zone: tzinfo) -> None:
    """Whether a gate is up, and by which policy it goes."""
    said, policy = report.said, report.policy
    how = ("one command",) if said and said.command else said.modes if said else ()
    up = f"up ({', '.join(dict.fromkeys(how))})" if report.gates and said else "not running"
    say("gate", up + (f", {report.gates} gates on this ledger" if report.gates > 1 else ""))
    for way in report.silent:
        why = report.not_led(way) or "a canary call there was not answered"
        say("", f"captures nothing through {value(way)}: {why}", style="red")
    for line in report.taken:
        say("", value(line), style="red")
    if said is not None and awaiting.waits_at(said.ca_cert):
        say("", f"{awaiting.SAYS}: {awaiting.REMEDY}", style="red")
    if said is not None and said.ca_cert and seen_next(Path(said.ca_cert)):
        say(
            "",
            "rotated: `spendgate ca trust`, then restart the gate, which shows the certificate before",
            style="yellow",
        )
    _print_certificates(report)
    if said is not None and report.gates and said.not_signed:
        say("", value(not_signed.said(said.not_signed)), style="red")
    source = value(said.source) if said else "not started yet"
    say("policy", source, policy.hash, value(policy.mode), value(f"owner {policy.owner}"))
    if said and said.command and not report.gates:
        say("", "it held for a command that has ended (`exec`); no gate of `run` has said anything here")
    for line in report.other_gates:
        say("", line, style="yellow")
    for line in _about(report):
        say("", line)
    for notice in report.notices:
        say("", notice, style="yellow")
    since = shown(said.refused_ms, zone) if said else ""
    for fault in said.refused if said else ():
        what = "not fetched" if said and said.refused_why == Why.UNREACHED else "refused"
        say("", f"{what} since {since}: {fault}", style="yellow")


def _print_certificates(report: Report) -> None:
    """What clients are shown: an organization's always, a device's own where it comes to its end."""
    found = report.certificates
    if found is None or (found["of"] == "device" and found["days_left"] >= _SOON_DAYS):
        return
    whose = "of the organization" if found["of"] == "organization" else "of this device's own CA"
    days = found["days_left"]
    if days < 0:
        say("", f"certificates {whose} expired on {found['until'][:10]}: nothing is read", style="red")
    else:
        until = f"certificates {whose} until {found['until'][:10]} ({counted(days, 'day')})"
        say("", until, style="yellow" if days < _SOON_DAYS else "")
    if found["not_renewed"]:
        say("", f"not renewed: {found['not_renewed']}", style="red")


def _print_seats(report: Report) -> None:
    out = console()
    out.print("\nseats:")
    for seat in report.seats:
        say("", seat.line, indent=0)
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
    if too_narrow(budgets, budget_rows.COLUMNS):
        for each in budgets:
            figures = (f"spent {each['spent']} of {each['limit']}", f"held {each['held']}", f"left {each['left']}")
            say("", *map(value, (f"{each['budget']} ({each['value']})", *figures)), indent=2)
    else:
        emit(budgets, budget_rows.COLUMNS, Format.TABLE, empty=empty)
    for remark in (line for budget in report.budgets for line in budget_rows.remarks(budget)):
        say("", remark, indent=2)
    if report.rates:
        out.print()
        if not too_narrow(report.rates, rates_shown.COLUMNS):
            emit(report.rates, rates_shown.COLUMNS, Format.TABLE)
            return
        for rate in report.rates:
            per = f"{rate['used']:,} of {rate['limit']:,} {rate['what']}" + (
                f" per {rate['per']}" if rate["per"] else ""
            )
            say("", value(f"{rate['rate']} ({rate['value']})"), value(per), indent=2)
