"""Strings that must never be written, and the search for them."""

from __future__ import annotations

import base64

CANARIES = {
    name: f"kanarie{name}7f3a9c1e5b2d"
    for name in ("prompt", "answer", "key", "header", "query", "model", "path", "broken")
}


def leaks(found: dict[str, bytes]) -> list[tuple[str, str]]:
    """(place, canary) for each canary found, plain or in base64 at any offset."""
    forms = {name: _forms(text.encode()) for name, text in CANARIES.items()}
    return [
        (place, name)
        for place, data in found.items()
        for name, all_of in forms.items()
        if any(f in data for f in all_of)
    ]


def _forms(text: bytes) -> list[bytes]:
    shifted = [base64.b64encode(b"\0" * shift + text)[4:-4] for shift in range(3)]
    return [text, text[::-1], text.hex().encode(), *shifted]
