"""How all that `status` says comes about: from the ledger, the policy and what running gates have said of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from spendgate.cli import alive, budget_rows, captured, in_force, rates_shown, seats
from spendgate.cli.asking import standing
from spendgate.cli.moments import iso
from spendgate.cli.outside import outside
from spendgate.cli.own_calls import calls_of, scopes_of_calls
from spendgate.cli.reached import reached
from spendgate.cli.report import Report, Rules, SeatShown
from spendgate.cli.went_by import went_by
from spendgate.config.paths import State
from spendgate.ledger.gates import living
from spendgate.ledger.merged import Source
from spendgate.ledger.messages import ASK
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span
from spendgate.notices import notices
from spendgate.policy import Policy, person_of, today_in
from spendgate.seats import InUse, Used
from spendgate.sight import Sight
from spendgate.window import DAY_MS, shown_in

_UNSEEN_SHOWN = 3


def gathered(state: State, policy: Policy, reader: Reader, sight: Sight, now_ms: int) -> Report:
    """What holds at this instant for the person whose OS account it is, as far as that account may see it."""
    said = in_force.told(state)
    machine = said.machine if said else "unknown"
    match = person_of(policy, sight.account, today=today_in(policy, now_ms), machine=machine)
    facts = tuple(calls_of(policy, match, machine, reader, now_ms, sight.where))
    sources = reader.sources()
    # Limits are each laptop's own: of what many have spent together none of them is a part.
    standings = () if sources else reader.standings(tuple(scopes_of_calls(policy, facts, now_ms)), now_ms)
    seen = Span(where=sight.where)
    states = reader.states(seen)
    gates = living(state.gates)
    tools = reader.tools_seen(seen)
    unread = tuple(
        {**row, "read_since": captured.read_since(row, tools)}
        for row in reader.coverage()
        if sight.sees_account(row["account"])
    )
    return Report(
        gates=len(gates),
        silent=(),
        ways=tuple(way for gate in in_force.of_gates(state, gates) for way in alive.ways(gate)),
        policy=_rules(policy),
        said=_said(said, sight),
        other_gates=tuple(_other(each) for each in in_force.others(state, said.hash)) if said else (),
        person=match.person,
        budgets=tuple(budget_rows.row(standing, policy, reader.billed_by(standing)) for standing in standings),
        rates=() if sources else rates_shown.rows(policy, facts, reader, now_ms),
        coverage=unread,
        tools=captured.tools(tools, unread),
        over_nanos=reader.open_above_holds(seen),
        unbounded=reader.open_unbounded(seen),
        free=states.get("free", 0),
        unrecognized=states.get("unrecognized", 0),
        would_refuse=reader.would_refuse(seen),
        guessed=reader.guessed_prices(seen),
        machine=machine,
        machine_groups=tuple((group.name, group.owner) for group in policy.roster.machine_groups(machine)),
        seats=tuple(_seats(policy, reader, sight, match.person, now_ms)),
        notices=notices(policy, now_ms),
        ledger=_ledger(policy, reader, sources),
        outside=outside(state, reader),
        went_by=went_by(policy, reader, now_ms, sight.where),
        certificates=_certificates(said, now_ms),
        undelivered=reader.undelivered() if sight.everything else (0, ()),
        asks=tuple(_own_asks(reader, policy, sight, match.person, (said.since_ms if said else 0, now_ms))),
        unseen=() if sight.shared else reader.unseen(match.person, now_ms - DAY_MS, _UNSEEN_SHOWN),
    )


def _other(gate: in_force.InForce) -> str:
    what = "a command (`exec`)" if gate.command else "another gate here"
    return f"{what} goes by {gate.source}, {gate.hash}: what is left of its limits is not shown"


def _certificates(said: in_force.InForce | None, now_ms: int) -> dict[str, Any] | None:
    """As the gate said it last; days are as of now."""
    if said is None or said.certificates_until_ms is None:
        return None
    until_ms = said.certificates_until_ms
    return {
        "of": said.certificates_of,
        "until": iso(until_ms),
        "days_left": (until_ms - now_ms) // DAY_MS,
        "not_renewed": said.certificates_not_renewed or None,
    }


def _ledger(policy: Policy, reader: Reader, sources: tuple[Source, ...]) -> dict[str, Any]:
    """`sources`: the ledgers that it was merged from."""
    head, until_ms = reader.head(), reader.purged_until_ms()
    return {
        "id": head.id,
        "created_at": iso(head.created_ms),
        "rows": sum(each.links for each in sources) if sources else head.rows,
        "merged_from": [_source(each) for each in sources],
        "head": head.head,
        "keep_days": policy.privacy.keep_days,
        "purged_until": iso(until_ms) if until_ms is not None else None,
    }


def _source(one: Source) -> dict[str, Any]:
    return {
        "id": one.id, "machine": one.machine, "ended_calls": one.links, "taken_at": iso(one.taken_ms), "fault": one.fault,
    }  # fmt: skip


def _own_asks(
    reader: Reader, policy: Policy, sight: Sight, person: str, times: tuple[int, int]
) -> Iterator[dict[str, Any]]:
    """`times`: since when the policy is in force, and now."""
    if not sight.sees(person):
        return
    messages, now_ms = reader.messages(ASK), times[1]
    for each in standing(reader.asks(), policy, *times):
        if each.ask.person == person and each.open(now_ms):
            yield {
                "id": each.ask.id,
                "budget": each.ask.budget,
                "amount_nanos": each.ask.amount_nanos,
                "until": iso(each.ask.until_ms),
                "ends": shown_in(policy.timezone, each.ask.until_ms),
                "asked_of": each.asked_of,
                "reached": reached(messages.get(each.ask.id), names=sight.everything),
            }


def _rules(policy: Policy) -> Rules:
    validity = policy.validity
    return Rules(
        hash=policy.hash,
        owner=policy.owner,
        mode=policy.mode.default,
        timezone=policy.timezone,
        revision=validity.revision,
        valid_until=str(validity.valid_until) if validity.valid_until else None,
        expired=validity.expired,
        alerts=len(policy.alerts),
        thresholds=sum(len(budget.alerts) for budget in policy.budgets),
        receivers=len(policy.notify) + sum(len(team.notify) for team in policy.roster.teams),
    )


def _said(said: in_force.InForce | None, sight: Sight) -> in_force.InForce | None:
    """Without the faults of a newer file, which quote it, where the policy is not this account's to read."""
    if said is None or sight.everything or not said.refused:
        return said
    count = len(said.refused)
    return replace(said, refused=(f"{count} fault{'s' if count > 1 else ''} of a newer file; admins see which",))


def _seats(policy: Policy, reader: Reader, sight: Sight, person: str, now_ms: int) -> Iterator[SeatShown]:
    for all_of, people in seats.of_everybody(policy, reader, now_ms, sight.where):
        yield _seat(all_of, next((each for each in people if each.person == person), None))


def _seat(all_of: InUse, own: Used | None) -> SeatShown:
    shown = seats.shown(own) if own else None
    return SeatShown(seats.line(all_of), seats.summary(all_of), seats.row(own) if own else None, shown)
