"""Checks AWS signatures (Signature Version 4) of requests that are signed with the stand-in's own key, as AWS would.

So a request that anything on its way has changed, be it one signed header or one byte of the body, is turned away here as it
would be there. Source: AWS, "Create a signed AWS API request"; the path is encoded once more than it is on the wire.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote

KEY_ID = "AKIASTANDINSTANDIN00"
SECRET = "standin-made-up-secret"  # noqa: S105  made up: whoever signs with it is a test
_ALGORITHM = "AWS4-HMAC-SHA256"


def is_broken(method: str, target: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a request carries a signature of `KEY_ID` that does not fit it. Header names are in lower case.

    Without a signature, or with one of another key, nothing can be said: False.
    """
    algorithm, _, rest = headers.get("authorization", "").partition(" ")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    key_id, *scope = parts.get("Credential", "").split("/")
    if algorithm != _ALGORITHM or key_id != KEY_ID or len(scope) != 4:
        return False
    signed = parts.get("SignedHeaders", "").split(";")
    path, _, query = target.partition("?")
    canonical = "\n".join(
        [
            method,
            quote(path, safe="/~"),
            query,
            *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in signed),
            "",
            ";".join(signed),
            headers.get("x-amz-content-sha256") or hashlib.sha256(body).hexdigest(),
        ]
    )
    said = "\n".join(
        [_ALGORITHM, headers.get("x-amz-date", ""), "/".join(scope), hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = f"AWS4{SECRET}".encode()
    for word in scope:
        key = _mac(key, word)
    return not hmac.compare_digest(_mac(key, said).hex(), parts.get("Signature", ""))


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
