"""A replay's outcome in words, as `policy replay` and the comment of `policy review` have them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Final

from spendgate.admission import RefusalKind
from spendgate.cli.lines import counted
from spendgate.cli.moments import shown
from spendgate.cli.output import money
from spendgate.replay.outcome import Outcome
from spendgate.roster import SHARED

RULES: Final = "rules that refuse"
PEOPLE: Final = "people whom they refuse"
ALERT_RULES: Final = "alerts, by what gives them"
_WHY: Final[Mapping[object, str]] = {
    RefusalKind.SPENT: "spent",
    RefusalKind.HELD: "held by other calls",
    RefusalKind.RULE: "not allowed",
    RefusalKind.UNBOUNDED: "cost has no bound",
    RefusalKind.FAILURE: "gate could not decide",
}


def worded(row: Mapping[str, object]) -> dict[str, object]:
    """A row whose `kind` is said as a person would."""
    return {**row, "kind": _WHY.get(row["kind"], row["kind"])}


def local(instant: object, zone: tzinfo) -> str:
    """An ISO instant as the policy's clocks show it; empty where there is none."""
    if not isinstance(instant, str):
        return ""
    return shown(int(datetime.fromisoformat(instant).astimezone(UTC).timestamp() * 1000), zone)


def _verb(number: int, one: str, more: str) -> str:
    return f"{counted(number, 'call')} {one if number == 1 else more}"


def _unseen(outcome: Outcome) -> list[str]:
    """What a candidate that captures less does not see."""
    if not outcome.uncaptured:
        return []
    cost = money(outcome.uncaptured_nanos)
    what = f"{counted(outcome.uncaptured, 'call')} ({cost} then) would pass unseen"
    return [f"{what}, of providers that it does not capture: neither held nor counted"]


def headline(outcome: Outcome, zone: tzinfo, until_ms: int | None = None) -> list[str]:
    """The sums in words. `until_ms`: where the calls end that are asked about; None: nowhere."""
    if not outcome.calls:
        until = "" if until_ms is None else f" and before {shown(until_ms, zone)}"
        return [f"no call was decided since {shown(outcome.since_ms, zone)}{until}", *_unseen(outcome)]
    lines = [
        f"{counted(outcome.calls, 'call')} from {shown(outcome.first_ms, zone)} to {shown(outcome.last_ms, zone)} "
        f"(times of {zone}, the policy's timezone)",
        f"refused: {outcome.refused:,} ({outcome.refused_then:,} then); {outcome.newly_refused:,} of them left then, and "
        f"{outcome.no_longer_refused:,} that were refused then leave",
        f"spent: {money(outcome.cost_nanos)} ({money(outcome.cost_then_nanos)} then); the newly refused calls cost "
        f"{money(outcome.saved_nanos)}",
    ]
    if outcome.assumed_nanos:
        lines.append(f"of that {money(outcome.assumed_nanos)} is what calls refused then were expected to cost")
    if outcome.waited:
        lines.append(
            f"{_verb(outcome.waited, 'waits', 'wait')} for others, {outcome.waited_ms / 1000 / outcome.waited:,.1f} s on average"
        )
    lines += _unseen(outcome)
    if outcome.repriced:
        lines.append(f"{_verb(outcome.repriced, 'costs', 'cost')} something else at its prices")
    if outcome.unpriced:
        lines.append(f"{counted(outcome.unpriced, 'call')} could not be priced anew: what counts is the price of then")
    if outcome.alerts:
        lines.append(f"alerts: {sum(tally.times for tally in outcome.alerts.values()):,}")
    if outcome.unsized:
        lines.append(
            f"{_verb(outcome.unsized, 'is', 'are')} from before sizes were kept: decided on the cost expected then"
        )
    if SHARED in outcome.people:
        lines.append(f"{SHARED}: accounts that nobody lists, all of them together (unknown_people: shared)")
    return lines
