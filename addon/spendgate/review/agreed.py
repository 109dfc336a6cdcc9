"""What a change of `pricing.adjust` and `billing` does, in words.

A lower price is a wider budget: more calls fit into the same limit. Accounts that are no longer personal are counted where they
were ignored, and let through where they were refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from spendgate.contracts import Adjustment, Billing, Seat
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
    """Every difference of the two policies' agreements with providers."""
    yield from _prices(old, new)
    yield from _accounts(old.billing, new.billing)
    yield from _seats(old.billing, new.billing)


# -- prices ---------------------------------------------------------------------------------------------------------


def _prices(old: Policy, new: Policy) -> Iterator[Change]:
    before, after = _by_match(old.adjust), _by_match(new.adjust)
    for key in dict.fromkeys((*before, *after)):
        was, now = before.get(key), after.get(key)
        if was == now:
            continue
        known = now or was
        matched = "" if known is None else _matched(known)
        text = f"calls with {matched}: {_priced(was)} -> {_priced(now)}"
        yield Change(_effect(was, now), "pricing.adjust", f"{text}; what a budget holds of them changes with it")
    common = before.keys() & after.keys()
    if [key for key in before if key in common] != [key for key in after if key in common]:
        yield Change(
            Effect.OTHER, "pricing.adjust", "the order of price adjustments: of several that fit, the last holds"
        )


def _by_match(entries: tuple[Adjustment, ...]) -> dict[tuple[str, int], Adjustment]:
    """Entries by what they are about, and which one of that match."""
    found: dict[tuple[str, int], Adjustment] = {}
    for entry in entries:
        text = _matched(entry)
        found[text, sum(1 for other, _ in found if other == text)] = entry
    return found


def _matched(entry: Adjustment) -> str:
    return ", ".join(f"{name} {' or '.join(texts)}" for name, texts in entry.match.as_data().items())


def _priced(entry: Adjustment | None) -> str:
    if entry is None:
        return "list price"
    change = entry.change(0)
    price = f"list price {change.words}" if change.factor_millionths is not None else f"{change.words} per million"
    days = [f"from {entry.starts}"] if entry.starts else []
    days += [f"until {entry.ends}"] if entry.ends else []
    return " ".join((price, *days))


def _effect(was: Adjustment | None, now: Adjustment | None) -> Effect:
    """Whether calls become cheaper, so that more of them fit, or dearer; `other` where that depends on the call or the day."""
    same_days = was is None or now is None or (was.starts, was.ends) == (now.starts, now.ends)
    factors = [1_000_000 if entry is None else entry.factor_millionths for entry in (was, now)]
    if same_days and factors[0] is not None and factors[1] is not None and factors[0] != factors[1]:
        return Effect.MORE if factors[1] < factors[0] else Effect.LESS
    if same_days and was and now and [name for name, _ in was.rates] == [name for name, _ in now.rates] and was.rates:
        moved = [after - before for (_, before), (_, after) in zip(was.rates, now.rates, strict=True)]
        if all(each <= 0 for each in moved):
            return Effect.MORE
        if all(each >= 0 for each in moved):
            return Effect.LESS
    return Effect.OTHER


# -- accounts -------------------------------------------------------------------------------------------------------


def _accounts(old: Billing, new: Billing) -> Iterator[Change]:
    before, after = (
        {
            provider: {each.account for each in billing.accounts if each.provider == provider}
            for provider in _of(billing)
        }
        for billing in (old, new)
    )
    refused = new.personal == "refuse"
    for provider in sorted(before.keys() | after.keys()):
        was, now = before.get(provider), after.get(provider)
        if was is None and now is not None:
            effect = Effect.MORE if new.personal == "ignore" else Effect.LESS if refused else Effect.OTHER
            text = f"{provider}: calls on other accounts than {', '.join(sorted(now))} are personal: {_BECOMES[new.personal]}"
            yield Change(effect, "billing.accounts", text)
        elif was is not None and now is None:
            effect = (
                Effect.LESS if old.personal == "ignore" else Effect.MORE if old.personal == "refuse" else Effect.OTHER
            )
            yield Change(effect, "billing.accounts", f"{provider}: no account is personal any more; all are metered")
        elif was is not None and now is not None:
            for account in sorted(now - was):
                text = f"{provider} {account} is the company's own from now on"
                yield Change(Effect.MORE if refused else Effect.LESS, "billing.accounts", text)
            for account in sorted(was - now):
                text = f"{provider} {account} is personal from now on: {_BECOMES[new.personal]}"
                yield Change(Effect.LESS if refused else Effect.MORE, "billing.accounts", text)
    if old.personal != new.personal and old.accounts and new.accounts:
        stricter = _STRICTNESS.index(new.personal) > _STRICTNESS.index(old.personal)
        text = f"personal accounts: {_BECOMES[old.personal]} -> {_BECOMES[new.personal]}"
        yield Change(Effect.LESS if stricter else Effect.MORE, "billing.personal", text)
    told = before != after or old.personal != new.personal
    if old.accounts != new.accounts and not told:
        yield Change(Effect.OTHER, "billing.accounts", "the order of accounts, which changes nothing")


def _of(billing: Billing) -> list[str]:
    return list(dict.fromkeys(each.provider for each in billing.accounts))


# -- seats ----------------------------------------------------------------------------------------------------------


def _seats(old: Billing, new: Billing) -> Iterator[Change]:
    before, after = ({seat.name: seat for seat in billing.seats} for billing in (old, new))
    for name in dict.fromkeys((*before, *after)):
        was, now = before.get(name), after.get(name)
        if was != now:
            yield Change(Effect.OTHER, f"billing.seats.{name}", f"seat {name}: {_seat(was)} -> {_seat(now)}")
    if before == after and old.seats != new.seats:
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
