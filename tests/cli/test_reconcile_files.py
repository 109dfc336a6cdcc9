"""`reconcile import FILE`: what a person downloads or types is known by what is in it, kept as a version, or refused whole."""

from __future__ import annotations

import gzip
import json
import os
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.kit import app, ran
from spendgate.cli import statements_given
from spendgate.config.paths import State
from spendgate.errors import StateError
from spendgate.ledger.queries import Reader
from spendgate.statement import DAY_MS, Statement

INVOICE = (
    "statement: 1\nprovider: anthropic\nfrom: 2026-11-01\nthrough: 2026-11-30\n"
    "seats:\n  - plan: Team\n    count: 3\n    price: $25\ntotal: $75\n"
)
SPEND = {
    "request_id": "msg_1", "api_key": "hash", "spend": 0.5, "startTime": "2026-11-20T09:00:00Z", "prompt_tokens": 1,
    "completion_tokens": 2, "model": "claude-opus-5-5",
}  # fmt: skip


def taken(state: State) -> list[dict]:
    return json.loads(ran(state, "reconcile", "imports", "--format", "json"))


def test_an_invoice_and_a_gateways_log_are_known_by_their_content(state: State, tmp_path: Path) -> None:
    bill, log = tmp_path / "anything.txt", tmp_path / "export"
    bill.write_text(INVOICE)
    log.write_text(json.dumps([SPEND]))
    ran(state, "reconcile", "import", str(bill))
    ran(state, "reconcile", "import", str(log))
    assert [(each["source"], each["subject"], each["lines"], each["from"], each["until"]) for each in taken(state)] == [
        ("invoice", "anthropic", 1, "2026-11-01", "2026-12-01"), ("litellm", "", 1, "2026-11-20", "2026-11-21"),
    ]  # fmt: skip
    with closing(Reader(state.ledger)) as reader:
        (seats,) = reader.statement_lines(reader.imports()[0], 0, 1 << 60)
    assert (seats.billed_nanos, seats.quantity) == (75_000_000_000, "3")


def test_a_mistyped_provider_is_told_and_can_be_outweighed(state: State, tmp_path: Path) -> None:
    """An invoice of `antropic` is compared with no call; a newer one of nothing is in force in its stead."""
    bill = tmp_path / "november.yaml"
    asked = ("reconcile", "import", str(bill), "--state", str(state.root))
    head = INVOICE.partition("seats:")[0].replace("anthropic", "antropic")
    report = ("reconcile", "report", "--format", "json", "--from", "2026-11-01", "--until", "2026-12-01", "--state")
    billed = []
    for text in (INVOICE.replace("anthropic", "antropic"), head + "tax: $0\n"):
        bill.write_text(text)
        told = CliRunner().invoke(app, asked).stderr
        assert "'antropic'; did you mean anthropic? No import is ever taken out; to outweigh" in " ".join(told.split())
        answer = json.loads(CliRunner().invoke(app, (*report, str(state.root))).stdout)
        billed.append(answer["totals"]["billed_nanos"])
    assert billed == [75 * 10**9, 0]
    bill.write_text(INVOICE)
    assert "did you mean" not in CliRunner().invoke(app, asked).stderr
    assert "antropic" in ran(state, "reconcile", "imports")


def test_a_faulty_file_is_refused_whole_with_its_place(state: State, tmp_path: Path) -> None:
    bill = tmp_path / "november.yaml"
    bill.write_text(INVOICE.replace("$75", "$70"))
    result = CliRunner().invoke(app, ["reconcile", "import", str(bill), "--state", str(state.root)])
    assert result.exit_code != 0
    assert "november.yaml:9:8: total: $70.00 is not what the parts add up to: $75.00" in str(result.exception)
    assert ran(state, "reconcile", "imports", "--format", "json").strip() == "[]"


def test_what_nobody_knows_is_named_with_the_remedy(state: State, tmp_path: Path) -> None:
    odd = tmp_path / "odd.csv.gz"
    odd.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    result = CliRunner().invoke(app, ["reconcile", "import", str(odd), "--state", str(state.root)])
    assert result.exit_code != 0
    assert "odd.csv.gz: no statement that is known (`spendgate reconcile sources`); name it with --as" in str(
        result.exception
    )
    named = CliRunner().invoke(app, ["reconcile", "import", str(odd), "--as", "aws-cur", "--state", str(state.root)])
    assert named.exit_code != 0
    assert "odd.csv.gz: line 1: lacks the columns line_item_usage_start_date" in str(named.exception)


@pytest.mark.parametrize("most", [10, len(INVOICE)])
def test_a_pipe_is_read_as_a_file_is_and_as_far(state: State, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """`reconcile import <(decrypt bill)`: a pipe has no size before it is read."""
    monkeypatch.setattr(statements_given, "FILE_BYTES_MAX", most)
    read, write = os.pipe()
    os.write(write, INVOICE.encode())
    os.close(write)
    try:
        result = CliRunner().invoke(app, ["reconcile", "import", f"/dev/fd/{read}", "--state", str(state.root)])
    finally:
        os.close(read)
    if most < len(INVOICE):
        assert "split it by month" in str(result.exception)
    assert len(taken(state)) == (most == len(INVOICE))


def test_every_source_is_listed_once() -> None:
    listed = CliRunner().invoke(app, ["reconcile", "sources", "--format", "json"])
    names = [each["name"] for each in json.loads(listed.stdout)]
    assert len(set(names)) == len(names)
    assert {"anthropic-legacy", "aws-cur", "azure-cost", "google-billing", "invoice", "langsmith", "litellm"} <= set(
        names
    )


def test_parquet_is_refused_with_what_to_do(state: State, tmp_path: Path) -> None:
    file = tmp_path / "cur.parquet"
    file.write_bytes(b"PAR1\x15\x04")
    result = CliRunner().invoke(app, ["reconcile", "import", str(file), "--state", str(state.root)])
    assert result.exit_code != 0
    assert "cur.parquet: Parquet is not read; choose CSV where the export is set up" in str(result.exception)


def test_two_gateways_are_kept_apart_by_the_account_that_a_person_names(state: State, tmp_path: Path) -> None:
    log, bill = tmp_path / "log.json", tmp_path / "bill.yaml"
    bill.write_text(INVOICE)
    for number, account in enumerate(("berlin", "paris")):
        log.write_text(json.dumps([SPEND | {"request_id": f"msg_{number}"}]))
        ran(state, "reconcile", "import", str(log), "--account", account)
    ran(state, "reconcile", "import", str(bill), "--account", "berlin")
    assert [each["subject"] for each in taken(state)] == ["berlin", "paris", "anthropic"], (
        "what a file says goes before"
    )


def test_two_accounts_asked_by_api_are_kept_apart(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of an API that does not say whose it is: the second does not take the first one's place."""
    said = Statement("openai", "openai", "", 0, DAY_MS, "ab" * 32, "api.openai.com", None, ())
    monkeypatch.setattr("spendgate.cli.reconcile.ask", lambda *_: said)

    for account in ("berlin", "paris"):
        ran(state, "reconcile", "import", "openai", "--account", account)

    assert [each["subject"] for each in taken(state)] == ["berlin", "paris"]


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ((), ("--account", "berlin"), "go on without --account"),
        (("--account", "berlin"), (), "go on with --account 'berlin'"),
        (("--account", "berlin"), ("--account", "paris"), "go on with --account 'berlin'"),
    ],
)
def test_the_same_bytes_under_another_name_are_refused_while_they_are_in_force(
    state: State, tmp_path: Path, first: tuple[str, ...], second: tuple[str, ...], words: str
) -> None:
    """They would look like two accounts, and no import is taken out. Other bytes of these days count beside them, as
    a note says."""
    log = tmp_path / "log.json"
    log.write_text(json.dumps([SPEND]))
    command = ["reconcile", "import", str(log), "--state", str(state.root)]
    CliRunner().invoke(app, [*command, *first])

    refused = CliRunner().invoke(app, [*command, *second])

    assert len(taken(state)) == 1
    assert "log.json: these very bytes are import" in str(refused.exception)
    assert str(refused.exception).endswith(
        f"only outweighed by a newer one under its own name. Nothing is added; {words}"
    )
    log.write_text(json.dumps([SPEND | {"request_id": "msg_2"}]))
    told = CliRunner().invoke(app, [*command, *second])
    assert told.exit_code == 0
    assert "is in force on some of these days, too: both count, as two accounts" in told.stderr
    assert len(taken(state)) == 2
    again = CliRunner().invoke(app, [*command, *second])
    assert "these very bytes are here already" in again.stderr
    CliRunner().invoke(app, [*command, *first])
    assert len(taken(state)) == 2, "whichever name they have"
    log.write_text(json.dumps([SPEND | {"request_id": "msg_3"}]))
    CliRunner().invoke(app, [*command, *second])
    log.write_text(json.dumps([SPEND | {"request_id": "msg_2"}]))
    assert CliRunner().invoke(app, [*command, *first]).exit_code == 0, "what is in force no more counts nowhere else"


def test_a_download_knows_of_nothing_after_it_was_written(state: State, tmp_path: Path) -> None:
    """The day on which it was downloaded stays open, however late it is taken in."""
    log = tmp_path / "log.json"
    log.write_text(json.dumps([SPEND]))
    written = 1_795_186_800  # 2026-11-20T15:00:00Z, in the middle of its only day
    os.utime(log, (written, written))

    ran(state, "reconcile", "import", str(log))

    (one,) = taken(state)
    assert one["refreshed"] == "2026-11-20T15:00:00Z"
    assert any("log.json was written at 2026-11-20T15:00:00Z" in note for note in one["notes"])


def test_a_page_that_an_api_answered_is_told_as_that(state: State, tmp_path: Path) -> None:
    """Nothing says whether it is the only one."""
    page = tmp_path / "costs.json"
    page.write_text(json.dumps({"object": "page", "data": [{"object": "bucket", "results": []}], "has_more": False}))
    done = CliRunner().invoke(app, ["reconcile", "import", str(page), "--state", str(state.root)])
    assert "costs.json: a page that an API answered is not read" in str(done.exception)
    assert "`spendgate reconcile import NAME` (anthropic, " in str(done.exception)


def test_an_api_has_no_kind_of_file(state: State) -> None:
    """`--as` beside an API's name is told as that, not as a file that is not there."""
    result = CliRunner().invoke(
        app, ["reconcile", "import", "anthropic", "--as", "anthropic-cost-csv", "--state", str(state.root)]
    )
    assert result.exit_code != 0
    assert "anthropic is an API that is asked, and --as says what a file is: leave it out" in str(result.exception)


def test_the_same_bytes_that_are_newer_than_the_last_day_say_that_it_is_over(state: State, tmp_path: Path) -> None:
    """A file of a day that was open, downloaded again once it is not, without a change; a copy of it says nothing new."""
    bill = tmp_path / "spend.json"
    bill.write_text(json.dumps([SPEND]))
    noon, after = (int(datetime(2026, 11, day, 12, tzinfo=UTC).timestamp()) for day in (20, 21))
    for at, number in ((noon, 1), (noon + 60, 1), (after, 2), (after + 60, 2)):
        os.utime(bill, (at, at))
        ran(state, "reconcile", "import", str(bill))
        assert len(taken(state)) == number


def test_pages_that_another_credential_was_given_are_not_gone_on_with(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be of another organization: two in one statement would be nobody's bill."""
    places: list[Path] = []

    def asked(_: object, __: object, ___: str, kept: Path, ____: object) -> Statement:
        places.append(kept)
        raise StateError("not answered")

    monkeypatch.setattr(statements_given, "fetch", asked)
    for secret in ("key-of-one", "key-of-another", "key-of-one"):
        monkeypatch.setenv("CURSOR_ADMIN_KEY", secret)
        CliRunner().invoke(app, ["reconcile", "import", "cursor", "--state", str(state.root)])
    assert places[0] == places[2] != places[1]
    assert "key-of" not in str(places)


def test_a_key_that_no_header_carries_is_told_before_anything_is_asked(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In place of an internal fault; its variable is named, its text is not."""
    monkeypatch.setenv("CURSOR_ADMIN_KEY", "key_canaré")
    done = CliRunner().invoke(app, ["reconcile", "import", "cursor", "--state", str(state.root)])
    assert "cursor: CURSOR_ADMIN_KEY is no key: a character in it is not ASCII" in str(done.exception)
    assert "canar" not in str(done.exception)


def test_a_provider_that_nobody_knows_is_named(state: State, tmp_path: Path) -> None:
    """In place of a page of zeros."""
    bill = tmp_path / "november.yaml"
    bill.write_text(INVOICE)
    ran(state, "reconcile", "import", str(bill))
    done = CliRunner().invoke(app, ["reconcile", "report", "--provider", "antropic", "--state", str(state.root)])
    assert "--provider antropic: no import is of it; there are imports of anthropic" in str(done.exception)
