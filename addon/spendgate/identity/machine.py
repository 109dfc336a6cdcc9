"""Which machine this is: a stable id that says nothing about its owner and is never the host name.

Linux: /etc/machine-id may identify the machine to anyone who knows it, so it is not used raw but hashed with an id of this
application, as machine-id(5) demands (`sd_id128_get_machine_app_specific`: HMAC-SHA256 keyed by the machine id, first 16
bytes, marked as a random UUID). Where there is none, an id is drawn once and kept in the state directory.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import uuid
from pathlib import Path

from spendgate.errors import StateError

APPLICATION = uuid.UUID("a9c0ab4e-6b5d-4c7f-9d34-1f6be3a81d52")
"""Drawn once for this product. Changing it makes every machine another machine."""
_KEPT = "machine-id"


def machine_id(state: Path, system_id: Path = Path("/etc/machine-id")) -> str:
    """The machine's id as 32 hex digits. `state` is used only where the system has none. Raises StateError."""
    try:
        raw = uuid.UUID(system_id.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return _kept(state / _KEPT)  # also `uninitialized`, as images hold before their first boot
    return _specific(raw).hex if raw.int else _kept(state / _KEPT)


def _specific(machine: uuid.UUID) -> uuid.UUID:
    digest = hmac.new(machine.bytes, APPLICATION.bytes, hashlib.sha256).digest()
    return uuid.UUID(bytes=digest[:16], version=4)


def _kept(file: Path) -> str:
    """The id in the file, drawn when there is none: linked into place whole, so that two gates starting at once agree."""
    if file.exists():
        return _read(file)
    fresh = uuid.uuid4().hex
    draft = file.with_name(f"{file.name}.{fresh}")
    try:
        draft.write_text(fresh + "\n", encoding="ascii")
        with contextlib.suppress(FileExistsError):
            file.hardlink_to(draft)
        draft.unlink()
    except OSError as error:
        raise StateError(f"the machine's id cannot be kept in {file}: {error.strerror}") from error
    return _read(file)


def _read(file: Path) -> str:
    try:
        return uuid.UUID(file.read_text(encoding="ascii").strip()).hex
    except (OSError, ValueError) as error:
        raise StateError(f"{file} does not hold a machine id; remove it to have another drawn") from error
