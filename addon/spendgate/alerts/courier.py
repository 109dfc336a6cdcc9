"""Takes alerts from the outbox to their receivers, again and again until they have them or were tried for a week.

An attempt is written before it is made, so that a gate that dies meanwhile has made one that failed: what it had sent and not
noted is sent once more, under the same name, by which a receiver can tell. Sending is another program's (`sending`), whose
results are waited for in a thread of its own; while it sends to one receiver, another such thread can serve the others.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Final

import msgspec

import spendgate
from spendgate.alerts import routing
from spendgate.alerts.letter import body, title
from spendgate.alerts.sending import Message, Result
from spendgate.errors import LedgerUnavailable
from spendgate.ledger.messages import ASK
from spendgate.ledger.outbox import Due, Outbox, Unrouted
from spendgate.policy import Policy

logger = logging.getLogger(__name__)

FIRST_MS: Final = 5_000
MOST_MS: Final = 30 * 60_000
"""Between two attempts for one receiver."""
GIVEN_UP_MS: Final = 7 * 24 * 3_600_000
GIVEN_UP_ATTEMPTS: Final = 50
"""An alert so old is tried no more, once it was tried so often, which takes a day: a machine that was off for the week, or whose
clock was ahead, has not tried."""
AT_ONCE: Final = 64
ROUNDS_MAX: Final = 4
ASKING_S: Final = 60.0
SENDING_S: Final = 90.0
"""How long one round of sending may take; a receiver that needs longer is tried again."""


def backoff_ms(attempts: int, chance: float) -> int:
    """How long to wait after so many attempts: doubled each time, at most half an hour, half of it by chance (0 to 1)."""
    whole = min(MOST_MS, FIRST_MS << min(attempts - 1, 20))
    return whole // 2 + int(whole / 2 * chance)


def warn(policy: Policy) -> None:
    """Say which receivers cannot be sent to from here, before an alert has to find out."""
    for service, lacks in unusable(policy).items():
        logger.warning("notify: nothing can be sent to %s: it %s", service, lacks)


def has_desktop(environ: Mapping[str, str]) -> bool:
    """Whether this process belongs to a session that shows notifications."""
    return bool(environ.get("DBUS_SESSION_BUS_ADDRESS")) and shutil.which("notify-send") is not None


class Courier:
    """Of one gate: `round` is called by the thread that looks for alerts; sending goes on behind it."""

    def __init__(self, now_ms: Callable[[], int], chance: Callable[[], float], machine: str) -> None:
        self._now_ms, self._chance, self._machine = now_ms, chance, machine
        self._desktop = has_desktop(os.environ)
        self._rounds = 0
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._looked_at: str | None = None

    def round(self, outbox: Outbox, policy: Policy, now_ms: int) -> None:
        """Say of new alerts to whom they go, and have sent what is due. Raises LedgerUnavailable.

        What becomes of them is noted in this outbox, too: the ledger's file may have been removed since it was opened, and the
        owner is told of that.
        """
        if self._looked_at != policy.hash:
            self._looked_at = policy.hash
            threading.Thread(target=warn, args=(policy,), name="alerts-asking", daemon=True).start()
        for each in outbox.unrouted():
            outbox.route(each.id, self._receivers(outbox, policy, each, now_ms), now_ms)
        with self._lock:
            if self._rounds >= ROUNDS_MAX or not outbox.any_due(now_ms, busy=self._busy):
                return
            due = outbox.due(now_ms, now_ms + int(SENDING_S * 1000) + FIRST_MS, AT_ONCE, busy=self._busy)
            self._rounds += 1
            self._busy |= {each.receiver for each in due}
            sending = threading.Thread(
                target=self._send, args=(outbox, policy, due), name="alerts-sending", daemon=True
            )
            self._threads = [*(each for each in self._threads if each.is_alive()), sending]
        sending.start()

    def _receivers(self, outbox: Outbox, policy: Policy, each: Unrouted, now_ms: int) -> tuple[str, ...]:
        if each.form == routing.DIGEST:
            return routing.digest_keys(policy, each.team[0] if each.team else "")
        ask = outbox.ask(each.window) if each.form == ASK else None
        if ask is not None:
            return routing.keys_of_ask(policy, ask, each.team, now_ms)
        return routing.keys(policy, each.severity, each.person, each.team, desktop=self._desktop)

    def finish(self, patience_s: float) -> None:
        """Wait so long for what is being sent: who is told by a short command is told by that command."""
        ends_s = time.monotonic() + patience_s
        for each in self._threads:
            each.join(max(0.0, ends_s - time.monotonic()))

    def _send(self, outbox: Outbox, policy: Policy, due: list[Due]) -> None:
        try:
            self._send_through(outbox, policy, due)
        except LedgerUnavailable:
            pass  # what was sent and could not be noted is sent again: its name tells
        finally:
            with self._lock:
                self._rounds -= 1
                self._busy -= {each.receiver for each in due}

    def _send_through(self, outbox: Outbox, policy: Policy, due: list[Due]) -> None:
        messages = []
        for number, each in enumerate(due):
            if each.receiver == routing.DESKTOP:
                self._note(outbox, each, show(title(each), each.text, each.severity))
                continue
            at = routing.address(policy, each.receiver, each.team)
            if at is None:
                outbox.failed(each, "the policy in force names this receiver no more", None, self._now_ms())
            else:
                words = title(each), body(each, self._machine), each.severity, each.html or ""
                messages.append(Message(number, at.to, *words, person=at.person))
        for result in sent(messages):
            self._note(outbox, due[result.number], result.error)

    def _note(self, outbox: Outbox, due: Due, error: str | None) -> None:
        now_ms = self._now_ms()
        if error is None:
            outbox.delivered(due, now_ms)
            return
        again_ms = now_ms + backoff_ms(due.attempts, self._chance())
        over = due.attempts >= GIVEN_UP_ATTEMPTS and again_ms - due.made_ms > GIVEN_UP_MS
        outbox.failed(due, error, None if over else again_ms, now_ms)


def show(head: str, text: str, severity: str) -> str | None:
    """On this session's desktop; what went wrong. What shows it reads the text, not the head, as markup."""
    urgency = {"notice": "low", "page": "critical"}.get(severity, "normal")
    program = shutil.which("notify-send")
    if program is None:
        return "notify-send is not there any more"
    words = [program, "--app-name=Spendgate", f"--urgency={urgency}", "--", head, escape(text, quote=False)]
    try:
        done = subprocess.run(words, capture_output=True, timeout=10, check=False)  # noqa: S603 - our own words
    except (OSError, subprocess.SubprocessError) as fault:
        return f"notify-send failed by {type(fault).__name__}"
    return None if done.returncode == 0 else f"notify-send ended with {done.returncode}"


def unusable(policy: Policy) -> dict[str, str]:
    """Receivers of the policy, by the service, that cannot be sent to from here, and what each lacks: words for a sentence.

    Asked of the program that sends, which takes a second; its answers are remembered.
    """
    entries = (*policy.notify, *(entry for team in policy.roster.teams for entry in team.notify))
    return dict(_lacking(tuple(sorted({routing.service(entry) for entry in entries}))))


@lru_cache(maxsize=64)
def _lacking(services: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    if not services:
        return ()
    words = [sys.executable, "-m", "spendgate.alerts.sending", "usable", *services]
    try:
        done = subprocess.run(words, capture_output=True, timeout=ASKING_S, check=True, env=_own_package())  # noqa: S603 - ours
        return tuple(msgspec.json.decode(done.stdout, type=dict[str, str]).items())
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError):
        return ()  # what cannot be asked is told by the first message


def _own_package() -> dict[str, str]:
    """The environment in which another Python finds this package."""
    env = dict(os.environ)
    root = str(Path(spendgate.__file__).parents[1])
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (root, env.get("PYTHONPATH"))))
    return env


def sent(messages: list[Message]) -> Iterator[Result]:
    """Have them sent by the program that does; a result for each, as soon as it is known."""
    if not messages:
        return
    try:
        program = subprocess.Popen(
            [sys.executable, "-m", "spendgate.alerts.sending"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_own_package(),
        )  # fmt: skip
    except OSError as fault:
        yield from (Result(each.number, f"sending could not be started: {type(fault).__name__}") for each in messages)
        return
    left = {each.number for each in messages}
    late = threading.Timer(SENDING_S, program.kill)
    late.daemon = True
    late.start()
    with program:
        assert program.stdin is not None  # noqa: S101 - it is a pipe
        assert program.stdout is not None  # noqa: S101 - it is a pipe
        try:
            program.stdin.write(b"\n".join(msgspec.json.encode(each) for each in messages))
            program.stdin.close()
        except OSError:
            pass  # it has ended already: nothing was sent
        for line in program.stdout:
            try:
                result = msgspec.json.decode(line, type=Result)
            except msgspec.MsgspecError:
                continue  # cut off in the middle
            left.discard(result.number)
            yield result
    late.cancel()
    why = "sending took too long" if program.returncode and program.returncode < 0 else "sending failed"
    yield from (Result(number, why) for number in sorted(left))
