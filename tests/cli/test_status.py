"""Whom `status` speaks of, and by what a swapped or shortened ledger is noticed."""

from __future__ import annotations

import json
import os

import pytest

from cli.kit import ran
from spendgate.cli import status
from spendgate.config.paths import State


@pytest.mark.skipif(os.name != "posix", reason="accounts as POSIX has them")
@pytest.mark.parametrize("name", ["LOGNAME", "USER", "LNAME", "USERNAME"])
def test_this_person_is_the_account_and_not_what_the_environment_claims(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The gate goes by the account, too: whoever sets LOGNAME would read of another's budgets than their calls draw on."""
    import pwd

    monkeypatch.setenv(name, "somebody-else")

    assert status.own_account() == pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.skipif(os.name != "posix", reason="accounts as POSIX has them")
def test_an_account_without_a_name_is_called_as_the_gate_calls_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container no directory may know the number."""
    monkeypatch.setattr("os.getuid", lambda: 3_999_999_999)

    assert status.own_account() == "uid:3999999999"


def test_the_table_shows_the_ledgers_id_and_head(state: State) -> None:
    """A person can note them down; what programs read is the whole head."""
    ledger = json.loads(ran(state, "status", "--format", "json"))["ledger"]

    assert f"id {ledger['id']}  head {ledger['head'][:12]}\n" in ran(state, "status")
