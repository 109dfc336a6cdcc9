"""What kind of witness a captured call is: counted in full, cut off, unread, estimated, of a plan, of a gateway, …"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from spendgate.ledger.results import CORRECTS
from spendgate.ledger.spending import POLICY_PRICE
from spendgate.reconcile.captured import Call


class Kind(StrEnum):
    """One of these for each call that left; what never left is none."""

    COUNTED = "counted"
    """The provider's own counts, all of them."""
    ABORTED = "aborted"
    """Ended before its counts were final: what was captured bounds it from below."""
    UNREAD = "unread"
    """It is there and its counts are not: an answer that could not be read."""
    ESTIMATED = "estimated"
    """Its wire shows no counts."""
    SUBCALLS = "subcalls"
    """Its answer had sub-calls that its counts leave out."""
    ERRORED = "errored"
    """Charged, though it ended with an error."""
    FAILED = "failed"
    """Sent, ended with an error, charged nothing."""
    NOT_TAKEN = "not taken"
    """Sent, and refused by the provider before any work (400, 401, 429, …), which no provider bills."""
    UNPRICED = "unpriced"
    """No price list has its model."""
    PLAN = "plan"
    """A plan pays, or it is on a personal account: no money of this bill's."""
    GATEWAY = "gateway"
    """It went to a gateway, whose own key the provider bills."""
    DOUBLE = "double"
    """A second row of a response that has one already."""
    UNSEEN = "unseen"
    """A request at a path that is not known: nobody knows whether it costs."""


COUNTS: Final = frozenset({Kind.COUNTED, Kind.ABORTED, Kind.SUBCALLS, Kind.ERRORED, Kind.UNPRICED})
"""Kinds whose counts are what the provider counted, as far as they go."""
ASKED: Final = COUNTS | {Kind.UNREAD, Kind.ESTIMATED}
"""Kinds that the provider counts as requests."""
ELSEWHERE: Final = frozenset({Kind.PLAN, Kind.GATEWAY, Kind.DOUBLE})
"""Kinds whose cost is on no bill under their own key, or there once: they cover nothing of it."""
_WIRE: Final = ("no counts on this wire", "turn ended without counts")
_UNREAD: Final = ("no counts", "an answer without usage", "output not counted", "not priced", "not read")
_SUBCALLS: Final = ("compaction", "advisor", "iteration", "sub-call", "subcall")
_ERROR: Final = 400
_SERVERS_ERROR: Final = 500
_GIVEN_UP: Final = (408, 499)
"""Not the request was wrong: somebody did not wait for the answer, and work may have been done by then."""


def kind_of(call: Call, gateways: frozenset[str]) -> Kind | None:
    """None: it never left, or has not ended, or is known to cost nothing."""
    if call.state in ("refused", "open"):
        return None
    if call.billing == "gateway" or call.host in gateways:
        return Kind.GATEWAY
    if call.billing in ("subscription", "personal"):
        return Kind.PLAN
    if call.state == "unrecognized":
        return Kind.UNSEEN
    wrong = call.http_status is None or call.http_status >= _ERROR
    if call.state == "failed" or (call.cost_nanos == 0 and call.state != "interrupted" and wrong):
        return Kind.NOT_TAKEN if _not_taken(call.http_status) else Kind.FAILED
    if call.state == "free":
        return None
    return Kind.ABORTED if call.state == "interrupted" else _settled(call)


def _not_taken(status: int | None) -> bool:
    return status is not None and _ERROR <= status < _SERVERS_ERROR and status not in _GIVEN_UP


def _settled(call: Call) -> Kind:
    usage, flags = call.usage, call.flags
    counted = usage.input_tokens is not None or usage.output_tokens is not None
    if call.http_status is not None and call.http_status >= _ERROR:
        return Kind.ERRORED
    if _has(flags, _WIRE):
        return Kind.ESTIMATED
    if call.basis != "reported":
        return Kind.ESTIMATED if counted and not _has(flags, _UNREAD) else Kind.UNREAD
    if not counted:
        return Kind.COUNTED if call.cost_nanos else Kind.UNREAD
    if POLICY_PRICE in call.prices or "unknown price" in flags or (call.cost_nanos == 0 and not usage.nothing):
        return Kind.UNPRICED
    return Kind.SUBCALLS if _has(flags, _SUBCALLS) else Kind.COUNTED


def _has(flags: str, words: tuple[str, ...]) -> bool:
    return any(word in flags for word in words)


def is_correction(call: Call) -> bool:
    """Whether the row only corrects what another one was charged: it is no request of its own."""
    return CORRECTS in call.flags
