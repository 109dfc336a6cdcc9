"""What a request may be taken for, however it is spelled, since servers are lenient; and its path as the ledger may keep it."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from spendgate.providers.interface import Head
from spendgate.providers.registry_data import PATH_WORDS

_VERSION: Final = re.compile(r"v[0-9]{1,2}(?:(?:alpha|beta)[0-9]{0,2})?")
_ORIGIN: Final = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://[^/#]*")
_PARAMETERS: Final = re.compile(r";[^/\\]*")
_OVERRIDES: Final = ("x-http-method-override", "x-http-method", "x-method-override")
_METHOD_MAX: Final = 16


def template(path: str) -> str:
    """A path in lower case, fit for the ledger: what is not a word of these APIs or a version becomes `*`.

    So no id, key or name of a person or deployment is ever kept: `/v1/responses/resp_68a…` is `/v1/responses/*`, and
    `/v1beta/models/gemini-3:generatecontent` is `/v1beta/models/*:generatecontent`.
    """
    return "/".join(map(_word, path.split("/")))


def _word(part: str) -> str:
    if not part or part in PATH_WORDS or _VERSION.fullmatch(part):
        return part
    _, colon, verb = part.rpartition(":")
    return f"*:{verb}" if colon and f":{verb}" in PATH_WORDS else "*"


def methods(head: Head) -> list[str]:
    """What servers may take a request's method for: Google's APIs and many frameworks obey a header beside it or, Google's, the
    query (cloud.google.com/apis/docs/system-parameters)."""
    named = [head.method, *[head.headers.get(name) or "" for name in _OVERRIDES]]
    if head.query and "httpMethod=" in (query := unquote(head.query)):
        named.append(query.partition("httpMethod=")[2].partition("&")[0])
    return [method for method in dict.fromkeys([each.strip()[:_METHOD_MAX].upper() for each in named]) if method]


def paths(target: str) -> list[str]:
    """What servers may take a request's target for: a scheme and a host before the path are dropped by all (RFC 9112, 3.2.2), a
    fragment, which no client may send, by some, and what a segment has behind `;`, or
    all of it, by some before they look for dots (`..;`)."""
    whole = _ORIGIN.sub("", target, count=1)
    read = (whole, whole.partition("#")[0], whole.partition(";")[0])
    without = [_PARAMETERS.sub("", unquote(unquote(path))) for path in read]
    return [_plain(path) for path in dict.fromkeys((*read, *without))]


def _plain(path: str) -> str:
    """A path with encodings, empty and dot segments and a trailing slash undone."""
    parts: list[str] = []
    for part in unquote(unquote(path)).replace("\\", "/").split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part.partition(";")[0])
    return "/" + "/".join(parts)
