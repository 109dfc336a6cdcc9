"""Templates of scripts: markers like `@STATE@`, all filled in one pass, so that no value is taken for a marker of another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_MARKER: Final = re.compile(r"@([A-Z_]+)@")


def filled(template: str, words: Mapping[str, str]) -> str:
    """The template with each marker's words, which the caller has quoted. Raises KeyError for a marker without any. Pure."""
    return _MARKER.sub(lambda found: words[found[1]], template)
