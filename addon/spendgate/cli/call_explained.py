"""One call explained: who and how that is known, what was held, what it cost by which price, or why it was refused."""

from __future__ import annotations

from typing import Any

from spendgate.calibration import CALIBRATED
from spendgate.capture.tally import NOT_DECRYPTED
from spendgate.cli.output import console, exact, safe, writing
from spendgate.cli.reckoning import adjustment, reckoned
from spendgate.gate.charging import UNCOUNTED, UNSEEN
from spendgate.ledger.found_calls import CallHold
from spendgate.ledger.spending import POLICY_PRICE
from spendgate.price_lists import elsewhere_of
from spendgate.providers.interface import Kind
from spendgate.providers.registry import PROVIDER_HOSTS
from spendgate.providers.registry_data import PROVIDERS
from spendgate.providers.unfinished import EXPECTED_ERROR

_SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "call",
        (
            "id", "state", "started_at", "booked_at", "ended_at", "duration_ms", "first_byte_ms", "waited_ms", "http_status",
            "request_bytes", "response_bytes",
        ),
    ),
    ("who", ("person", "team", "groups", "account_os", "machine", "tool", "process", "project", "session", "evidence")),
    ("agent", ("agent", "agent_name", "parent_agent", "parent_call")),
    ("where", ("provider", "host", "path", "dialect", "api_key", "account", "billing", "request_id")),
    ("model", ("model_requested", "also_requested", "model", "basis", "prices", "flags")),
    (
        "counts",
        (
            "input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens",
            "cache_write_other_tokens", "output_tokens", "reasoning_tokens", "web_searches",
        ),
    ),
    ("money", ("estimate_nanos", "ceiling_nanos", "held_nanos", "cost_nanos", "value_nanos")),
    (
        "decision",
        (
            "refused_by", "refused_why", "refused_reason", "refused_settled_nanos", "refused_held_nanos",
            "refused_hold_nanos", "refused_limit_nanos", "refused_resets_at", "would_refuse_by", "policy_hash",
        ),
    ),
)  # fmt: skip
_CALIBRATED_BY = (
    "estimated from bytes and multiplied by what bills of its tool and model have shown: the flag names the factor and the "
    "calibration, `spendgate reconcile calibrations` how far off it was"
)
_UNCOUNTED_BY = {
    (UNCOUNTED, "ceiling"): "the most that it could cost; its answer gave no counts",
    (UNSEEN, "ceiling"): "its input and the most that its output could cost; its output was not counted",
    (
        UNCOUNTED,
        "estimated",
    ): "what such calls usually cost, or what was seen of it where that is more; its answer gave no counts",
}
"""By what a call is priced that was not counted to its end (`gate.charging`), by its flag and basis."""
_UNREAD = (
    "not read: no rule, budget or rate was asked about it, and whether it cost money is not known; addon/README.md lists what "
    'is known to, under "Not read"'
)
_LABELS = {"held_nanos": "held at most"}
"""What a column's own name does not say: it is the largest hold that the call ever had."""
_ANY = 1
"""Nano-dollars: the `refused_hold_nanos` of a call of whose cost nothing was known where no other would have fitted either."""


def guessed(row: dict[str, Any]) -> bool:
    """Whether its price is the policy's word for a model that no list has."""
    return POLICY_PRICE in (row["prices"] or "")


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """The row without what would puzzle: an estimate, learned from calls that were billed more than they showed, above the most
    that the call can cost; a hold that stands for any; and the dialect of what nobody could read."""
    estimate, ceiling = row.get("estimate_nanos"), row.get("ceiling_nanos")
    if estimate is not None and ceiling is not None:
        row = {**row, "estimate_nanos": min(estimate, ceiling)}
    if row["state"] == Kind.UNRECOGNIZED:
        row = {**row, "dialect": None}  # that of its host: none was read by it
    return {**row, "refused_hold_nanos": None} if row.get("refused_hold_nanos") == _ANY else row


@writing()
def explained(row: dict[str, Any], holds: tuple[CallHold, ...]) -> None:
    """Print it: what is known of it by headings, how its price came about, what each budget held and was charged."""
    out = console()
    lines = [*_priced(row), *_basis(row)]
    if row["agent"] is not None and row["parent_agent"] is None:
        row = {**row, "parent_agent": "the main agent of this session"}
    row = _told(row)
    for title, names in _SECTIONS:
        known = [(name, row[name]) for name in names if row.get(name) not in (None, "", "[]")]
        if known:
            out.print(f"[bold]{title}[/]")
        for name, value in known:
            label = _LABELS.get(name) or name.removesuffix("_nanos").removesuffix("_tokens").replace("_", " ")
            out.print(f"  {label:18} {exact(value) if name.endswith('_nanos') else safe(value)}")
    if row["state"] == Kind.UNRECOGNIZED and NOT_DECRYPTED not in (row.get("flags") or ""):
        lines = [_UNREAD]
    if lines:
        out.print("[bold]price[/]")
    for line in lines:
        out.print(f"  {line}")
    if holds:
        last = "held now" if row["state"] == "open" else "held when it ended, and what that became"
        out.print(f"[bold]budgets[/]  {last}")
    for hold in holds:
        charged = "running" if hold.charged_nanos is None else f"charged {exact(hold.charged_nanos)}"
        whose = safe(f"{hold.value or 'all'} {hold.window}")
        out.print(f"  {safe(hold.budget):18} {whose}: held {exact(hold.nanos)} ({hold.mode}), {charged}")


def _basis(row: dict[str, Any]) -> list[str]:
    """What a person must know of how far to trust the number."""
    adjusted = adjustment(row.get("prices") or "") if row.get("cost_nanos") else None
    lines = [f"{exact(row['cost_nanos'])} by the policy's {safe(adjusted)}: what budgets count"] if adjusted else []
    if "orphan" in (row.get("flags") or ""):
        return [*lines, _orphan(row)]
    if uncounted := _uncounted(row):
        return [*lines, f"{exact(row['value_nanos'])}: {uncounted}"]
    if row["basis"] == "estimated":
        return [*lines, _CALIBRATED_BY if CALIBRATED in (row.get("flags") or "") else EXPECTED_ERROR]
    if lines:
        return lines
    if row["basis"] == "reported" and row.get("cost_nanos") and row["cost_nanos"] != row.get("value_nanos"):
        return [f"the provider states what it bills, {exact(row['cost_nanos'])}, which goes before the list price"]
    return []


def _uncounted(row: dict[str, Any]) -> str:
    """By what it is priced, where counts times prices do not give it; else empty."""
    flags, basis = (row.get("flags") or "").split(","), row["basis"]
    if UNCOUNTED in flags and basis == "estimated" and row["value_nanos"] == row["held_nanos"]:
        return "what was held for it; its answer gave no counts"
    return next((by for (flag, of), by in _UNCOUNTED_BY.items() if flag in flags and basis == of), "")


def _orphan(row: dict[str, Any]) -> str:
    """By what a call was charged whose gate ended first: see `ledger.orphans`."""
    cost: int = row["cost_nanos"] or 0
    if row["state"] == "failed":
        return "its gate died before the call had left: nothing is charged"
    if not cost:
        by = "nothing was held for it, and nothing is charged"
    elif row["basis"] == "ceiling":
        by = "charged the most that it could cost"
    elif cost == row["held_nanos"]:
        by = "charged what was held for it"
    elif cost == row["estimate_nanos"]:
        by = "charged what it was expected to cost"
    else:
        by = "charged what such calls usually cost"
    return f"its gate died before the answer ended; {by}"


def _not_listed(row: dict[str, Any]) -> str:
    """Where its model was looked for in vain: in its provider's list, or in all where a host serves several vendors' models."""
    if not (row.get("model") or row.get("model_requested")):
        return "neither request nor answer names a model"
    provider = PROVIDERS.get(row["provider"]) if row["host"] in PROVIDER_HOSTS else None
    if provider is None or provider.makers:
        return "no price list has this model, or those that have it differ"
    return f"the price list of {safe(provider.prices)} does not have this model"


def _elsewhere(row: dict[str, Any]) -> list[str]:
    """Of a price from another list than that of its host."""
    other = elsewhere_of(tuple((row.get("flags") or "").split(",")))
    if other is None:
        return []
    return [
        f"by the list of {safe(other)}, whose model it is by its name: the one that its host has is another, or lacks it"
    ]


def _priced(row: dict[str, Any]) -> list[str]:
    """Counts times prices, line by line, where today's price list gives the same sum; else where the sum came from."""
    if not row.get("prices") or row.get("value_nanos") is None or not row.get("booked_at"):
        return []
    found = reckoned(row)
    if found is None and _uncounted(row):
        return []  # no counts times any price: `_basis` says what it is instead
    if found is None and guessed(row):
        return [f"{exact(row['value_nanos'])} by the policy's `pricing.unknown_model`: {_not_listed(row)}"]
    if found is None:
        return [
            *_elsewhere(row),
            f"{exact(row['value_nanos'])} does not follow from today's price list; it came from {safe(row['prices'])}",
        ]
    if not found:
        return ["nothing was counted, so it cost nothing"]
    width = max(len(line.name) for line in found)
    lines = [*_elsewhere(row)]
    lines += [
        f"{line.name:{width}} {line.count:>12,} x {exact(line.per_million_nanos)} per million = {exact(line.nanos)}"
        for line in found
    ]
    return [*lines, f"{'sum, rounded once':{width}} {exact(row['value_nanos'])}"]
