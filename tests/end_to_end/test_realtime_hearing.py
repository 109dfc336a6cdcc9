"""What a realtime session hears is written down by a model of its own: rules, budgets and rates are asked of it as of any."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from end_to_end.sockets import Socket
from end_to_end.test_realtime import SCRIPT, TARGET, listed, rows
from end_to_end.world import Gate, Provider, policy, running_gate, until

WHISPER = "whisper-1"
EACH = {"audio_seconds": 3, "input_audio_seconds": 3}
"""What the stand-in's transcriptions use: of whisper-1 $0.0003 each."""
BY_HAND: dict[str, Any] = {"turn_detection": None}
"""Sound waits for a commit."""


def hearing(model: str | None, **more: Any) -> dict[str, Any]:
    """A session that writes down what it hears with this model."""
    transcription = None if model is None else {"model": model}
    return {"type": "realtime", "audio": {"input": {"transcription": transcription, **more}}}


def older(model: str) -> dict[str, Any]:
    """The same as it was spelled before."""
    return {"input_audio_transcription": {"model": model}}


def ruled(folder: Path, rule: str) -> Path:
    """A policy with one wide budget and this rule."""
    file = policy(folder, limit="$1000")
    file.write_text(file.read_text() + rule)
    return file


def heard(gate: Gate, count: int) -> list[dict[str, Any]]:
    """The settled rows of transcriptions; waits for so many."""

    def look() -> list[dict[str, Any]] | None:
        found = [row for row in gate.calls() if row["model"] == WHISPER and row["state"] == "settled"]
        return found if len(found) >= count else None

    return until(look)


UPDATES: tuple[dict[str, Any], ...] = (
    {"type": "session.update", "session": hearing(WHISPER)},
    {"type": "session.update", "session": older(WHISPER)},
    {"type": "transcription_session.update", "session": older(WHISPER)},
    {"type": "session.update", "session": {**hearing("gpt-4o-transcribe"), **older(WHISPER)}},
)


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ("models: [{name: unheard, deny: [whisper-1]}]\n", "unheard"),
        ("models: [{name: only, allow: [gpt-realtime]}]\n", "only"),
        ("  - {name: heard, match: {model: whisper-1}, limit: $5, hold: ceiling}\n", "heard"),
    ],
    ids=["deny", "allow", "ceiling"],
)
def test_a_model_that_may_not_transcribe(provider: Provider, folder: Path, rule: str, named: str) -> None:
    """The message that turns it on is refused by the error event, and does not leave; the session goes on without."""
    provider.set(SCRIPT)
    with running_gate(folder, provider, ruled(folder, rule)) as gate:
        socket = Socket(gate, target=TARGET)
        for update in UPDATES:
            socket.raw(json.dumps(update))
            assert named in socket.hear("error")[-1]["error"]["message"]
        after = socket.say("input_audio_buffer.append", "response.done", audio="AAAA")
        socket.close()
        assert not [each for each in after if "transcription" in each["type"]]
        refused = rows(gate, "refused", len(UPDATES))
    assert {row["model_requested"] for row in refused} == {WHISPER}


def test_another_one_may(provider: Provider, folder: Path) -> None:
    """A rule of one model is none of another's, and turning it off asks nothing."""
    provider.set(SCRIPT)
    rule = "models: [{name: unheard, deny: [gpt-4o-transcribe]}]\n"
    with running_gate(folder, provider, ruled(folder, rule)) as gate:
        socket = Socket(gate, target=TARGET)
        assert socket.say("session.update", "session.updated", session=hearing(WHISPER))
        socket.say("input_audio_buffer.append", "response.done", audio="AAAA")
        assert socket.say("session.update", "error", session=hearing("gpt-4o-transcribe"))[-1]["error"]
        socket.say("session.update", "session.updated", session=hearing(None))
        socket.close()
        (row,) = heard(gate, 1)
    assert row["cost_nanos"] == listed(WHISPER, row["booked_at"], EACH)


BUDGET = "  - {name: heard, match: {model: whisper-1}, limit: $0.001}\n"
"""Of three transcriptions; the fourth passes it."""


def test_a_spent_budget_ends_what_is_heard(provider: Provider, folder: Path) -> None:
    """Where silence commits, nothing can be held: the transcription that spends the last of it is the last one."""
    provider.set(SCRIPT)
    with running_gate(folder, provider, ruled(folder, BUDGET)) as gate:
        socket = Socket(gate, target=TARGET)
        socket.say("session.update", "session.updated", session=hearing(WHISPER))
        for _ in range(3):
            socket.say("input_audio_buffer.append", "response.done", audio="AAAA")
        heard(gate, 3)
        said = socket.say("input_audio_buffer.append", "closed", audio="AAAA")
        socket.close()
        assert said[-1]["code"] == 1008
        assert "budget heard" in said[-2]["error"]["message"]
        assert len(heard(gate, 4)) == 4
        # A session that hears nothing is let in, and may not begin to.
        again = Socket(gate, target=TARGET)
        again.say("response.create", "response.done")
        assert "budget heard" in again.say("session.update", "error", session=hearing(WHISPER))[-1]["error"]["message"]
        again.close()


def test_each_commit_is_held(provider: Provider, folder: Path) -> None:
    """What a client commits itself is a call: no pile of them passes a budget before the first is counted."""
    provider.set(SCRIPT)
    with running_gate(folder, provider, ruled(folder, BUDGET)) as gate:
        socket = Socket(gate, target=TARGET)
        socket.say("session.update", "session.updated", session=hearing(WHISPER, **BY_HAND))
        for _ in range(30):
            socket.send("input_audio_buffer.append", audio="AAAA")
            socket.send("input_audio_buffer.commit")
        said = socket.hear("closed")
        socket.close()
        done = [each for each in said if each["type"].endswith("transcription.completed")]
        assert 1 <= len(done) <= 4
        assert "budget heard" in said[-2]["error"]["message"]
        assert len(heard(gate, len(done))) == len(done)
        assert sum(row["model"] == WHISPER and row["state"] == "settled" for row in gate.ended()) == len(done)


def test_transcriptions_count_in_a_rate_of_their_model(provider: Provider, folder: Path) -> None:
    """Two of them, one committed by silence: the third commit is refused by the event, and the session goes on."""
    provider.set(SCRIPT)
    rule = "rates: [{name: loop, match: {model: whisper-1}, per: person, requests: 2 per hour}]\n"
    with running_gate(folder, provider, policy(folder, more=rule)) as gate:
        socket = Socket(gate, target=TARGET)
        socket.say("session.update", "session.updated", session=hearing(WHISPER))
        socket.say("input_audio_buffer.append", "response.done", audio="AAAA")
        heard(gate, 1)
        socket.say("session.update", "session.updated", session=hearing(WHISPER, **BY_HAND))
        socket.send("input_audio_buffer.append", audio="AAAA")
        socket.say("input_audio_buffer.commit", "conversation.item.input_audio_transcription.completed")
        socket.send("input_audio_buffer.append", audio="AAAA")
        refused = socket.say("input_audio_buffer.commit", "error")[-1]["error"]
        assert "2 of 2 requests per hour are used" in refused["message"]
        assert socket.say("response.create", "response.done")[-1]["type"] == "response.done"
        socket.close()
        assert rows(gate, "refused", 1)[0]["refused_by"] == "loop"
        assert len(heard(gate, 2)) == 2


def test_a_commit_of_nothing_is_free(provider: Provider, folder: Path) -> None:
    """Its error gives the hold back, and no turn is taken for what it answers."""
    provider.set(SCRIPT)
    with running_gate(folder, provider, policy(folder)) as gate:
        socket = Socket(gate, target=TARGET)
        socket.say("session.update", "session.updated", session=hearing(WHISPER, **BY_HAND))
        assert (
            socket.say("input_audio_buffer.commit", "error")[-1]["error"]["code"] == "input_audio_buffer_commit_empty"
        )
        socket.say("response.create", "response.done")
        found = rows(gate, "settled", 2)
        socket.close()
        assert sorted(row["cost_nanos"] > 0 for row in found) == [False, True]


def test_a_commit_that_is_broken_off(provider: Provider, folder: Path) -> None:
    """A client that hangs up while it is written down leaves no open hold."""
    provider.set(replace(SCRIPT, delay_ms=20_000))
    with running_gate(folder, provider, policy(folder)) as gate:
        socket = Socket(gate, target=TARGET)
        socket.say("session.update", "session.updated", session=hearing(WHISPER, **BY_HAND))
        socket.send("input_audio_buffer.append", audio="AAAA")
        socket.say("input_audio_buffer.commit", "input_audio_buffer.committed")
        assert len(rows(gate, "open", 1)) == 1
        socket.close()
        assert rows(gate, "interrupted", 1)[0]["model_requested"] == WHISPER
        assert sorted(row["state"] for row in gate.ended()) == ["free", "interrupted"]  # the session itself is free


def test_a_session_for_transcription_alone(provider: Provider, folder: Path) -> None:
    """It names no model at its handshake, and is asked about by the one that its server says it has."""
    provider.set(SCRIPT)
    target = "/v1/realtime?intent=transcription"
    with running_gate(folder, provider, ruled(folder, BUDGET + "models: [{name: only, allow: [whisper-1]}]\n")) as gate:
        socket = Socket(gate, target=target)
        assert socket.hear("session.created")
        for _ in range(3):
            socket.say(
                "input_audio_buffer.append", "conversation.item.input_audio_transcription.completed", audio="AAAA"
            )
        heard(gate, 3)
        said = socket.say("input_audio_buffer.append", "closed", audio="AAAA")
        socket.close()
        assert "budget heard" in said[-2]["error"]["message"]
        again = Socket(gate, target=target)
        error, closed = again.hear("closed")[-2:]
        again.close()
        assert "budget heard" in error["error"]["message"]
        assert closed["code"] == 1008


def test_a_session_that_is_told_by_its_server_alone(provider: Provider, folder: Path) -> None:
    """A model that no message of the client's named (a session made beforehand) ends it where a rule forbids that model."""
    provider.set(SCRIPT)
    rule = "models: [{name: unheard, deny: [whisper-1]}]\n"
    with running_gate(folder, provider, ruled(folder, rule)) as gate:
        socket = Socket(gate, target="/v1/realtime?intent=transcription")
        error, closed = socket.hear("closed")[-2:]
        socket.close()
        assert "unheard" in error["error"]["message"]
        assert closed["code"] == 1008
        assert "ended: rule" in rows(gate, "free", 1)[0]["flags"]


def test_a_key_that_stands_twice(provider: Provider, folder: Path) -> None:
    """Servers differ in which of them they take: each is asked about."""
    provider.set(SCRIPT)
    rule = "models: [{name: unheard, deny: [whisper-1]}]\n"
    with running_gate(folder, provider, ruled(folder, rule)) as gate:
        socket = Socket(gate, target=TARGET)
        for first, last in ((WHISPER, "gpt-4o-transcribe"), ("gpt-4o-transcribe", WHISPER)):
            update = json.dumps({"type": "session.update", "session": hearing(first)})
            socket.raw(update.replace(f'"model": "{first}"', f'"model": "{first}", "model": "{last}"'))
            assert "unheard" in socket.hear("error")[-1]["error"]["message"]
        socket.close()
