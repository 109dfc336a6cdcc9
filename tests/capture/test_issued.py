"""What an organization issued is believed in nothing: each thing that could be wrong with a file, and whatever else comes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from spendgate.capture import certificates, issued, organization, pem_parts
from spendgate.capture.certificates import Signer, Term
from spendgate.name_constraints import CANARY_HOST

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
HOSTS = ("api.anthropic.com", "api.openai.com")
ROOT = organization.new_root(HOSTS, "Acme", NOW)
OTHER_ROOT = organization.new_root(HOSTS, "Acme", NOW)
KEY = organization.new_key()
TERM = Term(NOW - timedelta(days=1), NOW + timedelta(days=30))
ALL = frozenset((*HOSTS, CANARY_HOST))
GOOD = organization.bundle(ROOT, "laptop", NOW, timedelta(days=45), KEY)

Change = Callable[[x509.CertificateBuilder], x509.CertificateBuilder]


def secret(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def pem(*made: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in made)


def issuer(
    *,
    root: Signer = ROOT,
    names: frozenset[str] = ALL,
    term: Term = TERM,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> Signer:
    key = key or organization.new_key()
    return Signer(certificates.issuer("Spendgate issuer", key.public_key(), root, names, term), key)


def again(old: x509.Certificate, above: Signer, **extensions: x509.ExtensionType | None) -> x509.Certificate:
    """The same certificate with other extensions, by the names of their classes; None: without that one."""
    kept = {type(each.value).__name__: (each.value, each.critical) for each in old.extensions}
    kept |= {name: (value, kept.get(name, (None, False))[1]) for name, value in extensions.items() if value is not None}
    builder = x509.CertificateBuilder(
        old.issuer, old.subject, old.public_key(), x509.random_serial_number(),
        old.not_valid_before_utc, old.not_valid_after_utc,
    )  # fmt: skip
    for name, (value, critical) in kept.items():
        if not (name in extensions and extensions[name] is None):
            builder = builder.add_extension(value, critical=critical)
    return builder.sign(above.key, SHA256())


def leaves(
    above: Signer, *, term: Term = TERM, key: ec.EllipticCurvePrivateKey = KEY, device: str = "laptop"
) -> list[x509.Certificate]:
    return [certificates.leaf(host, key.public_key(), above, term, device) for host in sorted(ALL)]


def file(
    *, changed: int = 0, above: Signer | None = None, root: bytes = ROOT.pem, **extensions: x509.ExtensionType | None
) -> bytes:
    """A file in which one leaf has other extensions."""
    above = above or issuer()
    made = leaves(above)
    if extensions:
        made[changed] = again(made[changed], above, **extensions)
    return secret(KEY) + pem(*made) + above.pem + root


def other_key() -> bytes:
    above = issuer()
    made = leaves(above)
    made[0] = certificates.leaf(sorted(ALL)[0], organization.new_key().public_key(), above, TERM, "laptop")
    return secret(KEY) + pem(*made) + above.pem + ROOT.pem


def other_device() -> bytes:
    above = issuer()
    made = leaves(above)
    made[0] = certificates.leaf(sorted(ALL)[0], KEY.public_key(), above, TERM, "another")
    return secret(KEY) + pem(*made) + above.pem + ROOT.pem


def no_canary() -> bytes:
    above = issuer()
    return secret(KEY) + pem(*leaves(above)[:-1]) + above.pem + ROOT.pem


def exchanged() -> bytes:
    above = issuer()
    return secret(KEY) + pem(*leaves(above)) + ROOT.pem + above.pem


def key_that_signs() -> bytes:
    above = issuer(key=KEY)
    return secret(KEY) + pem(*leaves(above)) + above.pem + ROOT.pem


def signed_by_another() -> bytes:
    above, stranger = issuer(), issuer()
    made = leaves(Signer(above.certificate, stranger.key))
    return secret(KEY) + pem(*made) + above.pem + ROOT.pem


def wider_issuer() -> bytes:
    above = issuer(names=ALL | {"bank.example"})
    return secret(KEY) + pem(*leaves(above)) + above.pem + ROOT.pem


def outside_the_constraints() -> bytes:
    above = issuer()
    bank = certificates.leaf("bank.example", KEY.public_key(), above, TERM, "laptop")
    return secret(KEY) + pem(bank, *leaves(above)) + above.pem + ROOT.pem


def free(old: Signer, by: Signer) -> Signer:
    """The same without constraints."""
    return Signer(again(old.certificate, by, NameConstraints=None), old.key)


def free_issuer() -> bytes:
    above = free(issuer(), ROOT)
    return secret(KEY) + pem(*leaves(above)) + above.pem + ROOT.pem


def free_root() -> bytes:
    root = free(ROOT, ROOT)
    above = issuer(root=root)
    return secret(KEY) + pem(*leaves(above)) + above.pem + root.pem


def purposes_of_the_issuer() -> bytes:
    above = issuer()
    above = Signer(again(above.certificate, ROOT, ExtendedKeyUsage=None), above.key)
    return secret(KEY) + pem(*leaves(above)) + above.pem + ROOT.pem


def deep_issuer() -> bytes:
    above = issuer()
    deep = again(above.certificate, ROOT, BasicConstraints=x509.BasicConstraints(ca=True, path_length=1))
    return secret(KEY) + pem(*leaves(above)) + pem(deep) + ROOT.pem


def issuer_for_life() -> bytes:
    long = Term(NOW - timedelta(days=1), NOW + timedelta(days=200))
    above = issuer(term=long)
    return secret(KEY) + pem(*leaves(above, term=long)) + above.pem + ROOT.pem


def leaf_outlives() -> bytes:
    above = issuer()
    made = leaves(above, term=Term(TERM.born, TERM.dies + timedelta(days=1)))
    return secret(KEY) + pem(*made) + above.pem + ROOT.pem


def dns(*names: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(each) for each in names])


CLIENTS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
SERVERS_AND_CODE = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CODE_SIGNING])
A_CA = x509.BasicConstraints(ca=True, path_length=0)
SIGNS = next(each.value for each in ROOT.certificate.extensions if isinstance(each.value, x509.KeyUsage))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"", "0 certificates", id="nothing"),
        pytest.param(b"# from IT\n" + GOOD, "is not PEM blocks", id="text before"),
        pytest.param(GOOD + b"\n\n", "is not PEM blocks", id="something behind"),
        pytest.param(GOOD.replace(b"-----END CERT", b"-----END  CERT", 1), "is not PEM blocks", id="a broken line"),
        pytest.param(GOOD + b"x" * pem_parts.BYTES_MAX, "is larger than", id="endless"),
        pytest.param(GOOD.replace(b"PRIVATE KEY", b"EC PRIVATE KEY"), "is not PEM blocks", id="another kind of key"),
        pytest.param(GOOD + secret(KEY), "has a key that is not its first", id="the key at the end"),
        pytest.param(secret(KEY) + GOOD, "has a key that is not its first", id="two keys"),
        pytest.param(secret(organization.new_key()) + GOOD.partition(b"-----END PRIVATE KEY-----\n")[2],
                     "has a key that is not its certificates'", id="another key"),
        pytest.param(secret(rsa.generate_private_key(65537, 2048)) + GOOD.partition(b"-----END PRIVATE KEY-----\n")[2],
                     "none of P-256", id="an RSA key"),
        pytest.param(GOOD.partition(b"-----END PRIVATE KEY-----\n")[2], "not on this device", id="no key, and none here"),
        pytest.param(secret(KEY) + ROOT.pem * 2, "has 2 certificates", id="no leaf"),
        pytest.param(secret(KEY) + pem(*leaves(issuer())) + ROOT.pem, "in the issuer's place", id="no issuer"),
        pytest.param(exchanged(), "in the root's place", id="exchanged"),
        pytest.param(file(root=OTHER_ROOT.pem), "in the issuer's place", id="another root"),
        pytest.param(signed_by_another(), "no client would take", id="signed by another's key"),
        pytest.param(wider_issuer(), "may sign for more than its root", id="an issuer wider than the root"),
        pytest.param(free_issuer(), "issuer that has no name constraints", id="an issuer without constraints (Java)"),
        pytest.param(free_root(), "root that has no name constraints", id="a root without constraints"),
        pytest.param(purposes_of_the_issuer(), "issuer that is not for servers alone", id="an issuer for mail, too"),
        pytest.param(deep_issuer(), "no CA of its depth", id="an issuer of issuers"),
        pytest.param(outside_the_constraints(), "bank.example that its issuer may not sign", id="a host outside"),
        pytest.param(file(SubjectAlternativeName=dns("bank.example")), "may not sign", id="another name in a leaf"),
        pytest.param(file(SubjectAlternativeName=dns("v2.api.openai.com")), "may not sign", id="a name below a host"),
        pytest.param(file(SubjectAlternativeName=dns(*HOSTS)), "not for one exact host", id="two names in a leaf"),
        pytest.param(file(SubjectAlternativeName=dns("*.openai.com")), "not for one exact host", id="a wildcard"),
        pytest.param(file(SubjectAlternativeName=dns("API.openai.com")), "not for one exact host", id="capitals"),
        pytest.param(file(SubjectAlternativeName=dns("api.openai.com\0.evil.example")), "not for one exact host", id="a NUL"),
        pytest.param(file(SubjectAlternativeName=None), "not for one exact host", id="no name"),
        pytest.param(file(SubjectAlternativeName=dns("api.openai.com")), "two certificates for api.openai.com", id="twice"),
        pytest.param(no_canary(), "no certificate for canary", id="no canary"),
        pytest.param(file(BasicConstraints=A_CA), "could sign others", id="a CA"),
        pytest.param(file(BasicConstraints=None), "what it is for", id="says nothing"),
        pytest.param(file(KeyUsage=SIGNS), "could sign others", id="a leaf whose key may sign"),
        pytest.param(file(ExtendedKeyUsage=CLIENTS), "servers alone", id="for clients"),
        pytest.param(file(ExtendedKeyUsage=SERVERS_AND_CODE),
                     "servers alone", id="code, too"),
        pytest.param(file(ExtendedKeyUsage=None), "servers alone", id="for every purpose"),
        pytest.param(other_key(), "leaves of several keys", id="a leaf of another key"),
        pytest.param(other_device(), "does not name one device", id="a leaf of another device"),
        pytest.param(key_that_signs(), "with a key that signs", id="the issuer's own key for leaves"),
        pytest.param(issuer_for_life(), "for more than 92 days", id="a long life"),
        pytest.param(leaf_outlives(), "holds longer than what signed it", id="a leaf that outlives its issuer"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_as_it_was_made_is_refused(data: bytes, said: str) -> None:
    """With what is wrong; the words follow the file's name."""
    with pytest.raises(ValueError, match=said):
        issued.read(data)


def test_a_good_file_is_read_whole() -> None:
    """With its own key, or with the device's that fits; what is kept of it reads as the same."""
    found = issued.read(GOOD)
    assert (found.device, set(found.leaves), found.root) == ("laptop", ALL, ROOT.certificate)
    assert (
        issued.read(GOOD.partition(b"-----END PRIVATE KEY-----\n")[2], [organization.new_key(), KEY]).leaves
        == found.leaves
    )
    assert issued.read(GOOD.replace(b"\n", b"\r\n")).leaves == found.leaves
    assert issued.read(found.file()).leaves == found.leaves
    assert "PRIVATE" not in repr(found)


def test_it_holds_in_its_time() -> None:
    """From somewhat before it was made, for clocks that are behind, to its end."""
    found = issued.read(GOOD)
    for good in (NOW - timedelta(days=1), NOW, NOW + timedelta(days=44)):
        issued.in_time(found, good)
    with pytest.raises(ValueError, match="expired on 2027-01-13"):
        issued.in_time(found, NOW + timedelta(days=45))
    with pytest.raises(ValueError, match="is the clock right"):
        issued.in_time(found, NOW - timedelta(days=3))


def test_only_hosts_that_a_policy_captures_may_be_named() -> None:
    """By a leaf, or by the root alone: it could sign for one tomorrow."""
    found = issued.read(GOOD)
    issued.within(found, HOSTS)
    with pytest.raises(ValueError, match=r"certificate for api\.openai\.com, which no policy here captures"):
        issued.within(found, HOSTS[:1])
    above = issuer()
    fewer = [each for each in leaves(above) if "openai" not in each.subject.rfc4514_string()]
    narrow = issued.read(secret(KEY) + pem(*fewer) + above.pem + ROOT.pem)
    with pytest.raises(ValueError, match=r"root that may sign for api\.openai\.com"):
        issued.within(narrow, HOSTS[:1])


BLOCKS = [b"-----BEGIN" + each for each in GOOD.split(b"-----BEGIN")[1:]]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(range(len(BLOCKS))), min_size=1, max_size=len(BLOCKS) + 2))
def test_no_order_of_its_parts_makes_more_of_it(order: list[int]) -> None:
    """Left out, twice, in another order: refused, or less of the same."""
    try:
        found = issued.read(b"".join(BLOCKS[each] for each in order))
    except ValueError:
        return
    whole = issued.read(GOOD)
    assert found.leaves.items() <= whole.leaves.items()
    assert (found.issuer, found.root, found.device) == (whole.issuer, whole.root, whole.device)
    assert CANARY_HOST in found.leaves


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_changed_byte_makes_another_of_it(data: st.DataObject) -> None:
    """Bytes that are changed, cut out or put in: refused, or what it was."""
    at = data.draw(st.integers(0, len(GOOD) - 1))
    cut = data.draw(st.integers(0, 3))
    changed = GOOD[:at] + data.draw(st.binary(max_size=3)) + GOOD[at + cut :]
    try:
        found = issued.read(changed)
    except ValueError:
        return
    assert found.leaves == issued.read(GOOD).leaves
    assert found.key.public_key() == KEY.public_key()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=2_000))
def test_nothing_else_is_raised(data: bytes) -> None:
    """Whatever comes, also between the lines of a certificate."""
    for each in (data, b"-----BEGIN CERTIFICATE-----\n" + data + b"\n-----END CERTIFICATE-----\n", GOOD + data):
        try:
            issued.read(each)
        except ValueError as fault:
            assert str(fault).isprintable()
