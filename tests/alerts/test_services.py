"""A receiver whose library is not installed is told of when a policy is checked and when a gate starts, not by an alert."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alerts.receiving import until
from cli.kit import app
from spendgate.alerts import courier
from spendgate.alerts.sending import usable
from spendgate.config.policy_file import parse_policy
from spendgate.config.services import SCHEMES
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.outbox import Outbox
from spendgate.ledger.shared_connection import SharedConnection

POLICY = """version: 1
owner: lead@acme.example
teams:
  payments: {notify: [{to: "mqtt://${SPENDGATE_SECRET_MQ}@host/topic", for: [notice]}]}
budgets: [{name: person, per: person, limit: $1 per day, alerts: [50%]}]
notify:
  - {to: "json://host/hook", for: [alert]}
  - {to: "xmpp://${SPENDGATE_SECRET_X}@host", for: [notice]}
"""
pytestmark = pytest.mark.skipif(
    find_spec("slixmpp") is not None or find_spec("paho") is not None, reason="what is to be missing is installed"
)


def test_check_names_what_is_missing(tmp_path: Path) -> None:
    """With its place, the package that it needs, and not the address."""
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    result = CliRunner().invoke(app, ["policy", "check", str(file)])
    assert result.exit_code == 0
    for place, service, package in (("4:3", "mqtt", "paho-mqtt"), ("6:1", "xmpp", "slixmpp")):
        said = f"nothing can be sent to {service} from this machine: it needs the Python package {package}"
        assert f"{file}:{place}: warning: {said}" in result.stdout
    assert "json" not in result.stdout


def test_the_gate_says_so_once_for_each_policy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In a thread of its own: no round waits for it."""
    Ledger.open(tmp_path / "ledger.db", tmp_path / "gates", 0).close()
    shared, policy = SharedConnection(tmp_path / "ledger.db"), parse_policy(POLICY.encode())
    outbox = Outbox(shared)
    carrier = courier.Courier(lambda: 0, lambda: 0.0, "lt-1")
    with caplog.at_level(logging.WARNING, "spendgate"):
        for _ in range(3):
            carrier.round(outbox, policy, 0)
        until(lambda: len(caplog.messages) == 2)
        carrier.round(outbox, policy, 0)
    shared.close()
    assert [each.partition(": it needs")[0] for each in caplog.messages] == [
        "notify: nothing can be sent to mqtt", "notify: nothing can be sent to xmpp",
    ]  # fmt: skip


def test_every_service_that_a_policy_may_name_is_known() -> None:
    """By the library that is installed; one that it does not know is named."""
    unknown = "is unknown to the Apprise that is installed"
    assert unknown not in usable(SCHEMES).values()
    assert usable(["json", "jsn"]) == {"jsn": unknown}


def test_a_program_that_cannot_be_asked_warns_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first message tells then."""
    courier._lacking.cache_clear()
    monkeypatch.setattr("spendgate.alerts.courier.sys.executable", "/nowhere")
    assert courier.unusable(parse_policy(POLICY.encode())) == {}
    courier._lacking.cache_clear()
