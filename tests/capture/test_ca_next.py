"""The next authority takes its place whole, wherever the gate that takes it dies."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spendgate.capture import ca_files
from spendgate.capture.ca_next import drop_next, next_to, prepare_next, take_next
from spendgate.config.paths import State, prepare
from spendgate.errors import StateError

HOSTS = ("api.openai.com",)


@pytest.fixture
def state(tmp_path: Path) -> State:
    """With an authority in use, and the next one beside it."""
    made = prepare(State(tmp_path / "state"))
    ca_files.open_authority(made.ca_certificate, made.ca_key, HOSTS, datetime.now(UTC))
    prepare_next(made.ca_certificate, made.ca_key, HOSTS, datetime.now(UTC))
    return made


@pytest.mark.parametrize("step", range(4))
def test_a_crash_at_any_step_is_brought_to_its_end(state: State, step: int) -> None:
    """Whatever was done before it."""
    now, following = datetime.now(UTC), next_to(state.ca_key)
    new = next_to(state.ca_certificate).read_bytes()
    if step >= 1:
        state.ca_certificate.write_bytes(new)
    if step == 2:
        next_to(state.ca_certificate).unlink()
    if step == 3:
        shutil.move(following, state.ca_key)

    assert take_next(state.ca_certificate, state.ca_key, now) == (step < 3)

    assert ca_files.open_authority(state.ca_certificate, state.ca_key, HOSTS, now).pem == new
    assert not following.exists()
    assert not next_to(state.ca_certificate).exists()
    assert not take_next(state.ca_certificate, state.ca_key, now)


def test_what_is_no_authority_is_not_taken(state: State) -> None:
    """And the one in use is as it was; without it, nothing is there to take."""
    before = state.ca_certificate.read_bytes()
    next_to(state.ca_key).write_text("no key")
    with pytest.raises(StateError, match="is not a CA of this program"):
        take_next(state.ca_certificate, state.ca_key, datetime.now(UTC))
    assert state.ca_certificate.read_bytes() == before
    drop_next(state.ca_certificate, state.ca_key)
    assert not take_next(state.ca_certificate, state.ca_key, datetime.now(UTC))
