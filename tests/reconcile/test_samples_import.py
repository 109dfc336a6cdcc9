"""`reconcile import` of each file, known by what is in it; and whatever a file or an answer holds, it is read or refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from cli.kit import app
from ledger.kit import open_ledger
from reconcile import (
    test_copilot_api,
    test_copilot_csv,
    test_cursor_api,
    test_cursor_csv,
    test_openai_api,
    test_openai_csv,
    test_openrouter,
)
from reconcile.asking import SPAN, Answer, ask
from spendgate.errors import StatementError
from spendgate.reconcile.sources.interface import ApiSource, FileSource, Span
from spendgate.reconcile.sources.table import APIS, FILES

SAMPLES = {
    "openai-usage-csv": test_openai_csv.USED,
    "openai-cost-csv": test_openai_csv.MONEY,
    "chatgpt-credits-csv": test_openai_csv.HEAD + test_openai_csv.CREDIT_ROWS,
    "cursor-csv": test_cursor_csv.NEW + test_cursor_csv.ROWS,
    "github-copilot-csv": test_copilot_csv.AI + test_copilot_csv.ROWS,
    "github-copilot-requests-csv": test_copilot_csv.REQUESTS,
    "openrouter-csv": test_openrouter.HEAD + test_openrouter.row(),
}


def run(folder: Path, *words: str) -> Result:
    """A command over a ledger of its own."""
    if not (folder / "ledger.db").exists():
        open_ledger(folder).close()
    return CliRunner().invoke(app, ["reconcile", *words, "--state", str(folder)])


BY_NAME: dict[str, FileSource] = {each.name: each for each in FILES}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_is_known_by_its_content_and_the_same_bytes_are_one_import(name: str, tmp_path: Path) -> None:
    file = tmp_path / "whatever it is called.txt"
    file.write_text(SAMPLES[name])
    assert "is taken to say all of 2026-11-20" in run(tmp_path, "import", str(file)).stderr
    assert "these very bytes are here already" in run(tmp_path, "import", str(file)).stderr
    (listed,) = json.loads(run(tmp_path, "imports", "--format", "json").stdout)
    assert (listed["source"], listed["from"], listed["origin"]) == (name, "2026-11-20", file.name)


def test_a_file_says_its_days_itself_and_an_empty_one_says_nothing(tmp_path: Path) -> None:
    """Days beside a file would do nothing; that an empty file is of no known kind would send people to --as."""
    file = tmp_path / "cursor.csv"
    file.write_text(SAMPLES["cursor-csv"])
    for words in (("--from", "2026-11-20"), ("--until", "2026-11-21")):
        assert "ask an API; a file is taken for the days that it tells of" in str(
            run(tmp_path, "import", str(file), *words).exception
        )
    assert json.loads(run(tmp_path, "imports", "--format", "json").stdout) == []
    assert " of 1 day from cursor.csv" in run(tmp_path, "import", str(file)).stderr
    file.write_text("\n")
    assert "cursor.csv: the file is empty; download it again" in str(run(tmp_path, "import", str(file)).exception)


def test_an_account_is_asked_for_before_anything_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_BILLING_TOKEN", "a-token-for-tests")
    done = run(tmp_path, "import", "github-copilot")
    assert isinstance(done.exception, StatementError)
    assert "--account '' names no organization: write --account ORG or enterprises/NAME" in str(done.exception)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_broken_file_is_read_or_refused(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(SAMPLES)))
    text = SAMPLES[name].encode()
    at = data.draw(st.integers(0, len(text)))
    until = data.draw(st.integers(at, min(len(text), at + 40)))
    junk = data.draw(
        st.one_of(st.binary(max_size=12), st.sampled_from([b"", b",", b'"', b"\n", b"1e400", b"-1", b"NaN"]))
    )
    broken = text[:at] + junk + text[until:]
    try:
        said = BY_NAME[name].read(broken, "export.csv")
    except StatementError as fault:
        assert all(each.startswith("export.csv: ") for each in fault.faults)
    else:
        assert said.from_ms < said.until_ms
        assert all(said.from_ms <= each.starts_ms < said.until_ms for each in said.lines)


ANSWERS: dict[str, tuple[Answer, Span]] = {
    "openai": (
        lambda path, _: test_openai_api.answer(
            path,
            costs=test_openai_api.page(test_openai_api.bucket(test_openai_api.cost(1.5))),
            completions=test_openai_api.page(test_openai_api.bucket(test_openai_api.completions())),
        ),
        SPAN,
    ),
    "cursor": (test_cursor_api.answer(test_cursor_api.page(test_cursor_api.event())), SPAN),
    "github-copilot": (
        test_copilot_api.answer({None: [test_copilot_api.item(3, 1)], "ann": [test_copilot_api.item(2, 1)]}),
        test_copilot_api.SPAN,
    ),
    "openrouter": (test_openrouter.answer(test_openrouter.item()), SPAN),
}
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([]), st.just({}), st.just([[1]])
)


def _places(node: object, way: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Every place in a JSON value."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [way, *(place for name, each in inner for place in _places(each, (*way, name)))]


def _put(node: object, way: tuple[object, ...], value: object, gone: bool) -> object:
    """The value with another one at that place, or with nothing there."""
    if not way:
        return value
    found = copy.deepcopy(node)
    inner = found
    for name in way[:-1]:
        inner = inner[name]
    if gone:
        del inner[way[-1]]
    else:
        inner[way[-1]] = value
    return found


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_broken_answer_is_read_or_refused(data: st.DataObject) -> None:
    source: ApiSource = data.draw(st.sampled_from([each for each in APIS if each.name in ANSWERS]))
    answer, span = ANSWERS[source.name]
    number, value, gone = data.draw(st.integers(1, 3)), data.draw(ANYTHING), data.draw(st.booleans())
    asked = 0

    def broken(path: str, body: bytes) -> object:
        nonlocal asked
        asked += 1
        try:
            said = answer(path, body)
        except IndexError:  # a page after the last
            said = {}
        return _put(said, data.draw(st.sampled_from(_places(said))), value, gone) if asked == number else said

    try:
        said, _ = ask(source, broken, span)
    except StatementError as fault:
        assert all(each.startswith(f"{source.host}: ") for each in fault.faults)
    else:
        assert (said.from_ms, said.until_ms) == (span.from_ms, span.until_ms)
