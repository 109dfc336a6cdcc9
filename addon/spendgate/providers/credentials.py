"""The keys that a request carries: all that stand where its provider looks for one, and nothing else.

Which fields a provider reads is said once, in its `Provider` or `Family` (`keys`), else by the dialect of the path; the registry
puts it into the head. None of them documents what it does with two keys that differ (Anthropic's guide to authentication,
Google's system parameters, Azure's reference, November 2026): so all count, and nobody is told which of them pays.

Sources: facts/wire-formats.md 1b, 2.2, 4.1, 5, 6, 15; for hosts that a policy adds, what public gateways accept.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl

from spendgate.providers.interface import Head

BEARER: Final = "authorization"
X_API_KEY: Final = "x-api-key"
API_KEY: Final = "api-key"
GOOGLE: Final = "x-goog-api-key"
QUERY: Final = "?key"
"""Not a field: the query's `key`, or `$key`."""
SUBPROTOCOL: Final = "sec-websocket-protocol"
"""What browsers put a key for OpenAI's realtime API into."""

_OFFERED: Final = "openai-insecure-api-key."
_QUERY_NAMES: Final = frozenset({"key", "$key"})
_QUERY_FIELDS_MAX: Final = 1024
_KEPT: Final = 4
"""Of a field with more keys than twice this, so many of its first and of its last: servers take either end."""
_BETWEEN: Final = re.compile(r"[\s,]+")
_SCHEMES: Final = frozenset({"bearer", "token", "key", "apikey", "api-key"})
_SIGNED: Final = "aws4-"


def keys_of(head: Head) -> tuple[str, ...]:
    """The keys where the head's provider looks for one, each once, in the order of its fields."""
    return tuple(dict.fromkeys([key for field in head.keys for key in _ends(list(_in_field(head, field)))]))


def _ends(keys: list[str]) -> list[str]:
    return keys if len(keys) <= 2 * _KEPT else [*keys[:_KEPT], *keys[-_KEPT:]]


def _in_field(head: Head, field: str) -> Iterator[str]:
    if field == QUERY:
        return _in_query(head.query) if head.query else iter(())
    value = head.headers.get(field)
    if not value:
        return iter(())
    if field == SUBPROTOCOL:
        offers = _BETWEEN.split(value)
        return (each.removeprefix(_OFFERED) for each in offers if each.startswith(_OFFERED) and each != _OFFERED)
    return _in_value(value)


def _in_query(query: str) -> Iterator[str]:
    try:
        found = parse_qsl(query, max_num_fields=_QUERY_FIELDS_MAX)
    except ValueError:
        return
    yield from (value.strip() for name, value in found if name in _QUERY_NAMES and value.strip())


def _in_value(value: str) -> Iterator[str]:
    """The keys of a field, which a client may have sent more than once. A signature holds none."""
    scheme = ""
    for word in _BETWEEN.split(value):
        folded = word.lower()
        if folded.startswith(_SIGNED):
            return
        if folded in _SCHEMES or folded == "basic":
            scheme = folded
        elif word:
            yield _password(word) if scheme == "basic" else word


def _password(word: str) -> str:
    """What a Basic credential holds as password, else as name; itself where it is none."""
    try:
        name, _, password = base64.b64decode(word, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return word
    return password or name or word
