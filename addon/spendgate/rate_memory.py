"""Rates without a ledger: what they have counted, in memory, for `policy replay`, for tests, and for a gate whose ledger fails.

It counts exactly as `ledger/flows.py` does, by the same `flow.Windows`: a test runs both through the same calls. Instants are
milliseconds of one clock; one that goes back counts as standing still.
"""

from __future__ import annotations

from typing import NamedTuple

from spendgate.flow import Entry, Tokens, Windows, corrected
from spendgate.standing import Scope, Standing

Key = tuple[str, str, str]


class _Open(NamedTuple):
    at_ms: int
    at_once: tuple[Key, ...]
    looks_back: tuple[Key, ...]
    need: Tokens
    longest_ms: int


class RateMemory:
    """The state of all rates. Its standings are what `admission.decide` decides by; pure but for what it is told."""

    def __init__(self) -> None:
        self._windows: Windows[Key] = Windows()
        self._running: dict[Key, int] = {}
        self._open: dict[str, _Open] = {}

    def standings(self, scopes: tuple[Scope, ...], need: Tokens, now_ms: int) -> tuple[Standing, ...]:
        """These rates' standings (`rates.rate_scopes`) for a call that is expected to need so much."""
        return tuple(
            [
                Standing(
                    scope, 0, 0, 0, self._running.get(_key(scope), 0), 0,
                    self._windows.flow(_key(scope), scope.rate, need, now_ms),
                )
                for scope in scopes
                if scope.rate is not None
            ]
        )  # fmt: skip

    def admitted(self, call: str, scopes: tuple[Scope, ...], need: Tokens, now_ms: int) -> None:
        """Count an admitted call in these rates."""
        at_ms = self._windows.moment(now_ms)
        limits = {_key(scope): scope.rate for scope in scopes if scope.rate is not None}
        looks_back = tuple(key for key, each in limits.items() if each.longest_ms)
        longest_ms = max((each.longest_ms for each in limits.values()), default=0)
        at_once = tuple(limits)
        self._open[call] = _Open(at_ms, at_once, looks_back, need, longest_ms)
        for key in at_once:
            self._running[key] = self._running.get(key, 0) + 1
        self._windows.add(looks_back, Entry(at_ms, 1, need.counted, need.reads), longest_ms)

    def ended(self, call: str, used: Tokens | None, *, sent: bool = True) -> None:
        """An admitted call has ended and used so much (None: nobody knows); a second time changes nothing."""
        known = self._open.pop(call, None)
        if known is None:
            return
        for key in known.at_once:
            self._running[key] -= 1
            if not self._running[key]:
                del self._running[key]
        change = corrected(known.need, used, sent=sent)
        if change is not None and known.longest_ms:
            requests, tokens = change
            self._windows.add(
                known.looks_back, Entry(known.at_ms, requests, tokens.counted, tokens.reads), known.longest_ms
            )


def _key(scope: Scope) -> Key:
    return scope.budget, scope.value, scope.words
