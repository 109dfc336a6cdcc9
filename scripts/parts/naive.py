"""A naive gate, for comparison: looks at what was spent, lets the call go, and adds its cost when the answer has come."""

from __future__ import annotations

import json

from mitmproxy import http

LIMIT_NANOS = 10**9
INPUT_NANOS, OUTPUT_NANOS = 5_000, 25_000


class Naive:
    """Check, then charge."""

    def __init__(self) -> None:
        self._spent = 0

    def request(self, flow: http.HTTPFlow) -> None:
        """Refuse once the budget is spent."""
        if self._spent >= LIMIT_NANOS:
            flow.response = http.Response.make(429, b"spent")

    def response(self, flow: http.HTTPFlow) -> None:
        """Add what it cost."""
        if flow.response and flow.response.status_code == 200:
            usage = json.loads(flow.response.content or b"{}").get("usage", {})
            self._spent += usage.get("input_tokens", 0) * INPUT_NANOS + usage.get("output_tokens", 0) * OUTPUT_NANOS


addons = [Naive()]
