"""What a change of `billing` does, in words.

Accounts that are no longer personal are counted where they were ignored, and let through where they were refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from spendgate.contracts import Billing, Seat
from spendgate.money import short_dollars
from spendgate.policy import Policy
from spendgate.review.changes import Change, Effect

_STRICTNESS: Final = ("ignore", "count", "refuse")
_BECOMES: Final = {
    "ignore": "in no budget, counts and times only",
    "count": "counted as metered",
    "refuse": "refused",
}


def agreed(old: Policy, new: Policy) -> Iterator[Change]:
    """Every difference of the two policies' accounts and seats; `price_changes` tells those of prices."""
    yield from _accounts(old.billing, new.billing)
    yield from _seats(old.billing, new.billing)


# -- accounts -------------------------------------------------------------------------------------------------------


def _accounts(old: Billing, new: Billing) -> Iterator[Change]:
    before, after = (
        {
            provider: {each.account.casefold(): each.account for each in billing.accounts if each.provider == provider}
            for provider in _of(billing)
        }
        for billing in (old, new)
    )
    refused = new.personal == "refuse"
    for provider in sorted(before.keys() | after.keys()):
        was, now = before.get(provider), after.get(provider)
        if was is None and now is not None:
            effect = Effect.MORE if new.personal == "ignore" else Effect.LESS if refused else Effect.OTHER
            names = ", ".join(sorted(now.values()))
            text = f"{provider}: calls on other accounts than {names} are personal: {_BECOMES[new.personal]}"
            yield Change(effect, "billing.accounts", text)
        elif was is not None and now is None:
            effect = (
                Effect.LESS if old.personal == "ignore" else Effect.MORE if old.personal == "refuse" else Effect.OTHER
            )
            yield Change(effect, "billing.accounts", f"{provider}: no account is personal any more; all are metered")
        elif was is not None and now is not None:
            for account in sorted(now.keys() - was.keys()):
                text = f"{provider} {now[account]} is the company's own from now on"
                yield Change(Effect.MORE if refused else Effect.LESS, "billing.accounts", text)
            for account in sorted(was.keys() - now.keys()):
                text = f"{provider} {was[account]} is personal from now on: {_BECOMES[new.personal]}"
                yield Change(Effect.LESS if refused else Effect.MORE, "billing.accounts", text)
    if old.personal != new.personal and old.accounts and new.accounts:
        stricter = _STRICTNESS.index(new.personal) > _STRICTNESS.index(old.personal)
        text = f"personal accounts: {_BECOMES[old.personal]} -> {_BECOMES[new.personal]}"
        yield Change(Effect.LESS if stricter else Effect.MORE, "billing.personal", text)
    told = old.personal != new.personal or {key: set(each) for key, each in before.items()} != {
        key: set(each) for key, each in after.items()
    }
    if old.accounts != new.accounts and not told:
        yield Change(Effect.OTHER, "billing.accounts", "the order of accounts or their case, which changes nothing")


def _of(billing: Billing) -> list[str]:
    return list(dict.fromkeys(each.provider for each in billing.accounts))


# -- seats ----------------------------------------------------------------------------------------------------------


def _seats(old: Billing, new: Billing) -> Iterator[Change]:
    before, after = ({seat.name: seat for seat in billing.seats} for billing in (old, new))
    for name in dict.fromkeys((*before, *after)):
        was, now = before.get(name), after.get(name)
        if was != now:
            yield Change(Effect.OTHER, f"billing.seats.{name}", f"seat {name}: {_seat(was)} -> {_seat(now)}")
    common = before.keys() & after.keys()
    if [name for name in before if name in common] != [name for name in after if name in common]:
        yield Change(Effect.OTHER, "billing.seats", "the order of seats: a call uses the first that fits")


def _seat(seat: Seat | None) -> str:
    if seat is None:
        return "none"
    each = seat.window.name
    parts = [f"{short_dollars(seat.price_nanos)} per {each}"]
    if seat.included_nanos is not None:
        parts.append(f"{short_dollars(seat.included_nanos)} included")
    parts += [f"{name} {' or '.join(texts)}" for name, texts in seat.match.as_data().items()]
    return ", ".join(parts)
