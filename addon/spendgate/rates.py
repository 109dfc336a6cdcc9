"""Rates: how often, how many tokens, how many at once. A rate is compiled like a budget; admission decides by its flow.

Rules: every billable call counts, also one that a flat plan pays, since a loop is one whoever pays; a personal one
only as the policy says.
Calls count by each model that the request names, from the instant of their admission. A refused call does not count.
"""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

from spendgate.draws import Draw
from spendgate.flow import Limits, Sliding
from spendgate.roster import Values
from spendgate.selector import EVERY, PERSONAL, Chosen, Facts
from spendgate.standing import Hold, Scope, Standing
from spendgate.window import HOUR_MS, MINUTE_MS, Calendar

_UNITS = ((HOUR_MS, "hour", "h"), (MINUTE_MS, "minute", "m"), (1_000, "second", "s"))


class Quota(Values):
    """At most so many in any stretch of so many milliseconds."""

    most: int
    length_ms: int


class Rate(Values):
    """One rate; at least one of `requests`, `tokens` and `parallel` is given."""

    name: str
    per: tuple[str, ...] = ()
    match: Chosen = EVERY
    excepted: Chosen = EVERY
    """The file's `except`."""
    missing: str = "skip"
    """A word of `budget.Missing`."""
    requests: Quota | None = None
    tokens: Quota | None = None
    cache_reads: bool = False
    parallel: int | None = None
    wait_ms: int
    """How long a call waits for others of `parallel` to end."""
    order: int

    @property
    def limits(self) -> Limits:
        """What it allows."""
        return Limits(_sliding(self.requests), _sliding(self.tokens), self.parallel, self.cache_reads)

    def draw(self) -> Draw:
        """The rate compiled. Its words say what is counted, never how many are allowed: another number keeps the count."""
        counted = {
            "rate": self.model_dump(mode="json", include={"per", "match", "excepted", "missing", "cache_reads"}),
            "over": [quota.length_ms if quota else 0 for quota in (self.requests, self.tokens)],
        }
        return Draw(
            name=self.name, per=self.per, match=self.match, excepted=self.excepted, window=None, calendar=Calendar(),
            team_calendars={}, limit_nanos=0, hold=Hold.RATE, wait_ms=self.wait_ms, cut=False, order=self.order,
            shared_missing=self.missing == "shared", rate=self.limits,
            counted=hashlib.sha256(json.dumps(counted, sort_keys=True).encode("utf-8", "backslashreplace")).digest(),
        )  # fmt: skip


def _sliding(quota: Quota | None) -> Sliding | None:
    return None if quota is None else Sliding(quota.most, quota.length_ms)


def rate_scopes(
    draws: tuple[Draw, ...], asked: tuple[Facts, ...], enforced: bool, *, personal: bool = False
) -> tuple[Scope, ...]:
    """Every rate that fits a billable call, each with the value that it counts for, once. The same at every instant.

    `asked` are its facts as of each model that may have a part in the answer. `personal`: whether calls on personal accounts
    count.
    """
    found: list[Scope] = []
    for draw in draws:
        for facts in asked:
            if (personal or facts.values.get("billing") != (PERSONAL,)) and draw.fits(facts):
                draw.add_scopes(found, facts, 0, enforced)
    return tuple(found) if len(asked) == 1 else tuple(dict.fromkeys(found))


class Over(NamedTuple):
    """Why a rate has no room for one more call."""

    reason: str
    """`100 of 100 requests per minute are used`."""
    wait_ms: int | None
    """How long until it has, if nothing comes meanwhile; None: as soon as others end."""


def over(standing: Standing) -> Over | None:
    """The limit of this rate that lasts longest, of those without room; None where one more call fits."""
    limits, flow = standing.scope.rate, standing.flow
    if limits is None:
        return None
    if not (flow.requests_wait_ms or flow.tokens_wait_ms):
        return _too_many(standing, limits.parallel)
    found: list[Over] = []
    for sliding, what, used, wait_ms in (
        (limits.requests, "requests", flow.requests, flow.requests_wait_ms),
        (limits.tokens, "tokens", flow.tokens, flow.tokens_wait_ms),
    ):
        if sliding is not None and wait_ms > 0:
            each = f"{used:,} of {sliding.most:,} {what} per {length(sliding.length_ms)} are used"
            found.append(Over(each, wait_ms))
    return max(found, key=lambda each: each.wait_ms or 0)


def _too_many(standing: Standing, parallel: int | None) -> Over | None:
    if parallel is None or standing.open_calls < parallel:
        return None
    return Over(f"{standing.open_calls:,} of {parallel:,} calls at once are running", None)


def length(length_ms: int) -> str:
    """A stretch of time as the policy writes it: `minute`, `30s`, `24h`."""
    for unit_ms, one, letter in _UNITS:
        if length_ms == unit_ms:
            return one
        if length_ms % unit_ms == 0:
            return f"{length_ms // unit_ms}{letter}"
    return f"{length_ms}ms"
