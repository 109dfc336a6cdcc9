"""Delivered to real receivers on loopback: a web hook that is down for a while, a mail server, gates that are killed."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts.receiving import Endpoint, Mailbox, endpoint, mailbox, until
from spendgate.alerts import courier, routing, sending
from spendgate.alerts.sending import Message, Result, expanded
from spendgate.config.policy_file import parse_policy

ROOT = Path(__file__).parents[2]
START = 1_795_312_800_000
"""2026-11-22T02:00:00Z"""


def policy(folder: Path, hook: Endpoint, box: Mailbox) -> Path:
    """A dollar a day; alice has mail, the owner a web hook and the same server."""
    file = folder / "policy.yaml"
    file.write_text(
        f"""version: 1
owner: lead@acme.example
people: {{alice: {{email: alice@acme.example}}}}
budgets:
  - {{name: person, per: person, limit: $1 per day, alerts: [50%, 80%]}}
notify:
  - {{to: "{hook.to}", for: [alert]}}
  - {{to: "mailto://127.0.0.1:{box.port}?from=spendgate@acme.example&to=lead@acme.example", for: [alert]}}
"""
    )
    return file


class Process:
    """A gate in a process of its own."""

    def __init__(self, folder: Path, file: Path, now_ms: int) -> None:
        self._program = subprocess.Popen(
            [sys.executable, "-m", "alerts.gate_process", str(folder), str(file), str(now_ms)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'addon'}{os.pathsep}{ROOT / 'tests'}"},
        )  # fmt: skip
        assert self._answer() == "ready"

    def _answer(self) -> str:
        assert self._program.stdout is not None
        return self._program.stdout.readline().strip()

    def spend(self, dollars: float) -> str:
        """A call of alice's; what became of it."""
        assert self._program.stdin is not None
        self._program.stdin.write(f"{dollars}\n")
        self._program.stdin.flush()
        return self._answer()

    def kill(self) -> None:
        """SIGKILL: nothing is written any more."""
        self._program.kill()
        self._program.wait()
        for pipe in (self._program.stdin, self._program.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def running(folder: Path, file: Path, now_ms: int) -> Iterator[Process]:
    """It is killed at the end."""
    process = Process(folder, file, now_ms)
    try:
        yield process
    finally:
        process.kill()


def kept(folder: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "ledger.db")) as conn:
        return conn.execute(sql).fetchall()


def named(texts: list[str]) -> Counter[tuple[str, str]]:
    """How often each alert was received: by its id and rule."""
    found = [re.search(r"Alert (\w+), rule (.+?), ", text) for text in texts]
    return Counter((each[1], each[2]) for each in found if each)


def test_a_hook_that_is_down_and_gates_that_are_killed(tmp_path: Path) -> None:
    """Each alert reaches the owner's hook, the owner's mail and alice's mail; each once; the mail does not wait for the hook."""
    with mailbox() as box:
        with endpoint() as hook:
            pass  # its port is free again: nobody listens there now
        file = policy(tmp_path, hook, box)
        with running(tmp_path, file, START) as gate:
            assert gate.spend(0.55) == "Admitted"
            until(lambda: len(box.mails) == 2)
            until(lambda: kept(tmp_path, "SELECT 1 FROM deliveries WHERE error IS NOT NULL"))
            until(lambda: len(kept(tmp_path, "SELECT 1 FROM deliveries WHERE delivered_ms > 0")) == 2)
        assert kept(tmp_path, "SELECT error FROM deliveries WHERE error IS NOT NULL") == [("could not be reached",)]
        with endpoint(hook.port) as back:
            with running(tmp_path, file, START + 60_000) as gate:
                assert gate.spend(0.30) == "Admitted"
                until(lambda: len(kept(tmp_path, "SELECT 1 FROM deliveries WHERE delivered_ms > 0")) == 6)
            with running(tmp_path, file, START + 120_000) as gate:
                assert gate.spend(0.20) == "Admitted"
                assert gate.spend(0.20) == "Refused"
                until(lambda: kept(tmp_path, "SELECT position FROM alerting WHERE position >= 2"))
            heard = named([each["message"] for each in back.heard])
        mails = {
            to: named([text for addressees, text in box.mails if addressees == [to]])
            for to in ("alice@acme.example", "lead@acme.example")
        }
    assert sorted(rule for _, rule in heard) == ["person 50%", "person 80%"]
    assert set(heard.values()) == {1}
    assert mails == {"alice@acme.example": heard, "lead@acme.example": heard}
    assert len(kept(tmp_path, "SELECT 1 FROM deliveries WHERE delivered_ms IS NULL")) == 0


def test_a_mail_server_that_is_down(tmp_path: Path) -> None:
    """The gate is killed meanwhile; the hook has not waited for it, and each mail comes once."""
    with endpoint() as hook:
        with mailbox() as box:
            pass  # nobody listens there now
        file = policy(tmp_path, hook, box)
        with running(tmp_path, file, START) as gate:
            assert gate.spend(0.55) == "Admitted"
            until(lambda: hook.heard)
            until(lambda: len(kept(tmp_path, "SELECT 1 FROM deliveries WHERE error IS NOT NULL")) == 2)
        with mailbox(box.port) as back:
            for later in (600_000, 1_200_000):
                with running(tmp_path, file, START + later):
                    until(lambda: not kept(tmp_path, "SELECT 1 FROM deliveries WHERE delivered_ms IS NULL"))
    assert sorted(to for (to,), _ in back.mails) == ["alice@acme.example", "lead@acme.example"]
    assert len(hook.heard) == 1


@pytest.mark.heavy
def test_three_days_of_faults(tmp_path: Path) -> None:
    """Each day alice reaches both thresholds; the gate is killed right after each call, while the hook is down, and while it
    refuses what it gets. Each alert of each day comes to each receiver, under one name."""
    with mailbox() as box:
        with endpoint() as hook:
            pass  # nobody listens there on the first day
        file = policy(tmp_path, hook, box)
        day_ms = 86_400_000
        with running(tmp_path, file, START) as gate:
            assert gate.spend(0.55) == "Admitted"
        with running(tmp_path, file, START + 60_000) as gate:
            assert gate.spend(0.30) == "Admitted"
            until(lambda: kept(tmp_path, "SELECT 1 FROM deliveries WHERE error IS NOT NULL"))
        with endpoint(hook.port) as back:
            for day in (1, 2):
                back.status = 503
                with running(tmp_path, file, START + day * day_ms) as gate:
                    assert gate.spend(0.85) == "Admitted"
                    until(lambda: back.refused)
                back.refused = 0
                with running(tmp_path, file, START + day * day_ms + 3_600_000):
                    until(lambda: back.refused)
                back.status, back.refused = 200, 0
                with running(tmp_path, file, START + day * day_ms + 7_200_000):
                    until(lambda: not kept(tmp_path, "SELECT 1 FROM deliveries WHERE delivered_ms IS NULL"))
            heard = named([each["message"] for each in back.heard])
    told = {(str(name), str(rule)) for name, rule in kept(tmp_path, "SELECT name, rule FROM alerts")}
    assert Counter(rule for _, rule in told) == {"person 50%": 3, "person 80%": 3}
    assert len(kept(tmp_path, "SELECT DISTINCT rule, window FROM alerts")) == 6
    assert set(heard) == told
    for to in ("alice@acme.example", "lead@acme.example"):
        assert set(named([text for addressees, text in box.mails if addressees == [to]])) == told


def test_a_machine_that_was_off_and_a_clock_that_was_ahead(tmp_path: Path) -> None:
    """Neither makes an alert one that was tried for a week: it is there as soon as the hook is, whatever day it had been."""
    day_ms = 86_400_000
    with mailbox() as box:
        with endpoint() as hook:
            pass  # nobody listens there now
        file = policy(tmp_path, hook, box)
        with running(tmp_path, file, START) as gate:
            assert gate.spend(0.55) == "Admitted"
            until(lambda: kept(tmp_path, "SELECT 1 FROM deliveries WHERE error IS NOT NULL"))
        for later_ms in (9 * day_ms, 31 * day_ms):
            now_ms = START + later_ms
            put_off = f"SELECT 1 FROM deliveries WHERE due_ms > {now_ms} AND due_ms < {now_ms} + 60000"  # noqa: S608 - numbers
            with running(tmp_path, file, now_ms):
                until(lambda: kept(tmp_path, put_off))  # noqa: B023 - asked at once
        with endpoint(hook.port) as back, running(tmp_path, file, START + 10 * day_ms):
            until(lambda: back.heard)
            until(lambda: len(kept(tmp_path, "SELECT 1 FROM deliveries WHERE delivered_ms > 0")) == 3)
    assert kept(tmp_path, "SELECT 1 FROM audit WHERE what = 'alert not delivered'") == []


def test_killed_between_sending_and_noting(tmp_path: Path) -> None:
    """It is sent once more, and the receiver can tell by its id that it had it."""
    with mailbox() as box, endpoint() as hook:
        hook.sleeps_s = 2.0
        file = policy(tmp_path, hook, box)
        with running(tmp_path, file, START) as gate:
            assert gate.spend(0.55) == "Admitted"
            until(lambda: hook.asked)
        until(lambda: len(hook.heard) == 1)
        hook.sleeps_s = 0.0
        assert kept(tmp_path, "SELECT attempts, delivered_ms FROM deliveries WHERE receiver LIKE 'json%'") == [
            (1, None)
        ]
        with running(tmp_path, file, START + 600_000):
            until(lambda: len(kept(tmp_path, "SELECT 1 FROM deliveries WHERE delivered_ms > 0")) == 3)
        with running(tmp_path, file, START + 1_200_000) as gate:
            assert gate.spend(0.01) == "Admitted"
    assert set(named([each["message"] for each in hook.heard]).values()) == {2}


def test_a_secret_is_expanded_where_it_is_sent_and_nowhere_else(tmp_path: Path) -> None:
    """The receiver gets it; no result, and nothing in the ledger, has it. One that is not set is named."""
    with endpoint() as hook:
        os.environ["SPENDGATE_SECRET_HOOK"] = "canary-3c1f"
        try:
            to = f"json://lead:${{SPENDGATE_SECRET_HOOK}}@127.0.0.1:{hook.port}/hook"
            unset = f"json://lead:${{SPENDGATE_SECRET_UNSET}}@127.0.0.1:{hook.port}/hook"
            bad = "json://:${SPENDGATE_SECRET_HOOK}@"
            messages = [Message(number, each, "t", "b") for number, each in enumerate((to, unset, bad))]
            results = {each.number: each for each in courier.sent(messages)}
        finally:
            del os.environ["SPENDGATE_SECRET_HOOK"]
    assert len(hook.heard) == 1
    assert results[0].error is None
    assert results[1].error == "SPENDGATE_SECRET_UNSET is not set where it is sent from"
    assert results[2].error is not None
    assert "canary" not in json.dumps([each.error for each in results.values()])
    assert expanded("slack://${SPENDGATE_SECRET_A}/${HOME}", {"SPENDGATE_SECRET_A": "x"}) == "slack://x/${HOME}"


@pytest.mark.parametrize(
    "query", ["to=lead@acme.example", "to=lead@acme.example&CC=ops@acme.example&Bcc=x@acme.example"]
)
@pytest.mark.parametrize("secret", [True, False])
def test_mail_to_a_person_goes_to_nobody_else(monkeypatch: pytest.MonkeyPatch, query: str, *, secret: bool) -> None:
    """Also where the entry's whole address is a secret, and whatever case its words have."""
    with mailbox() as box:
        address = f"127.0.0.1:{box.port}/ops@acme.example?from=spendgate@acme.example&{query}"
        monkeypatch.setenv("SPENDGATE_SECRET_MAIL", address)
        entry = "mailto://${SPENDGATE_SECRET_MAIL}" if secret else f"mailto://{address}"
        read = parse_policy(
            f"""version: 1
owner: lead@acme.example
people: {{alice: {{email: alice@acme.example}}}}
budgets: [{{name: person, per: person, limit: $1 per day}}]
notify: [{{to: "{entry}", for: [alert]}}]
""".encode()
        )
        at = routing.address(read, "mail:alice", ())
        assert at is not None
        (result,) = courier.sent([Message(0, at.to, "t", "b", person=at.person)])
    assert result.error is None
    assert [to for to, _ in box.mails] == [["alice@acme.example"]]


def test_a_receiver_that_fails_holds_up_nobody(tmp_path: Path) -> None:
    """A slow hook's answer comes later than a quick one's, of one round."""
    with endpoint() as slow, endpoint() as quick:
        slow.sleeps_s, slow.status = 1.0, 503
        numbers = [
            each.number for each in courier.sent([Message(0, slow.to, "t", "b"), Message(1, quick.to, "t", "b")])
        ]
        again = next(iter(courier.sent([Message(0, slow.to, "t", "b")])))
    assert numbers == [1, 0]
    assert again.error == "answered 503"


def test_what_a_slow_receiver_has_taken_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the next one is on its way: should sending be ended then, it is not sent again."""
    told, real = threading.Event(), sending.send

    def slow(message: Message, *rest: Any) -> Result:
        if message.number:
            told.wait(60)
        return real(message, *rest)

    monkeypatch.setattr(sending, "send", slow)
    with endpoint() as hook:
        results = iter(sending.send_all([Message(number, hook.to, "t", "b") for number in range(3)], {}))
        first = next(results)
        heard = len(hook.heard)
        told.set()
        rest = list(results)
    assert (first, heard) == (Result(0, None), 1)
    assert rest == [Result(1, None), Result(2, None)]


@pytest.mark.parametrize(
    ("refused", "tried"), [({0}, [0, 1, 2, 3]), ({1, 3}, [0, 1, 2, 3]), ({0, 1}, [0, 1]), ({1, 2}, [0, 1, 2])]
)
def test_one_message_that_is_refused_is_none_for_those_behind_it(
    monkeypatch: pytest.MonkeyPatch, refused: set[int], tried: list[int]
) -> None:
    """They are tried in the same round. A receiver that has failed twice in a row takes none now, and nobody waits for it."""
    asked: list[int] = []

    def one(message: Message, *_: Any) -> Result:
        asked.append(message.number)
        return Result(message.number, "400" if message.number in refused else None)

    monkeypatch.setattr(sending, "send", one)
    results = list(sending.send_all([Message(number, "json://x", "t", "b") for number in range(4)], {}))
    assert asked == tried
    assert {each.number for each in results if each.error} == refused | ({0, 1, 2, 3} - set(tried))


def test_the_wait_between_attempts() -> None:
    """Doubled from five seconds to half an hour; half of it is chance."""
    assert [courier.backoff_ms(attempt, 1.0) for attempt in (1, 2, 3)] == [5_000, 10_000, 20_000]
    assert courier.backoff_ms(1, 0.0) == 2_500
    assert courier.backoff_ms(10_000, 1.0) == 30 * 60_000


@pytest.mark.skipif(sys.platform != "linux", reason="other systems bound no address space")
def test_an_answer_that_does_not_end_fills_no_memory() -> None:
    """The program that sends has a bound, within which it tells of it."""
    program = "from spendgate.alerts import sending; sending.main(600 << 20)"
    with endpoint() as hostile:
        hostile.endless = True
        done = subprocess.run(
            [sys.executable, "-c", program], input=msgspec.json.encode(Message(0, hostile.to, "t", "b")), check=True,
            capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT / "addon")},
        )  # fmt: skip
    (result,) = map(msgspec.json.Decoder(Result).decode, done.stdout.splitlines())
    assert result.error is not None


def test_what_a_person_typed_calls_nobody_in_a_chat() -> None:
    """A reason in an ask, a model's name from a request: a whole channel is called by neither, and no link is hidden. The command
    stays as a shell takes it, and a program's hook gets what was said."""
    typed = "bob@acme.example asks: @everyone <!channel> <https://evil.example|yes> [ok](https://evil.example) a < b"
    command = "spendgate calls --where person=bob@acme.example"
    with endpoint() as hook:
        chat = f"mmost://127.0.0.1:{hook.port}/{'a' * 24}"
        messages = [Message(number, to, "@all", f"{typed}.\n{command}") for number, to in enumerate((chat, hook.to))]
        assert {each.error for each in courier.sent(messages)} == {None}
        (said,) = [each["text"] for each in hook.heard if "text" in each]
        (plain,) = [each["message"] for each in hook.heard if "message" in each]
    assert plain == f"{typed}.\n{command}"
    assert re.findall(r"(?<!\w)@\w|<\S|\]\(", said) == ["<\u200b"] * 3
    assert said.replace("\u200b", "").splitlines() == ["@all", f"{typed}.", command]
    assert said.endswith(command)


def test_a_redirection_is_followed_nowhere(tmp_path: Path) -> None:
    """Only what the policy names is asked."""
    with endpoint() as named, endpoint() as other:
        named.status, named.location = 307, f"http://127.0.0.1:{other.port}/"
        (result,) = courier.sent([Message(0, named.to, "t", "b")])
    assert result.error == "answered 307"
    assert not other.asked
