"""What a message of Cursor's asks for, read by the field numbers of `cursor_fields`. Names and sizes only, never content."""

from __future__ import annotations

from typing import NamedTuple

from spendgate.errors import WireError
from spendgate.providers.cursor_fields import PARAMETER_ID, PARAMETER_VALUE, Layout, Path
from spendgate.providers.protobuf import Bytes, inside, word

NO_MODEL = "model not found"
MAX_MODE = "max mode"
OWN_KEY = "own key: the model's provider bills it"


class Asked(NamedTuple):
    """What a message asks for."""

    model: str | None = None
    session: str | None = None
    group: str | None = None
    text_bytes: int = 0
    flags: tuple[str, ...] = ()


def asked(message: Bytes, layout: Layout, *, whole: bool = True) -> Asked:
    """Read a message. `whole` False: its end is missing. What does not fit is None, and flagged; nothing is raised."""
    size = len(message)
    try:
        for number in layout.within:
            found = inside(message, (number,), whole=whole)
            if not found or isinstance(found[-1], int):
                return Asked(text_bytes=size, flags=(NO_MODEL,))
            message = found[-1]
        model = _first(message, layout.models, whole)
        flags = () if model else (NO_MODEL,)
        if any(value == 1 for path in layout.max_modes for value in inside(message, path, whole=whole)):
            flags = (*flags, MAX_MODE)
        if any(inside(message, path, whole=whole) for path in layout.own_keys):
            flags = (*flags, OWN_KEY)
        session, group = _first(message, layout.sessions, whole), _first(message, layout.groups, whole)
        return Asked(_with_parameters(message, model, layout, whole), session, group, size, flags)
    except WireError:
        return Asked(text_bytes=size, flags=("a request that is not protobuf",))


def begins(message: bytes, layout: Layout) -> bool:
    """Whether a message begins a turn. Not protobuf: it may."""
    try:
        return bool(inside(message, layout.within))
    except WireError:
        return True


def _first(message: Bytes, paths: tuple[Path, ...], whole: bool) -> str | None:
    found = (word(message, path, whole=whole) for path in paths)
    return next((name for name in found if name), None)


def _with_parameters(message: Bytes, model: str | None, layout: Layout, whole: bool) -> str | None:
    """The model as Cursor's own usage events and price list spell it: `composer-2.5[fast=true]`."""
    if not model or not layout.parameters:
        return model
    for each in inside(message, layout.parameters, whole=whole):
        if isinstance(each, int):
            continue
        named = word(each, PARAMETER_ID, whole=whole), word(each, PARAMETER_VALUE, whole=whole)
        if named == ("fast", "true"):
            return model if model.endswith("-fast") else f"{model}[fast=true]"
    return model
