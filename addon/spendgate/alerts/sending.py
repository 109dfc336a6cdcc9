"""Sends messages through Apprise: a program of its own, so that no gate loads the library or waits for a receiver.

    python -m spendgate.alerts.sending < messages > results
    python -m spendgate.alerts.sending usable slack xmpp …      what each of these services lacks on this system, as JSON

A message on each line of stdin, a result on each line of stdout as soon as it is known; every receiver has a thread, so that a
slow one holds up nobody else. `${SPENDGATE_SECRET_…}` is read from this process's environment and stands in no result. Nothing
is kept on disk, and nothing is asked of the network but what the addresses name.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from typing import Final
from urllib.parse import quote, unquote

import msgspec
from msgspec import Struct

from spendgate.inert_text import inert_chat

SENDERS_MAX: Final = 16
FAILED_MAX: Final = 2
"""Failures in a row of one receiver, after which the others are not tried in this round: they would wait as long. After a single
one the next is tried, since it may be that message alone which is refused."""
MEMORY_BYTES: Final = 2 << 30
"""Of address space, most of which is the threads' and never used: a receiver whose answer does not end fills no machine."""
_SECRET: Final = re.compile(r"\$\{(SPENDGATE_SECRET_[A-Z0-9_]+)\}")
_ADDRESSEES: Final = frozenset({"to", "cc", "bcc"})
_MAIL: Final = re.compile(r"mailtos?://", re.IGNORECASE)
_AS_IT_IS: Final = frozenset(
    {"json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos", "syslog", "rsyslog"}
)
"""Services that pass plain text on to programs or show it as such. All others may be chats."""
_STATUS: Final = re.compile(r"\berror\s*[=:]\s*(\d{3})\b")


class Message(Struct, frozen=True):
    """One message for one receiver."""

    number: int
    to: str
    """An address of Apprise's, `${…}` as the policy has it."""
    title: str
    body: str
    severity: str = "alert"
    html: str = ""
    """The same for a receiver that shows HTML, which is mail; it carries its plain text, too."""
    person: str = ""
    """Whom mail goes to in place of those whom the address names."""


class Result(Struct, frozen=True):
    """What became of it; None: it was taken."""

    number: int
    error: str | None


class Unset(Exception):
    """A secret that the environment does not have."""


def expanded(address: str, environ: Mapping[str, str]) -> str:
    """The address with its secrets. Raises Unset."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if not environ.get(name):
            raise Unset(f"{name} is not set where it is sent from")
        return environ[name]

    return _SECRET.sub(value, address)


def addressed(address: str, person: str) -> str:
    """The same server and sender with this addressee alone. Of an address with its secrets: all of it may be one."""
    head, _, query = address.partition("?")
    scheme, _, rest = head.partition("://")
    parts = [part for part in query.split("&") if part]
    kept = [part for part in parts if unquote(part.partition("=")[0]).strip().lower() not in _ADDRESSEES]
    return f"{scheme}://{rest.partition('/')[0]}?{'&'.join([*kept, f'to={quote(person)}'])}"


class _Heard(logging.Handler):
    """What the library says of a failure in this thread, reduced to a word of ours: its text may hold an address."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._words = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        text = str(record.msg)
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            pass  # a fault of the library's own; its bare text says enough
        status = _STATUS.search(text)
        if status is not None:
            self._words.said = f"answered {status[1]}"
        elif "onnection error" in text or "ocket" in text:
            self._words.said = "could not be reached"

    def said(self) -> str:
        """The word on the failure of this thread's last message."""
        return getattr(self._words, "said", "did not take it")

    def forget(self) -> None:
        """Another message begins."""
        self._words.__dict__.clear()


def send(message: Message, heard: _Heard, environ: Mapping[str, str]) -> Result:
    """Send one message."""
    import apprise  # noqa: PLC0415 - 15 MB, and a second

    heard.forget()
    try:
        address = expanded(message.to, environ)
        if message.person:
            address = addressed(address, message.person)
    except Unset as fault:
        return Result(message.number, str(fault))
    asset = apprise.AppriseAsset(
        app_id="Spendgate", app_desc="Spendgate", app_url="", image_url_mask="", image_url_logo="", async_mode=False,
        http_redirects=False, storage_mode=apprise.PersistentStoreMode.MEMORY, secure_logging=True,
    )  # fmt: skip
    mailed = bool(message.html) and _MAIL.match(message.to) is not None
    kinds = {"notice": apprise.NotifyType.INFO, "digest": apprise.NotifyType.INFO, "page": apprise.NotifyType.FAILURE}
    try:
        receiver = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
        if receiver is None:
            return Result(message.number, "the address is none that Apprise can use")
        receiver.overflow_mode = (
            apprise.OverflowMode.SPLIT
        )  # a service takes so many characters; by default the rest is lost
        shown = str if message.to.partition(":")[0].lower() in _AS_IT_IS else inert_chat
        taken = receiver.notify(
            title=shown(message.title),
            body=message.html if mailed else shown(message.body),
            notify_type=kinds.get(message.severity, apprise.NotifyType.WARNING),
            body_format=apprise.NotifyFormat.HTML if mailed else apprise.NotifyFormat.TEXT,
        )
    except Exception as fault:  # noqa: BLE001 - of a hundred services' modules; its text may hold an address
        return Result(message.number, f"failed by {type(fault).__name__}")
    return Result(message.number, None if taken else heard.said())


def send_all(messages: list[Message], environ: Mapping[str, str]) -> Iterable[Result]:
    """Send them, a receiver's own one after the other; each result as soon as it is known: who has had one does not get it again
    because this program was ended while the next was on its way."""
    heard = _Heard()
    library = logging.getLogger("apprise")
    library.addHandler(heard)
    library.setLevel(logging.DEBUG)
    library.propagate = False
    by_receiver: dict[tuple[str, str], list[Message]] = {}
    for message in messages:
        by_receiver.setdefault((message.to, message.person), []).append(message)

    results: SimpleQueue[Result | None] = SimpleQueue()

    def to_one(own: list[Message]) -> None:
        try:
            error, failed = None, 0
            for message in own:
                if failed < FAILED_MAX:
                    error = send(message, heard, environ).error
                    failed = failed + 1 if error is not None else 0
                results.put(Result(message.number, error))
        finally:
            results.put(None)

    with ThreadPoolExecutor(SENDERS_MAX) as senders:
        for own in by_receiver.values():
            senders.submit(to_one, own)
        for _ in by_receiver:
            yield from iter(results.get, None)


def usable(services: Iterable[str]) -> dict[str, str]:
    """What each of these services (an address's part before `://`) lacks to be sent to from here; without those that lack
    nothing."""
    from apprise.manager_plugins import NotificationManager  # noqa: PLC0415 - as in `send`

    known = NotificationManager()  # type: ignore[no-untyped-call]  # the library's own
    found: dict[str, str] = {}
    for service in services:
        try:
            plugin = known[service]
        except KeyError:
            found[service] = "is unknown to the Apprise that is installed"
            continue
        if not plugin.enabled:
            packages = plugin.requirements.get("packages_required") or ()
            names = [packages] if isinstance(packages, str) else [str(each) for each in packages]
            needs = f"needs the Python package {' and '.join(names)}" if names else "is not there on this system"
            found[service] = needs
    return found


def _bounded(memory_bytes: int) -> None:
    """As far as the system can: Windows has no such limit."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - POSIX alone has it

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
    with suppress(OSError, ValueError):  # a system that does not take it
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))


def main(memory_bytes: int = MEMORY_BYTES) -> None:
    """The program."""
    _bounded(memory_bytes)
    if sys.argv[1:2] == ["usable"]:
        sys.stdout.buffer.write(msgspec.json.encode(usable(sys.argv[2:])))
        return
    messages = [msgspec.json.decode(line, type=Message) for line in sys.stdin.buffer]
    out = sys.stdout.buffer
    for result in send_all(messages, os.environ):
        out.write(msgspec.json.encode(result) + b"\n")
        out.flush()


if __name__ == "__main__":
    main()
