"""Text that others have chosen, made inert: control characters are shown; in Markdown it is no markup, HTML, link or mention."""

from __future__ import annotations

import re
from typing import Final

_MARKS: Final = re.compile(r"[\\`*\[\]<|#~&_]|\$(?!\d)")
"""What Markdown reads. Of two `$` around a formula the last one is followed by no digit: amounts stay as they are."""
_LINKS: Final = re.compile(r"@|:(?=//)|www(?=\.)", re.IGNORECASE)
"""What a mention, an address and a bare host begin with."""


def inert(text: str) -> str:
    """Text without control characters, each shown as `·`."""
    return "".join(char if char.isprintable() else "·" for char in text)


def inert_markdown(text: str) -> str:
    """Text that is no Markdown and no HTML: names can come from a client's headers."""
    return _LINKS.sub("\\g<0>\u200b", _MARKS.sub(r"\\\g<0>", inert(text)))
