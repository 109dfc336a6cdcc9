"""Account names and who logged in: nothing that the caller can choose is believed."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from spendgate.identity.accounts import NO_LOGIN_UID, Accounts, login_uid, people_from_uid

ALICE, BOB, SERVICE = 1001, 1002, 101


@pytest.mark.parametrize(
    ("uid", "audit_uid", "ancestors", "login"),
    [
        pytest.param(0, ALICE, (0, 0), ALICE, id="sudo, audited"),
        pytest.param(BOB, ALICE, (0, 0), ALICE, id="su to another, audited"),
        pytest.param(ALICE, ALICE, (BOB,), None, id="own session, whatever the ancestors"),
        pytest.param(BOB, 0, (0, 0), None, id="root logged in and became bob"),
        pytest.param(0, NO_LOGIN_UID, (0, 0, ALICE, 0), ALICE, id="sudo, no audit"),
        pytest.param(0, None, (0, ALICE, ALICE), ALICE, id="sudo, no audit in the kernel"),
        pytest.param(BOB, None, (0, ALICE), ALICE, id="sudo -u bob"),
        pytest.param(ALICE, None, (ALICE, ALICE, 0), None, id="nothing switched"),
        pytest.param(0, None, (0, 0), None, id="a root service"),
        pytest.param(0, None, (SERVICE, 0), None, id="root's work started by a service"),
        pytest.param(0, None, (65534, ALICE), None, id="nobody"),
        pytest.param(0, None, (), None, id="no ancestors to be seen"),
    ],
)
def test_who_logged_in(uid: int, audit_uid: int | None, ancestors: tuple[int, ...], login: int | None) -> None:
    """The audit system's word first, then the first ancestor that is another person."""
    assert login_uid(uid, audit_uid, ancestors, from_uid=1000) == login


def test_a_known_name_is_kept_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory is asked once a minute for each account."""
    asked: list[int] = []
    real = pwd.getpwuid
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: asked.append(uid) or real(uid))
    accounts = Accounts()

    names = [accounts.name(0, now_s) for now_s in (0.0, 59.0, 61.0)]

    assert names == ["root"] * 3
    assert asked == [0, 0]


def test_a_missing_account_is_asked_for_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account made a moment ago is known at its next call."""
    accounts = Accounts()
    before = accounts.name(4_000_000, 0.0)
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: pwd.struct_passwd(("new", "x", 4_000_000, 1, "", "/", "/bin/sh")))

    assert before == "uid:4000000"
    assert accounts.name(4_000_000, 0.0) == "new"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        pytest.param("# UID_MIN 5\nUID_MAX 60000\nUID_MIN\t\t 500\n", 500, id="set"),
        pytest.param("UID_MAX 60000\n", 1000, id="not set"),
        pytest.param("UID_MIN what\n", 1000, id="not a number"),
    ],
)
def test_where_people_begin(tmp_path: Path, text: str, first: int) -> None:
    """login.defs says it; 1000 where it does not."""
    (tmp_path / "login.defs").write_text(text)

    assert people_from_uid(tmp_path / "login.defs") == first
    assert people_from_uid(tmp_path / "none") == 1000
