"""The rollout file is read as strictly as a policy: every fault at its place, with what is allowed; and nothing is made then."""

from __future__ import annotations

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mdm.kit import EXAMPLE, HOSTS, KEY, made, make, program, rollout, root_pem, write
from spendgate.config.known import KNOWN
from spendgate.minisign_secret import KEY_ID_BYTES, SEED_BYTES, SecretKey
from spendgate.name_constraints import CANARY_HOST

FAULTS = [
    ({"version": 2}, "1:10: version: '2' is not known; allowed: 1"),
    ({"version": None}, "version: is missing"),
    ({"organization": None}, "organization: is missing"),
    ({"organization": "x" * 101}, "organization: 'xxx"),
    ({"identifier": "acme"}, "identifier: 'acme' is no identifier; allowed: your domain backwards"),
    ({"identifier": "com.acme/../x"}, "is no identifier"),
    ({"contact": None}, "contact: is missing; people must know whom to ask"),
    ({"contact": {"name": "IT", "address": "ask me"}}, "contact.address: 'ask me' is no address"),
    ({"contact": {"name": "IT", "address": 'https://x.example/"><script>'}}, "is no address"),
    ({"stage": "canaries"}, "stage: 'canaries' is not known; allowed: observe, canary, enforce; did you mean canary?"),
    ({"mode": "pac"}, "mode: 'pac' is not known; allowed: transparent, proxy"),
    ({"root": None}, "root: is missing"),
    ({"root": "../root.pem"}, "root: '../root.pem' is no file's name"),
    ({"root": "other.pem"}, "root: 'other.pem' cannot be read"),
    ({"hosts": ["bank.example"]}, "hosts: the root may not sign for bank.example"),
    ({"hosts": ["10.0.0.1"]}, "hosts[1]: '10.0.0.1' is an address"),
    ({"hosts": ["*.acme.example"]}, "'*.acme.example' is no exact host; allowed: llm.acme.example, since a root signs"),
    ({"hosts": []}, "hosts: an empty list"),
    ({"keys": None}, "keys: is missing; name at least one key"),
    ({"keys": [{"name": "a", "key": "RWabc"}]}, "keys[1].key: is no minisign public key"),
    ({"keys": [{"name": "a", "key": KEY}, {"name": "a", "key": KEY}]}, "keys[2].name: 'a' is given twice"),
    ({"least_revision": "many"}, "least_revision: "),
    ({"policy": None}, "policy: is missing; name policy.url or policy.file"),
    ({"policy": {"url": "http://a.example/p.yaml"}}, "policy.url: 'http://a.example/p.yaml' is not where a policy"),
    ({"policy": {"url": "https://a.example/p.yaml", "every": "5s"}}, "policy.every: '5s' is not how often"),
    ({"policy": {"url": "https://a.example/p.yaml", "file": "p.yaml"}}, "exactly one of url and file"),
    ({"policy": {"file": "p.yaml", "every": "15m"}}, "policy.every: belongs to url"),
    ({"port": 8080}, "port: belongs to mode: proxy"),
    ({"direct": [".acme.example"]}, "direct: belongs to mode: proxy"),
    (
        {"mode": "proxy", "direct": ["anthropic.com"]},
        "direct: anthropic.com would take api.anthropic.com past the gate",
    ),
    *(
        ({"mode": "proxy", "direct": [text]}, f"direct[1]: '{text}' is nothing to go past a proxy")
        for text in ("*", "*.acme.example", "acme", "10.0.0.300", "10.0.0.1/8", "a.example,b.example", "a b.example")
    ),
    ({"mode": "proxy", "port": 80}, "port: '80' is no port for the gate"),
    (
        {"mode": "proxy", "pac_url": "file:///spendgate.pac"},
        "pac_url: 'file:///spendgate.pac' is no place of a PAC file",
    ),
    ({"claude_desktop_cowork": "no"}, "claude_desktop_cowork: 'no' is not known; allowed: true, false"),
    ({"upstream": "http://u:secret@proxy.acme.example:3128"}, "upstream: write http://HOST:PORT; USER:PASSWORD belong"),
    ({"upstream": "http://proxy.acme.example"}, "upstream: write http://HOST:PORT"),
    ({"upstream": "http://proxy.acme.example:3128/`id`"}, "upstream: write http://HOST:PORT"),
    ({"enrolment": {"device": "serial"}}, "enrolment.office: is missing"),
    *(
        ({"enrolment": {"office": text}}, "is no office; allowed: https://HOST:PORT")
        for text in (
            "http://a.example",
            "https://u:p@a.example",
            "https://a.example/x",
            "https://a.example:0",
            "https://a`id`.example",
        )
    ),
    (
        {"enrolment": {"office": "https://a.example", "device": "mac"}},
        "enrolment.device: 'mac' is not known; allowed: hostname, serial",
    ),
    ({"enrolment": {"office": "https://a.example", "token": "none"}}, "enrolment.token: 'none' cannot be read"),
    (
        {"enrolment": {"office": "https://a.example", "token": "root.pem"}},
        "enrolment.token: is a file with no credential",
    ),
    ({"organisation": "Acme"}, "organisation: unknown key; did you mean organization? allowed: version, organization"),
]


@pytest.mark.parametrize(
    ("changes", "told"), FAULTS, ids=[next(iter(each)) + str(i) for i, (each, _) in enumerate(FAULTS)]
)
def test_each_fault_is_named_at_its_place(tmp_path, changes, told):
    """`file:line:column: key: what is allowed`; exit status 1; nothing is written."""
    file = write(tmp_path, rollout(**changes))
    done = make(file, tmp_path / "out")
    assert done.returncode == 1
    assert any(line.startswith(f"{file}:") and told in line for line in done.stderr.splitlines()), done.stderr
    assert "spendgate: nothing was made: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_faulty_url_is_one_fault(tmp_path):
    """How often it is asked is none of its own."""
    done = make(write(tmp_path, rollout(policy={"url": "http://a.example/p.yaml", "every": "15m"})), tmp_path / "out")
    assert "policy.url: " in done.stderr
    assert "policy.every" not in done.stderr


def test_all_faults_are_told_at_once(tmp_path):
    """Nobody mends a file fault by fault."""
    done = make(write(tmp_path, rollout(stage="x", mode="y", port=1)), tmp_path / "out")
    assert [line.split(": ")[1] for line in done.stderr.splitlines()[:-1]] == ["stage", "mode", "port"]


@pytest.mark.parametrize(
    "text", ["", "- a\n", "version: &a 1\n", "version: 1\nversion: 1\n", "organization: Acme # GmbH\n\xa0", "a: [\n"]
)
def test_what_is_no_such_file_is_refused(tmp_path, text):
    """The reader of policies reads it, so that what it refuses is refused here."""
    done = make(write(tmp_path, text), tmp_path / "out")
    assert done.returncode == 1
    assert f"{tmp_path / 'rollout.yaml'}:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    """With its path."""
    done = make(tmp_path / "none.yaml", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path / 'none.yaml'}: cannot be read: No such file")


KEY_PEM = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
ROOTS = [
    (root_pem() + KEY_PEM, "holds a private key"),
    (KEY_PEM.replace(b"PRIVATE KEY", b"EC PRIVATE KEY"), "holds a private key"),
    (KEY_PEM.replace(b"PRIVATE KEY", b"ENCRYPTED PRIVATE KEY"), "holds a private key"),
    (b"hello", "holds 0 PEM blocks"),
    (root_pem() * 2, "holds 2 PEM blocks"),
    (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read as X.509"),
    (root_pem(days=-1), "allowed: one that holds now"),
    (root_pem(is_ca=False), "is no CA's"),
    (root_pem(addresses=False), "leave names or addresses open"),
    (root_pem([*HOSTS, CANARY_HOST, "googleapis.com"]), "may sign for googleapis.com, which is no host to read"),
    (root_pem(HOSTS), f"may not sign for {CANARY_HOST}"),
    (root_pem([CANARY_HOST]), "may sign for no provider's host"),
]


@pytest.mark.parametrize(("pem", "told"), ROOTS, ids=[told for _, told in ROOTS])
def test_a_root_that_must_not_be_pushed_is_refused(tmp_path, pem, told):
    """A key, another's certificate, one without constraints, one that could sign for more: none goes to a laptop."""
    done = make(write(tmp_path, rollout(), pem), tmp_path / "out")
    assert done.returncode == 1
    assert f"{tmp_path / 'rollout.yaml'}:9:7: root: " in done.stderr
    assert told in done.stderr
    assert not any(line in done.stderr for line in pem.decode().splitlines() if len(line) == 64)
    assert not (tmp_path / "out").exists()


def test_hosts_that_the_root_leaves_out_are_told(tmp_path):
    """The root is fixed for life, and providers get new hosts: nobody must think that they are read."""
    out = tmp_path / "out"
    done = make(write(tmp_path, rollout(), root_pem([*HOSTS, CANARY_HOST])), out)
    assert done.returncode == 0
    assert f"the root cannot sign for {len(KNOWN.hosts) - 2} provider hosts" in done.stderr


def test_the_same_file_makes_the_same_bytes(tmp_path):
    """So a review of the material is a diff, and a rebuilt profile is no new one."""
    first, second = tmp_path / "1", tmp_path / "2"
    for seed, out in enumerate((first, second)):
        assert program(EXAMPLE, out, seed=seed).returncode == 0
    found = [
        {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()} for out in (first, second)
    ]
    assert found[0] == found[1]
    assert len(found[0]) > 5


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path):
    """Wrong usage, before anything is written."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    done = make(EXAMPLE, tmp_path / "out")
    assert done.returncode == 2
    assert "was not made by `spendgate mdm make`" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_what_is_made_again_leaves_nothing_of_before(tmp_path):
    """A profile that the new rollout does not have must not be pushed by mistake."""
    out = made(tmp_path)
    assert list(out.rglob("*transparent-proxy.mobileconfig"))
    made(tmp_path, mode="proxy")
    assert not list(out.rglob("*transparent-proxy.mobileconfig"))


POLICY = "version: 1\nowner: a@acme.example\nrevision: 7\nbudgets:\n  - {name: day, per: person, limit: $5 per day}\n"


def signed(folder, policy):
    """A signed policy beside the rollout file, and the key that signed."""
    secret = SecretKey.new(bytes(range(KEY_ID_BYTES + SEED_BYTES)))
    (folder / "policy.yaml").write_text(policy)
    signature = secret.sign(policy.encode(), "spendgate policy\trevision:7")
    (folder / "policy.yaml.minisig").write_bytes(signature.file())
    return [{"name": "platform", "key": str(secret.public)}]


@pytest.mark.parametrize(
    ("mode", "stage", "told"),
    [
        ("mode: observe", "observe", ""),
        ("mode: enforce", "observe", "refuses calls, and stage is observe"),
        ("mode: {default: observe, enforce: [{group: pilot}]}", "observe", "refuses calls, and stage is observe"),
        ("mode: {default: observe, enforce: [{group: pilot}]}", "canary", ""),
        ("mode: observe", "canary", "allowed: mode: {default: observe, enforce"),
        ("mode: enforce", "canary", "stage is canary"),
        ("mode: enforce", "enforce", ""),
        ("mode: observe", "enforce", "only observes, and stage is enforce"),
    ],
)
def test_a_pushed_policy_fits_the_stage(tmp_path, mode, stage, told):
    """Nobody is refused on the day on which observing was announced."""
    groups = "people:\n  alice: {groups: [pilot]}\n" if "pilot" in mode else ""
    keys = signed(tmp_path, f"{POLICY}{mode}\n{groups}")
    done = make(write(tmp_path, rollout(keys=keys, stage=stage, policy={"file": "policy.yaml"})), tmp_path / "out")
    assert (done.returncode == 0) == (not told), done.stderr
    assert told in done.stderr


def test_a_pushed_policy_must_be_signed_by_a_key_of_the_rollout(tmp_path):
    """Else every laptop would refuse it."""
    keys = signed(tmp_path, f"{POLICY}mode: observe\n")
    changes = {"policy": {"file": "policy.yaml"}}
    for wrong in ({"keys": [{"name": "platform", "key": KEY}]}, {"keys": keys, "least_revision": 8}):
        done = make(write(tmp_path, rollout(**changes, **wrong)), tmp_path / "out")
        assert done.returncode == 1
        assert "policy.yaml" in done.stderr
        assert not (tmp_path / "out").exists()
    (tmp_path / "policy.yaml").write_text(POLICY.replace("$5", "$500"))
    done = make(write(tmp_path, rollout(keys=keys, **changes)), tmp_path / "out")
    assert "changed" in done.stderr
    assert done.returncode == 1


def test_the_example_is_what_the_documentation_says():
    """It is read by people, too: each required key stands in it."""
    assert {*rollout(), "least_revision"} == {*yaml.safe_load(EXAMPLE.read_text())}
