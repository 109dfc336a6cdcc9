"""What a wire's own word becomes before it is written down: names of models, ids of answers, accounts.

A request may name anything as its model, and an answer anything as its id: a prompt, a key, ten kilobytes, a terminal's control
characters. What does not look like a name is known by a fingerprint instead, the same each time, so that calls can still be told
apart and counted by it. Decisions and prices go by the word itself; only what reaches a ledger, a message or a screen is this.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Final

LENGTH_MAX: Final = 512
"""An answer's id may be an encrypted one of four hundred characters."""
ODD: Final = "odd:"
_NAME: Final = re.compile(r"[A-Za-z0-9@~_][A-Za-z0-9@~_.:/+\-\[\]=,|#]*")
_KEYS: Final = ("sk-", "eyJ")


def written_once(said: str | None) -> str | None:
    """`said` where it looks like a name or an id, else `odd:` and 12 hex digits of its SHA-256; None stays None."""
    if said is None or (len(said) <= LENGTH_MAX and _NAME.fullmatch(said) and not said.startswith(_KEYS)):
        return said
    return ODD + hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:12]


written = lru_cache(maxsize=1024)(written_once)
"""The same for what is said again and again. What is said once (the id of a result) would only drive that out."""
