"""How the program ends where something went wrong."""

from __future__ import annotations

import io

import pytest

from spendgate.cli import main

ARGUMENTS = ["spendgate", "calls", "--where", "person=secret"]


@pytest.fixture(autouse=True)
def faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command with a fault that nobody foresaw."""

    def app() -> None:
        raise IndexError("secret")

    monkeypatch.setattr(main, "application", lambda _: app)
    monkeypatch.setattr("sys.argv", ARGUMENTS)
    monkeypatch.delenv("SPENDGATE_TRACEBACK", raising=False)


def test_an_unforeseen_fault_is_one_line_without_content(capsys: pytest.CaptureFixture[str]) -> None:
    """The command and the fault's class, exit status 1; neither its text nor a traceback, which may hold what a call said."""
    with pytest.raises(SystemExit) as ended:
        main.run()

    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 1
    assert "calls failed" in line and "IndexError" in line and "secret" not in line


def test_a_traceback_is_shown_where_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """SPENDGATE_TRACEBACK lets the fault through."""
    monkeypatch.setenv("SPENDGATE_TRACEBACK", "1")

    with pytest.raises(IndexError, match="secret"):
        main.run()


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8"])
def test_what_an_encoding_lacks_is_spelled(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    """A name of a person, a budget or a model is no fault of Spendgate's own, and no end of a list, in any locale."""
    written = io.BytesIO()
    stdout = io.TextIOWrapper(written, encoding)
    monkeypatch.setattr("sys.stdout", stdout)
    monkeypatch.setattr(main, "application", lambda _: lambda: print("zoë 日本 \udcff"))

    main.run()

    last = "日本" if encoding == "utf-8" else r"\u65e5\u672c"
    assert written.getvalue().decode(encoding).split() == ["zoë", last, r"\udcff"]
