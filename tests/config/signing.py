"""What the tests of signed policies share: a key, a trust file that believes it, and policies that it signed."""

from __future__ import annotations

from pathlib import Path

from spendgate.config.signed import comment
from spendgate.config.trust import Trust, TrustedKey
from spendgate.minisign_secret import SecretKey

KEY = SecretKey.new(bytes(range(40)))
STRANGER = SecretKey.new(bytes(range(1, 41)))
TRUST = Trust("/etc/spendgate/trust.yaml", (TrustedKey("platform", KEY.public),))
PEOPLE = "people: {alice: {}}\n"


def text(revision: int | None = 42, limit: int = 5, *, includes: bool = False) -> str:
    """A policy of one budget; the limit tells which one decides."""
    numbered = "" if revision is None else f"revision: {revision}\n"
    include = "include: [people.yaml]\n" if includes else ""
    return f"version: 1\n{numbered}owner: ops@acme.example\n{include}budgets: [{{name: a, limit: ${limit}}}]\n"


def put(folder: Path, policy: str, *, key: SecretKey | None = KEY, said: str | None = None) -> Path:
    """The policy and people.yaml in the folder, signed."""
    folder.mkdir(exist_ok=True)
    (folder / "people.yaml").write_text(PEOPLE)
    file = folder / "policy.yaml"
    file.write_text(policy)
    if key is not None:
        sign(file, key, said)
    return file


def sign(file: Path, key: SecretKey = KEY, said: str | None = None) -> bytes:
    """Write the signature of what is there now; its bytes."""
    policy = file.read_text()
    revision = next((int(line.split()[1]) for line in policy.splitlines() if line.startswith("revision:")), 1)
    included = (("people.yaml", (file.parent / "people.yaml").read_bytes()),) if "include:" in policy else ()
    made = key.sign(policy.encode(), comment(revision, included) if said is None else said).file()
    file.with_name("policy.yaml.minisig").write_bytes(made)
    return made
