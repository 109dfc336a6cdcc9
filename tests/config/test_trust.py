"""The trust file: only what nobody but root may write is believed, and every fault of it is told at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.signing import KEY, STRANGER
from spendgate.config.trust import TRUST_FILE, Trust, TrustedKey, parse_trust, trusted
from spendgate.errors import PolicyError, StateError

ONE = f"version: 1\nkeys:\n  - {{name: platform, key: {KEY.public}}}\n"
URL = "policy: {url: https://policy.acme.example/spendgate/policy.yaml, every: 15m}\n"
ME = os.geteuid()
nobody_but_root = pytest.mark.skipif(ME != 0, reason="needs root: files of other accounts")


def test_a_whole_file() -> None:
    """Every key, and what stands where one is left out."""
    second = f"  - {{name: security, key: {STRANGER.public}}}\n"
    assert parse_trust(f"{ONE}{second}require_signature: true\nleast_revision: 40\n{URL}".encode(), "t") == Trust(
        "t",
        (TrustedKey("platform", KEY.public), TrustedKey("security", STRANGER.public)),
        least_revision=40,
        url="https://policy.acme.example/spendgate/policy.yaml",
        every_s=900,
    )
    assert parse_trust(ONE.encode(), "t") == Trust("t", (TrustedKey("platform", KEY.public),))
    assert not parse_trust(f"{ONE}require_signature: false\n".encode()).required


FAULTS = [
    ("", "1:1: the file is empty"),
    ("- x\n", "1:1: found a list; allowed: keys with values"),
    (ONE.replace("version: 1\n", ""), "version: is missing; it is required"),
    (ONE.replace("version: 1", "version: 2"), "1:10: version: '2' is not a version"),
    ("version: 1\n", "1:1: keys: is missing; name at least one key"),
    ("version: 1\nkeys: []\n", "2:7: keys: an empty list"),
    (ONE.replace("keys", "keyz"), "2:1: keyz: unknown key; did you mean keys? allowed: version, keys, require_signature"),
    (ONE.replace("name:", "nam:"), "keys[1].name: is missing"),
    (ONE + ONE.splitlines()[2] + "\n", "4:12: keys[2].name: 'platform' is given twice"),
    (ONE + ONE.splitlines()[2] + "\n", "4:27: keys[2].key: 0706050403020100 is given twice"),
    (ONE.replace("RW", "RX"), "3:27: keys[1].key: is no minisign public key: it is not one of Ed25519"),
    (ONE.replace(str(KEY.public), "RWQ"), "3:27: keys[1].key: is no minisign public key: a line of it is not base64"),
    (ONE + "require_signature: no\n", "4:20: require_signature: 'no' is not known; allowed: true, false"),
    (ONE + "least_revision: 042\n", "4:17: least_revision: '042' is not a revision"),
    (ONE + "require_signature: false\n" + URL, "4:20: require_signature: false does not go with policy.url"),
    (ONE + "policy: {every: 15m}\n", "4:9: policy.url: is missing"),
    (ONE + URL.replace("15m", "10s"), "policy.every: '10s' is not how often; allowed: 1m, 15m, 6h, … up to 24h"),
    (ONE + URL.replace("15m", "2d"), "policy.every: '2d' is not how often"),
    (ONE + "approvers: []\n", "4:1: approvers: unknown key"),
    (ONE + "least_revision: &a 4\n", "anchor &a"),
    (ONE + "least_revision: 4\nleast_revision: 5\n", "'least_revision' is given twice, first in line 4"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "fault"), FAULTS)
def test_every_fault_is_told_with_its_place(text: str, fault: str) -> None:
    """In the words of a policy's faults."""
    with pytest.raises(PolicyError) as error:
        parse_trust(text.encode(), "trust.yaml")
    assert any(fault in line and line.startswith("trust.yaml:") for line in error.value.faults), error.value.faults


@pytest.mark.parametrize(
    "url",
    [
        "http://policy.acme.example/policy.yaml", "https://u:p@acme.example/policy.yaml", "https:///policy.yaml", "policy.yaml",
        "https://acme.example/policy.yaml?x=1", "https://acme.example/policy.yaml#x", "https://acme.example:99999/policy.yaml",
        "https://acme.example/a%2fb.yaml", "https://acme.example/policy.json", "https://[::1/policy.yaml", "file:///etc/policy.yaml",
        "https://äcme.example/policy.yaml", "https://acme.example:0/policy.yaml",
    ],
)  # fmt: skip
def test_only_a_plain_https_url(url: str) -> None:
    """Nothing is fetched in the clear, and no secret stands in a file that every account may read."""
    with pytest.raises(PolicyError, match=r"policy.url: .* is not where a policy can be fetched"):
        parse_trust(f'{ONE}policy: {{url: "{url}"}}\n'.encode())


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_anything_is_read_or_refused(data: bytes) -> None:
    """No file is a crash, and none that is random is believed."""
    with pytest.raises(PolicyError):
        parse_trust(data)


def put(folder: Path, text: str = ONE, mode: int = 0o644) -> Path:
    """A trust file of this account's."""
    folder.mkdir(exist_ok=True, mode=0o755)
    file = folder / "trust.yaml"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_nobody_says_anything(tmp_path: Path) -> None:
    """Then signatures are not looked at; a variable that names nothing is a mistake."""
    assert trusted(tmp_path / "trust.yaml", {}) is None
    assert trusted(tmp_path / "none" / "trust.yaml", {}) is None
    with pytest.raises(StateError, match="which is not there"):
        trusted(tmp_path / "trust.yaml", {"SPENDGATE_TRUST": str(tmp_path / "other.yaml")})
    with pytest.raises(StateError, match="must be an absolute path"):
        trusted(tmp_path / "trust.yaml", {"SPENDGATE_TRUST": "other.yaml"})


def test_the_systems_file_wins(tmp_path: Path) -> None:
    """Whoever sets the variable can ask more than nothing of a gate, never less than root did."""
    file = put(tmp_path / "etc")
    other = put(tmp_path / "home", ONE.replace("platform", "mine"))
    found = trusted(file, {"SPENDGATE_TRUST": str(other)}, root=ME)
    assert found is not None
    assert (found.file, found.keys[0].name) == (str(file), "platform")
    mine = trusted(tmp_path / "none.yaml", {"SPENDGATE_TRUST": str(other)}, root=ME)
    assert mine is not None
    assert mine.keys[0].name == "mine"


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    """With the command that mends it."""
    file = put(tmp_path / "etc", mode=mode)
    with pytest.raises(StateError, match=rf"{file} can be written by others than root.*chmod go-w {file}"):
        trusted(file, {}, root=ME)


def test_a_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    """They could put another file in its place."""
    file = put(tmp_path / "etc")
    (tmp_path / "etc").chmod(0o777)
    with pytest.raises(StateError, match=rf"{tmp_path}/etc can be written by others"):
        trusted(file, {}, root=ME)


@nobody_but_root
def test_a_file_of_another_account_is_refused(tmp_path: Path) -> None:
    """Also where a variable names it."""
    file = put(tmp_path / "etc")
    os.chown(file, 12345, 12345)
    for systems, environ in ((file, {}), (tmp_path / "none", {"SPENDGATE_TRUST": str(file)})):
        with pytest.raises(StateError, match="can be written by others than root"):
            trusted(systems, environ)
    os.chown(file, 0, 0)
    os.chown(file.parent, 12345, 12345)
    with pytest.raises(StateError, match="can be written by others than root"):
        trusted(file, {})


@pytest.mark.parametrize("kind", ["link", "directory", "pipe", "huge"])
def test_only_a_regular_file_is_read(tmp_path: Path, kind: str) -> None:
    """A link could be turned, a pipe would wait for a writer."""
    file = put(tmp_path / "etc")
    file.unlink()
    match kind:
        case "link":
            file.symlink_to(put(tmp_path / "elsewhere"))
        case "directory":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case "huge":
            put(tmp_path / "etc", ONE + "#" * 70_000)
    with pytest.raises(StateError, match=rf"{file}: what is trusted"):
        trusted(file, {}, root=ME)


@nobody_but_root
@pytest.mark.parametrize("whose", ["the link", "the folder of the link"])
def test_a_link_on_the_way_is_nobody_elses_either(tmp_path: Path, whose: str) -> None:
    """Whoever may point it elsewhere decides whose policy is believed; also where nothing is left at its end."""
    real = put(tmp_path / "etc").parent
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "hop").symlink_to(real)
    (tmp_path / "way").symlink_to(theirs / "hop")
    file = tmp_path / "way" / "trust.yaml"
    assert trusted(file, {}) is not None
    if whose == "the link":
        os.lchown(theirs / "hop", 12345, 12345)
    else:
        os.chown(theirs, 12345, 12345)
    with pytest.raises(StateError, match="decides whose policy is believed"):
        trusted(file, {})
    (theirs / "hop").unlink()
    (theirs / "hop").symlink_to(tmp_path)
    os.lchown(theirs / "hop", 12345, 12345)
    with pytest.raises(StateError, match="decides whose policy is believed"):
        trusted(file, {})


@nobody_but_root
def test_links_of_roots_own_lead_to_it(tmp_path: Path) -> None:
    """As `/etc` itself is one on macOS; a file that is not there is none behind them, too."""
    real = put(tmp_path / "etc").parent
    (tmp_path / "way").symlink_to("etc")
    assert trusted(tmp_path / "way" / "trust.yaml", {}) is not None
    (real / "trust.yaml").unlink()
    assert trusted(tmp_path / "way" / "trust.yaml", {}) is None


def test_a_faulty_file_ends_the_start(tmp_path: Path) -> None:
    """A gate that cannot know whom to believe believes nobody."""
    file = put(tmp_path / "etc", ONE.replace("keys", "keyz"))
    with pytest.raises(PolicyError, match="keyz: unknown key"):
        trusted(file, {}, root=ME)


def test_where_it_is() -> None:
    """By no variable that another account could set."""
    assert os.name != "posix" or Path("/etc/spendgate/trust.yaml") == TRUST_FILE
