"""Which machine this is: the id that an administrator or the MDM assigned, else a stable one that says nothing about its owner.
Never the host name.

Assigned: the MDM's device id or the serial number, one line in /etc/spendgate/machine-id, which nobody but root may write. One
that others could write ends the start: whoever chooses a machine's id chooses its budgets.

Else, on Linux: /etc/machine-id may identify the machine to anyone who knows it, so it is not used raw but hashed with an id of
this application, as machine-id(5) demands (`sd_id128_get_machine_app_specific`: HMAC-SHA256 keyed by the machine id, first
16 bytes, marked as a random UUID). Where there is none, an id is drawn once and kept in the state directory.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import stat
import uuid
from pathlib import Path

from spendgate.errors import StateError

APPLICATION = uuid.UUID("a9c0ab4e-6b5d-4c7f-9d34-1f6be3a81d52")
"""Drawn once for this product. Changing it makes every machine another machine."""
ASSIGNED = Path("/etc/spendgate/machine-id")
_KEPT = "machine-id"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,63}")


def machine_id(
    state: Path, system_id: Path = Path("/etc/machine-id"), assigned: Path = ASSIGNED, *, trusted_uid: int = 0
) -> str:
    """The assigned id, else 32 hex digits. `state` is used only where the system has no id either. Raises StateError.

    `trusted_uid` alone may own what was assigned.
    """
    given = assigned_id(assigned, trusted_uid=trusted_uid)
    if given is not None:
        return given
    try:
        raw = uuid.UUID(system_id.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return _kept(state / _KEPT)  # also `uninitialized`, as images hold before their first boot
    return _specific(raw).hex if raw.int else _kept(state / _KEPT)


def assigned_id(file: Path = ASSIGNED, *, trusted_uid: int = 0) -> str | None:
    """The id in the file that an administrator put there; None where there is no such file. Raises StateError."""
    try:
        for each in (file, file.parent):
            found = each.stat()
            if found.st_uid != trusted_uid or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise StateError(
                    f"{each} can be written by others than root; run: chown root {each}; chmod go-w {each}"
                )
        with file.open("rb") as opened:
            text = opened.read(256).decode("ascii", "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StateError(f"the machine's id in {file} cannot be read: {error.strerror}") from error
    if _ID.fullmatch(text) is None:
        raise StateError(
            f"{file} does not hold a machine's id: one line of letters, digits and . : _ -, at most 64, such as C02XK1ZYJGH5"
        )
    return text


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
