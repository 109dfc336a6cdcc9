"""What a change does to the gate as a whole, in words: what it decrypts, and what a refusal is worth."""

from __future__ import annotations

from collections.abc import Iterator

from spendgate.money import short_dollars
from spendgate.policy import Policy
from spendgate.review.changes import Change, Effect, selector_text
from spendgate.review.host_changes import COUNTED, UNSEEN, hosts


def capture(old: Policy, new: Policy) -> Iterator[Change]:
    """What is decrypted."""
    before, after = old.capture, new.capture
    if before.providers != after.providers:
        text = f"providers: {_names(before.providers, 'all that are known')} -> {_names(after.providers, 'all that are known')}"
        yield Change(Effect.DECRYPTS, "capture.providers", text)
        yield from _seen(before.providers, after.providers)
    yield from hosts(before, after)
    if before.never != after.never:
        gone, added = set(before.never) - set(after.never), set(after.never) - set(before.never)
        parts = [f"{name} may be decrypted from now on" for name in sorted(gone)]
        parts += [f"{name} is never decrypted from now on" for name in sorted(added)]
        yield Change(Effect.DECRYPTS, "capture.never", "; ".join(parts) or "the order of never")
        for effect, hosts_moved, becomes in ((Effect.MORE, added, UNSEEN), (Effect.LESS, gone, COUNTED)):
            if hosts_moved:
                text = f"everybody: calls to {', '.join(sorted(hosts_moved))}, as far as it is captured, {becomes}"
                yield Change(effect, "capture.never", text)
    for key in ("browsers", "stream_usage"):
        was_word, word = getattr(before, key), getattr(after, key)
        if was_word != word:
            yield Change(Effect.DECRYPTS, f"capture.{key}", f"{key}: {was_word} -> {word}")


def _seen(before: tuple[str, ...] | None, after: tuple[str, ...] | None) -> Iterator[Change]:
    """Calls that are not decrypted come under no budget: more may be spent where less is captured."""
    was, now = set(before or ()), set(after or ())
    lost = f"every provider but {', '.join(sorted(now))}" if before is None else ", ".join(sorted(was - now))
    won = f"every provider but {', '.join(sorted(was))}" if after is None else ", ".join(sorted(now - was))
    if after is not None and lost:
        yield Change(Effect.MORE, "capture.providers", f"everybody: calls to {lost} {UNSEEN}")
    if before is not None and won:
        yield Change(Effect.LESS, "capture.providers", f"everybody: calls to {won} {COUNTED}")


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
