"""A replay's outcome as plain values: what a table, JSON, CSV and a reviewer's comment are made of."""

from __future__ import annotations

from datetime import UTC, datetime

from spendgate.alert_rules import Severity
from spendgate.replay.outcome import Outcome, PersonSums, Tally, Verdict

Row = dict[str, object]
CALL_KEYS = (
    "at", "id", "person", "tool", "model_requested", "then", "now", "kind", "settled_nanos", "held_nanos", "limit_nanos",
    "cost_nanos",
)  # fmt: skip
"""The keys of `calls`."""


def summary(outcome: Outcome) -> Row:
    """The sums. Nano-dollars in `_nanos`, times as ISO 8601 in `_at`."""
    return {
        "since_at": _iso(outcome.since_ms),
        "first_at": _iso(outcome.first_ms),
        "last_at": _iso(outcome.last_ms),
        "calls": outcome.calls,
        "calls_before": outcome.before,
        "refused": outcome.refused,
        "refused_then": outcome.refused_then,
        "newly_refused": outcome.newly_refused,
        "no_longer_refused": outcome.no_longer_refused,
        "cost_nanos": outcome.cost_nanos,
        "cost_then_nanos": outcome.cost_then_nanos,
        "saved_nanos": outcome.saved_nanos,
        "assumed_nanos": outcome.assumed_nanos,
        "waited_calls": outcome.waited,
        "waited_ms": outcome.waited_ms,
        "not_captured": outcome.uncaptured,
        "not_captured_nanos": outcome.uncaptured_nanos,
        "unsized": outcome.unsized,
        "repriced": outcome.repriced,
        "unpriced": outcome.unpriced,
        "alerts_fired": sum(tally.times for tally in outcome.alerts.values()),
    }


def rules(outcome: Outcome) -> list[Row]:
    """Each rule that refuses, or would but for `observe` or `warn`; the busiest first."""
    rows = [_rule(key, tally, "refuses") for key, tally in outcome.rules.items()]
    rows += [_rule(key, tally, "would refuse") for key, tally in outcome.would.items()]
    return sorted(rows, key=lambda row: (str(row["does"]), -_count(row["calls"]), str(row["rule"]), str(row["kind"])))


def people(outcome: Outcome) -> list[Row]:
    """Each person, whose calls the candidate stops the most cost of first."""
    rows = [_person(name, sums) for name, sums in outcome.people.items()]
    return sorted(rows, key=lambda row: (-_count(row["saved_nanos"]), -_count(row["refused"]), str(row["person"])))


def calls(outcome: Outcome) -> list[Row]:
    """The calls on which the candidate decides otherwise, in their order; the first `outcome.KEPT_MAX`."""
    return [_call(verdict) for verdict in outcome.differing]


def alert_rules(outcome: Outcome) -> list[Row]:
    """Each rule that alerts, the loudest and busiest first."""
    rows: list[Row] = [
        {
            "rule": rule,
            "severity": tally.severity,
            "times": tally.times,
            "told": ", ".join(sorted(tally.told)),
            "first_at": _iso(tally.first_ms),
            "last_at": _iso(tally.last_ms),
        }
        for rule, tally in outcome.alerts.items()
    ]
    loud = [severity.value for severity in reversed(Severity)]
    return sorted(rows, key=lambda row: (loud.index(str(row["severity"])), -_count(row["times"]), str(row["rule"])))


def alerts(outcome: Outcome) -> list[Row]:
    """Each alert in its order; the first `outcome.KEPT_MAX`. `told` is whom it reaches."""
    return [
        {
            "at": _iso(alert.at_ms),
            "rule": alert.rule,
            "form": alert.form,
            "value": alert.value,
            "severity": alert.severity.value,
            "window": alert.window,
            "person": alert.person,
            "told": list(told),
            "spent_nanos": alert.figures.spent_nanos,
            "mark_nanos": alert.figures.mark_nanos,
            "calls": alert.figures.calls,
            "of_calls": alert.figures.of_calls,
            "text": alert.text,
            "command": alert.command,
        }
        for alert, told in outcome.alerts_kept
    ]


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _rule(key: tuple[str, str], tally: Tally, does: str) -> Row:
    rule, kind = key
    return {
        "rule": rule,
        "kind": kind,
        "does": does,
        "calls": tally.calls,
        "people": len(tally.people),
        "cost_nanos": tally.cost_nanos,
        "first_at": _iso(tally.first_ms),
        "last_at": _iso(tally.last_ms),
    }


def _person(name: str, sums: PersonSums) -> Row:
    return {
        "person": name,
        "calls": sums.calls,
        "cost_nanos": sums.cost_nanos,
        "refused": sums.refused,
        "saved_nanos": sums.saved_nanos,
    }


def _call(verdict: Verdict) -> Row:
    refuse = verdict.refuse
    return {
        "at": _iso(verdict.at_ms),
        "id": verdict.id,
        "person": verdict.person,
        "tool": verdict.tool,
        "model_requested": verdict.model,
        "then": f"refused by {verdict.then_by}" if verdict.then_by else "left",
        "now": f"refused by {refuse.rule}" if refuse else "leaves",
        "kind": refuse.kind.value if refuse else None,
        "settled_nanos": refuse.settled_nanos if refuse else None,
        "held_nanos": refuse.held_nanos if refuse else None,
        "limit_nanos": refuse.limit_nanos if refuse else None,
        "cost_nanos": verdict.cost_nanos,
    }


def _iso(ms: int | None) -> str | None:
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
