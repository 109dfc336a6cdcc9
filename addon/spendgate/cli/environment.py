"""The variables that make one command's HTTPS go through the gate and trust it: each runtime by its own convention.

Two kinds of trust variable exist (facts/mdm-security.md 3.1, measured with the real programs): those that *replace* what a
program trusts get a bundle of everything it trusted before plus our certificate, so that no other host breaks; those that
*add* (`NODE_EXTRA_CA_CERTS`) get what they held plus ours. Files are written once, into the folder that the caller gives.
"""

from __future__ import annotations

import re
import shutil
import ssl
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

from spendgate.runtimes import ADDING, LOOPBACK, PROXY, PROXY_SWITCH, REPLACING

_TRUSTSTORE_PASSWORD = "changeit"  # noqa: S105 - Java's own convention; a trust store holds nothing secret
_PEM_END = "-----END CERTIFICATE-----"
_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+").fullmatch
"""As OpenSSL names a certificate by its subject, to find it in a folder (`openssl-rehash(1)`)."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The child's environment, and what a person should know about it."""

    variables: Mapping[str, str]
    notes: tuple[str, ...]


def surroundings(
    base: Mapping[str, str], *, port: int, ca_cert: Path, folder: Path, hosts: tuple[str, ...]
) -> Surroundings:
    """The environment for a command whose traffic to `hosts` shall pass the proxy on `port`.

    `ca_cert` is our certificate in PEM; bundles are written to `folder`. Raises OSError where that cannot be.
    """
    env = dict(base)
    notes: list[str] = []
    ours = ca_cert.read_text()
    for name in REPLACING:
        env[name] = str(_bundle(folder, name, base.get(name), ours))
    env[ADDING] = str(_added(folder, base.get(ADDING), ours))
    env.update(PROXY_SWITCH)
    proxy = f"http://127.0.0.1:{port}"
    env.update(dict.fromkeys(PROXY, proxy))
    kept, dropped = no_proxy(base.get("NO_PROXY") or base.get("no_proxy") or "", hosts)
    env["NO_PROXY"] = env["no_proxy"] = ",".join(kept)
    if dropped:
        notes.append(f"left out of NO_PROXY for this command, since it hides a provider: {', '.join(dropped)}")
    notes += _java(env, port=port, folder=folder, ours=ours)
    return Surroundings(env, tuple(notes))


def no_proxy(value: str, hosts: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Entries of a NO_PROXY that stay, with loopback added, and those that go because they would hide one of `hosts`."""
    entries = [entry.strip() for entry in value.split(",") if entry.strip()]
    dropped = tuple(entry for entry in entries if any(_hides(entry, host) for host in hosts))
    kept = [entry for entry in entries if entry not in dropped]
    return (*kept, *(name for name in LOOPBACK if name not in kept)), dropped


def _hides(entry: str, host: str) -> bool:
    name = entry.lower().partition(":")[0].removeprefix("*").removeprefix(".")
    # Below a domain every name that an entry has is a host that would be hidden.
    below = host.startswith("*.") and name.endswith(host[1:])
    return entry == "*" or (bool(name) and (below or host == name or host.endswith(f".{name}")))


def system_roots() -> str:
    """What OpenSSL trusts on this system, as PEM. Empty where it has no bundle (Windows, macOS: programs ask the OS there)."""
    paths = ssl.get_default_verify_paths()
    for found in (
        paths.cafile,
        paths.openssl_cafile,
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
    ):
        if found and Path(found).is_file():
            return Path(found).read_text(errors="replace")
    return ""


def _bundle(folder: Path, name: str, before: str | None, ours: str) -> Path:
    """Everything that the variable's program trusted before, and ours."""
    old = (_held(Path(before)) if before else "") or system_roots()
    target = folder / ("bundle.pem" if not before else f"bundle-{name.lower()}.pem")
    target.write_text(_joined(old, ours))
    return target


def _held(place: Path) -> str:
    """What stands there, as PEM: a file, or a folder as `openssl rehash` leaves it, which requests takes, too."""
    if place.is_file():
        return place.read_text(errors="replace")
    hashed = [each for each in sorted(place.glob("*.*")) if _HASHED(each.name) and each.is_file()]
    return "\n".join(each.read_text(errors="replace").rstrip() for each in hashed)


def _added(folder: Path, before: str | None, ours: str) -> Path:
    old = Path(before).read_text(errors="replace") if before and Path(before).is_file() else ""
    target = folder / "extra.pem"
    target.write_text(_joined(old, ours))
    return target


def _joined(old: str, ours: str) -> str:
    return f"{old.rstrip()}\n{ours}" if old.strip() else ours


def _java(env: dict[str, str], *, port: int, folder: Path, ours: str) -> list[str]:
    """Java reads neither proxy nor trust variables: its options do both. Only where a `java` is on the path."""
    if shutil.which("java", path=env.get("PATH")) is None:
        return []
    before = env.get("JAVA_TOOL_OPTIONS", "")
    if "javax.net.ssl.trustStore=" in before:
        return ["JAVA_TOOL_OPTIONS names a trust store of its own; Java programs will not trust the gate"]
    store = folder / "truststore.p12"
    store.write_bytes(_truststore(_joined(system_roots(), ours)))
    options = (
        f"-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword={_TRUSTSTORE_PASSWORD} "
        f"-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort={port} -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort={port}"
    )
    env["JAVA_TOOL_OPTIONS"] = f"{before} {options}".strip()
    return []


def _truststore(pem: str) -> bytes:
    """A PKCS#12 file that Java takes as a trust store."""
    certificates: list[PKCS12Certificate] = []
    for part in pem.split(_PEM_END)[:-1]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # old roots have odd serial numbers; whoever trusts them knows
                certificate = x509.load_pem_x509_certificate(f"{part[part.index('-----BEGIN') :]}{_PEM_END}\n".encode())
        except ValueError:
            continue  # one old root that the library does not parse must not cost the others
        certificates.append(PKCS12Certificate(certificate, str(len(certificates)).encode()))
    return serialize_java_truststore(certificates, BestAvailableEncryption(_TRUSTSTORE_PASSWORD.encode()))
