"""`spendgate ca org init --token`: a root whose key is in a token, and never out of it."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import keyring
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from keyring.backends.fail import Keyring as NoKeyring

import softhsm
from cli.test_ca_org import HOSTS, SAID, fault, good
from softhsm import MODULE, PIN, Hsm
from spendgate.capture import issued_files, organization
from spendgate.capture.token_key import Login
from spendgate.cli.ca_org import opened
from spendgate.config.paths import State, prepare
from spendgate.enrolment import messages
from spendgate.enrolment.books import FILE, Books
from spendgate.enrolment.credentials import Credential, hashed, new_secret
from spendgate.enrolment.office import Issued, Office
from spendgate.errors import StateError
from spendgate.name_constraints import CANARY_HOST

WHY_NOT = softhsm.why_not()
needs_token = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
FOR = ("--name", "Acme", "--host", HOSTS[0], "--host", HOSTS[1])
ABSENT = "pkcs11:token=acme;object=k?module-path=/nowhere/lib.so"


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hsm]:
    """Two tokens for all tests here: keys have labels of their own."""
    with softhsm.hsm(tmp_path_factory.mktemp("hsm")) as made:
        yield made


@pytest.fixture(autouse=True)
def _pin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Given by the environment; the keyring of this machine is asked for nothing."""
    monkeypatch.setenv("SPENDGATE_PKCS11_PIN", PIN)
    before = keyring.get_keyring()
    keyring.set_keyring(NoKeyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
def label() -> str:
    """Of a key that no other test has."""
    return f"root {secrets.token_hex(4)}"


def made(folder: Path, hsm: Hsm, label: str, *more: object) -> str:
    """A root of this key; what was said."""
    return good("org", "init", "--out", folder, *FOR, "--token", hsm.uri(label), *more)


def shape(certificate: x509.Certificate) -> list[object]:
    """All of a certificate but its key, what is made of that, its number and its times."""
    of_key = (x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier)
    extensions = [
        (each.oid, each.critical, None if isinstance(each.value, of_key) else each.value)
        for each in certificate.extensions
    ]
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return [
        certificate.version,
        certificate.subject,
        certificate.issuer,
        certificate.signature_algorithm_oid,
        key.curve.name,
        extensions,
    ]


def chain(file: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(file.read_bytes())


@needs_token
def test_the_key_is_made_inside_and_nothing_of_it_is_outside(tmp_path: Path, hsm: Hsm, label: str) -> None:
    """The token itself says so; the folder has the certificate and where the key is; the PIN is nowhere."""
    out = tmp_path / "a"
    told = made(out, hsm, label)
    assert hsm.keys(label) == [(True, False, True, True)]
    assert {file.name: file.stat().st_mode & 0o777 for file in out.iterdir()} == {
        "root.pem": 0o644,
        "root-key.uri": 0o600,
    }
    assert (out / "root-key.uri").read_text().startswith("pkcs11:token=acme;object=root%20")
    assert PIN not in told + "".join(file.read_text() for file in out.iterdir())
    assert "cannot be taken out" in told
    assert "copies" not in told


@needs_token
def test_root_and_what_it_signs_are_as_with_a_file(tmp_path: Path, hsm: Hsm, label: str) -> None:
    """But for keys and what is made of them; openssl takes the chain, for each host."""
    said = tmp_path / "said"
    said.write_text(SAID)
    good("org", "init", "--out", tmp_path / "file", *FOR, "--passphrase-file", said)
    made(tmp_path / "token", hsm, label)
    issue = ("org", "issue", "--device", "laptop-17", "--new-key", "--days", "20")
    good(*issue, "--root", tmp_path / "file", "--out", tmp_path / "file.pem", "--passphrase-file", said)
    good(*issue, "--root", tmp_path / "token", "--out", tmp_path / "token.pem")

    by_file, by_token = chain(tmp_path / "file.pem"), chain(tmp_path / "token.pem")

    assert [shape(each) for each in by_token] == [shape(each) for each in by_file]
    assert by_token[-1] == chain(tmp_path / "token" / "root.pem")[0]
    good("org", "install", tmp_path / "token.pem", "--root", tmp_path / "token" / "root.pem", "--state", tmp_path / "s")
    found = issued_files.load(State(tmp_path / "s"))
    assert {*found.leaves} == {*HOSTS, CANARY_HOST}
    if shutil.which("openssl"):
        (tmp_path / "issuer.pem").write_bytes(found.issuer.public_bytes(Encoding.PEM))
        for host, leaf in found.leaves.items():
            (tmp_path / "leaf.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
            words = ("openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", host)
            files = (
                "-CAfile",
                tmp_path / "token" / "root.pem",
                "-untrusted",
                tmp_path / "issuer.pem",
                tmp_path / "leaf.pem",
            )
            done = subprocess.run([*words, *map(str, files)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr


@needs_token
def test_the_key_answers_nothing_but_signatures(tmp_path: Path, hsm: Hsm, label: str) -> None:
    """Whatever else is asked of a key here is refused, not sent to the token."""
    made(tmp_path / "a", hsm, label)
    root = opened(tmp_path / "a", None)
    with pytest.raises(ValueError, match="never leaves"):
        organization.locked(root, SAID.encode())
    with pytest.raises(ValueError, match="never leaves"):
        root.key.private_numbers()
    with pytest.raises(ValueError, match="nothing else"):
        root.key.exchange(ec.ECDH(), root.key.public_key())
    assert PIN not in repr(root)


@needs_token
def test_a_key_that_is_there_is_found_by_its_label(tmp_path: Path, hsm: Hsm, label: str) -> None:
    """As a ceremony with other tools made it; never taken for the new one by an accident."""
    made(tmp_path / "a", hsm, label)
    again = ("org", "init", "--out", tmp_path / "b", *FOR, "--token", hsm.uri(label))
    assert "of this label is in the token already" in fault(*again)
    good(*again, "--existing-key")
    keys = [chain(tmp_path / each / "root.pem")[0].public_key() for each in "ab"]
    assert keys[0] == keys[1]
    assert len(hsm.keys(label)) == 1


def put_in(hsm: Hsm, label: str, *, extractable: bool, where: str = "acme") -> None:
    """A key of a file, put into the token by another program."""
    from cryptography.hazmat.primitives.serialization import PublicFormat
    from pkcs11 import Attribute
    from pkcs11.util.ec import decode_ec_private_key, decode_ec_public_key

    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    named = {Attribute.LABEL: label, Attribute.TOKEN: True}
    kept = {
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: extractable,
        Attribute.PRIVATE: True,
        Attribute.SIGN: True,
    }
    with hsm.session(where) as session:
        session.create_object(decode_ec_public_key(public) | named)
        session.create_object(decode_ec_private_key(private) | named | kept)


@needs_token
def test_a_key_that_could_be_taken_out_is_none(tmp_path: Path, hsm: Hsm, label: str) -> None:
    """And one that was put in from outside is told: its copies are nobody's to know."""
    put_in(hsm, label, extractable=True)
    words = ("org", "init", *FOR, "--existing-key")
    assert "can be taken out" in fault(*words, "--out", tmp_path / "a", "--token", hsm.uri(label))
    assert not (tmp_path / "a").exists()
    put_in(hsm, f"{label} b", extractable=False)
    assert "copies of it may exist" in good(*words, "--out", tmp_path / "b", "--token", hsm.uri(f"{label} b"))


@needs_token
@pytest.mark.parametrize(
    ("token", "told"),
    [
        pytest.param("pkcs11:token=acme;object=none?module-path=MODULE", "no pair of P-256 keys 'none'", id="no key"),
        pytest.param("pkcs11:token=nobody;object=k?module-path=MODULE", "no token 'nobody' is there", id="no token"),
        pytest.param("pkcs11:serial=00;token=acme;object=k?module-path=MODULE", "no token 'acme' is there", id="no serial"),
        pytest.param(ABSENT, "the library cannot be used: ", id="no library"),
        pytest.param("pkcs11:token=acme;object=k?module-path=MODULE&pin-value=4711", "has a PIN", id="a PIN"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_one_line(tmp_path: Path, hsm: Hsm, token: str, told: str) -> None:
    """With the place and no secret; nothing is written."""
    words = ("org", "init", "--out", tmp_path / "a", *FOR, "--existing-key", "--token", token.replace("MODULE", MODULE))
    answer = fault(*words)
    assert told in answer
    assert "\n" not in answer
    assert PIN not in answer
    assert "4711" not in answer
    assert not (tmp_path / "a").exists()


@needs_token
def test_a_wrong_pin_is_tried_once(tmp_path: Path, hsm: Hsm, label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens count; and neither it nor the right one is told."""
    made(tmp_path / "a", hsm, label)
    words = ("org", "issue", "--root", tmp_path / "a", "--device", "l", "--new-key", "--out", tmp_path / "l.pem")
    monkeypatch.setenv("SPENDGATE_PKCS11_PIN", "271828-wrong")
    answer = fault(*words)
    assert "the PIN is wrong; it was tried once" in answer
    assert "271828" not in answer
    assert not (tmp_path / "l.pem").exists()
    pin = tmp_path / "pin"
    pin.write_text(f"{PIN}\n")
    good(*words, "--passphrase-file", pin)


@needs_token
def test_without_a_pin_it_says_how_to_give_one(
    tmp_path: Path, hsm: Hsm, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPENDGATE_PKCS11_PIN")
    words = ("org", "init", "--out", tmp_path / "a", *FOR, "--token", hsm.uri(label))
    assert "set SPENDGATE_PKCS11_PIN" in fault(*words, stdin=f"{PIN}\n")
    assert hsm.keys(label) == []


@needs_token
def test_another_key_of_the_same_label_signs_nothing(tmp_path: Path, hsm: Hsm, label: str) -> None:
    """The wrong token, plugged in by mistake: no certificate leaves that the root's would not be."""
    made(tmp_path / "a", hsm, label)
    put_in(hsm, label, extractable=False, where="other")
    (tmp_path / "a" / "root-key.uri").write_text(hsm.uri(label, "other") + "\n")
    words = ("org", "issue", "--root", tmp_path / "a", "--device", "l", "--new-key", "--out", tmp_path / "l.pem")
    assert "another than the root's" in fault(*words)
    assert not (tmp_path / "l.pem").exists()


@needs_token
def test_the_files_of_a_root_are_looked_at_before_the_pin_is_used(tmp_path: Path, hsm: Hsm, label: str) -> None:
    """One that others may write could name their library; another certificate could have other hosts."""
    out = tmp_path / "a"
    made(out, hsm, label)
    words = ("org", "issue", "--root", out, "--device", "l", "--new-key", "--out", tmp_path / "l.pem")
    good_uri, good_pem = (out / "root-key.uri").read_bytes(), (out / "root.pem").read_bytes()
    (out / "root-key.uri").chmod(0o666)
    assert "chmod 0600" in fault(*words)
    (out / "root-key.uri").chmod(0o600)
    (out / "root-key.uri").write_bytes(good_uri.replace(b"module-path=", b"pin-value=4711&module-path="))
    assert "has a PIN" in fault(*words)
    (out / "root-key.uri").write_bytes(good_uri)
    forged = organization.new_root(("bank.example",), "Acme", chain(out / "root.pem")[0].not_valid_before_utc)
    (out / "root.pem").write_bytes(forged.pem.replace(forged.pem[-200:-150], forged.pem[-150:-100]))
    assert "is no root" in fault(*words)
    (out / "root.pem").write_bytes(forged.pem)
    assert "another than the root's" in fault(*words)
    (out / "root.pem").write_bytes(good_pem)
    good(*words)


@needs_token
def test_a_key_whose_files_could_not_be_written_is_used_again(tmp_path: Path, hsm: Hsm, label: str) -> None:
    """It is in the token, and nothing is lost."""
    (tmp_path / "file").write_text("")
    words = ("org", "init", "--out", tmp_path / "file" / "a", *FOR, "--token", hsm.uri(label))
    assert "--existing-key" in fault(*words)
    made(tmp_path / "a", hsm, label, "--existing-key")


@needs_token
@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_verify_tries_the_root_of_a_token(tmp_path: Path, hsm: Hsm, label: str) -> None:
    """As one of a file: the allowed host passes, nine others fail."""
    made(tmp_path / "a", hsm, label)
    told = good("verify", "--root", tmp_path / "a", "--only", "openssl", "--format", "csv")
    answers = [line.split(",")[7] for line in told.splitlines()[1:]]
    assert answers == ["passes", *["fails"] * 9]


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on every machine but the authority's."""
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    words = ("org", "init", "--out", tmp_path / "a", *FOR)
    assert "mdm/pkcs11.lock" in fault(*words, "--token", ABSENT)
    assert "belongs to --token" in fault(*words, "--existing-key")
    assert not (tmp_path / "a").exists()


@needs_token
def test_an_enrolment_office_signs_by_the_token(hsm: Hsm, label: str, tmp_path: Path) -> None:
    """On the thread that a server signs on; where the token is gone, nothing is used and the next question says so again."""
    made(tmp_path / "a", hsm, label)
    office = Office(opened(tmp_path / "a", None), Books(tmp_path / "a" / FILE), timedelta(days=9))
    state, now = prepare(State(tmp_path / "state")), datetime.now(UTC)
    der, _ = messages.body_of(organization.new_request("ann", issued_files.requested(state)))
    asked = messages.Question("ann", secret := new_secret(), der)
    with office.books.open() as page:
        page.make(Credential("id", None, 1, 0, 2**50), hashed(secret))

    with ThreadPoolExecutor(1) as thread:
        with mock.patch.object(Login, "pin", "00000000-pin"), pytest.raises(StateError, match="the PIN is wrong"):
            thread.submit(office.enrol, asked, "x", now).result()
        found = thread.submit(office.enrol, asked, "x", now).result()
    assert isinstance(found, Issued)
    root = (tmp_path / "a" / "root.pem").read_bytes()
    took = issued_files.install(state, messages.bundle_of(found.body), now, HOSTS, place="", root=root)
    assert {*took.leaves} == {*HOSTS, CANARY_HOST}
