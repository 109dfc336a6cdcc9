"""`spendgate me`: everything that is kept about whoever asks, until when, and what of it anybody else sees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import typer

from spendgate.alerts import routing
from spendgate.attribution import Evidence
from spendgate.cli import in_force, status
from spendgate.cli.moments import iso
from spendgate.cli.options import FormatOption, StateOption, existing_state
from spendgate.cli.output import Column, Format, console, emit, emit_json, safe, writing
from spendgate.cli.outside import now_ms as time_of
from spendgate.config.paths import State
from spendgate.config.trust import trusted
from spendgate.ledger.mine import Kept, Whose
from spendgate.ledger.queries import Reader
from spendgate.policy import Policy, person_of, today_in
from spendgate.roster import PersonMatch
from spendgate.window import DAY_MS

_COLUMNS = (
    Column("table", "kept in", weight=0),
    Column("rows", "rows", right=True, weight=0),
    Column("first_at", "from", weight=1),
    Column("last_at", "to", weight=1),
    Column("until", "kept", weight=2),
    Column("what", "what it is", weight=3),
)
_KEYS = tuple(column.key for column in _COLUMNS)


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that leaves this machine, or is shown to somebody else on it: who, what of you, when."""

    who: str
    what: str
    when: str


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("me")(me)


def me(state: StateOption = None, fmt: FormatOption = Format.TABLE) -> None:
    """Everything that is kept about you, for how long, and what the company sees. `--format json` has the rows themselves.

    You are the account that runs this; there is no way to ask for another.
    """
    found = existing_state(state)
    policy, account, now_ms = in_force.policy(found), status.own_account(), time_of(found)
    said = in_force.told(found)
    match = person_of(policy, account, today=today_in(policy, now_ms), machine=said.machine if said else None)
    with closing(Reader(found.ledger)) as reader:
        tables = reader.kept_of(whose(account, match))
    seen = tuple(_seen(policy, match))
    rows = [_row(each, policy, now_ms) for each in tables]
    if fmt is Format.JSON:
        emit_json(_document(policy, account, match, tables, rows, seen, found))
    elif fmt is Format.CSV:
        emit(rows, _COLUMNS, fmt, keys=_KEYS)
    else:
        _print(policy, account, match, rows, seen, found)


def whose(account: str, match: PersonMatch) -> Whose:
    """An allowance that unlisted accounts share is nobody's own: of it an account sees what its own calls left."""
    own = match.evidence is Evidence.SOCKET_OWNER or match.person == account
    return Whose(account, match.person if own else None)


def _row(kept: Kept, policy: Policy, now_ms: int) -> dict[str, object]:
    return {
        "table": kept.table, "rows": len(kept.rows), "first_at": _iso(kept.first_ms), "last_at": _iso(kept.last_ms),
        "until": _until(kept, policy, now_ms), "what": kept.what,
    }  # fmt: skip


def _until(kept: Kept, policy: Policy, now_ms: int) -> str:
    keep_days = policy.privacy.keep_days
    if kept.until == "good" or keep_days is None:
        return "for good"
    days = f"{keep_days} days"
    if kept.until != "keep":
        return f"{days}: {kept.until}"
    if kept.last_ms is None:
        return days
    last = kept.last_ms // DAY_MS * DAY_MS + (keep_days + 1) * DAY_MS
    return f"{days}: the last until {_iso(max(last, now_ms))[:10]}"


def _iso(ms: int | None) -> str:
    return "" if ms is None else iso(ms)


def _seen(policy: Policy, match: PersonMatch) -> Iterator[Seen]:
    """By the policy in force. Nothing else of a ledger leaves the machine."""
    rules = [each.name for each in policy.alerts]
    shares = [f"{budget.name} at {percent}%" for budget in policy.budgets for percent in budget.alerts]
    named = policy.roster.team_by_name
    entries = [entry for team in match.team if team in named for entry in named[team].notify]
    told = ", ".join((*rules, *shares)) or "no alert is in the policy"
    for entry in {entry.to: entry for entry in (*entries, *policy.notify)}.values():
        what = f"the text of alerts about you: your name, the rule, figures, the command for the calls ({told})"
        yield Seen(routing.key(entry), what, f"when one is told, for: {', '.join(entry.purposes)}")
    if routing.email(policy, match.person) is not None and routing.mail_of(policy, match.team) is not None:
        yield Seen("yourself, by mail", "the same alerts", "when one is told")
    if policy.prices_update == "daily":
        yield Seen("the source of the price list", "that a list is fetched; nothing of you", "once a day")
    trust = trusted()
    if trust is not None and trust.url is not None:
        yield Seen(trust.url, "that the policy is fetched; nothing of you", "each time that it is looked for")


def _nothing(policy: Policy) -> str:
    hub = f"fleet.hub {policy.fleet.hub} is not reached by this version" if policy.fleet.hub else "there is no hub"
    return f"{hub}: no row, sum or balance leaves this machine"


def _settings(policy: Policy) -> dict[str, object]:
    privacy = policy.privacy
    return {"keep_days": privacy.keep_days, "project": privacy.project, "process": privacy.process}


def _document(
    policy: Policy, account: str, match: PersonMatch, tables: tuple[Kept, ...], rows: list[dict[str, object]],
    seen: tuple[Seen, ...], state: State,
) -> dict[str, Any]:  # fmt: skip
    return {
        "account": account,
        "person": match.person,
        "team": list(match.team),
        "groups": list(match.groups),
        "email": routing.email(policy, match.person),
        "policy": {"hash": policy.hash, "owner": policy.owner, "privacy": _settings(policy)},
        "state": str(state.root),
        "company_sees": {"note": _nothing(policy), "receivers": [asdict(each) for each in seen]},
        "kept": [{**row, "content": list(kept.rows)} for row, kept in zip(rows, tables, strict=True)],
    }


@writing()
def _print(
    policy: Policy, account: str, match: PersonMatch, rows: list[dict[str, object]], seen: tuple[Seen, ...], state: State,
) -> None:  # fmt: skip
    out, privacy = console(), policy.privacy
    address = routing.email(policy, match.person)
    about = [*(f"team {team}" for team in match.team[:1]), *(f"group {group}" for group in match.groups)]
    out.print(
        f"account   {safe(account)}, which counts for {safe(match.person)}{safe(''.join(f', {each}' for each in about))}"
    )
    if address:
        out.print(f"          {safe(address)} (policy)")
    kept = f"kept for {privacy.keep_days} days, then sums by day" if privacy.keep_days else "kept for good"
    out.print(f"rows      {kept}; project: {privacy.project}; process: {privacy.process}; in {safe(state.root)}")
    out.print("          never kept: prompts, answers, keys, tokens, home folders")
    out.print(f"others    {safe(_nothing(policy))}" + ("; what leaves it:" if seen else "; nothing else leaves it"))
    for each in seen:
        out.print(f"          {safe(each.who)}: {safe(each.what)}; {safe(each.when)}")
    owner = _owner(state)
    out.print(f"          on this machine {safe(owner)} can read the state directory")
    out.print()
    emit(rows, _COLUMNS, Format.TABLE)
    out.print("\n`spendgate me --format json` has every row; `spendgate calls` and `spend` show them as tables.")


def _owner(state: State) -> str:
    return f"uid {state.root.stat().st_uid} (its owner) and administrators"
