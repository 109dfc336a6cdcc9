"""The copy of a policy that once took force, as it is kept: one JSON file with the files' own bytes and what is known of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spendgate.config.bundle import Bundle


def copy_of(found: Bundle, source: str, since_ms: int, revision: int | None) -> bytes:
    """The whole copy."""
    included = {name: (data or b"").decode() for name, data in found.included}
    about = {
        "source": source, "since_ms": since_ms, "sha256": found.digest, "revision": revision,
        "text": found.main.decode(), "included": included,
        "signature": found.signature.decode() if found.signature is not None else None,
    }  # fmt: skip
    return json.dumps(about).encode()


def beside(text: Path) -> Path:
    """Where the copy of this text is."""
    return text.with_suffix(".json")


def told(text: Path) -> dict[str, Any]:
    """What was kept beside this text; empty where it cannot be read."""
    try:
        return read(beside(text).read_bytes())
    except OSError:
        return {}


def read(copy: bytes) -> dict[str, Any]:
    """What a copy holds; empty where it is none."""
    try:
        about = json.loads(copy)
    except ValueError:
        return {}
    return about if isinstance(about, dict) else {}


def revision_of(about: dict[str, Any]) -> int:
    """Of a policy without a number, or of no copy, -1."""
    found = about.get("revision")
    return found if isinstance(found, int) else -1


def bundle_of(about: dict[str, Any], text_file: Path) -> Bundle | None:
    """The copy's bytes; None where they are not those that were kept."""
    text = about.get("text")
    try:
        included = tuple((str(name), str(text).encode()) for name, text in about.get("included", {}).items())
        signature = about.get("signature")
        signature = signature.encode() if isinstance(signature, str) else None
        # Earlier versions had the text in its own file alone.
        found = Bundle(text.encode() if isinstance(text, str) else text_file.read_bytes(), included, signature)
    except (OSError, AttributeError, UnicodeEncodeError):
        return None
    return found if about.get("sha256") == found.digest else None
