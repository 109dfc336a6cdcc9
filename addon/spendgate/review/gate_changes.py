"""What a change does to the gate as a whole, in words: what it decrypts, and what a refusal is worth."""

from __future__ import annotations

from collections.abc import Iterator

from spendgate.money import short_dollars
from spendgate.policy import Capture, Policy
from spendgate.providers.below import within
from spendgate.providers.own_hosts import provider_of_host
from spendgate.review.changes import Change, Effect, selector_text
from spendgate.review.host_changes import COUNTED, UNSEEN, hosts, never_by


def capture(old: Policy, new: Policy) -> Iterator[Change]:
    """What is decrypted."""
    before, after = old.capture, new.capture
    if before.providers != after.providers:
        text = f"providers: {_names(before.providers, 'all that are known')} -> {_names(after.providers, 'all that are known')}"
        yield Change(Effect.DECRYPTS, "capture.providers", text)
        yield from _seen(before, after)
    yield from hosts(before, after)
    if before.never != after.never:
        yield from _never(before.never, after.never)
    for key in ("browsers", "stream_usage"):
        was_word, word = getattr(before, key), getattr(after, key)
        if was_word != word:
            yield Change(Effect.DECRYPTS, f"capture.{key}", f"{key}: {was_word} -> {word}")


def _never(before: tuple[str, ...], after: tuple[str, ...]) -> Iterator[Change]:
    """A name that another one has already, by a domain above it, moves nothing."""
    gone, added = (
        {name: _but(name, other) for name in sorted(set(one) - set(other)) if never_by(name, other) is None}
        for one, other in ((before, after), (after, before))
    )
    parts = [f"{name}{but} may be decrypted from now on" for name, but in gone.items()]
    parts += [f"{name}{but} is never decrypted from now on" for name, but in added.items()]
    same = "the order of never" if set(before) == set(after) else "never has the same hosts, otherwise written"
    yield Change(Effect.DECRYPTS, "capture.never", "; ".join(parts) or same)
    for effect, moved, becomes in ((Effect.MORE, added, UNSEEN), (Effect.LESS, gone, COUNTED)):
        if moved:
            names = ", ".join(name + but for name, but in moved.items())
            yield Change(effect, "capture.never", f"everybody: calls to {names}, as far as it is captured, {becomes}")


def _but(name: str, other: tuple[str, ...]) -> str:
    """What of a domain stands on the other side, too: for that nothing changes."""
    same = [each for each in sorted(other) if never_by(each, (name,))]
    return f" (but for {', '.join(same)})" if same else ""


def _seen(before: Capture, after: Capture) -> Iterator[Change]:
    """Calls that are not decrypted come under no budget: more may be spent where less is captured."""
    was, now = set(before.providers or ()), set(after.providers or ())
    lost = f"every provider but {', '.join(sorted(now))}" if before.providers is None else ", ".join(sorted(was - now))
    won = f"every provider but {', '.join(sorted(was))}" if after.providers is None else ", ".join(sorted(now - was))
    if after.providers is not None and lost:
        own = _own(after, now, None if before.providers is None else was)
        yield Change(Effect.MORE, "capture.providers", f"everybody: calls to {lost}{own} {UNSEEN}")
    if before.providers is not None and won:
        own = _own(before, was, None if after.providers is None else now)
        yield Change(Effect.LESS, "capture.providers", f"everybody: calls to {won}{own} {COUNTED}")


def _own(narrow: Capture, named: set[str], of: set[str] | None) -> str:
    """The hosts that the side with fewer providers has of the others': they are decrypted all the same. `of` None: of all."""
    moved = [
        each.host
        for each in narrow.hosts
        if (by := provider_of_host(each)) not in named
        and (of is None or by in of)
        and not within(each.host, narrow.never)
    ]
    return f" (but for {', '.join(moved)} of capture.hosts)" if moved else ""


def _names(names: tuple[str, ...] | None, every: str) -> str:
    return every if names is None else ", ".join(names)


def power(old: Policy, new: Policy) -> Iterator[Change]:
    """Whether it refuses, in which shape, and what happens while it cannot decide."""
    if old.mode != new.mode:
        yield Change(Effect.POWER, "mode", f"mode: {_mode(old)} -> {_mode(new)}")
    if old.on_failure != new.on_failure:
        text = f"while the gate cannot decide: {failure_text(old)} -> {failure_text(new)}"
        yield Change(Effect.POWER, "on_failure", text)
    if old.refusals != new.refusals:
        yield Change(Effect.POWER, "refusals", f"refusals: {old.refusals} -> {new.refusals}")


def _mode(policy: Policy) -> str:
    chosen = [selector_text(selector.as_data()) for selector in policy.mode.enforce]
    return policy.mode.default + (f", enforced for {'; '.join(chosen)}" if chosen else "")


def failure_text(policy: Policy) -> str:
    """What the policy says of a call while the gate cannot decide."""
    limit = policy.on_failure.limit_nanos
    return policy.on_failure.action + (f" up to {short_dollars(limit)} per person" if limit is not None else "")
