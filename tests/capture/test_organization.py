"""An organization's root: what it may sign for, how its key is kept, and what it answers to a device."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509.oid import NameOID

from spendgate.capture import issued, organization
from spendgate.config.root_file import root_of
from spendgate.name_constraints import CANARY_HOST, permitted

NOW = datetime.now(UTC)
HOSTS = ("api.anthropic.com", "api.openai.com")
ROOT = organization.new_root(HOSTS, "Acme GmbH", NOW)
SAID = b"correct horse battery"


def test_the_root_signs_for_exactly_these_hosts() -> None:
    """And the canary; no address, no name beside; for as long as it was said; what reads an MDM's root takes it."""
    constraints = ROOT.certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert permitted(ROOT.certificate) == {*HOSTS, CANARY_HOST}
    assert constraints.critical
    assert {str(each.value) for each in constraints.value.excluded_subtrees or ()} == {"0.0.0.0/0", "::/0"}
    assert (ROOT.certificate.not_valid_after_utc - NOW).days in (3649, 3650)
    assert root_of(ROOT.pem, NOW).permits == {*HOSTS, CANARY_HOST}
    assert organization.is_organizations(ROOT.certificate)


@pytest.mark.parametrize(
    ("hosts", "name", "said"),
    [
        pytest.param((), "Acme", "at least one host", id="no host"),
        pytest.param(("*.ai.acme.example",), "Acme", "exact hosts", id="all below a domain"),
        pytest.param(HOSTS, "", "characters", id="no name"),
        pytest.param(HOSTS, "A" * 60, "1 to 46", id="a long name"),
        pytest.param(HOSTS, "Ac\nme", "can be seen", id="a line break"),
    ],
)
def test_a_root_that_could_do_more_is_not_made(hosts: tuple[str, ...], name: str, said: str) -> None:
    """Nor one that nobody can name."""
    with pytest.raises(ValueError, match=said):
        organization.new_root(hosts, name, NOW)


def test_the_key_is_locked() -> None:
    """It comes back by its passphrase alone; the file shows nothing of it."""
    locked = organization.locked(ROOT, SAID)
    found = organization.unlocked(locked, SAID)
    assert found.certificate == ROOT.certificate
    assert found.key.private_numbers() == ROOT.key.private_numbers()
    assert b"PRIVATE" not in locked
    assert ROOT.key.private_numbers().private_value.to_bytes(32) not in locked
    with pytest.raises(ValueError, match="passphrase is wrong"):
        organization.unlocked(locked, b"correct horse batterY")
    with pytest.raises(ValueError, match="fewer than 12"):
        organization.locked(ROOT, b"short")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_openssl_says_how_it_is_locked(tmp_path: Path) -> None:
    """AES-256 and 600,000 rounds: somebody who finds the file has to try for long."""
    file = tmp_path / "root-key.p12"
    file.write_bytes(organization.locked(ROOT, SAID))
    (tmp_path / "said").write_bytes(SAID)
    words = ["openssl", "pkcs12", "-in", str(file), "-info", "-noout", "-passin", f"file:{tmp_path / 'said'}"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "PBES2, PBKDF2, AES-256-CBC, Iteration 600000, PRF hmacWithSHA256" in done.stderr


def other_files() -> list[object]:
    """Files that open, and are none of ours."""
    key, lock = ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(SAID)
    free = x509.CertificateBuilder(
        ROOT.certificate.subject, ROOT.certificate.subject, key.public_key(), 1, NOW, NOW + timedelta(days=9)
    ).sign(key, SHA256())
    pack = serialize_key_and_certificates
    return [
        pytest.param(b"nonsense", "no file of", id="nonsense"),
        pytest.param(pack(b"", key, free, None, lock), "no name constraints", id="an unconstrained root"),
        pytest.param(pack(b"", ROOT.key, ROOT.certificate, [free], lock), "no file of", id="more certificates"),
        pytest.param(pack(b"", None, ROOT.certificate, None, lock), "no file of", id="no key"),
    ]


@pytest.mark.parametrize(("data", "said"), other_files())
def test_another_file_is_no_root(data: bytes, said: str) -> None:
    """Nothing is signed with what `ca org init` did not make."""
    with pytest.raises(ValueError, match=said):
        organization.unlocked(data, SAID)


def test_a_request_says_who_asks_and_that_it_has_the_key() -> None:
    """The key is the device's; hosts are not its to ask for."""
    key = organization.new_key()
    asked = organization.new_request("laptop-17", key)
    assert organization.read_request(asked) == organization.Request("laptop-17", key.public_key())
    assert b"PRIVATE" not in asked


def requests() -> list[object]:
    def csr(name: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return x509.CertificateSigningRequestBuilder(subject).sign(key, SHA256()).public_bytes(Encoding.PEM)

    def asking(host: str) -> bytes:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "laptop")])
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        builder = x509.CertificateSigningRequestBuilder(subject).add_extension(names, critical=False)
        return builder.sign(organization.new_key(), SHA256()).public_bytes(Encoding.PEM)

    der = x509.load_pem_x509_csr(organization.new_request("laptop", organization.new_key())).public_bytes(Encoding.DER)
    forged = x509.load_der_x509_csr(der[:-1] + bytes([der[-1] ^ 1])).public_bytes(Encoding.PEM)
    return [
        pytest.param(b"", "cannot be read", id="nothing"),
        pytest.param(ROOT.pem, "cannot be read", id="a certificate"),
        pytest.param(forged, "not signed by the key", id="a forged signature"),
        pytest.param(csr("laptop", rsa.generate_private_key(65537, 2048)), "none of P-256", id="an RSA key"),
        pytest.param(csr("laptop", ec.generate_private_key(ec.SECP384R1())), "none of P-256", id="another curve"),
        pytest.param(asking("bank.example"), "asks for names", id="a bank's name"),
        pytest.param(asking("api.anthropic.com"), "asks for names", id="a host's name"),
        pytest.param(csr("a b", organization.new_key()), "names no device", id="no device's name"),
        pytest.param(csr("../../etc", organization.new_key()), "names no device", id="a path"),
    ]


@pytest.mark.parametrize(("data", "said"), requests())
def test_another_request_is_not_answered(data: bytes, said: str) -> None:
    """Without a word of what is in it."""
    with pytest.raises(ValueError, match=said):
        organization.read_request(data)


def test_a_device_gets_what_it_asked_for_and_no_key_of_a_ca() -> None:
    """One leaf for each host, all of its key; the issuer is new each time, as constrained as the root, and ends with them."""
    key = organization.new_key()
    first, second = (
        issued.read(organization.bundle(ROOT, "laptop", NOW, timedelta(days=45), key.public_key()), [key])
        for _ in range(2)
    )
    assert set(first.leaves) == {*HOSTS, CANARY_HOST}
    assert all(leaf.public_key() == key.public_key() for leaf in first.leaves.values())
    assert first.issuer.public_key() != second.issuer.public_key()
    assert permitted(first.issuer) == permitted(ROOT.certificate)
    assert first.issuer.not_valid_after_utc == first.term.dies == NOW.replace(microsecond=0) + timedelta(days=45)
    assert first.leaves[HOSTS[0]].serial_number != second.leaves[HOSTS[0]].serial_number


@pytest.mark.parametrize(
    ("now", "device", "said"),
    [
        pytest.param(NOW + timedelta(days=3640), "laptop", "root itself ends", id="beyond the root's end"),
        pytest.param(NOW - timedelta(days=4), "laptop", "clock right", id="before the root"),
        pytest.param(NOW, "a b", "no device's name", id="no device's name"),
    ],
)
def test_nothing_is_signed_that_would_be_refused(now: datetime, device: str, said: str) -> None:
    """Told where it is signed, not on the laptop."""
    with pytest.raises(ValueError, match=said):
        organization.bundle(ROOT, device, now, timedelta(days=45), organization.new_key())
