"""Credentials of statements' sources and of the way out: from the environment, else kept elsewhere for us. None is stored,
printed or logged here.

In the keyring it is the password of the service `spendgate`, its user the variable's name: what `keyring set spendgate VARIABLE`
writes, and Keychain Access, the Credential Manager and Secret Service's own tools show.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from spendgate.errors import StateError

SERVICE: Final = "spendgate"
UPSTREAM_AUTH: Final = "SPENDGATE_UPSTREAM_AUTH"
"""USER:PASSWORD for the proxy that the gate goes out through."""
_SYSTEMD: Final = "CREDENTIALS_DIRECTORY"
"""Where systemd puts what a unit's `LoadCredential=` names."""
_NONE: Final = ("", "-")
"""What our unit says where there is no such file."""


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


def api_key(variable: str, environ: Mapping[str, str]) -> str:
    """The same, of an API: it goes out in a header. Raises StateError also where no header can carry it, never with its text."""
    found = credential(variable, environ)
    if all("!" <= each <= "~" for each in found):
        return found
    odd = next(each for each in found if not "!" <= each <= "~")
    what = (
        "is not ASCII"
        if odd > "~" and odd.isprintable()
        else "is white space or not to be seen (a line break, a blank)"
    )
    raise StateError(
        f"{variable} is no key: a character in it {what}, which no key has and no header carries; copy it again, alone and as "
        f"one line, and set {variable} to it, or `keyring set {SERVICE} {variable}`"
    )


def upstream_auth(environ: Mapping[str, str]) -> str | None:
    """What the upstream proxy is shown: given, handed over by systemd, or in the OS keyring; None where it is nowhere, since many
    proxies want none. Raises StateError where it cannot be one."""
    found = environ.get(UPSTREAM_AUTH, "").strip() or _handed_over(environ) or _in_keyring()
    user, colon, _ = (found or "-:").partition(":")
    if not user or not colon:
        raise StateError(f"{UPSTREAM_AUTH} is not of the form USER:PASSWORD")
    return found


def _handed_over(environ: Mapping[str, str]) -> str | None:
    folder = environ.get(_SYSTEMD)
    if not folder:
        return None
    file = Path(folder) / UPSTREAM_AUTH
    try:
        found = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as fault:
        raise StateError(f"{file} cannot be read: {type(fault).__name__}") from None
    return None if found in _NONE else found


def _in_keyring() -> str | None:
    import keyring  # noqa: PLC0415
    from keyring.errors import KeyringError  # noqa: PLC0415

    try:
        return (keyring.get_password(SERVICE, UPSTREAM_AUTH) or "").strip() or None
    except KeyringError:
        return None  # none here, or locked: where the proxy wants one, it says so, and so do we
