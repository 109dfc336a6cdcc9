"""What looks like a credential in a file that is reviewed and copied by many."""

from __future__ import annotations

import re
from typing import Final

_SECRETS: Final = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"sk-(?=[A-Za-z_-]{0,60}[0-9])[A-Za-z0-9_-]{16,}|[sr]k_live_[A-Za-z0-9]{16,}|gsk_[A-Za-z0-9]{16,}|xai-[A-Za-z0-9]{16,}"
    r"|hf_[A-Za-z0-9]{24,}|npm_[A-Za-z0-9]{30,}|glpat-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
    r"|xox[abeprs]-[A-Za-z0-9-]{10,}|A[KS]IA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{30,}|ya29\.[0-9A-Za-z_-]{20,}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}|RWRTY0Iy[A-Za-z0-9+/=]{20,}"
    r")"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|(?:hooks\.slack\.com/services|discord(?:app)?\.com/api/webhooks)/[A-Za-z0-9/_-]{10,}"
)
"""Shapes of credentials that people paste: providers' keys, forges' and chats' tokens, web hooks, private keys.

A word that only ends in `sk` (`task-…`, `desk-…`) is none, nor a `sk-…` without a digit, nor a fingerprint
(`sk-proj:9f86d081884c`)."""


def secrets_in(text: str) -> tuple[tuple[int, int], ...]:
    """Line and column of everything that looks like a credential."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        found += [(number, match.start() + 1) for match in _SECRETS.finditer(line)]
    return tuple(found)
