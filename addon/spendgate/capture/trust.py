"""Where the operating system keeps the certificates that it trusts, as OpenSSL can read them.

mitmproxy's default is the certifi package, which knows nothing of a company's own TLS inspection; tools trust the system, and
so must the gate that stands in for them. `SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured as every OpenSSL program does.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from spendgate.errors import StateError

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Debian and Alpine; Fedora; its extracted store; SUSE; BSD and Alpine's link. Python's OpenSSL may be built for other paths."""
KEYCHAINS = ("/System/Library/Keychains/SystemRootCertificates.keychain", "/Library/Keychains/System.keychain")


@dataclass(frozen=True, slots=True)
class Trust:
    """What OpenSSL is to load: a bundle, a hashed directory, or certificates in PEM."""

    file: str | None = None
    directory: str | None = None
    pem: str | None = None

    def certificates(self) -> tuple[x509.Certificate, ...]:
        """Those of `pem`."""
        return tuple(x509.load_pem_x509_certificates((self.pem or "").encode()))


def os_trust(environ: Mapping[str, str] = os.environ) -> Trust:
    """The system's trust store. Raises StateError where none is found: without one nothing upstream can be verified."""
    file, directory = environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR")
    if file or directory:
        return Trust(file or None, directory or None)
    if sys.platform == "win32":
        return Trust(pem=_windows_roots())
    if sys.platform == "darwin":
        return Trust(pem=_keychain_roots())
    paths = ssl.get_default_verify_paths()
    for candidate in (paths.cafile, *BUNDLES):
        if candidate and Path(candidate).is_file():
            return Trust(file=candidate)
    if paths.capath and any(Path(paths.capath).iterdir()):
        return Trust(directory=paths.capath)
    raise StateError("no trusted certificates found on this system: install ca-certificates, or set SSL_CERT_FILE")


def _windows_roots() -> str:
    # Only what the machine trusts for servers: `True` stands for every purpose.
    if sys.platform == "win32":
        server = ssl.Purpose.SERVER_AUTH.oid
        roots = ssl.enum_certificates("ROOT")
        return "".join(ssl.DER_cert_to_PEM_cert(der) for der, _, trust in roots if trust is True or server in trust)
    return ""


def _keychain_roots() -> str:
    command = ["/usr/bin/security", "find-certificate", "-a", "-p", *KEYCHAINS]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout  # noqa: S603  # fixed words
