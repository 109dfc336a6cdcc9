"""What the ledger's tests share: rows, scopes and rules in few words. Amounts in nano-dollars."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from spendgate.admission import Admit, Decision, RefusalKind, Refuse, Wait
from spendgate.config.paths import write_private
from spendgate.ledger import Ledger
from spendgate.ledger.heads_file import HeadsFile
from spendgate.ledger.interface import CallRow, Decide, Settlement
from spendgate.ledger.keeping import Keeper
from spendgate.standing import Hold, KindStanding, Scope, Standing
from spendgate.usage import Usage

NOW = 1_795_312_800_000
"""2026-11-22T02:00:00Z"""
HOUR = 3_600_000
DAY = 24 * HOUR
ROW = CallRow("call-1", NOW, "alice", "lt-1", "anthropic", "api.anthropic.com", "/v1/messages", kind="claude-code|opus")


def open_ledger(folder: Path, now_ms: int = NOW) -> Ledger:
    """One more gate on the ledger in this folder."""
    return Ledger.open(folder / "ledger.db", folder / "gates", now_ms)


def keeper_of(folder: Path, ledger: Ledger, *, used_before: bool = False) -> Keeper:
    """What looks at it from outside, beside it."""
    return Keeper(HeadsFile(folder, write_private), ledger, used_before=used_before)


def row(call: str, **changes: object) -> CallRow:
    """A call by this id."""
    return replace(ROW, id=call, **changes)  # type: ignore[arg-type]


def scope(budget: str = "person/day", *, limit: int = 10**12, value: str = "alice", **changes: object) -> Scope:
    """A calendar scope around NOW, or a rolling one with `rolling_ms`."""
    rolling = changes.get("rolling_ms")
    made = Scope(
        budget, value, "rolling" if rolling else "2026-11-22", NOW - HOUR, None if rolling else NOW + 22 * HOUR, None,
        limit, Hold.EXPECTED, 20_000, True, False, 0,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def admit(*nanos: int) -> Decide:
    """Always admit, holding these amounts (the last one for all further scopes)."""

    def decide(standings: tuple[Standing, ...], kind: KindStanding) -> Decision:
        sizes = (*nanos, *[nanos[-1]] * len(standings))
        return Admit(tuple((standing.scope, size) for standing, size in zip(standings, sizes, strict=False)))

    return decide


def within_limits(nanos: int) -> Decide:
    """Admit when settled + held + own fit every limit, refuse otherwise."""

    def decide(standings: tuple[Standing, ...], kind: KindStanding) -> Decision:
        for each in standings:
            if each.settled_nanos + each.held_nanos + nanos > each.scope.limit_nanos:
                return refuse(each, nanos)
        return Admit(tuple((each.scope, nanos) for each in standings))

    return decide


def wait(on: Scope, *also: Scope) -> Decide:
    """Always wait."""
    return lambda standings, kind: Wait(on, on.wait_ms, Refuse(RefusalKind.HELD, on.budget, "others hold it"), also)


def refuse(standing: Standing, nanos: int) -> Refuse:
    """A refusal with the figures of this standing."""
    at = standing.scope
    return Refuse(
        RefusalKind.SPENT, at.budget, "the budget is spent", at.value, standing.settled_nanos, standing.held_nanos, nanos,
        at.limit_nanos, at.ends_ms,
    )  # fmt: skip


def settled(cost: int, *scopes: Scope, **changes: object) -> Settlement:
    """A reported end that charges this cost to these scopes."""
    made = Settlement(
        "settled", "reported", Usage(input_tokens=10, output_tokens=5), cost, cost, tuple((each, cost) for each in scopes),
        NOW + 1000, model="claude-opus-4-5", http_status=200,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


FAILED = Settlement("failed", None, Usage(), 0, 0, (), NOW + 1000)
"""Nothing was sent."""


def standing_of(ledger: Ledger, of: Scope, now_ms: int = NOW) -> Standing:
    """The scope's standing as a decision at this moment sees it; nothing is changed by looking."""
    seen: list[Standing] = []

    def look(standings: tuple[Standing, ...], kind: KindStanding) -> Decision:
        seen.extend(standings)
        return refuse(standings[0], 0)

    ledger.hold(row("looker"), (of,), look, now_ms)
    return seen[0]
