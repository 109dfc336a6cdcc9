"""What servers say when they are asked too fast: every form of RFC 9110, GitHub's limits, and words that are no time."""

from __future__ import annotations

import pytest

from spendgate.reconcile.haste import Haste, haste

NOW = 784_111_777_000
"""1994-11-06T08:49:37Z, RFC 9110's own example."""
LIMIT = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0"}


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("86400", 300.0),
        ("9" * 400, 300.0),
        ("Sun, 06 Nov 1994 08:50:07 GMT", 30.0),
        ("Sunday, 06-Nov-94 08:50:07 GMT", 30.0),
        ("Sun Nov  6 08:50:07 1994", 30.0),
        ("Mon, 07 Nov 1994 08:49:37 GMT", 300.0),
        *((odd, None) for odd in ("nan", "inf", "-inf", "-5", "0", "soon", "1e9", "", "\u0667", "Sun, 31 Feb 1994 25:61:07 GMT")),
        ("Sun, 06 Nov 1994 08:49:07 GMT", None),
        ("Sun, 06 Nov 99999 08:49:07 GMT", None),
    ],
)  # fmt: skip
def test_retry_after(said: str, wait_s: float | None) -> None:
    """What is no time, or is over, is as if nothing were told."""
    assert haste(429, {"retry-after": said}, b"", NOW) == Haste(wait_s)
    assert haste(403, {"retry-after": said}, b"", NOW) == Haste(wait_s)


@pytest.mark.parametrize(
    ("status", "headers", "body", "found"),
    [
        (403, {**LIMIT, "x-ratelimit-reset": str(NOW // 1000 + 90)}, b"", Haste(91.0)),
        (429, {**LIMIT, "x-ratelimit-reset": str(NOW // 1000 + 90)}, b"", Haste(91.0)),
        (429, {**LIMIT, "x-ratelimit-reset": "1795132890000"}, b"", Haste(spent_until_ms=1_795_132_890_000)),
        (403, {**LIMIT, "x-ratelimit-reset": str(NOW // 1000 + 3000)}, b"", Haste(spent_until_ms=NOW + 3_000_000)),
        (403, {**LIMIT, "x-ratelimit-reset": str(NOW // 1000 - 90)}, b"", Haste()),
        (403, {**LIMIT, "x-ratelimit-reset": "nan"}, b"", Haste()),
        (403, {**LIMIT, "x-ratelimit-reset": "9" * 99}, b"", Haste()),
        (403, {**LIMIT, "retry-after": "7", "x-ratelimit-reset": str(NOW // 1000 + 90)}, b"", Haste(7.0)),
        (403, {"x-ratelimit-remaining": "12"}, b'{"message": "Must have admin rights"}', None),
        (403, {}, b'{"message": "You have exceeded a secondary rate limit."}', Haste(60.0)),
        (429, {}, b"", Haste()),
        (401, LIMIT, b"", None),
    ],
)
def test_limits(status: int, headers: dict[str, str], body: bytes, found: Haste | None) -> None:
    """A spent limit is no missing permission; nobody waits for one that is given anew in an hour."""
    assert haste(status, headers, body, NOW) == found
