"""A policy from the URL that the trust file names.

Its signature, at URL + `.minisig`, is asked for first: it covers every byte of the policy and of what that includes, so while it
has not changed (`If-None-Match`) nothing has. Then the policy, and, once the signature is verified, each file that it names, from
beside the policy. All bounded in bytes and time, over TLS by the system's trust store, without redirects and cookies, and each
round at a random moment, so that a fleet does not ask at once.

The way out is the gate's own: through its upstream proxy, or direct. Proxy variables are not followed: where a machine sets them
for every program, they lead to the gate itself, which may not be up without a policy.

Whatever is wrong, the last good policy goes on, and it is told: as of a file, or as not fetched.
"""

from __future__ import annotations

import asyncio
import random
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httpx2
import truststore

from spendgate.config.bundle import Bundle, Fetched
from spendgate.config.includes import BYTES_MAX_ALL, FILES_MAX
from spendgate.config.last_good import InForce, LastGood
from spendgate.config.people import Known
from spendgate.config.policies import Following, OnChange
from spendgate.config.policy_file import UNCHECKED
from spendgate.config.reading import apart
from spendgate.config.signed import verified
from spendgate.config.trust import Trust
from spendgate.config.unfetched import unfetched
from spendgate.config.yaml_nodes import BYTES_MAX
from spendgate.errors import PolicyError
from spendgate.minisign import FILE_BYTES_MAX, SUFFIX

ANSWER_S, ALL_S = 20.0, 60.0
"""How long one step of an answer, and everything together, may take."""
SOON_S = (1.0, 10.0)
"""When a gate that starts with its last good copy asks for the first time."""
_ETAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,250}"')
"""RFC 9110, 8.8.3, without the bytes beyond ASCII, which no header of ours can carry; longer ones are no names."""


@dataclass(frozen=True, slots=True)
class Way:
    """How the gate gets out: through a proxy, with its user and password, or direct."""

    proxy: str | None = None
    auth: tuple[str, str] | None = None


class Unchanged(Exception):
    """The server says that what we have is the newest."""


class _Unfit(ValueError):
    """An answer that is not taken, in words of ours."""


class PolicyUrl:
    """Asks for one policy. Keeps what the server called the last one that was taken."""

    def __init__(self, url: str, trust: Trust, way: Way, *, tls: Callable[[], ssl.SSLContext] | None = None) -> None:
        self.url, self._trust, self._way = url, trust, way
        self._tls = tls or system_tls
        self._etag = ""
        self._new = ""

    async def fetch(self) -> Fetched | None:
        """What the URL has now, or why it could not be had; None: nothing new. Never raises for what a server does."""
        try:
            async with asyncio.timeout(ALL_S):
                return Fetched(self.url, await self._fetched())
        except Unchanged:
            return None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError, ValueError) as fault:
            self.forget()
            return Fetched(self.url, None, f"cannot be fetched: {_short(fault)}")

    def taken(self) -> None:
        """What was fetched last has taken force: only something else is to be sent from now on."""
        self._etag = self._new

    def forget(self) -> None:
        """A round failed, or what came was refused: only a whole answer shows that it is over, the last good one's, too."""
        self._etag = ""

    async def _fetched(self) -> Bundle:
        proxy = httpx2.Proxy(self._way.proxy, auth=self._way.auth) if self._way.proxy else None
        tls = await apart(self._tls)  # reads the system's certificates, for which the loop must not stand still
        async with httpx2.AsyncClient(
            verify=tls, timeout=ANSWER_S, follow_redirects=False, trust_env=False, proxy=proxy
        ) as http:
            signature, self._new = await _get(http, self.url + SUFFIX, FILE_BYTES_MAX, self._etag)
            main, _ = await _get(http, self.url, BYTES_MAX)
            found = Bundle(main, (), signature)
            names = _includes(found, self.url, self._trust)
            if len(names) > FILES_MAX:
                raise _Unfit(f"{len(names)} included files; at most {FILES_MAX}")
            room, folder = BYTES_MAX_ALL - len(main), self.url.rpartition("/")[0]
            included: list[tuple[str, bytes | None]] = []
            for name in names:
                data, _ = await _get(http, f"{folder}/{name}", min(BYTES_MAX, room))
                room -= len(data)
                included.append((name, data))
        return Bundle(main, tuple(included), signature)


class Poll(Following):
    """Follows a policy's URL."""

    def __init__(
        self, url: PolicyUrl, every_s: int, current: InForce, last_good: LastGood, *, now_ms: Callable[[], int],
        known: Known = UNCHECKED, pick: Callable[[float, float], float] = random.uniform,
    ) -> None:  # fmt: skip
        super().__init__(current, last_good, now_ms=now_ms, known=known)
        self._url, self._every_s, self._pick = url, every_s, pick

    async def run(self, changed: OnChange, stop: asyncio.Event) -> None:
        """Until `stop`."""
        wait_s = self._pick(*SOON_S) if self.current.digest is None else self._wait_s()
        while not stop.is_set():
            await asyncio.sleep(wait_s)
            await self.look(changed)
            wait_s = self._wait_s()

    async def look(self, changed: OnChange) -> None:
        """Ask now, and tell what came of it."""
        found = await self._url.fetch()
        if found is None:
            return
        before = self.current
        if found.fault and before.refused == (f"{found.url}: {found.fault}",):
            return  # it was told
        await self.take(found, changed)
        if self.current.refused:
            self._url.forget()
        else:
            self._url.taken()

    def _wait_s(self) -> float:
        return self._every_s * self._pick(0.9, 1.1)


def _includes(found: Bundle, url: str, trust: Trust) -> tuple[str, ...]:
    """The included files that the signature names; none where it is wrong, which is told by who takes the policy."""
    try:
        signed = verified(found, url, trust)
    except PolicyError:
        return ()
    return tuple(signed.digests) if signed else ()


def system_tls() -> ssl.SSLContext:
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _short(fault: Exception) -> str:
    """What happened, without what a peer wrote."""
    if isinstance(fault, TimeoutError):
        return f"no whole answer in {ALL_S:.0f} s"
    return str(fault) if isinstance(fault, _Unfit) else unfetched(fault)


async def _get(http: httpx2.AsyncClient, url: str, bytes_max: int, etag: str = "") -> tuple[bytes, str]:
    """The body, and the server's name for it; "" where that is none. Raises Unchanged, ValueError, httpx2.HTTPError."""
    headers = {"user-agent": "spendgate", "accept-encoding": "identity"}
    if etag:
        headers["if-none-match"] = etag
    async with http.stream("GET", url, headers=headers) as response:
        if response.status_code == 304 and etag:
            raise Unchanged
        if response.status_code != 200:
            raise _Unfit(f"{url} answers HTTP {response.status_code}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise _Unfit(f"{url} answers with an encoding that was not asked for")
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > bytes_max:
                raise _Unfit(f"{url} answers with more than {bytes_max:,} bytes")
        return bytes(body), named(response.headers.get("etag", ""))


def named(etag: str) -> str:
    """What may be sent again as `If-None-Match`; "" for what is no name of an answer. Pure."""
    return etag if _ETAG.fullmatch(etag) else ""
