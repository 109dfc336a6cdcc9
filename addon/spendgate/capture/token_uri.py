"""Where a key lies in a token (an HSM, a smart card): the part of RFC 7512's PKCS#11 URIs that finds exactly one key. Pure.

`pkcs11:token=acme;object=spendgate-root?module-path=/usr/lib/softhsm/libsofthsm2.so`. It holds no secret: a PIN in it is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

_SCHEME: Final = "pkcs11:"
_PATH: Final = frozenset({"token", "serial", "object"})
_QUERY: Final = frozenset({"module-path"})
_PINS: Final = frozenset({"pin-value", "pin-source"})
_ALLOWED: Final = (
    "pkcs11:token=LABEL;object=KEY?module-path=/PATH, and serial=NUMBER beside the token's label or for it"
)
_CODED: Final = re.compile(r"(?:[A-Za-z0-9_.~\[\]:@!$'()*+,=&/-]|%[0-9A-Fa-f]{2})*", re.ASCII)
"""What a value is written in: RFC 7512's characters of both parts."""


@dataclass(frozen=True, slots=True)
class TokenUri:
    """One key of one token, reached by one library."""

    module: str
    """The vendor's library, by its whole path: it is run with the PIN."""
    token: str
    serial: str
    """The token's label and serial number; one of them may be empty."""
    key: str
    """The key's label."""

    def __str__(self) -> str:
        named = (("token", self.token), ("serial", self.serial), ("object", self.key))
        path = ";".join(f"{name}={quote(value, safe='')}" for name, value in named if value)
        return f"{_SCHEME}{path}?module-path={quote(self.module, safe='/')}"

    @property
    def said(self) -> str:
        """The token, for people."""
        return f"token {(self.token or self.serial)!r}"


def parse(text: str) -> TokenUri:
    """Raises ValueError, which never quotes a value."""
    if not text.startswith(_SCHEME):
        raise ValueError(f"is no PKCS#11 URI; allowed: {_ALLOWED}")
    path, _, query = text.removeprefix(_SCHEME).partition("?")
    found = _parts(path, ";", _PATH) | _parts(query, "&", _QUERY)
    if "object" not in found:
        raise ValueError(f"names no key; allowed: {_ALLOWED}")
    if not found.keys() & {"token", "serial"}:
        raise ValueError(f"names no token; allowed: {_ALLOWED}")
    if not found.get("module-path", "").startswith("/"):
        raise ValueError(f"names no library by its whole path; allowed: {_ALLOWED}")
    return TokenUri(found["module-path"], found.get("token", ""), found.get("serial", ""), found["object"])


def _parts(text: str, between: str, known: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in text.split(between) if text else ():
        name, _, coded = each.partition("=")
        if name in _PINS:
            raise ValueError(
                "has a PIN or its place; it is taken from SPENDGATE_PKCS11_PIN, the keyring, or the terminal"
            )
        if name not in known:
            raise ValueError(f"has a part that is not used here; allowed: {_ALLOWED}")
        if name in found:
            raise ValueError(f"has {name} twice")
        if not _CODED.fullmatch(coded):
            raise ValueError(f"has a character in {name} that is to be written as %XX")
        found[name] = _decoded(name, coded)
    return found


def _decoded(name: str, coded: str) -> str:
    try:
        value = unquote(coded, errors="strict")
    except UnicodeDecodeError:
        raise ValueError(f"has a {name} that is no UTF-8") from None
    if not value or not value.isprintable():
        raise ValueError(f"has a {name} that is empty, or cannot be seen")
    return value
