"""`spendgate policy sign`, `verify` and `keygen`: what a person types, and what minisign makes of it."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from config.signing import KEY, PEOPLE, STRANGER, text
from end_to_end.world import ROOT, environment
from spendgate.minisign import PublicKey
from spendgate.minisign_secret import KeyFile, Lock

SMALL = Lock("hunter2", bytes(32), 32_768, 1_048_576)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A policy with people, and three keys: ours without a password, the same with one, a stranger's."""
    (tmp_path / "policy.yaml").write_text(text(includes=True))
    (tmp_path / "people.yaml").write_text(PEOPLE)
    (tmp_path / "our.key").write_bytes(KEY.file())
    (tmp_path / "locked.key").write_bytes(KEY.file(SMALL))
    (tmp_path / "our.key.pub").write_bytes(KEY.public.file())
    return tmp_path


def ran(folder: Path, *words: str, answers: str = "", status: int = 0) -> tuple[str, str]:
    """stdout and stderr of a command in the folder."""
    done = subprocess.run(
        [sys.executable, "-m", "spendgate", "policy", *words], cwd=folder, input=answers, capture_output=True, text=True,
        env=environment(folder, PYTHONPATH=str(ROOT / "addon")), timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


def test_what_is_signed_is_verified(folder: Path) -> None:
    """By the key's text and by its file, with a locked key too; a change of any file is named."""
    for key, answers in (("our.key", ""), ("locked.key", "hunter2\n")):
        _, told = ran(folder, "sign", "policy.yaml", "--key", key, "--comment", "release week", answers=answers)
        assert "policy.yaml.minisig: signed by 0706050403020100, revision 42: policy.yaml, people.yaml" in told
    for key in (str(KEY.public), "our.key.pub"):
        said, _ = ran(folder, "verify", "policy.yaml", "--key", key)
        assert "(0706050403020100), revision 42" in said
        assert "people.yaml: signed with it" in said
    _, told = ran(folder, "verify", "policy.yaml", "--key", str(STRANGER.public), status=1)
    assert "policy.yaml.minisig: is signed with the key 0706050403020100, which is not known here" in told
    (folder / "people.yaml").write_text("people: {mallory: {}}\n")
    _, told = ran(folder, "verify", "policy.yaml", "--key", "our.key.pub", status=1)
    assert "policy.yaml:4:11: include: people.yaml is not what was signed with this policy" in told


def test_the_trust_files_keys_are_the_default(folder: Path) -> None:
    """And without any, it is said what to name."""
    trust = folder / "trust.yaml"
    trust.write_text(f"version: 1\nkeys: [{{name: platform, key: {KEY.public}}}]\n")
    trust.chmod(0o644)
    ran(folder, "sign", "policy.yaml", "--key", "our.key")
    command = [sys.executable, "-m", "spendgate", "policy", "verify", "policy.yaml"]
    done = subprocess.run(
        command,
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment(folder, SPENDGATE_TRUST=str(trust)),
    )
    if not Path("/etc/spendgate/trust.yaml").exists():
        assert "signed by platform (0706050403020100), revision 42" in done.stdout
        assert "name a public key with --key" in ran(folder, "verify", "policy.yaml", status=2)[1]


def test_what_cannot_be_signed(folder: Path) -> None:
    """A fault, no revision, a key that is none, a wrong password, a comment that would be two: one line each, no signature."""
    for words, answers, status, told in (
        (("--key", "none.key"), "", 1, "none.key: cannot be read: No such file"),
        (("--key", "policy.yaml"), "", 1, "policy.yaml: is no minisign secret key"),
        (("--key", "locked.key"), "hunter3\n", 1, "locked.key: cannot be unlocked: the password is wrong"),
        (("--key", "our.key", "--comment", "a\tb"), "", 2, "--comment: one line of text"),
    ):
        assert told in ran(folder, "sign", "policy.yaml", *words, answers=answers, status=status)[1]
    (folder / "policy.yaml").write_text(text(None))
    assert (
        "policy.yaml:1:1: revision: is missing" in ran(folder, "sign", "policy.yaml", "--key", "our.key", status=1)[1]
    )
    (folder / "policy.yaml").write_text(text().replace("limit", "limitt"))
    assert "limitt: unknown key" in ran(folder, "sign", "policy.yaml", "--key", "our.key", status=1)[1]
    assert not (folder / "policy.yaml.minisig").exists()
    assert "is missing" in ran(folder, "verify", "policy.yaml", "--key", str(KEY.public), status=1)[1]
    assert "--key RW12: is no minisign" in ran(folder, "verify", "policy.yaml", "--key", "RW12", status=2)[1]


def test_a_new_pair_of_keys(folder: Path) -> None:
    """Private, printed for the trust file, never in place of another; locked unless it is said otherwise."""
    said, _ = ran(folder, "keygen", "new.key", "--no-password")
    made = KeyFile.parse((folder / "new.key").read_bytes())
    assert (
        PublicKey.parse(said.strip()) == made.unlock().public == PublicKey.parse((folder / "new.key.pub").read_text())
    )
    assert stat.S_IMODE((folder / "new.key").stat().st_mode) == 0o600
    assert "is there already" in ran(folder, "keygen", "new.key", "--no-password", status=2)[1]
    assert "an empty password locks nothing" in ran(folder, "keygen", "other.key", status=2)[1]
    said, _ = ran(folder, "keygen", "other.key", answers="hunter2\n")
    other = KeyFile.parse((folder / "other.key").read_bytes())
    assert other.locked
    assert other.unlock("hunter2").public == PublicKey.parse(said.strip())


@pytest.mark.skipif(shutil.which("minisign") is None, reason="needs minisign (Debian: minisign)")
def test_minisign_audits_what_was_signed(folder: Path) -> None:
    """`minisign -V` prints what the signature covers; `sha256sum` compares; and minisign's own signature verifies here."""
    ran(folder, "sign", "policy.yaml", "--key", "our.key", "--comment", "release week")
    done = subprocess.run(
        ["minisign", "-Vm", "policy.yaml", "-p", "our.key.pub"], cwd=folder, capture_output=True, text=True, check=True
    )
    digest = subprocess.run(["sha256sum", "people.yaml"], cwd=folder, capture_output=True, text=True, check=True)
    assert f"spendgate policy\trevision:42\tpeople.yaml:{digest.stdout.split()[0]}\ttimestamp:" in done.stdout
    assert "release week" in done.stdout
    (folder / "policy.yaml").write_text(text(43))
    subprocess.run(["minisign", "-Sm", "policy.yaml", "-s", "our.key"], cwd=folder, capture_output=True, check=True)
    assert "revision 43" in ran(folder, "verify", "policy.yaml", "--key", "our.key.pub")[0]
