"""The office's own certificate: a renewed one is shown without a restart, and the last good one while the new is none."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from enrolment.test_server import Room
from spendgate.enrolment import server, shown
from spendgate.enrolment.shown import Files, Following
from spendgate.standin.certificates import made

NOW = datetime.now(UTC)
OLD, OLD_CA = made(("localhost",), NOW)
NEW, NEW_CA = made(("localhost",), NOW + timedelta(hours=1))
GONE, _ = made(("localhost",), NOW - timedelta(days=9))
LATER, _ = made(("localhost",), NOW + timedelta(days=3))


def split(pem: bytes) -> tuple[bytes, bytes]:
    """Certificate and key."""
    at = pem.index(b"-----BEGIN PRIVATE KEY")
    return pem[:at], pem[at:]


def locked(pem: bytes) -> bytes:
    """With its key under a passphrase."""
    certificate, key = split(pem)
    words = ["openssl", "pkcs8", "-topk8", "-passout", "pass:words"]
    return certificate + subprocess.run(words, input=key, capture_output=True, check=True).stdout


def following(files: Files) -> tuple[Following, list[str]]:
    said: list[str] = []
    seen = files.stamp()
    return Following(files, files.load(), seen, said.append), said


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(lambda: b"nonsense", "is no certificate with its key", id="nonsense"),
        pytest.param(lambda: b"", "is no certificate with its key", id="empty"),
        pytest.param(lambda: split(NEW)[0], "is no certificate with its key", id="its key is not there yet"),
        pytest.param(lambda: split(NEW)[0] + split(OLD)[1], "is no certificate with its key", id="the old key"),
        pytest.param(lambda: locked(NEW), "is no certificate with its key", id="a locked key"),
        pytest.param(lambda: GONE, "not now", id="one that has ended"),
        pytest.param(lambda: LATER, "not now", id="one that does not hold yet"),
        pytest.param(lambda: None, "No such file", id="gone"),
    ],
)
def test_what_cannot_be_shown_leaves_the_last_good_one(
    tmp_path: Path, content: Callable[[], bytes | None], why: str
) -> None:
    """It is said once, with the end of the one before; the good one that comes after it is taken."""
    file = tmp_path / "server.pem"
    file.write_bytes(OLD)
    found, said = following(Files(file))
    assert found.look(NOW) is None
    if (bad := content()) is None:
        file.unlink()
    else:
        file.write_bytes(bad)
    assert [found.look(NOW), found.look(NOW)] == [None, None]
    assert len(said) == 1
    assert why in said[0]
    assert "the one before goes on being shown, until 20" in said[0]
    file.write_bytes(NEW)
    later = NOW + timedelta(hours=2)
    assert found.look(later) is found.shown
    assert (found.shown.pem, found.look(later)) == (NEW, None)
    assert "renewed, and shown from now on" in said[1]


def test_two_files_that_links_lead_to_and_an_end_that_came(tmp_path: Path) -> None:
    """As ACME clients renew: links go to new files, one after the other. What is touched is no other one; an end is told once."""
    for name, pem in (("old", OLD), ("new", NEW)):
        for kind, part in zip(("crt", "key"), split(pem), strict=True):
            (tmp_path / f"{name}.{kind}").write_bytes(part)
    links = Files(tmp_path / "crt", tmp_path / "key")
    for kind in ("crt", "key"):
        (tmp_path / kind).symlink_to(f"old.{kind}")
    found, said = following(links)
    (tmp_path / "old.crt").touch()
    later = NOW + timedelta(hours=2)
    assert found.look(later) is None
    assert not said

    for kind in ("crt", "key"):
        (tmp_path / "next").symlink_to(f"new.{kind}")
        (tmp_path / "next").replace(tmp_path / kind)
        taken = found.look(later)
    assert taken is found.shown
    assert taken.pem == split(NEW)[0]
    assert ["no certificate with its key" in said[0], "renewed" in said[1], len(said)] == [True, True, 2]

    ended = found.shown.until
    assert [found.look(ended), found.look(ended)] == [None, None]
    assert [each for each in said if "laptops refuse it" in each] == said[2:]
    assert len(said) == 3


async def test_whoever_connects_gets_the_renewed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The running server, asked as a laptop asks; a connection that is open keeps what it began with."""
    monkeypatch.setattr(shown, "LOOKS_EVERY_S", 0.02)
    file = tmp_path / "server.pem"
    file.write_bytes(OLD)
    now = datetime.now(UTC) + timedelta(hours=2)
    found, said = following(Files(file))
    room = Room(tmp_path)

    async def shows(ca: bytes) -> asyncio.StreamWriter:
        tls = ssl.create_default_context(cadata=ca.decode())
        tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        _, writer = await asyncio.open_connection("127.0.0.1", room.port, ssl=tls, server_hostname="localhost")
        return writer

    async with server.serving(room.door, room.sockets, found.shown.tls) as show:
        task = asyncio.create_task(shown.follow(found, show, lambda: now))
        first = await shows(OLD_CA)
        file.write_bytes(NEW)
        while not said:
            await asyncio.sleep(0.01)
        (await shows(NEW_CA)).close()
        with pytest.raises(ssl.SSLCertVerificationError):
            await shows(OLD_CA)
        assert not first.is_closing()
        first.close()
        task.cancel()
