"""Credentials of billing APIs: the environment first, else a keyring: a real one where this machine has one, else what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import KeyringError, KeyringLocked
from typer.testing import CliRunner

from cli.kit import app
from ledger.kit import open_ledger
from spendgate.config.credentials import UPSTREAM_AUTH, api_key, credential, upstream_auth
from spendgate.config.paths import State
from spendgate.errors import StateError

NAME = "ANTHROPIC_ADMIN_KEY"
SECRET = "sk-ant-admin01-canary-9f2c"


class Kept(KeyringBackend):
    """A keyring of this process."""

    priority = 1  # type: ignore[assignment]

    def __init__(self, kept: dict[tuple[str, str], str], fault: Exception | None = None) -> None:
        self.kept, self.fault = kept, fault

    def get_password(self, service: str, username: str) -> str | None:
        if self.fault is not None:
            raise self.fault
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        raise AssertionError("nothing is stored")


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


@pytest.mark.parametrize("odd", ["\n", "\r", "é", "\u200b", "\ufeff", " ", "\0", "\udcff", "\x7f", "\t"])
@pytest.mark.parametrize("from_keyring", [False, True])
def test_a_key_that_no_header_carries_is_named_and_never_shown(odd: str, from_keyring: bool) -> None:
    """What is around it (a line break at its end) is no part of it."""
    given = f"sk-ant{odd}canary"
    keyring.set_keyring(Kept({("spendgate", NAME): given}))
    with pytest.raises(StateError, match=f"{NAME} is no key: a character in it .*; copy it again") as told:
        api_key(NAME, {} if from_keyring else {NAME: given})
    assert "canary" not in str(told.value)
    assert api_key(NAME, {NAME: f" {SECRET}\r\n"}) == SECRET


def test_the_environment_comes_first_and_asks_no_keyring() -> None:
    """A blank variable is none."""
    keyring.set_keyring(Kept({("spendgate", NAME): "kept"}, None))
    assert credential(NAME, {NAME: " given\n"}) == "given"
    assert credential(NAME, {NAME: " "}) == credential(NAME, {}) == "kept"
    keyring.set_keyring(Kept({}, KeyringError("asked")))
    assert credential(NAME, {NAME: "given"}) == "given"


@pytest.mark.parametrize(
    ("backend", "told"),
    [
        (
            Kept({}),
            "is not set: set ANTHROPIC_ADMIN_KEY, or keep it in the OS keyring: `keyring set spendgate ANTHROPIC_ADMIN",
        ),
        (Kept({("spendgate", NAME): " "}), "or keep it in the OS keyring"),
        (NoKeyring(), "this account has no OS keyring: set ANTHROPIC_ADMIN_KEY"),
        (Kept({}, KeyringLocked("x")), "the OS keyring is locked: unlock it, or set ANTHROPIC_ADMIN_KEY"),
        (Kept({}, KeyringError("no bus")), r"the OS keyring cannot be read \(no bus\): set ANTHROPIC_ADMIN_KEY"),
    ],
    ids=["empty", "blank", "none", "locked", "broken"],
)
def test_what_is_missing_is_told_with_what_to_do(backend: KeyringBackend, told: str) -> None:
    keyring.set_keyring(backend)
    with pytest.raises(StateError, match=told):
        credential(NAME, {})


def test_an_import_asks_with_what_the_keyring_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And where there is none, the source and what it wants are named; the credential is in no output."""
    asked: list[str] = []

    def fetch(_source: Any, _span: Any, given: str, *_: Any) -> Any:
        asked.append(given)
        raise StateError("asked enough")

    monkeypatch.setattr("spendgate.cli.statements_given.fetch", fetch)
    monkeypatch.delenv(NAME, raising=False)
    open_ledger(tmp_path).close()
    words = ["reconcile", "import", "anthropic", "--state", str(State(tmp_path).root)]
    keyring.set_keyring(Kept({("spendgate", NAME): SECRET}))
    done = CliRunner().invoke(app, words)
    assert asked == [SECRET]
    assert SECRET not in done.output + str(done.exception)
    keyring.set_keyring(Kept({}))
    with pytest.raises(StateError, match=r"^anthropic: .*keyring set spendgate ANTHROPIC_ADMIN_KEY.*it is: "):
        CliRunner().invoke(app, words, catch_exceptions=False)


@pytest.mark.skipif(
    not (shutil.which("dbus-run-session") and shutil.which("gnome-keyring-daemon")),
    reason="no Secret Service here: install dbus and gnome-keyring",
)
def test_a_real_secret_service_is_asked(tmp_path: Path) -> None:
    """GNOME's keyring on a bus of its own: what `keyring set` writes there is found, by another process."""
    script = """
        printf pass | gnome-keyring-daemon --unlock --components=secrets >/dev/null
        printf %s "$SECRET" | "$PYTHON" -m keyring set spendgate "$NAME"
        "$PYTHON" -c 'import keyring; print(keyring.get_keyring())'
        "$PYTHON" -c 'import os; from spendgate.config.credentials import credential; print(credential(os.environ["NAME"], {}))'
    """
    env = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path), "PYTHON": sys.executable, "NAME": NAME, "SECRET": SECRET,
    }  # fmt: skip
    done = subprocess.run(
        ["dbus-run-session", "--", "bash", "-euc", script],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    backend, found = done.stdout.splitlines()
    assert "SecretService" in backend
    assert found == SECRET


def test_the_way_outs_own_is_looked_for_in_three_places(tmp_path: Path) -> None:
    """The environment, what systemd handed over, the keyring; many proxies want none, and no keyring is none."""
    (tmp_path / UPSTREAM_AUTH).write_text("me:handed over\n")
    keyring.set_keyring(Kept({("spendgate", UPSTREAM_AUTH): "me:kept"}))
    handed = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert upstream_auth({UPSTREAM_AUTH: " me:given ", **handed}) == "me:given"
    assert upstream_auth({UPSTREAM_AUTH: " ", **handed}) == "me:handed over"
    (tmp_path / UPSTREAM_AUTH).write_text("-")
    assert upstream_auth(handed) == "me:kept"
    assert upstream_auth({"CREDENTIALS_DIRECTORY": str(tmp_path / "none")}) == upstream_auth({}) == "me:kept"
    for nothing in (Kept({}), Kept({}, KeyringLocked()), NoKeyring()):
        keyring.set_keyring(nothing)
        assert upstream_auth({}) is None


@pytest.mark.parametrize("wrong", [SECRET, f":{SECRET}"])
def test_one_that_cannot_be_is_told_and_not_repeated(wrong: str) -> None:
    """Without a colon, or without a user."""
    with pytest.raises(StateError, match="USER:PASSWORD") as caught:
        upstream_auth({UPSTREAM_AUTH: wrong})
    assert SECRET not in str(caught.value)
