"""Whether two connections are one: asked some dozen times of each call, mostly of one object and itself.

mitmproxy compares their ids, after it has asked of the other's class by way of an abstract one, which costs more than all else.
"""

from __future__ import annotations

from mitmproxy import connection

stock = connection.Connection.__eq__


def quick() -> None:
    """Compare with less work in this process, and with the same answer. A second time changes nothing."""
    connection.Connection.__eq__ = _same  # type: ignore[method-assign]  # mitmproxy makes them, where no other can be put


def _same(self: connection.Connection, other: object) -> bool:
    if self is other:
        return True
    kind = type(other)
    if kind is connection.Server or kind is connection.Client:
        return bool(self.id == other.id)  # type: ignore[attr-defined]  # both have one
    return bool(stock(self, other))  # type: ignore[no-untyped-call]  # mitmproxy's
