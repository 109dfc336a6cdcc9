"""An organization's certificates on a device's disk: whole or not at all, one key, and none that signs."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spendgate.capture import ca_files, issued, issued_files, organization
from spendgate.capture.certificates import Signer
from spendgate.config.paths import State, prepare
from spendgate.errors import StateError

NOW = datetime.now(UTC)
HOSTS = ("api.anthropic.com", "api.openai.com")
ROOT = organization.new_root(HOSTS, "Acme", NOW)
BANK = organization.new_root(("bank.example",), "Acme", NOW)
KEY = organization.new_key()
EXPIRED = organization.bundle(ROOT, "laptop", NOW - timedelta(days=1), timedelta(hours=1), KEY)


@pytest.fixture
def state(tmp_path: Path) -> State:
    """An empty state directory."""
    return prepare(State(tmp_path / "state"))


def answer(state: State, *, days: int = 45, root: Signer = ROOT) -> bytes:
    """To this device's request."""
    key = issued_files.requested(state).public_key()
    return organization.bundle(root, "laptop", NOW, timedelta(days=days), key)


def pushed(*, days: int = 45, root: Signer = ROOT) -> bytes:
    """By an MDM, with a key."""
    return organization.bundle(root, "laptop", NOW, timedelta(days=days), organization.new_key())


def install(state: State, data: bytes, **more: bytes) -> issued.Issued:
    return issued_files.install(state, data, NOW, HOSTS, place="FILE", **more)


def files(state: State) -> dict[str, bytes]:
    return {str(file.relative_to(state.root)): file.read_bytes() for file in state.root.rglob("*") if file.is_file()}


def test_an_answer_is_installed_with_the_devices_own_key(state: State) -> None:
    """One private file with key and certificates; the root where trust stores look; nothing waits any more."""
    key = issued_files.requested(state)
    assert issued_files.requested(state).private_numbers() == key.private_numbers()
    assert state.requested_key.stat().st_mode & 0o777 == 0o600

    found = install(state, answer(state))

    assert sorted(files(state)) == ["ca/ca-cert.pem", "private/leaves.pem"]
    assert state.leaves.stat().st_mode & 0o777 == 0o600
    assert state.ca_certificate.stat().st_mode & 0o777 == 0o644
    assert state.ca_certificate.read_bytes() == ROOT.pem
    assert issued_files.open_issued(state).leaves == found.leaves
    assert found.key.private_numbers() == key.private_numbers()


def test_the_same_answer_twice_changes_nothing(state: State) -> None:
    """A roll-out may run each day: the key is the one that is installed."""
    data = answer(state)
    install(state, data)
    before = files(state)
    install(state, data)
    assert files(state) == before


def test_a_devices_own_ca_goes(state: State) -> None:
    """Its key is removed, its certificate replaced by the organization's root."""
    ca_files.open_authority(state.ca_certificate, state.ca_key, HOSTS, NOW)
    install(state, pushed())
    assert not state.ca_key.exists()
    assert state.ca_certificate.read_bytes() == ROOT.pem
    issued_files.open_issued(state)


def test_what_was_cut_short_is_settled_by_installing_again(state: State) -> None:
    """The first file is there, the others not yet: the gate does not start with a CA's key beside it, nor another root."""
    data = pushed()
    ca_files.open_authority(state.ca_certificate, state.ca_key, HOSTS, NOW)
    ca_files.replace(state.leaves, issued.read(data).file(), 0o600)
    with pytest.raises(StateError, match="install the organization's file again"):
        issued_files.open_issued(state)
    state.ca_key.unlink()
    with pytest.raises(StateError, match="is not the root of"):
        issued_files.open_issued(state)
    install(state, data)
    issued_files.open_issued(state)


@pytest.mark.parametrize("days", [44, 10])
def test_an_older_file_does_not_take_a_renewals_place(state: State, days: int) -> None:
    """It would end earlier."""
    install(state, answer(state))
    before = files(state)
    with pytest.raises(StateError, match="an older file"):
        install(state, pushed(days=days))
    assert files(state) == before
    install(state, pushed(days=60))


def test_another_root_is_taken_only_where_it_is_named(state: State) -> None:
    """Who may write a file to be installed must not change what this device shows in silence."""
    other = organization.new_root(HOSTS, "Acme", NOW)
    install(state, pushed())
    before = files(state)
    with pytest.raises(StateError, match="name the new one with --root"):
        install(state, pushed(root=other))
    with pytest.raises(StateError, match="not of the root that --root names"):
        install(state, pushed(root=other), root=ROOT.pem)
    assert files(state) == before
    install(state, pushed(root=other), root=other.pem)
    assert state.ca_certificate.read_bytes() == other.pem


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"", r"^FILE has 0 certificates", id="nothing"),
        pytest.param(organization.bundle(ROOT, "laptop", NOW, timedelta(days=45), organization.new_key().public_key()),
                     "not on this device", id="another device's"),
        pytest.param(EXPIRED, "expired on", id="expired"),
        pytest.param(pushed(root=BANK), "bank.example, which no policy", id="a bank's"),
    ],
)  # fmt: skip
def test_what_is_refused_changes_nothing(state: State, data: bytes, said: str) -> None:
    """The file is named, and the remedy."""
    ca_files.open_authority(state.ca_certificate, state.ca_key, HOSTS, NOW)
    issued_files.requested(state)
    before = files(state)
    with pytest.raises(StateError, match=said):
        install(state, data)
    assert files(state) == before


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize("which", ["open to others", "a link", "garbled"])
def test_an_installed_file_that_is_not_as_it_was_left_is_refused(state: State, which: str) -> None:
    """With the remedy; nothing is repaired in silence."""
    install(state, pushed())
    if which == "open to others":
        state.leaves.chmod(0o640)
    elif which == "a link":
        state.leaves.rename(state.leaves.with_name("elsewhere.pem"))
        state.leaves.symlink_to(state.leaves.with_name("elsewhere.pem"))
    else:
        state.leaves.write_bytes(state.leaves.read_bytes()[:-200])
    with pytest.raises(StateError, match=r"leaves\.pem"):
        issued_files.open_issued(state)
