"""Credentials of statements' sources: from the environment, else from the OS keyring. None is stored, printed or logged here.

In the keyring it is the password of the service `spendgate`, its user the variable's name: what `keyring set spendgate VARIABLE`
writes, and Keychain Access, the Credential Manager and Secret Service's own tools show.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spendgate.errors import StateError

SERVICE: Final = "spendgate"


def credential(variable: str, environ: Mapping[str, str]) -> str:
    """What is kept under this name. Raises StateError, which says how to give it."""
    given = environ.get(variable, "").strip()
    if given:
        return given
    # It looks for its backends when it is imported, some of which talk to the desktop: only who needs it pays.
    import keyring  # noqa: PLC0415
    from keyring.errors import KeyringError, KeyringLocked, NoKeyringError  # noqa: PLC0415

    remedy = f"set {variable}, or keep it in the OS keyring: `keyring set {SERVICE} {variable}`"
    try:
        kept = keyring.get_password(SERVICE, variable)
    except NoKeyringError:
        raise StateError(f"{variable} is not set, and this account has no OS keyring: set {variable}") from None
    except KeyringLocked:
        raise StateError(f"{variable} is not set, and the OS keyring is locked: unlock it, or set {variable}") from None
    except KeyringError as fault:
        raise StateError(
            f"{variable} is not set, and the OS keyring cannot be read ({fault}): set {variable}"
        ) from fault
    if not kept or not kept.strip():
        raise StateError(f"{variable} is not set: {remedy}")
    return kept.strip()
