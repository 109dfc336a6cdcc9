"""What `service install` says of a policy before it writes anything, and of the one that the gate then goes by."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spendgate.config.trust import Trust
from spendgate.errors import PolicyError, StateError, UsageError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a service is Linux for now")
installed_policy = pytest.importorskip("spendgate.cli.installed_policy", exc_type=ImportError)
given = pytest.importorskip("spendgate.cli.given")
GOOD = "version: 1\nowner: it@acme.example\nmode: observe\n"


@pytest.fixture(autouse=True)
def untrusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine's trust file says."""
    monkeypatch.setattr(installed_policy, "trusted", lambda environ: None)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "policy.yaml"
    file.write_text(GOOD)
    return file


def test_a_faulty_policy_is_told_before_anything_is_written(policy: Path) -> None:
    policy.write_text("version: 1\nowner: it@acme.example\nbudgetz: []\n")
    with pytest.raises(PolicyError, match=rf"{policy}:3:1: .*budgetz"):
        installed_policy.checked(policy)


def test_the_policy_in_force_is_named_with_its_mode(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is built in enforces at once."""
    assert installed_policy.checked(policy).startswith(f"the policy: {policy}; mode observe: calls are counted")
    built_in = installed_policy.checked(None)
    assert "the one that is built in" in built_in
    assert "mode enforce: its limits refuse calls from now on" in built_in
    by_url = Trust("/etc/spendgate/trust.yaml", (), url="https://policies.acme.example/policy.yaml")
    monkeypatch.setattr(installed_policy, "trusted", lambda environ: by_url)
    assert "https://policies.acme.example/policy.yaml" in installed_policy.checked(None)
    with pytest.raises(UsageError, match="leave it out"):
        installed_policy.checked(policy)


@pytest.mark.parametrize("account", [True, False], ids=["an account", "none yet"])
def test_a_policy_that_the_gate_cannot_read_is_told_with_its_remedy(
    policy: Path, account: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that Spendgate is to be installed elsewhere."""

    @contextmanager
    def as_another(uid: int) -> Iterator[None]:
        assert uid == 1
        yield

    def shut(path: Path, mode: int, *, effective_ids: bool) -> bool:
        return mode == os.X_OK or bool(path.stat().st_mode & 0o004)

    monkeypatch.setattr(installed_policy, "acting_as", as_another)
    monkeypatch.setattr(installed_policy.os, "access", shut)
    name = "daemon" if account else "nobody-of-that-name"
    monkeypatch.setattr(Path, "parents", property(lambda self: ()))  # those of a test are the account's alone
    policy.chmod(0o600)
    with pytest.raises(StateError, match=rf"chmod 644 {policy}$"):
        installed_policy.check_readable(policy, name)
    policy.chmod(0o644)
    installed_policy.check_readable(policy, name)


def test_the_machines_policy_is_named_where_the_one_built_in_has_no_signature(tmp_path: Path) -> None:
    """As on an organization's laptop, whose trust file asks for one."""
    trust = Trust(str(tmp_path / "trust.yaml"), ())
    given._name_the_machines(trust)
    (tmp_path / "policy.yaml").touch()
    with pytest.raises(PolicyError, match=f"--policy {tmp_path}/policy.yaml"):
        given._name_the_machines(trust)
