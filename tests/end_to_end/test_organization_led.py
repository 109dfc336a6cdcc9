"""A laptop under transparent capture whose organization's certificates have ended, and then are renewed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from end_to_end.test_organization import Office
from end_to_end.village import Village, village
from end_to_end.world import PATIENCE_S, PRODUCT, ROOT, until
from redirect.lab import why_not
from spendgate.capture import issued
from spendgate.config.paths import State, prepare

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("village")]


def _lies(office: Office, village: Village, file: Path) -> None:
    """As `ca org install` leaves it, which takes no certificates that have ended; the state directory is the gate's."""
    state, found = State(village.state), issued.read(file.read_bytes())
    if not village.state.exists():
        prepare(state).ca_certificate.write_bytes(found.root_pem)
    draft = village.folder / "draft"
    draft.write_bytes(found.file())
    draft.chmod(0o600)
    draft.replace(state.leaves)
    for path in (village.state, *village.state.rglob("*")):
        shutil.chown(path, village.laptop.gate_account, village.laptop.gate_account)


def test_nothing_is_led_to_a_gate_whose_certificates_have_ended(tmp_path: Path) -> None:
    """Clients reach their provider by its own certificate, `status` and the trail say why, and the next certificates end it."""
    if reason := why_not():
        pytest.skip(reason)
    office = Office(tmp_path)

    @contextmanager
    def ended(made: Village) -> Iterator[None]:
        _lies(office, made, office.expired())
        yield

    with village(beyond=ended) as made:
        env = {**os.environ, "PYTHONPATH": str(ROOT / "addon")}

        def said(*words: str) -> list[dict[str, str]] | dict[str, dict[str, object]]:
            asked = (*PRODUCT, *words, "--state", str(made.state), "--format", "json")
            out, err = made.laptop.inside(*asked, env=env, cwd="/").communicate(timeout=PATIENCE_S)
            assert out, err
            return json.loads(out)

        def issuer() -> str:
            """Of the certificate that a person is shown for a provider."""
            who = ("setpriv", f"--reuid={made.laptop.people[0]}", "--clear-groups")
            shell = "openssl s_client -connect api.anthropic.com:443 -servername api.anthropic.com </dev/null"
            out, _ = made.laptop.inside(
                *who, "sh", "-c", f"{shell} | openssl x509 -noout -issuer", cwd="/"
            ).communicate()
            return str(out)

        status = said("status")
        assert isinstance(status, dict)
        assert status["gate"]["not_led"] == "none of its organization's certificates holds"
        assert "tcp timeout" not in made.laptop.rules()
        assert "stand-in" in issuer()
        _lies(office, made, office.issue("new.pem", "--new-key", "--days", "20"))
        made.laptop.until("tcp timeout")
        assert "Spendgate issuer" in issuer()

        def ended_line() -> str | None:
            trail = said("audit", "list")
            assert isinstance(trail, list)
            assert any(line["what"] == "capture paused" for line in trail)
            return next((line["detail"] for line in trail if line["what"] == "capture lapsed"), None)

        assert "the gate had no certificate to show; traffic went direct" in until(ended_line)
