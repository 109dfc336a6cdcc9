"""`spendgate ca verify`: the real programs of this machine, each against certificates that the CA must not be able to sign."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cli.kit import app
from open_authority import open_to_all
from spendgate.capture.ca import create
from spendgate.capture.ca_files import open_authority
from spendgate.capture.scope import CANARY_HOST
from spendgate.config.paths import State, prepare
from spendgate.errors import StateError, UsageError
from spendgate.verifiers.asking import row
from spendgate.verifiers.cases import cases
from spendgate.verifiers.every import VERIFIERS
from spendgate.verifiers.interface import Answer, Verifier
from spendgate.verifiers.running import found

HOSTS = ("api.anthropic.com", "api.openai.com")
QUICK = next(verifier for verifier in VERIFIERS if verifier.name == "Python ssl")
"""Where Spendgate runs, this one is."""


@pytest.fixture
def state(tmp_path: Path) -> State:
    made = prepare(State(tmp_path / "state"))
    open_authority(made.ca_certificate, made.ca_key, HOSTS, datetime.now(UTC))
    return made


def verify(state: State, *more: str) -> Result:
    return CliRunner().invoke(app, ["ca", "verify", "--state", str(state.root), *more])


def here(verifier: Verifier) -> Verifier:
    """The verifier; a skip that says what is missing where this machine has it not."""
    missing = [" or ".join(group) for group in verifier.needs if not found(group)]
    if missing:
        pytest.skip(f"{verifier.name}: no {', '.join(missing)} on this machine")
    return verifier


@pytest.mark.parametrize(
    "verifier",
    # A browser has ten starts here and four below, and so has Java, which `tests/capture/test_ca.py` asks, too.
    [
        pytest.param(each, id=each.name, marks=[pytest.mark.heavy] * (each.name in {"Chromium", "Java"}))
        for each in VERIFIERS
    ],
)
def test_each_verifier_takes_the_allowed_host_and_nothing_else(verifier: Verifier) -> None:
    """Every case has an answer, and the right one; what the program said of a refusal is kept."""
    now = datetime.now(UTC)
    authority = create(HOSTS, now)
    found_row = row(here(verifier), cases(authority.domains, CANARY_HOST), authority, now)
    assert not [verdict for verdict in found_row.verdicts if verdict.wrong]
    assert all(verdict.why for verdict in found_row.verdicts if not verdict.case.allowed)


@pytest.mark.parametrize("verifier", VERIFIERS, ids=lambda verifier: verifier.name)
def test_each_verifier_would_take_them_without_constraints(verifier: Verifier) -> None:
    """The trial can tell: the same names of an authority that is open to all pass. uv alone asks for no address of six."""
    now = datetime.now(UTC)
    authority = open_to_all(HOSTS, now, root_constrained=False)
    few = [case for case in cases(HOSTS, CANARY_HOST) if case.name in {"allowed", "S3", "IPv4", "wildcard"}]
    found_row = row(here(verifier), few, authority, now)
    assert [verdict.answer for verdict in found_row.verdicts] == [Answer.PASSES] * len(few), found_row


def test_java_skips_the_constraints_of_a_root() -> None:
    """Why the issuer has them too: with them on the root alone Java takes every name."""
    java = here(next(verifier for verifier in VERIFIERS if verifier.name == "Java"))
    now = datetime.now(UTC)
    few = [case for case in cases(HOSTS, CANARY_HOST) if case.name in {"allowed", "S3"}]
    found_row = row(java, few, open_to_all(HOSTS, now, root_constrained=True), now)
    assert [verdict.answer for verdict in found_row.verdicts] == [Answer.PASSES, Answer.PASSES]


def test_a_host_below_another_makes_no_false_finding() -> None:
    """`ae.api.openai.com` stands first in the alphabet, and whatever ends with `api.openai.com` is permitted."""
    domains = ("ae.api.openai.com", "api.openai.com", CANARY_HOST)
    authority = create(domains, datetime.now(UTC))
    tried = cases(domains, CANARY_HOST)
    assert [case.name for case in tried if authority.covers(case.asked)] == ["allowed"]
    assert cases((CANARY_HOST,), CANARY_HOST)[0].asked == CANARY_HOST


def test_programs_read_a_line_for_each_verifier_and_case(state: State) -> None:
    """JSON and CSV have the same; the forbidden names of the issue are among them."""
    done = verify(state, "--only", QUICK.name, "--format", "json")
    assert done.exit_code == 0, done.output
    lines = json.loads(done.stdout)
    assert {line["verifier"] for line in lines} == {QUICK.name}
    assert [line["answer"] for line in lines] == ["passes"] + ["fails"] * (len(lines) - 1)
    asked = {line["asked"] for line in lines}
    assert {"s3.amazonaws.com", "storage.googleapis.com", "203.0.113.7"} <= asked
    assert any(name.endswith(".azure-api.net") for name in asked)
    assert any(line["signed"].startswith("*.") for line in lines)
    table = list(csv.DictReader(io.StringIO(verify(state, "--only", QUICK.name, "--format", "csv").stdout)))
    assert [(line["case"], line["answer"]) for line in table] == [(line["case"], line["answer"]) for line in lines]


def test_a_verifier_that_lets_a_name_pass_is_a_finding(tmp_path: Path) -> None:
    """A policy that names another's storage makes a CA that signs for it: told, by name, with exit status 1."""
    state = prepare(State(tmp_path / "state"))
    open_authority(state.ca_certificate, state.ca_key, (*HOSTS, "s3.amazonaws.com"), datetime.now(UTC))
    done = verify(state, "--only", QUICK.name)
    assert done.exit_code == 1
    assert f"{QUICK.name} lets S3 (s3.amazonaws.com) pass" in done.stderr


def test_people_read_a_table_of_verifiers_and_cases(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column for each case; where they do not fit, one for all that must fail."""
    monkeypatch.setenv("COLUMNS", "160")
    wide = verify(state, "--only", QUICK.name, "--only", "openssl").stdout
    assert "foreign Azure" in wide
    assert QUICK.name in wide
    monkeypatch.setenv("COLUMNS", "80")
    narrow = verify(state, "--only", QUICK.name).stdout
    assert "the 9 others" in narrow
    assert max(map(len, narrow.splitlines())) <= 80


def test_what_is_absent_is_not_here(state: State, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not a pass and not a failure; but a trial of nothing shows nothing, which is exit status 1."""
    monkeypatch.setenv("PATH", str(tmp_path))
    done = verify(state, "--only", "curl", "--format", "json")
    assert {line["answer"] for line in json.loads(done.stdout)} == {"not here"}
    assert done.exit_code == 1
    assert "nothing was shown" in done.stderr


def test_a_program_that_hangs_or_fails_gave_no_answer(
    state: State, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A broken curl is no refusal of a certificate: each of its cases is unclear, which is a finding."""
    broken = tmp_path / "curl"
    starts = '#!/bin/sh\n[ "$1" != --version ] || { echo curl 8.1; exit; }\n'
    broken.write_text(f"{starts}exit 7\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    done = verify(state, "--only", "curl", "--format", "json")
    assert done.exit_code == 1
    assert {line["answer"] for line in json.loads(done.stdout)} == {"unclear"}
    monkeypatch.setattr("spendgate.verifiers.asking.WHOLE_S", 0)
    broken.write_text(f"{starts}exec sleep 600\n")
    done = verify(state, "--only", "curl", "--format", "json")
    assert {line["why"] for line in json.loads(done.stdout)} == {"no answer in 0.1 s"}
    assert "gave no answer on allowed" in done.stderr


def test_a_program_that_does_not_start_is_not_here(
    state: State, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A launcher without its program, as macOS has one for Java: it verifies nothing on this machine."""
    launcher = tmp_path / "curl"
    launcher.write_text("#!/bin/sh\necho install it first\nexit 1\n")
    launcher.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    done = verify(state, "--only", "curl", "--format", "json")
    assert {line["answer"] for line in json.loads(done.stdout)} == {"not here"}
    assert "install it first" in json.loads(done.stdout)[0]["why"]


def test_nothing_is_left_on_disk(state: State, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """While a verifier runs its folder is its owner's and has no key and no forged certificate; afterwards it is gone."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl on this machine")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    seen = tmp_path / "seen"
    spy = tmp_path / "curl"
    listing = f"(ls -ld {temporary}/*; ls -a {temporary}/*; cat {temporary}/*/*) >> {seen}"
    spy.write_text(f'#!/bin/sh\n{listing} 2>/dev/null\nexec {curl} "$@"\n')
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    before = {path: path.stat().st_mtime_ns for path in state.root.rglob("*")}
    assert verify(state, "--only", "curl").exit_code == 0
    shown = seen.read_text()
    assert "drwx------" in shown
    assert "PRIVATE" not in shown
    assert shown.count("BEGIN CERTIFICATE") == shown.count(state.ca_certificate.read_text().splitlines()[1]) > 0
    assert not list(temporary.iterdir())
    assert {path: path.stat().st_mtime_ns for path in state.root.rglob("*")} == before


def test_a_wrong_name_is_answered_with_the_known_ones(state: State) -> None:
    answer = verify(state, "--only", "internet-explorer")
    assert isinstance(answer.exception, UsageError)
    assert "Chromium" in str(answer.exception)


def test_without_a_key_there_is_nothing_to_try(tmp_path: Path) -> None:
    answer = verify(State(tmp_path))
    assert isinstance(answer.exception, StateError)
    assert "next start" in str(answer.exception)


def test_anothers_key_is_not_tried(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root is sent to the account that owns it, and not told to throw a good CA away."""
    monkeypatch.setattr("spendgate.cli.options.os.geteuid", lambda: os.getuid() + 1)
    answer = verify(state, "--only", QUICK.name)
    assert isinstance(answer.exception, StateError)
    assert "run this as that account" in str(answer.exception)
