"""Where the gate's certificate is on this machine: in files that variables name, and in stores."""

from __future__ import annotations

import platform
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import SubprocessError

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from spendgate.capture.trust import BUNDLES, os_trust
from spendgate.doctor.interface import Material, Store
from spendgate.errors import StateError
from spendgate.stores.anchor import anchor
from spendgate.stores.here import stores
from spendgate.stores.nss import NssStore

JAVA = "JAVA_TOOL_OPTIONS"
JAVA_STORES = ("/etc/ssl/certs/java/cacerts", "/etc/pki/java/cacerts", "/etc/pki/ca-trust/extracted/java/cacerts")
"""Where distributions keep one store for every Java of theirs."""
_TRUST_STORE = re.compile(r"-Djavax\.net\.ssl\.trustStore=(\S+)")
_PASSWORD = b"changeit"
"""Java's convention; a trust store holds nothing secret."""
FILE_BYTES_MAX = 64 << 20
_KEPT_APART = ("Darwin", "Windows")


class Certificate:
    """Ours, to be found in files."""

    def __init__(self, pem: str) -> None:
        """Raises ValueError."""
        self.value = x509.load_pem_x509_certificate(pem.encode())
        self._der = self.value.public_bytes(Encoding.DER)
        self._text = _squeezed(self.value.public_bytes(Encoding.PEM))

    def is_in(self, path: Path) -> bool | None:
        """Whether a file of PEM or one of Java's stores has it. None: it cannot be read."""
        try:
            if not path.is_file() or path.stat().st_size > FILE_BYTES_MAX:
                return None
            content = path.read_bytes()
        except OSError:
            return None
        return self._text in _squeezed(content) or self._der in content or self._sealed(content)

    def _sealed(self, content: bytes) -> bool:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # old roots have odd serial numbers; whoever trusts them knows
                kept = load_pkcs12(content, _PASSWORD).additional_certs
        except ValueError:
            return False
        return any(each.certificate == self.value for each in kept)


def material(
    ours: Certificate, file: str, environ: Mapping[str, str], names: Sequence[str], stores: Mapping[Store, bool]
) -> Material:
    """For one program's environment, with its variables `names`. `file`: where people find our certificate."""
    named = {name: environ[name] for name in names if environ.get(name)}
    if JAVA in named:  # options without a store of theirs decide nothing about trust
        found = _TRUST_STORE.search(named.pop(JAVA))
        named |= {JAVA: found[1]} if found else {}
    holds = {name: ours.is_in(Path(path)) for name, path in named.items()}
    others = {name: value for name, value in environ.items() if name != JAVA}
    return Material(file, {**others, **named}, holds, stores)


def stores_of(ours: Certificate) -> dict[Store, bool]:
    """By store that is here whether ours is in it."""
    found: dict[Store, bool] = {}
    bundle = next((path for each in BUNDLES if (path := Path(each)).is_file()), None)
    if platform.system() in _KEPT_APART:
        found |= _apart(ours)
    elif bundle is not None:
        found[Store.SYSTEM] = bool(ours.is_in(bundle))
    if java := [path for each in JAVA_STORES if (path := Path(each)).is_file()]:
        found[Store.JAVA] = bool(ours.is_in(java[0]))
    return found | _browsers(ours)


def _apart(ours: Certificate) -> dict[Store, bool]:
    """Of a store that is no file: the keychains of macOS, Windows' Root. None where it cannot be read."""
    try:
        return {Store.SYSTEM: ours.value in os_trust({}).certificates()}
    except (StateError, OSError, SubprocessError, ValueError):
        return {}


def _browsers(ours: Certificate) -> dict[Store, bool]:
    """In every database of the account, or it is said to be in none: which a program uses cannot be told."""
    try:
        name = anchor(ours.value.public_bytes(Encoding.PEM), "the certificate").name
        databases = [each for each in stores() if isinstance(each, NssStore)]
        return {Store.BROWSER: all(name in each.trusted() for each in databases)} if databases else {}
    except StateError:
        return {}


def _squeezed(pem: bytes) -> bytes:
    return b"".join(pem.replace(b"-----BEGIN CERTIFICATE-----", b"").split())
