"""What a running gate tells the person who started it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from typer.testing import CliRunner

from capture.proxies import PROVIDER
from spendgate.cli.main import app
from spendgate.cli.serving import serving
from spendgate.cli.wanted import Wanted
from spendgate.config import paths


async def test_what_is_logged_is_a_line_like_every_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each begins with the product's name; a traceback is reduced to types and places, since its message may quote a request."""
    async with serving(Wanted(policy=None, state=paths.find(tmp_path), modes=("regular",), port=0, sets=())):
        line = f"Client TLS handshake failed. The client does not trust the proxy's certificate for {PROVIDER} (unknown ca)"
        logging.getLogger("mitmproxy.proxy.server").warning(line)
        try:
            raise KeyError("canary-secret")
        except KeyError:
            logging.getLogger("spendgate.gate.upkeep").exception("upkeep of the gate failed")
    trust, upkeep, *_ = capsys.readouterr().err.splitlines()
    assert trust.startswith(f"spendgate: a client does not trust our certificate for {PROVIDER}; `spendgate ca show`")
    assert upkeep.startswith("spendgate: upkeep of the gate failed (KeyError at test_serving.py")
    assert "canary-secret" not in upkeep


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none_is_wrong_usage(tmp_path: Path, port: str) -> None:
    """Exit status 2, before anything is made."""
    answer = CliRunner().invoke(app, ["run", "--state", str(tmp_path / "state"), "--port", port])
    assert answer.exit_code == 2
    assert not (tmp_path / "state").exists()
