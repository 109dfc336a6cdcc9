"""An organization's key in a token (an HSM, a smart card): what `ca org` says of it and asks for it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import typer
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from spendgate.capture import token_key, token_uri
from spendgate.capture.ca_files import KEY_MODE, check_private, read
from spendgate.capture.certificates import Signer
from spendgate.capture.token_key import Login, TokenKey
from spendgate.capture.token_uri import TokenUri
from spendgate.cli.passphrase import passphrase
from spendgate.config.credentials import credential
from spendgate.errors import StateError, UsageError
from spendgate.name_constraints import permitted

URI_FILE: Final = "root-key.uri"
PIN: Final = "SPENDGATE_PKCS11_PIN"
_REMEDY: Final = "put it back as `ca org init` wrote it, or make another root"

TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="URI",
        help="Make the key in a token: pkcs11:token=LABEL;object=KEY?module-path=/LIBRARY. A PIN is never in it.",
        show_default=False,
    ),
]
ExistingKeyOption = Annotated[
    bool, typer.Option("--existing-key", help="The token has this key already: use it, and make none.")
]


@dataclass(slots=True)
class Held:
    """A root's key in the token that --token names."""

    uri: str
    existing: bool
    pin_file: Path | None
    place: TokenUri = field(init=False)
    inside: bool = True
    """Whether the token says that the key was made in it."""

    def __post_init__(self) -> None:
        """Raises UsageError."""
        try:
            self.place = token_uri.parse(self.uri)
        except ValueError as fault:
            raise UsageError(f"--token {fault}") from None

    def key(self) -> TokenKey:
        """Made in it, or found there. Raises StateError."""
        login = Login(self.place, pin(self.pin_file, self.place))
        if not self.existing:
            return token_key.generated(login)
        found, self.inside = token_key.existing(login)
        return found

    def file(self) -> bytes:
        """What says where the key is."""
        return f"{self.place}\n".encode()

    def said(self, file: Path) -> str:
        """What the admin is told of it."""
        outside = "" if self.inside else "; it was not made there, so that copies of it may exist"
        return f"the one key is in {self.place.said}, and cannot be taken out; {file} says where{outside}"


def opened(file: Path, root: Path, pin_file: Path | None) -> Signer:
    """The root whose key this file places. Raises StateError.

    The file names a library that is run with the PIN, so that others must not write it. The certificate has signed itself: who
    changed it needed the key; and each signature is held to it.
    """
    check_private(file, KEY_MODE, _REMEDY)
    try:
        place = token_uri.parse(read(file).decode("utf-8").removesuffix("\n"))
    except ValueError as fault:
        raise StateError(f"{file} {fault}: {_REMEDY}") from None
    try:
        certificate = x509.load_pem_x509_certificate(read(root))
        certificate.verify_directly_issued_by(certificate)
        permitted(certificate)
        public = certificate.public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
            raise ValueError("its key is none of P-256")
    except StateError:
        raise
    except Exception:  # noqa: BLE001 - a parser of other people's bytes raises what it likes
        raise StateError(f"{root} is no root of `ca org init`: {_REMEDY}") from None
    return Signer(certificate, TokenKey(Login(place, pin(pin_file, place)), public))


def pin(file: Path | None, place: TokenUri) -> str:
    """The token's PIN: of a file or descriptor, else of the environment or the keyring, else asked for. Raises StateError."""
    if file is None:
        try:
            return credential(PIN, os.environ)
        except StateError:
            if sys.stdin is None or not sys.stdin.isatty():
                raise
    try:
        return passphrase(file, f"PIN of {place.said}").decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError("the PIN is no UTF-8") from None
