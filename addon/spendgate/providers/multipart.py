"""The short fields of a form (`multipart/form-data`, RFC 7578): uploads of audio and images name their model there.

Files are passed over unread. A body is looked through in windows, so that one of 64 MB never holds the loop up. What parsers may
read in more than one way is not read: whoever answers might find another model in it, and the answers do not say which it was.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Final

from spendgate.errors import WireError

FIELDS_MAX: Final = 64
VALUE_BYTES_MAX: Final = 32 * 1024
"""Of one field that is kept: OpenAI's longest prompt has 32,000 characters; what is longer is a file, or not for us."""
_STEP_BYTES: Final = 256 * 1024
_HEAD_BYTES_MAX: Final = 4 * 1024
_BOUNDARY: Final = re.compile(
    r"""multipart/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))""", re.IGNORECASE
)
_BOUNDARIES: Final = re.compile(r"boundary(\*[0-9*]*)?\s*=", re.IGNORECASE)
_NAME: Final = re.compile(
    rb"""content-disposition:\s*form-data\s*;(?:[^\r\n]*;)?\s*name=(?:"([^"\r\n]*)"|([^\s;"]+))""", re.IGNORECASE
)
_ENCODED_NAME: Final = re.compile(rb"[;\s]name\*", re.IGNORECASE)
"""RFC 2231's spelling of a name, which goes before a plain one."""
_LINE_END: Final = re.compile(rb"[ \t]*\r\n")
_FILE: Final = re.compile(rb"filename\*?=", re.IGNORECASE)

Form = dict[str, str]
"""Each short field's text, by name; of a name that stands twice, the last. A file is its name with an empty text."""


def is_form(content_type: str | None) -> bool:
    """Whether a body of this type is a form."""
    return (content_type or "").lower().startswith("multipart/form-data")


def fields(content_type: str, body: bytes) -> Generator[None, None, Form]:
    """The fields of a form, read in steps of well under a millisecond. Raises WireError where it is none."""
    found, named = _BOUNDARY.match(content_type), _BOUNDARIES.findall(content_type)
    if found is None or named != [""]:
        raise WireError("a form without a boundary, or with another one")  # parsers differ in which of two they take
    delimiter = b"--" + (found[1] or found[2]).encode("latin-1", "replace")
    form: Form = {}
    at = yield from _find(body, delimiter, 0)
    parts = 0
    while at >= 0:
        parts += 1
        if parts % FIELDS_MAX == 0:
            yield
        start = at + len(delimiter)
        if body.startswith(b"--", start):
            break
        if not _LINE_END.match(body, start) or (parts == 1 and body[: start - len(delimiter)].strip(b"\r\n")):
            raise WireError("a form whose parts may begin elsewhere")
        at = yield from _find(body, b"\r\n" + delimiter, start)
        _keep(form, body, start, at if at >= 0 else len(body))
        at = at + 2 if at >= 0 else at
        if len(form) > FIELDS_MAX:
            raise WireError("a form of more fields than are read")  # the next one may be another `model`
    if not form:
        raise WireError("a form without fields")
    return form


def _keep(form: Form, body: bytes, start: int, end: int) -> None:
    """Remember one part, of which the headers begin at `start` and the value ends at `end`."""
    blank = body.find(b"\r\n\r\n", start, min(end, start + _HEAD_BYTES_MAX))
    head = body[start : max(start, blank)]
    named = _NAME.search(head)
    if named is None or _ENCODED_NAME.search(head):
        # Whoever answers may read it, and take it for the model.
        raise WireError("a form with a field whose name is not read")
    name = (named[1] or named[2] or b"").decode("utf-8", "replace")
    value = b"" if _FILE.search(head) or end - blank > VALUE_BYTES_MAX else body[blank + 4 : end]
    form[name] = value.decode("utf-8", "replace")


def _find(body: bytes, what: bytes, start: int) -> Generator[None, None, int]:
    """Where `what` stands next, looked for in windows that overlap; -1: nowhere."""
    while start < len(body):
        at = body.find(what, start, start + _STEP_BYTES + len(what))
        if at >= 0:
            return at
        start += _STEP_BYTES
        yield
    return -1
