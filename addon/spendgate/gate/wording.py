"""What a refused person reads: the rule, what is spent and what is held of what, when it resets, and whom to ask.

Money that is spent and money that is only held for running calls are told apart, since only the second comes back by waiting.
A budget of which something is left is never called spent: what is left and what the call may need are said instead.
"""

from __future__ import annotations

from datetime import UTC, datetime

from spendgate.admission import RefusalKind, Refuse
from spendgate.money import Beside, dollars
from spendgate.window import zone_of

UNLISTED = "unknown_people"
"""The rule that a refusal names where the policy says `unknown_people: refuse`."""

ASKING = "spendgate ask"


def message(refuse: Refuse, *, timezone: str, help_text: str, asks: str = "") -> str:
    """The whole text of one refusal, in one paragraph. `help_text` is the policy's `help` and ends it; where more money is what
    is missing and `help` has no command, `asks` does, the one that asks for it."""
    parts = [_what(refuse), _figures(refuse), _when(refuse, timezone)]
    parts.append(_others(refuse))
    helping = help_text.strip()
    parts.append(helping)
    if asks and refuse.kind is RefusalKind.SPENT and ASKING not in help_text:
        # In backticks: clients go on after the message, and what they add must not become part of the command. In brackets where
        # `help` ends without a stop: one that is put there would become part of its address.
        ended = not helping[-1:].isalnum() and helping[-1:] != "/"
        parts.append(f"To ask for more, run: `{asks}`" if ended else f"(to ask for more, run: `{asks}`)")
    return " ".join(part for part in parts if part)


def told(refuse: Refuse, *, timezone: str) -> str:
    """The same of a call that a reviewer only asks about: no machine has decided it, and nobody needs help."""
    if refuse.kind is RefusalKind.RULE and not refuse.rate:
        more = f". {_others(refuse)}" if refuse.others else ""
        return refuse.reason + (f"; {refuse.suggest} is allowed" if refuse.suggest else "") + more
    what = _what(refuse).removeprefix("Spendgate: ")
    parts = (what, _figures(refuse, where=""), _when(refuse, timezone), _others(refuse))
    return " ".join(filter(None, parts))


def _others(refuse: Refuse) -> str:
    if not refuse.others:
        return ""
    return f"{refuse.others} more {'rule refuses' if refuse.others == 1 else 'rules refuse'} it too."


def cut_message(rule: str, *, help_text: str) -> str:
    """Why a running stream was ended."""
    said = f"Spendgate: budget {rule} is used up; this answer was cut where its money ended."
    return " ".join(part for part in (said, help_text.strip()) if part)


def _what(refuse: Refuse) -> str:
    whose = f" ({_values(refuse.value)})" if refuse.value else ""
    match refuse.kind:
        case RefusalKind.SPENT:
            left = _left(refuse)
            if left is None:
                return f"Spendgate: budget {refuse.rule}{whose} is spent."
            needed = dollars(left.needed(refuse.hold_nanos or 0))
            need = f"may cost up to {needed}" if refuse.bounded else f"may need about {needed} (an estimate)"
            return f"Spendgate: budget {refuse.rule}{whose} has {dollars(left.left)} left; this call {need}."
        case RefusalKind.HELD:
            return f"Spendgate: the rest of budget {refuse.rule}{whose} is held for calls that are still running."
        case RefusalKind.UNBOUNDED:
            return f"Spendgate: budget {refuse.rule}{whose} holds the most that a call can cost, and nothing bounds this one."
        case RefusalKind.RULE if refuse.rate:
            return f"Spendgate: rate {refuse.rule}{whose}: on this machine {refuse.reason}."
        case RefusalKind.RULE:
            instead = f" Use {refuse.suggest}." if refuse.suggest else ""
            return f"Spendgate: {refuse.reason} (rule {refuse.rule}).{instead}"
        case RefusalKind.FAILURE:
            return f"Spendgate cannot decide about this call: {refuse.reason}."


def _values(key: str) -> str:
    """The values of a budget's `per` as people write lists; the ledger joins them by bars."""
    return ", ".join(value.replace("%7C", "|").replace("%25", "%") for value in key.split("|"))


def _left(refuse: Refuse) -> Beside | None:
    """What running calls could at best leave of the budget; None: nothing, or not known."""
    if refuse.limit_nanos is None or refuse.settled_nanos is None or refuse.settled_nanos >= refuse.limit_nanos:
        return None
    return Beside.of(refuse.limit_nanos, refuse.settled_nanos)


def _figures(refuse: Refuse, *, where: str = "On this machine ") -> str:
    if refuse.limit_nanos is None or refuse.settled_nanos is None or refuse.kind is RefusalKind.FAILURE:
        return ""
    shown = Beside.of(refuse.limit_nanos, refuse.settled_nanos, refuse.held_nanos or 0)
    held = f" and {dollars(shown.held)} held" if shown.held else ""
    source = f" The limit: {refuse.limit_from}." if refuse.limit_from else ""
    return f"{where}{dollars(shown.spent)} spent{_billed(refuse)}{held} of {dollars(shown.limit)}{_needs(refuse, shown)}.{source}"


def _needs(refuse: Refuse, shown: Beside) -> str:
    """What the call itself wants of the budget, where that is not said yet. A single nano-dollar stands for what nobody knows;
    a hold that is no bound may be a share of the budget, which is more than the call is expected to cost."""
    nanos = refuse.hold_nanos or 0
    if nanos <= 1 or (refuse.kind is RefusalKind.SPENT and _left(refuse) is not None):
        return ""
    needed = dollars(shown.needed(nanos))
    if refuse.bounded:
        return f"; this call needs {needed}"
    wants = "would hold" if refuse.kind is RefusalKind.HELD else "may need about"
    return f"; this call {wants} {needed} (an estimate)"


def _billed(refuse: Refuse) -> str:
    """The part of what is spent that no call shows: `spendgate calls` would not add up to it."""
    if refuse.billed_nanos <= 0:
        return ""
    return f" ({dollars(refuse.billed_nanos)} of it billed by the provider and not captured here)"


def _when(refuse: Refuse, timezone: str) -> str:
    if refuse.rate and refuse.resets_ms is not None:
        return f"Try again in {_soon(refuse.retry_after_ms or 0)}."
    if refuse.kind is RefusalKind.HELD or refuse.rate:
        return "Try again in a moment."
    if refuse.kind is not RefusalKind.SPENT or refuse.resets_ms is None:
        return ""
    moment = datetime.fromtimestamp(refuse.resets_ms / 1000, UTC).astimezone(zone_of(timezone))
    return f"It resets {moment:%a} {moment.day} {moment:%b %Y %H:%M} {timezone}."


def _soon(wait_ms: int) -> str:
    """How long to wait, never less: `1 second`, `40 seconds`, `3 minutes`."""
    seconds = max(1, -(-wait_ms // 1000))
    if seconds < 120:
        return f"{seconds} second{'' if seconds == 1 else 's'}"
    minutes = -(-seconds // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{-(-minutes // 60)} hours"
