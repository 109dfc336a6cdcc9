"""The call that went alone, as `addon/README.md` defines it: what one call may pass a budget by that no hold could have known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Span:
    """One admitted call: when its hold was granted and when it ended, instants that compare; its cost in nano-dollars."""

    began: Any
    ended: Any
    nanos: int


def excess(spans: Iterable[Span], limit: int) -> int:
    """What the call that went alone cost beyond what was left of `limit` when it left, in nano-dollars; 0: there was none.

    There is at most one: after it the budget is spent. Calls that began at one instant count in the order given.
    """
    ordered = sorted(spans, key=lambda span: span.began)
    most, settled, last_end = 0, 0, None
    for span in ordered:
        if last_end is None or last_end <= span.began:
            most = max(most, span.nanos - (limit - settled))
        settled += span.nanos
        last_end = span.ended if last_end is None else max(last_end, span.ended)
    return most
