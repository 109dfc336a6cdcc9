"""Where a command's ledger is found, and what a desk shows to whom: in this process, over one ledger of two persons."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from cli.kit import NOW_MS, POLICY, app, row
from cli.test_alerts import ALERT
from spendgate.admission import Admit
from spendgate.audit_words import AuditWord
from spendgate.cli import answering, desks, in_force
from spendgate.cli.answering import WRITES_A_MINUTE, Answering
from spendgate.cli.desk import Asking, Desk, Wish
from spendgate.cli.file_desk import SERVED_CALLS_MAX, FileDesk
from spendgate.cli.socket_desk import CALLS, SocketDesk, answered
from spendgate.config.paths import State
from spendgate.config.policies import LastGood
from spendgate.errors import StateError, UsageError
from spendgate.ledger import mine, outbox
from spendgate.ledger.audit_log import Line
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.messages import ASK
from spendgate.ledger.noted import note_beside
from spendgate.ledger.outbox import Outbox
from spendgate.ledger.shared_connection import SharedConnection
from spendgate.sight import Peer

WORDS: dict[str, tuple[Any, ...]] = {
    "status": (),
    "health": (),
    "spend": ("person,project,session,api_key", Asking(), True),
    "calls": (Asking(), 50, True),
    "asks": (),
    "grants": (),
    "alerts": (None,),
    "me": (True,),
}
"""What everybody may ask without naming anything."""


@pytest.fixture
def two(state: State) -> State:
    """Alice's calls and one of bob's, an alert about each and one about both, an ask of each."""
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    of_bob = msgspec.structs.replace(
        row("0d-bobs-call", 3), person="bob", account_os="bob", project="bobs-project", session="bobs-session", api_key="bobs-key"
    )  # fmt: skip
    ledger.hold(of_bob, (), lambda _s, _k: Admit(()), NOW_MS)
    ledger.uncovered("bob", "bobs-tool", "api.anthropic.com", "pinned", at_ms=NOW_MS)
    ledger.close()
    bobs = replace(
        ALERT, value="bob", person="bob", text="person/day of bob", command="spendgate calls --where person=bob"
    )
    both = replace(ALERT, rule="all", value="", person=None, text="alice and bob together")
    with closing(SharedConnection(state.ledger)) as shared:
        box = Outbox(shared)
        outbox.write(shared.conn, [ALERT, bobs, both], NOW_MS)
        for number in (1, 2, 3):
            box.route(number, ["slack-11111111"], NOW_MS)
    for account in ("alice", "bob"):
        FileDesk(state.root, account, False).ask(Wish("5", f"{account}s reason", "person/day"))
    return state


def shown(at: Desk, name: str) -> str:
    """All that goes over the wire."""
    return msgspec.json.encode(getattr(at, name)(*WORDS[name])).decode()


@pytest.mark.parametrize("name", WORDS)
def test_nobody_is_shown_another_person(two: State, name: str) -> None:
    """Not their rows, projects, keys, asks, alerts or gaps in coverage; an admin sees both; the file's owner as ever."""
    assert "bob" not in shown(FileDesk(two.root, "alice", False), name)
    assert "alice" not in shown(FileDesk(two.root, "bob", False), name).replace("alice and bob together", "")
    for everything in (FileDesk(two.root, "root", True), FileDesk(two.root)):
        text = shown(everything, name)
        assert name in ("health", "me") or "bob" in text
        assert name in ("health", "status", "me") or "alice" in text


def test_who_is_named_in_anothers_words_reads_none_of_them(two: State) -> None:
    """An audit line that names somebody else's person or account, in a reason or by chance, is there for `me` without its text;
    one that another account wrote about the person's own grant or alert is whole."""
    FileDesk(two.root, "bob", False).ask(Wish("6", "pairing with alice", "person/day"))
    (own,) = FileDesk(two.root, "alice", False).alerts(None).rows
    FileDesk(two.root, "root", True).see_alerts((str(own["name"]),))
    note_beside(two.ledger, Line(NOW_MS, AuditWord.CLOCK_STEPPED, "alice is a word like any other", ""))
    (kept,) = (each for each in FileDesk(two.root, "alice", False).me(True)["kept"] if each["table"] == "audit")
    told = [(line["what"], line["who"], line["detail"]) for line in kept["content"]]
    assert "bob" not in str(told)
    assert told.count(("ask", "", mine.OTHERS)) == 1
    assert ("clock stepped", "", mine.OTHERS) in told
    assert ("alert acknowledged", "root", str(own["name"])) in told
    assert [what for what, who, detail in told if detail.endswith("alices reason")] == ["ask"]
    assert "of alice, to slack-11111111" in str(told)


def test_one_call_is_its_persons(two: State) -> None:
    """The beginning of another one's id finds nothing, so that nobody can try."""
    with pytest.raises(StateError, match="no call begins with '0d'"):
        FileDesk(two.root, "alice", False).call("0d")
    assert FileDesk(two.root, "bob", False).call("0d").row["person"] == "bob"
    assert FileDesk(two.root, "root", True).call("0a").row["person"] == "alice"
    assert "s1" in {row["value"] for row in FileDesk(two.root, "alice", False).status().budgets}


@pytest.mark.parametrize(
    "act",
    [
        lambda at: at.audit(None), lambda at: at.verify(), lambda at: at.take_note(), lambda at: at.revoke("00"),
    ],
)  # fmt: skip
def test_what_is_an_admins(two: State, act: Callable[[Desk], object]) -> None:
    """One line that says whom to ask."""
    with pytest.raises(StateError, match="is for root and the group spendgate-admin: ask one of them"):
        act(FileDesk(two.root, "alice", False))


def test_a_person_keeps_no_alert_from_its_owner(two: State) -> None:
    """Seen by the person, it still goes to whom it goes; seen by an admin, nothing more is sent. Another one's is none."""
    alice, admin = FileDesk(two.root, "alice", False), FileDesk(two.root, "root", True)
    (own,) = alice.alerts(None).rows
    (of_bob,) = (each for each in admin.alerts(None).rows if each["person"] == "bob")
    with pytest.raises(StateError, match="no alert begins with"):
        alice.see_alerts((str(of_bob["name"]),))
    assert alice.see_alerts((str(own["name"]),)) == (f"{own['name']}: seen by alice",)
    assert admin.see_alerts((str(of_bob["name"]),)) == (f"{of_bob['name']}: seen by root",)
    with closing(SharedConnection(two.ledger)) as shared:
        box = Outbox(shared)
        due = {each.person for each in box.due(NOW_MS, NOW_MS + 1, 10)}
    assert due == {"alice", None}


def test_whether_an_ask_is_there(two: State) -> None:
    """The person who asked reads it, of its own asks alone; which receivers the policy has is for whom the policy is to read."""
    with closing(SharedConnection(two.ledger)) as shared:
        box = Outbox(shared)
        for each in box.unrouted():
            box.route(each.id, ["slack-22222222", "mail:lead"], NOW_MS)
        for due in box.due(NOW_MS, NOW_MS + 1, 10):
            if due.form == ASK and due.receiver == "mail:lead":
                box.delivered(due, NOW_MS)
    bob, admin = FileDesk(two.root, "bob", False), FileDesk(two.root, "root", True)
    (own,) = bob.asks()
    assert own["reached"] == "delivered to 1 receiver; could not be delivered yet to 1 receiver"
    assert [each["reached"] for each in bob.status().asks] == [own["reached"]]
    assert bob.status().asks[0]["id"] == own["id"]
    both = "delivered to mail:lead; could not be delivered yet to slack-22222222"
    assert [each["reached"] for each in admin.asks()] == [both, both]
    assert not [name for name in ("slack", "lead") if name in shown(bob, "asks") + shown(bob, "status")]


def test_a_digest_is_of_a_file(two: State, tmp_path: Path) -> None:
    """It is about everybody: where a socket is named, one line says who makes it, and where."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "gate.sock"))
        result = CliRunner().invoke(app, ["digest", "--state", str(tmp_path / "gate.sock")])
    assert isinstance(result.exception, StateError)
    assert "is a service's socket, and this command reads a ledger's file" in str(result.exception)


@pytest.mark.parametrize(
    ("more", "account"),
    [("unknown_people: shared\npeople: {alice: {}}\n", "guest"),
     ("unknown_people: each\npeople: {alice: {accounts: [al]}}\n", "alice"),
     ("unknown_people: owner\npeople: {alice: {}}\nmachines: {laptops: {match: [MACHINE], owner: alice}}\n", "guest")],
)  # fmt: skip
def test_an_account_that_only_counts_as_somebody(two: State, tmp_path: Path, more: str, account: str) -> None:
    """Strangers together, a namesake, a guest on somebody's machine: none sees more than its own account's calls."""
    file, said = tmp_path / "counts.yaml", in_force.told(two)
    assert said is not None
    file.write_text(POLICY + more.replace("MACHINE", said.machine))
    policy = LastGood(two).start(file, NOW_MS).policy
    in_force.tell(two, in_force.InForce(policy.hash, str(file), NOW_MS, (), None, said.machine, said.prices, ()))
    at = FileDesk(two.root, account, False)
    assert at.calls(Asking(), 50, True).rows == ()
    assert not [row for row in at.status().budgets if row["value"] == "s1"]  # alice's session
    with pytest.raises(StateError, match="no alert begins with"):
        at.see_alerts((str(FileDesk(two.root).alerts(None).rows[-1]["name"]),))
    assert (at.asks(), at.alerts(None).rows, at.spend("person", Asking(), False).totals) == ((), (), ())
    with pytest.raises(StateError, match="no call begins with"):
        at.call("0a")
    me = at.me(True)
    assert me["email"] is None
    assert not [each["table"] for each in me["kept"] if each["content"] and each["table"] != "audit"]


def test_me_is_the_peers_own_account(two: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever it is, an admin too: the own rows, so many of them at once, with the number of the others."""
    kept = {each["table"]: each for each in FileDesk(two.root, "bob", False).me(True)["kept"]}
    assert [row["id"] for row in kept["calls"]["content"]] == ["0d-bobs-call"]
    assert [row["reason"] for row in kept["asks"]["content"]] == ["bobs reason"]
    assert {row["form"] for row in kept["alerts"]["content"]} == {"threshold", ASK}
    assert not [each for each in FileDesk(two.root, "bob", False).me(False)["kept"] if each["content"]]
    root = FileDesk(two.root, "root", True).me(True)
    assert not [each["table"] for each in root["kept"] if each["rows"] and each["table"] != "audit"]
    monkeypatch.setattr("spendgate.cli.file_desk.SERVED_CALLS_MAX", 1)
    (calls,) = (each for each in FileDesk(two.root, "alice", False).me(True)["kept"] if each["table"] == "calls")
    assert (len(calls["content"]), calls["content_left_out"]) == (1, calls["rows"] - 1)


def test_a_purge_is_of_a_file(tmp_path: Path) -> None:
    """By whom the ledger belongs to; where a socket is named, one line says so."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "gate.sock"))
        result = CliRunner().invoke(app, ["purge", "--dry-run", "--state", str(tmp_path / "gate.sock")])
    assert "is a service's socket, and this command reads a ledger's file" in str(result.exception)


def test_an_answer_is_bounded(two: State) -> None:
    """By its rows, with the way to the rest."""
    with pytest.raises(StateError, match="go on with --until"):
        FileDesk(two.root, "alice", False).calls(Asking(), SERVED_CALLS_MAX + 1, False)


@pytest.mark.parametrize(
    ("call", "args"),
    [("delete", b"{}"), ("__init__", b"{}"), ("status", b'{"account": "root"}'), ("spend", b"{}"), ("call", b'{"prefix": 7}'),
     ("policy", b"{}"), ("only_admins", b'{"what": "x"}'), ("calls", b"[" * 9_000)],
)  # fmt: skip
def test_only_questions_are_answered(two: State, call: str, args: bytes) -> None:
    """Whatever else the desk's class has, and whatever an argument claims."""
    with pytest.raises(UsageError, match="use the gate's own version"):
        answered(FileDesk(two.root, "alice", False), call, args)


def test_each_question_can_be_asked_either_way() -> None:
    """A method that one of them lacks would be a command that only works on a file."""
    names = {name for name in vars(Desk) if not name.startswith("_")}
    assert set(CALLS) == names
    assert all(callable(getattr(kind, name)) for kind in (SocketDesk, FileDesk) for name in names)


def test_an_account_writes_so_often(two: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each leaves a line for good; another account still may, and this one in a minute."""
    if sys.platform != "linux":
        pytest.skip("the service's socket: Linux alone for now")
    now, args = [0.0], json.dumps({"text": "spendgate-grant:AA.AA", "signed_here": False}).encode()
    monkeypatch.setattr(answering, "name_of", lambda uid: f"account{uid}")
    at = Answering(two.root, lambda: now[0])
    for _ in range(WRITES_A_MINUTE):
        with pytest.raises(StateError, match="the grant is no grant"):
            at(Peer(4711, frozenset()), "accept", args)
    with pytest.raises(StateError, match="more than 20 requests in a minute"):
        at(Peer(4711, frozenset()), "accept", args)
    with pytest.raises(StateError, match="the grant is no grant"):
        at(Peer(4712, frozenset()), "accept", args)
    now[0] = 61.0
    with pytest.raises(StateError, match="the grant is no grant"):
        at(Peer(4711, frozenset()), "accept", args)


def test_what_roots_own_exec_has_left_is_no_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its directory is where a service's would be: who never used Spendgate is told how to begin, and of no service."""
    monkeypatch.delenv("SPENDGATE_STATE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("spendgate.config.paths._is_root", lambda: False)
    monkeypatch.setattr(desks.paths, "SOCKET", tmp_path / "gate.sock")
    monkeypatch.setattr(desks, "_owner", lambda _: 0)
    monkeypatch.setattr(desks, "_ours", lambda _: False)
    assert "has no ledger yet" in str(CliRunner().invoke(app, ["status"]).exception)


@pytest.mark.skipif(sys.platform != "linux", reason="a service is Linux for now")
def test_an_administrator_is_told_of_the_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of a fresh package, whose first command is root's; in a directory of somebody's own of `exec`."""
    monkeypatch.setattr("spendgate.cli.options.paths.SERVICE_DIRECTORY", tmp_path / "service")
    monkeypatch.setattr("spendgate.cli.options.os.geteuid", lambda: 0)
    for folder, words in (("service", "`spendgate service install`, as root"), ("own", "spendgate exec --state")):
        asked = CliRunner().invoke(app, ["status", "--state", str(tmp_path / folder)])
        assert words in str(asked.exception)


def test_a_macs_service_is_asked_by_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It has no socket: who has no ledger of their own is told so, not that it has stopped."""
    monkeypatch.delenv("SPENDGATE_STATE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("spendgate.config.paths._is_root", lambda: False)
    monkeypatch.setattr(desks, "_owner", lambda _: 400)
    monkeypatch.setattr(desks.platform, "system", lambda: "Darwin")
    assert "root's to read: `sudo spendgate COMMAND --state" in str(CliRunner().invoke(app, ["status"]).exception)


@pytest.mark.parametrize(
    ("socket", "installed", "own", "found"),
    [
        (False, False, False, "file"), (False, False, True, "file"), (True, True, False, "socket"),
        (True, True, True, "socket"), (False, True, False, "socket"), (False, True, True, "file"),
    ],
)  # fmt: skip
def test_where_a_command_looks(  # noqa: PLR0917 - one row is one machine
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, socket: bool, installed: bool, own: bool, found: str
) -> None:
    """A service goes first; one that has stopped is said so, but where there is a ledger of one's own."""
    home, service, path = tmp_path / "home", tmp_path / "service", tmp_path / "run" / "gate.sock"
    monkeypatch.delenv("SPENDGATE_STATE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    monkeypatch.setattr("spendgate.config.paths._is_root", lambda: False)
    monkeypatch.setattr(desks.paths, "SERVICE_DIRECTORY", service)
    monkeypatch.setattr(desks.paths, "SOCKET", path)
    monkeypatch.setattr(desks, "_is_socket", lambda each: socket and each == path)
    monkeypatch.setattr(desks, "_ours", lambda _: False)
    monkeypatch.setattr(desks, "_owner", lambda _: 4711 if installed else None)
    if own:
        (home / "spendgate").mkdir(parents=True)
        (home / "spendgate" / "ledger.db").touch()
    assert type(desks.desk(None)) is {"file": FileDesk, "socket": SocketDesk}[found]
    assert type(desks.desk(tmp_path)) is FileDesk
    assert type(desks.desk(tmp_path / "gate.sock")) is SocketDesk
    done = CliRunner().invoke(app, ["spend", "--state", str(tmp_path / "gate.sock")])
    assert "is the gate's service running?" in str(done.exception)
