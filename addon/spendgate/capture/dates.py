"""The date of a provider's answer, as a witness of what time it is: over a verified connection alone, and of no cache."""

from __future__ import annotations

import logging
from datetime import UTC
from email.utils import parsedate_to_datetime

from mitmproxy import ctx, http

from spendgate.capture.call import Clock
from spendgate.gate.interface import GatePort

logger = logging.getLogger(__name__)

_EVERY_MS = 1_000
"""Dates have whole seconds: more than one a second of a host says nothing more."""
_LONGEST = 40
_HOSTS_MAX = 256


class Dates:
    """When each host's answer was last looked at."""

    def __init__(self) -> None:
        self._looked: dict[str, int] = {}

    def of(self, flow: http.HTTPFlow, host: str, ticks_ms: int, *, verified: bool) -> int | None:
        """Epoch milliseconds of the answer's date; None where it witnesses nothing, or this host was just looked at.

        `verified`: certificates of providers are checked. `ticks_ms`: a clock that never goes back.
        """
        last = self._looked.get(host)
        if not verified or (last is not None and ticks_ms - last < _EVERY_MS) or not flow.server_conn.tls_established:
            return None
        if flow.response is None or "age" in flow.response.headers:
            return None  # a cache's answer was made some time ago
        if last is None and len(self._looked) >= _HOSTS_MAX:
            self._looked.clear()
        self._looked[host] = ticks_ms
        return read(flow.response.headers.get("date", ""))


def tell(dates: Dates, gate: GatePort, clock: Clock, flow: http.HTTPFlow, host: str) -> None:
    """Tell the gate what time it is, by the provider that answers. Never raises."""
    try:
        date_ms = dates.of(flow, host, clock.ticks_ms(), verified=not ctx.options.ssl_insecure)
        if date_ms is not None:
            gate.dated(host, date_ms)
    except Exception as fault:  # noqa: BLE001 - the answer passes all the same
        logger.error("the date of an answer could not be read: %s", type(fault).__name__)


def read(date: str) -> int | None:
    """Epoch milliseconds of an HTTP date (RFC 9110, 5.6.7); None where it is none."""
    if len(date) > _LONGEST or not date.endswith(" GMT"):
        return None
    try:
        return int(parsedate_to_datetime(date).replace(tzinfo=UTC).timestamp()) * 1000
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
