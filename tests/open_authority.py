"""What the product never makes: an authority whose issuer may sign for every name. For showing that a trial can tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from spendgate.capture.ca import Authority, create


def open_to_all(hosts: Iterable[str], now: datetime, *, root_constrained: bool) -> Authority:
    """Its root has the product's constraints, or none."""
    made = create(hosts, now)
    constraints = made.root.extensions.get_extension_for_class(x509.NameConstraints).value
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def certificate(old: x509.Certificate, public: ec.EllipticCurvePublicKey, *, constrained: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(old.subject)
            .issuer_name(old.issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )
        if constrained:
            builder = builder.add_extension(constraints, critical=True)
        return builder.sign(root_key, SHA256())

    root = certificate(made.root, root_key.public_key(), constrained=root_constrained)
    return replace(made, root=root, issuer=certificate(made.issuer, key.public_key(), constrained=False), key=key)
