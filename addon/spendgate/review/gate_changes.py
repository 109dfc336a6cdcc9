"""What a change does to the gate as a whole, in words: what it decrypts, and what a refusal is worth."""

from __future__ import annotations

from collections.abc import Iterator

from spendgate.money import short_dollars
from spendgate.policy import Host, Policy
from spendgate.review.changes import Change, Effect, selector_text


def capture(old: Policy, new: Policy) -> Iterator[Change]:
    """What is decrypted."""
    before, after = old.capture, new.capture
    if before.providers != after.providers:
        text = f"providers: {_names(before.providers, 'all that are known')} -> {_names(after.providers, 'all that are known')}"
        yield Change(Effect.DECRYPTS, "capture.providers", text)
    hosts = {host.host: host for host in before.hosts}, {host.host: host for host in after.hosts}
    for name in sorted(hosts[0].keys() | hosts[1].keys()):
        was, now = hosts[0].get(name), hosts[1].get(name)
        if was != now:
            what = (
                "is decrypted from now on"
                if was is None
                else "is no longer decrypted"
                if now is None
                else "is read otherwise"
            )
            yield Change(Effect.DECRYPTS, "capture.hosts", f"{name} {what}: {_host(was)} -> {_host(now)}")
    if before.never != after.never:
        gone, added = set(before.never) - set(after.never), set(after.never) - set(before.never)
        parts = [f"{name} may be decrypted from now on" for name in sorted(gone)]
        parts += [f"{name} is never decrypted from now on" for name in sorted(added)]
        yield Change(Effect.DECRYPTS, "capture.never", "; ".join(parts) or "the order of never")
    for key in ("browsers", "stream_usage"):
        was_word, word = getattr(before, key), getattr(after, key)
        if was_word != word:
            yield Change(Effect.DECRYPTS, f"capture.{key}", f"{key}: {was_word} -> {word}")


def _names(names: tuple[str, ...] | None, every: str) -> str:
    return every if names is None else ", ".join(names)


def _host(host: Host | None) -> str:
    if host is None:
        return "not captured"
    return ", ".join(part for part in (host.dialect, host.prices, host.billing) if part)


def power(old: Policy, new: Policy) -> Iterator[Change]:
    """Whether it refuses, in which shape, and what happens while it cannot decide."""
    if old.mode != new.mode:
        yield Change(Effect.POWER, "mode", f"mode: {_mode(old)} -> {_mode(new)}")
    if old.on_failure != new.on_failure:
        text = f"while the gate cannot decide: {_failure(old)} -> {_failure(new)}"
        yield Change(Effect.POWER, "on_failure", text)
    if old.refusals != new.refusals:
        yield Change(Effect.POWER, "refusals", f"refusals: {old.refusals} -> {new.refusals}")


def _mode(policy: Policy) -> str:
    chosen = [selector_text(selector.as_data()) for selector in policy.mode.enforce]
    return policy.mode.default + (f", enforced for {'; '.join(chosen)}" if chosen else "")


def _failure(policy: Policy) -> str:
    limit = policy.on_failure.limit_nanos
    return policy.on_failure.action + (f" up to {short_dollars(limit)} per person" if limit is not None else "")
