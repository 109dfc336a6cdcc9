"""The CA and its leaves: what they may sign, what verifiers make of them, and what their files must be."""

import ipaddress
import os
import shutil
import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from spendgate.capture.ca import Authority, Leaf, create
from spendgate.capture.ca_files import load, open_authority
from spendgate.capture.scope import CANARY_HOST
from spendgate.errors import StateError

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOSTS = ["api.anthropic.com", "api.openai.com", "*.llm.acme.example"]


def pem(leaf: Leaf) -> tuple[bytes, bytes]:
    """(key, chain) as servers take them."""
    key = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key, b"".join(c.public_bytes(Encoding.PEM) for c in (leaf.certificate, *leaf.chain))


def forged(authority: Authority, *names: x509.GeneralName, common_name: str = "x", now: datetime | None = None) -> Leaf:
    """What a thief of the issuer's key could sign: any names at all."""
    key, at = ec.generate_private_key(ec.SECP256R1()), now or datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(authority.issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=20))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),  # type: ignore[arg-type]
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
    return Leaf("", builder.sign(authority.key, SHA256()), key, (authority.issuer,))


@pytest.fixture(scope="module")
def authority():
    return create(HOSTS, datetime.now(UTC))


# Leaves


def test_a_leaf_is_for_exactly_the_name_asked_for(authority):
    """One DNS name, a P-256 key of its own, server authentication, and identifiers that chain."""
    now = datetime.now(UTC)
    leaf, twin = authority.leaf("api.anthropic.com", now), authority.leaf("api.anthropic.com", now)
    extensions = leaf.certificate.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.DNSName("api.anthropic.com")]
    assert isinstance(leaf.key.curve, ec.SECP256R1)
    keys = {k.public_key().public_numbers() for k in (leaf.key, twin.key, authority.key)}
    assert len(keys) == 3
    assert extensions.get_extension_for_class(x509.ExtendedKeyUsage).value._usages == [ExtendedKeyUsageOID.SERVER_AUTH]
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.digital_signature, usage.value.key_cert_sign) == (True, True, False)
    assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    above = authority.issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == above
    leaf.certificate.verify_directly_issued_by(authority.issuer)


def test_a_leaf_lives_shorter_than_any_client_minds():
    """Backdated for wrong clocks, never beyond the CA, renewed at half of its life."""
    made = create(HOSTS, NOW)
    leaf = made.leaf("api.openai.com", NOW)
    life = leaf.certificate.not_valid_after_utc - leaf.certificate.not_valid_before_utc
    assert leaf.certificate.not_valid_before_utc <= NOW - timedelta(days=1)
    assert life <= timedelta(days=199)
    assert leaf.renew_at == leaf.certificate.not_valid_before_utc + life / 2
    late = made.leaf("api.openai.com", made.not_after - timedelta(days=1))
    assert late.certificate.not_valid_after_utc == made.not_after


@pytest.mark.parametrize(
    ("host", "covered"),
    [
        ("api.anthropic.com", True),
        ("x.llm.acme.example", True),
        ("a.b.llm.acme.example", True),
        ("anthropic.com", False),
        ("notapi.anthropic.com", False),
        ("acme.example", False),
        ("127.0.0.1", False),
        ("", False),
    ],
)
def test_only_permitted_names_are_covered(authority, host, covered):
    """What the constraints say, and a leaf for nothing else."""
    assert authority.covers(host) is covered
    if not covered:
        with pytest.raises(ValueError, match="outside"):
            authority.leaf(host, NOW)


def test_a_name_longer_than_a_common_name_may_be_has_a_leaf(authority):
    """RFC 5280 bounds a common name to 64 characters, not a host."""
    host = "a" * 60 + ".llm.acme.example"
    names = authority.leaf(host, NOW).certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.DNSName(host)]


def test_the_ca_says_what_it_is_for(authority):
    """Both certificates: critical constraints with enumerated names, every address excluded; the issuer serves TLS alone."""
    for certificate, depth in ((authority.root, 1), (authority.issuer, 0)):
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints)
        assert constraints.critical
        permitted = ["api.anthropic.com", "api.openai.com", CANARY_HOST, "llm.acme.example"]
        assert [n.value for n in constraints.value.permitted_subtrees] == permitted
        excluded = [n.value for n in constraints.value.excluded_subtrees]
        assert excluded == [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
        assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(
            True, depth
        )
    assert authority.root.public_key() != authority.issuer.public_key() == authority.key.public_key()
    assert "PRIVATE" not in repr(authority)


def test_a_ca_without_hosts_is_not_made():
    """Without permitted names it could sign for every name."""
    with pytest.raises(ValueError, match="at least one"):
        create([], NOW)


# Verifiers. A thief of the issuer's key signs what he likes; none of it may be accepted.


CASES = [
    pytest.param("api.anthropic.com", None, True, id="allowed"),
    pytest.param("bank.example", (x509.DNSName("bank.example"),), False, id="another name"),
    pytest.param(
        "api.anthropic.com", (x509.DNSName("api.anthropic.com"), x509.DNSName("bank.example")), False, id="one too many"
    ),
    pytest.param("127.0.0.1", (x509.IPAddress(ipaddress.ip_address("127.0.0.1")),), False, id="an address"),
    pytest.param("bank.example", (), False, id="a common name alone"),
]


@pytest.fixture
def served(authority, tmp_path):
    """(serve, files): a TLS server on a thread that shows a leaf; the chain and root as files."""
    running = []

    def serve(host, names):
        now = datetime.now(UTC)
        leaf = authority.leaf(host, now) if names is None else forged(authority, *names, common_name=host)
        key, chain = pem(leaf)
        (tmp_path / "key.pem").write_bytes(key)
        (tmp_path / "chain.pem").write_bytes(chain)
        (tmp_path / "root.pem").write_bytes(authority.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
        listener = __import__("socket").create_server(("127.0.0.1", 0))
        running.append(listener)

        def answer():
            while True:
                try:
                    raw, _ = listener.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(raw, server_side=True) as link:
                        link.recv(4096)
                        link.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
                except OSError:
                    raw.close()

        threading.Thread(target=answer, daemon=True).start()
        return listener.getsockname()[1], tmp_path

    yield serve
    for listener in running:
        listener.shutdown(2)
        listener.close()


def run(*command, env=None):
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **(env or {})}
    )


@pytest.mark.parametrize(("host", "names", "accepted"), CASES)
def test_openssl(served, host, names, accepted):
    """`openssl verify`, with the name that a client would check."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    _, files = served(host, names)
    check = ("-verify_ip", host) if host[0].isdigit() else ("-verify_hostname", host)
    untrusted = ("-CAfile", files / "root.pem", "-untrusted", files / "chain.pem", files / "chain.pem")
    done = run("openssl", "verify", "-x509_strict", "-purpose", "sslserver", *check, *untrusted)
    assert (done.returncode == 0) is accepted, done.stderr


@pytest.mark.parametrize(("host", "names", "accepted"), CASES)
def test_python(served, host, names, accepted):
    """The standard library's TLS client with its default, strict flags."""
    port, files = served(host, names)
    context = ssl.create_default_context(cafile=files / "root.pem")
    with __import__("socket").create_connection(("127.0.0.1", port)) as raw:
        if accepted:
            with context.wrap_socket(raw, server_hostname=host) as link:
                assert link.version() == "TLSv1.3"
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                context.wrap_socket(raw, server_hostname=host)


NODE = """
const [port, host] = process.argv.slice(1);
const tls = require("tls");
const link = tls.connect({host: "127.0.0.1", port, servername: /^[0-9]/.test(host) ? undefined : host,
  checkServerIdentity: (_, certificate) => tls.checkServerIdentity(host, certificate)},
  () => { console.log("accepted"); link.end(); });
link.on("error", (error) => { console.log("refused", error.code); });
"""


@pytest.mark.parametrize(("host", "names", "accepted"), CASES)
def test_node(served, host, names, accepted):
    """Node with NODE_EXTRA_CA_CERTS, as Claude Code's and Codex's kin take a CA."""
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    port, files = served(host, names)
    done = run("node", "-e", NODE, str(port), host, env={"NODE_EXTRA_CA_CERTS": str(files / "root.pem")})
    assert done.stdout.split()[0] == ("accepted" if accepted else "refused"), done


JAVA = """
import java.net.*; import javax.net.ssl.*;
public class Probe {
  public static void main(String[] a) throws Exception {
    SSLSocket t = (SSLSocket) ((SSLSocketFactory) SSLSocketFactory.getDefault())
      .createSocket(new Socket("127.0.0.1", Integer.parseInt(a[0])), a[1], Integer.parseInt(a[0]), true);
    SSLParameters p = t.getSSLParameters(); p.setEndpointIdentificationAlgorithm("HTTPS"); t.setSSLParameters(p);
    t.setSoTimeout(20000);
    try { t.startHandshake(); System.out.println("accepted"); }
    catch (SSLException e) { System.out.println("refused " + e.getMessage()); }
    System.exit(0);
  }
}
"""


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    """The folder of the compiled class: compiling it takes longer than all the tests that run it."""
    if not shutil.which("java") or not shutil.which("javac"):
        pytest.skip("no Java development kit is installed")
    folder = tmp_path_factory.mktemp("java")
    (folder / "Probe.java").write_text(JAVA)
    done = run("javac", "-d", folder, folder / "Probe.java")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.xdist_group("java")
@pytest.mark.parametrize(("host", "names", "accepted"), CASES)
def test_java(served, probe, host, names, accepted):
    """Java ignores a root's own constraints and a name that only the common name holds; the issuer's are held to both."""
    port, files = served(host, names)
    root = x509.load_pem_x509_certificate((files / "root.pem").read_bytes())
    encrypted = BestAvailableEncryption(b"changeit")
    (files / "trust.p12").write_bytes(serialize_java_truststore([PKCS12Certificate(root, b"gate")], encrypted))
    trust = (f"-Djavax.net.ssl.trustStore={files / 'trust.p12'}", "-Djavax.net.ssl.trustStorePassword=changeit")
    done = run("java", "-XX:TieredStopAtLevel=1", *trust, "-cp", probe, "Probe", str(port), host)
    assert done.stdout.split()[:1] == ["accepted" if accepted else "refused"], done


# Files


def places(tmp_path):
    return tmp_path / "ca" / "ca-cert.pem", tmp_path / "private" / "ca-key.pem"


def test_the_first_start_makes_a_ca_and_the_next_takes_it(tmp_path):
    """A private key in a private directory, a public certificate beside, the same CA from then on."""
    certificate, key = places(tmp_path)
    first = open_authority(certificate, key, HOSTS, NOW)
    assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert certificate.read_bytes() == first.pem
    assert b"PRIVATE" not in certificate.read_bytes()
    again = open_authority(certificate, key, ["late.acme.example"], NOW)
    assert again.pem == first.pem
    assert not again.covers("late.acme.example")
    certificate.unlink()
    assert open_authority(certificate, key, HOSTS, NOW).pem == certificate.read_bytes() == first.pem


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_strict_umask_closes_the_certificate_to_nobody(tmp_path):
    """As a service has it: every program reads the certificate, none but the gate the key."""
    before = os.umask(0o077)
    try:
        open_authority(tmp_path / "ca-cert.pem", tmp_path / "private" / "ca-key.pem", HOSTS, NOW)
    finally:
        os.umask(before)

    assert (tmp_path / "ca-cert.pem").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "private" / "ca-key.pem").stat().st_mode & 0o777 == 0o600


def test_two_gates_that_start_at_once_share_one_ca(tmp_path):
    """Whoever is first wins, whole; the other takes the winner's."""
    certificate, key = places(tmp_path)
    made, together = [], threading.Barrier(4)

    def start():
        together.wait()
        made.append(open_authority(certificate, key, HOSTS, NOW).pem)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert set(made) == {certificate.read_bytes()}
    assert [entry.name for entry in key.parent.iterdir()] == ["ca-key.pem"]


def spoil_mode(certificate, key):
    key.chmod(0o640)


def spoil_directory(certificate, key):
    key.parent.chmod(0o755)


def spoil_content(certificate, key):
    key.write_text("nonsense")


def spoil_pair(certificate, key):
    certificate.write_bytes(create(HOSTS, NOW).pem)


def spoil_key(certificate, key):
    other = create(HOSTS, NOW).key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key.write_bytes(other + key.read_bytes().partition(b"-----END PRIVATE KEY-----\n")[2])


def spoil_constraints(certificate, key):
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "free")])
    free = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=100))
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .sign(secret, SHA256())
        .public_bytes(Encoding.PEM)
    )
    key.write_bytes(secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + free + free)


def spoil_link(certificate, key):
    moved = key.with_name("moved.pem")
    key.rename(moved)
    key.symlink_to(moved)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(spoil_mode, "chmod 0600", id="readable by a group"),
        pytest.param(spoil_directory, "chmod 0700", id="an open directory"),
        pytest.param(spoil_content, "not a CA of this program", id="corrupt"),
        pytest.param(spoil_pair, "is not the certificate of", id="another certificate"),
        pytest.param(spoil_key, "not its certificate's", id="another key"),
        pytest.param(spoil_constraints, "no name constraints", id="an unconstrained CA"),
        pytest.param(spoil_link, "symbolic link", id="a link"),
    ],
)
def test_a_ca_that_is_not_as_it_was_made_is_refused(tmp_path, spoil, said):
    """With the file and the remedy; never repaired in silence."""
    certificate, key = places(tmp_path)
    open_authority(certificate, key, HOSTS, NOW)
    spoil(certificate, key)
    with pytest.raises(StateError, match=said):
        open_authority(certificate, key, HOSTS, NOW)


@pytest.mark.parametrize(
    ("now", "said"),
    [(NOW + timedelta(days=4 * 365), "expired on"), (NOW - timedelta(days=30), "clock")],
    ids=["expired", "not yet valid"],
)
def test_a_ca_out_of_its_time_is_refused(tmp_path, now, said):
    """Said as what it is: an old CA, or a wrong clock."""
    certificate, key = places(tmp_path)
    open_authority(certificate, key, HOSTS, NOW)
    with pytest.raises(StateError, match=said):
        load(key, now)


def test_a_ca_of_another_account_is_refused(tmp_path):
    """Whoever owns the file could read and replace it."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    certificate, key = places(tmp_path)
    open_authority(certificate, key, HOSTS, NOW)
    os.chown(key, 65534, 65534)
    with pytest.raises(StateError, match="65534"):
        load(key, NOW)
