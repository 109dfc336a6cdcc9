"""A devcontainer feature whose images trust a CA's certificate: by their system's store, and by each runtime's own variables.

By the Dev Container Features reference (containers.dev/implementors/features). It names no proxy: what leads a container's
traffic to the gate is the machine's affair. A tool sets the variables before `install.sh` runs, which drops them first: they
name a file that it has yet to make.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from spendgate.mdm.interface import Made
from spendgate.mdm.rollout import Rollout
from spendgate.runtimes import ADDING, REPLACING

ID: Final = "spendgate-trust"
"""Of the feature, and of the folder that it lies in: the reference wants them alike."""
METADATA: Final = "devcontainer-feature.json"
SCRIPT: Final = "install.sh"
_FOLDER: Final = "/etc/spendgate"
_ROOT: Final = f"{_FOLDER}/root.pem"
_BUNDLE: Final = f"{_FOLDER}/bundle.pem"


def devcontainer(rollout: Rollout) -> Iterator[Made]:
    """The feature of an organization's root."""
    for each in feature(rollout.root.pem):
        yield Made(f"devcontainer/{each.path}", each.content, each.about)


def feature(pem: bytes) -> tuple[Made, ...]:
    """Its files, of a certificate in PEM. The same certificate makes the same bytes. Raises ValueError: it is none."""
    certificate = x509.load_pem_x509_certificate(pem)
    name = f"spendgate-{certificate.fingerprint(SHA256()).hex()[:16]}"
    plain = certificate.public_bytes(Encoding.PEM).decode()  # the certificate alone, whatever the file has beside it
    return (
        Made(f"{ID}/{METADATA}", _metadata(certificate), "a devcontainer feature: what it is, and its variables"),
        Made(f"{ID}/{SCRIPT}", _script(name, plain), "the feature's script: puts the root into an image's trust store"),
    )


def variables() -> dict[str, str]:
    """What replaces trust gets the image's whole bundle, so that no other host breaks; what adds gets the root alone."""
    return {**dict.fromkeys(REPLACING, _BUNDLE), ADDING: _ROOT}


def _metadata(certificate: x509.Certificate) -> bytes:
    """The version goes up with the certificate: tools do not publish, nor fetch, a version again that they have."""
    since = certificate.not_valid_before_utc
    return (
        json.dumps(
            {
                "id": ID,
                "version": f"1.{since:%Y%m%d}.{since.hour * 3600 + since.minute * 60 + since.second}",
                "name": "Spendgate: trust",
                "description": "AI tools in this container trust the certificate by which Spendgate reads their calls to "
                "model providers. It can stand for no other host. To take it away, remove the feature and build the image anew.",
                "containerEnv": variables(),
            },
            indent=2,
        )
        + "\n"
    ).encode()


def _script(name: str, pem: str) -> bytes:
    line = pem.strip().splitlines()[-3]  # of its signature, which no other certificate has
    return (
        _SCRIPT.replace("VARIABLES", " ".join(variables()))
        .replace("NAME", name)
        .replace("LINE", line)
        .replace("PEM\n", pem)
        .encode()
    )


_SCRIPT: Final = f"""\
#!/bin/sh
# Spendgate's devcontainer feature, made by `spendgate mdm make` or `spendgate ca devcontainer`. Run as root while an image is
# built: it puts a certificate, and no secret, into the image's trust store. May be run again. To take it away, remove the feature
# from devcontainer.json and build the image anew: nothing of it is outside the image.
set -eu
umask 022
unset VARIABLES # they are the feature's own, and name files that are made below
fail() {{ echo "{ID}: $1" >&2; exit 1; }}
has() {{ command -v "$1" > /dev/null 2>&1; }}
[ "$(id -u)" = 0 ] || fail 'run this as root'

if ! has update-ca-certificates && ! has update-ca-trust; then
    if has apt-get; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends ca-certificates
        rm -rf /var/lib/apt/lists/*
    elif has apk; then apk add --no-cache ca-certificates
    elif has dnf; then dnf install -y ca-certificates
    elif has microdnf; then microdnf install -y ca-certificates
    elif has yum; then yum install -y ca-certificates
    else fail 'this image has no trust store that is known here (Debian, Alpine, Fedora and their kin have)'
    fi
fi

mkdir -p {_FOLDER}
cat > {_ROOT} << 'END_OF_SPENDGATE'
PEM
END_OF_SPENDGATE
if has update-ca-certificates; then # Debian, Ubuntu, Alpine
    mkdir -p /usr/local/share/ca-certificates
    cp {_ROOT} /usr/local/share/ca-certificates/NAME.crt
    update-ca-certificates > /dev/null
    bundle=/etc/ssl/certs/ca-certificates.crt
else # Fedora, Red Hat
    mkdir -p /etc/pki/ca-trust/source/anchors
    cp {_ROOT} /etc/pki/ca-trust/source/anchors/NAME.pem
    update-ca-trust extract
    bundle=/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem
fi
grep -sqF -e 'LINE' "$bundle" || fail "the certificate did not get into $bundle: this image's trust store is not known here"
ln -sfn "$bundle" {_BUNDLE} # the image's own, so that what is added later is in it, too
"""
