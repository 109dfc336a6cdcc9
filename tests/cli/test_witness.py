"""`reconcile witness` over a ledger with known calls and logs that were made up."""

from __future__ import annotations

import csv
import io
import json
import os
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from cli.kit import NOW_MS, POLICY, app, row, settlement
from reconcile.logs import SECRET, answer, write
from spendgate.admission import Admit
from spendgate.cli import in_force
from spendgate.config import policies
from spendgate.config.paths import State
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.queries import Reader

LOG = Path(".claude/projects/-home-alice-work/s1.jsonl")
MODEL = "claude-sonnet-4-5-20250929"
COUNTS = {"input_tokens": 1_000, "cache_read_input_tokens": 200, "output_tokens": 30, "cache_creation_input_tokens": 0,
          "cache_creation": None}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An account without a log."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in (
        "CLAUDE_CONFIG_DIR",
        "CODEX_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "NO_PROXY",
        "no_proxy",
        "SPENDGATE_STATE",
    ):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def asked(state: State, *words: str, status: int) -> Any:
    """The result of the command, with this exit status."""
    done = CliRunner().invoke(app, ["reconcile", "witness", "--since", "1d", *words, "--state", str(state.root)])
    assert done.exit_code == status, done.output
    return done


def metered(home: Path) -> None:
    """The two calls of alice's that have left, as her log has them: one by its counts, one still open."""
    write(
        home / LOG,
        answer("msg_1", "req_1", session="s1", model=MODEL, at_ms=NOW_MS, usage=COUNTS),
        answer("msg_2", "req_2", session="s1", model=MODEL, at_ms=NOW_MS, usage={**COUNTS, "output_tokens": 31}),
    )


def test_both_know_the_same(state: State, home: Path) -> None:
    """Exit status 0, and what joins them."""
    metered(home)
    done = asked(state, "--all", "--format", "json", status=0)
    rows = json.loads(done.stdout)
    assert [(each["where"], each["call"], each["joined_by"]) for each in rows] == [
        ("both", "0a1b2c3d-settled", "model, counts and time"),
        ("both", "0b1b2c3d-open", "tool, session and time"),
    ]
    assert "claude-code: 2 in both, 0 around the gate, 0 in the ledger only" in done.stderr
    assert "no log here of: codex, gemini-cli, opencode, copilot-cli, claude-telemetry" in done.stderr
    assert "the logs and the ledger know the same requests" in asked(state, status=0).stdout


def test_where_no_tool_has_a_log_nothing_is_said_to_agree(state: State, home: Path) -> None:
    metered(home)
    (home / LOG).unlink()
    done = asked(state, status=0)
    assert "no tool has a session log here: nothing was compared" in done.stdout
    assert "know the same" not in done.stdout


def test_what_went_around_is_named_with_why(state: State, home: Path) -> None:
    """Exit status 1; nothing of the conversation and no folder in any format."""
    metered(home)
    with (home / LOG).open("ab") as log:
        log.write(
            json.dumps(answer("msg_3", "req_3", session="s9", at_ms=NOW_MS)).encode() + b"\n" + b'{"usage": broken}\n'
        )
    for fmt in ("json", "csv", "table"):
        done = asked(state, "--format", fmt, status=1)
        assert "msg_3" in done.stdout
        assert SECRET not in done.output
        assert "-home-alice" not in done.output
        assert str(home) not in done.output
    assert "1 lines or rows that could not be read" in done.stderr
    (found,) = json.loads(asked(state, "--format", "json", status=1).stdout)
    assert (found["where"], found["why"], found["firm"]) == ("log", "no gate was running", "certain")
    assert found["remedy"].startswith("run the gate as a service")
    (cells,) = csv.DictReader(io.StringIO(asked(state, "--format", "csv", status=1).stdout))
    assert (cells["response_id"], cells["output_tokens"], cells["at"][-1]) == ("msg_3", "50", "Z")


def test_a_merged_ledger_does_not_say_when_a_gate_ran(state: State, home: Path, tmp_path: Path) -> None:
    """It has no starts of gates of its own: with calls of this very moment it said that no gate was running, certainly."""
    write(home / LOG, answer("msg_3", "req_3", session="s9", at_ms=NOW_MS))
    fleet = State(tmp_path / "fleet")
    fleet.root.mkdir()
    done = CliRunner().invoke(app, ["ledger", "merge", str(state.root), "--into", str(fleet.ledger)])
    assert done.exit_code == 0, done.output
    (found,) = (
        each for each in json.loads(asked(fleet, "--format", "json", status=1).stdout) if each["where"] == "log"
    )
    assert (found["why"], found["firm"]) == ("a merged ledger: when this laptop's gate ran is not known", "possible")


@pytest.mark.parametrize("width", [60, 80, 160])
def test_a_person_reads_why_and_what_to_do(
    state: State, home: Path, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the documentation, on a narrow terminal, too: how many, why and how sure that is, what to do, each with its id
    and all its counts."""
    monkeypatch.setenv("COLUMNS", str(width))
    metered(home)
    with (home / LOG).open("ab") as log:
        for name, session in (("msg_bdrk_3", "s8"), ("msg_4", "s1"), ("msg_5", "s1")):
            log.write(
                json.dumps(answer(name, None, session=session, at_ms=NOW_MS, usage={"output_tokens": 51})).encode()
                + b"\n"
            )
    done = asked(state, status=1)
    lines = done.stdout.splitlines()
    told = " ".join(done.stdout.split())
    assert "session logs have 3 requests that the ledger has no call of: they went around the gate" in told
    assert "1 request: sent to another provider's endpoint, which is not captured (certain) its id is" in told
    assert "2 requests: " in told
    for each in json.loads(asked(state, "--format", "json", status=1).stdout):
        assert f"→ {each['remedy']}" in told
        assert each["evidence"] in told
        assert each["id"] in told
    assert {"10", "900", "30", "51"} <= set(told.replace(";", "").split())
    assert max(map(len, lines)) <= width
    assert "too narrow" not in done.stderr
    assert "3 requests went around the gate: exit status 1" in done.stderr


def test_what_the_ledger_alone_has(state: State, home: Path) -> None:
    """Of a tool that keeps a log: no finding, but told. Of a tool without one nothing is."""
    assert json.loads(asked(state, "--format", "json", status=0).stdout) == []
    write(home / LOG, {"type": "summary"})
    rows = json.loads(asked(state, "--format", "json", status=0).stdout)
    assert [(each["where"], each["call"]) for each in rows] == [
        ("ledger", "0a1b2c3d-settled"),
        ("ledger", "0b1b2c3d-open"),
    ]
    shown = asked(state, status=0).stdout
    assert "2 calls only in the ledger, which is no finding" in shown
    assert "0a1b2c3d-settled" in shown


def test_wrong_words(state: State, home: Path) -> None:
    """A file that is not there is no silence, and neither is one that is none."""
    done = asked(state, "--telemetry", str(home / "no.log"), status=1)
    assert "there is no such file" in str(done.exception)
    home.mkdir()
    os.mkfifo(home / "pipe.log")
    done = asked(state, "--telemetry", str(home / "pipe.log"), status=1)
    assert "no file and no folder: write what comes through it into a file first" in str(done.exception)


def test_a_log_of_which_nothing_could_be_read_is_no_missing_log(state: State, home: Path) -> None:
    """A link in the place of the session, as another account's files are (`sudo`): told, and not that no tool has a log."""
    (home / LOG).parent.mkdir(parents=True)
    (home / LOG).symlink_to(write(home / "kept.jsonl", answer(at_ms=NOW_MS)))
    done = asked(state, status=0)
    assert "no session log here could be read: nothing was compared" in done.stdout
    assert "claude-code: nothing was read (not read: 1 links, which are not followed)" in done.stderr
    assert "no log here of: codex, gemini-cli, opencode, copilot-cli, claude-telemetry" in done.stderr


def test_telemetry_that_a_shell_wrote_in_utf_16_is_told(state: State, home: Path) -> None:
    home.mkdir()
    (home / "events.log").write_bytes("{\n  body: 'claude_code.api_request',\n}\n".encode("utf-16"))
    done = asked(state, "--telemetry", str(home / "events.log"), status=0)
    assert "(not read: 1 files that are compressed or in UTF-16: unpack them, or write them as UTF-8)" in done.stderr
    assert "no session log here could be read: nothing was compared" in done.stdout, (
        "the ledger's calls were not missing in it"
    )


def test_a_log_of_the_last_day_of_all(state: State, home: Path) -> None:
    """In no zone and format does it end the command: it is told as a line that could not be read."""
    policy = home.parent / "policy.yaml"
    policy.write_text(POLICY.replace("owner:", "timezone: Europe/Berlin\nowner:"))
    found = policies.LastGood(state).start(policy, NOW_MS).policy
    in_force.tell(state, in_force.InForce(found.hash, str(policy), NOW_MS, (), None, "m" * 32, "prices", ("regular",)))
    write(home / LOG, answer(at_ms=NOW_MS) | {"timestamp": "9999-12-31T23:59:59.999Z"})
    for fmt in ("table", "json", "csv"):
        assert "1 lines or rows that could not be read" in asked(state, "--format", fmt, status=0).stderr


def test_other_counts_are_told_and_are_no_bypass(state: State, home: Path) -> None:
    """The log has more of a call than the ledger: listed without --all, exit status 0."""
    with closing(Ledger.open(state.ledger, state.gates, NOW_MS)) as ledger:
        ledger.hold(row("0d1b2c3d-short", 3), (), lambda _s, _k: Admit(()), NOW_MS)
        ledger.settle("0d1b2c3d-short", replace(settlement(()), response_id="msg_1"))
    write(home / LOG, answer("msg_1", "req_1", session="s1", at_ms=NOW_MS, usage={**COUNTS, "output_tokens": 60}))

    done = asked(state, "--format", "json", status=0)

    (found,) = [each for each in json.loads(done.stdout) if each["where"] == "both"]
    assert (found["call"], found["why"], found["output_tokens"]) == ("0d1b2c3d-short", "other counts", 60)
    assert found["evidence"] == "the ledger has 1,200 in and 30 out of it (reported)"
    assert "1 in both, 0 around the gate, 1 with other counts, 2 in the ledger only" in done.stderr


def test_a_trail_that_begins_after_its_calls_hides_none(state: State, home: Path) -> None:
    """A merged file's trail begins with the merge."""
    metered(home)
    with patch.object(
        Reader, "audit", lambda _: ({"at_ms": NOW_MS + 3_600_000, "what": "imported", "detail": "", "account": ""},)
    ):
        done = CliRunner().invoke(app, ["reconcile", "witness", "--state", str(state.root)])
    assert "claude-code: 2 in both" in done.stderr
