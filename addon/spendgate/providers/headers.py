"""Case-insensitive headers for everything that is not mitmproxy's own: WebSocket error frames, the stand-in, tests.

And what `Upgrade` asks for, which more than one place must read alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Self


class CaseInsensitive:
    """Immutable headers that answer `get` in any case. A repeated name keeps its first value, as mitmproxy's `get` does not
    join either for the headers that are read here."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        pairs = fields.items() if isinstance(fields, Mapping) else fields
        self._fields: dict[str, str] = {}
        for name, value in pairs:
            self._fields.setdefault(name.lower(), value)

    @classmethod
    def folded(cls, fields: dict[str, str]) -> Self:
        """Of names that are in lower case already. `fields` is kept, not copied."""
        made = cls()
        made._fields = fields
        return made

    def get(self, name: str, default: str | None = None, /) -> str | None:
        """The value of `name`, or `default`."""
        return self._fields.get(name.lower(), default)


def asks_websocket(upgrade: str | None) -> bool:
    """Whether an `Upgrade` field offers WebSocket, alone or among other protocols: the server picks (RFC 9110, 7.8)."""
    return any(offer.partition("/")[0].strip().lower() == "websocket" for offer in (upgrade or "").split(","))
