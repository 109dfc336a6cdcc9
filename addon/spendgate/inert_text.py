"""Text that others have chosen, made inert: control characters are shown; in Markdown it is no markup, HTML, link or mention.
In a chat it calls nobody.
"""

from __future__ import annotations

import re
from typing import Final

_MARKS: Final = re.compile(r"[\\`*\[\]<|#~&_]|\$(?!\d)")
"""What Markdown reads. Of two `$` around a formula the last one is followed by no digit: amounts stay as they are."""
_LINKS: Final = re.compile(r"@|:(?=//)|www(?=\.)", re.IGNORECASE)
"""What a mention, an address and a bare host begin with."""
_PLAIN: Final = re.compile(r"[\w.:/@%?=&+,~-]+", re.ASCII)
"""What no reader of Markdown takes for anything in a piece of code, also in a table."""
_CALLS: Final = re.compile(r"(?<![\w.+-])@(?=\w)|<|\](?=\()")
"""What calls people, in all chats: `@everyone`, `<!channel>`; and a link that reads as something else. Not an address of mail."""


def inert(text: str) -> str:
    """Text without control characters, each shown as `·`."""
    return "".join(char if char.isprintable() else "·" for char in text)


def inert_markdown(text: str) -> str:
    """Text that is no Markdown and no HTML: names can come from a client's headers."""
    return _LINKS.sub("\\g<0>\u200b", _MARKS.sub(r"\\\g<0>", inert(text)))


def inert_code(text: str) -> str:
    """An address as a piece of code in Markdown, which can be copied as it stands; one that could be more is `inert_markdown`."""
    return f"`{text}`" if _PLAIN.fullmatch(text) else inert_markdown(text)


def inert_chat(text: str) -> str:
    """Lines for a chat that call nobody and hide no link: what others typed or sent is in them. An address in a command stays."""
    return _CALLS.sub("\\g<0>\u200b", "\n".join(map(inert, text.split("\n"))))
