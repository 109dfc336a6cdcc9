"""The laptop's questions over HTTPS: by the system's trust store, without redirects, cookies or proxy variables, bounded."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import httpx2

from spendgate.config.policy_url import Way, system_tls
from spendgate.config.reading import apart
from spendgate.config.unfetched import unfetched
from spendgate.enrolment.messages import ANSWER_BYTES_MAX, ANSWER_TYPE, ASKED_TYPE

ANSWER_S, ALL_S = 60.0, 90.0
"""How long one step of an answer, and all of it, may take: some seconds for 300 hosts, and others may be before."""
_WHY_BYTES_MAX: Final = 300


class Refused(Exception):
    """The office says no. `status`: by which of HTTP."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Unasked(Exception):
    """No whole answer came, for whatever reason."""


@dataclass(frozen=True, slots=True)
class Line:
    """The way to one office."""

    url: str
    way: Way = field(default_factory=Way)
    tls: Callable[[], ssl.SSLContext] = system_tls

    async def ask(self, path: str, device: str, secret: str, body: bytes) -> bytes:
        """The answer's bytes, not yet believed. Raises Refused, Unasked."""
        try:
            async with asyncio.timeout(ALL_S):
                return await self._asked(self.url + path, device, secret, body)
        except TimeoutError:
            raise Unasked(f"{self.url} gave no whole answer in {ALL_S:.0f} s") from None
        except (httpx2.HTTPError, OSError) as fault:
            raise Unasked(f"{self.url} cannot be asked: {unfetched(fault)}") from None

    async def _asked(self, url: str, device: str, secret: str, body: bytes) -> bytes:
        proxy = httpx2.Proxy(self.way.proxy, auth=self.way.auth) if self.way.proxy else None
        tls = await apart(self.tls)
        headers = {
            "user-agent": "spendgate",
            "accept-encoding": "identity",
            "content-type": ASKED_TYPE,
            "authorization": f"Basic {b64encode(f'{device}:{secret}'.encode()).decode()}",
        }
        async with (
            httpx2.AsyncClient(
                verify=tls, timeout=ANSWER_S, follow_redirects=False, trust_env=False, proxy=proxy
            ) as http,
            http.stream("POST", url, headers=headers, content=body) as response,
        ):
            status = response.status_code
            most = ANSWER_BYTES_MAX if status == 200 else _WHY_BYTES_MAX
            found = await _read(response, most)
            if status != 200:
                raise Refused(status, _why(status, found))
            if response.headers.get("content-type", "").partition(";")[0] != ANSWER_TYPE.partition(";")[0]:
                raise Unasked(f"{self.url} is no office of `spendgate ca org serve`")
            if len(found) > ANSWER_BYTES_MAX:
                raise Unasked(f"{self.url} answers with more than {ANSWER_BYTES_MAX:,} bytes")
            return found


def office(url: str) -> str:
    """An office's address: `https://HOST` or with a port, and nothing else. Raises ValueError."""
    parts = urlsplit(url)
    try:
        good = parts.scheme == "https" and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("an office is https://HOST or https://HOST:PORT, and nothing more")
    return f"https://{parts.netloc}"


async def _read(response: httpx2.Response, most: int) -> bytes:
    """At most one piece more than `most`."""
    found = bytearray()
    async for chunk in response.aiter_raw():
        found += chunk
        if len(found) > most:
            break
    return bytes(found)


def _why(status: int, body: bytes) -> str:
    """The office's own words are shown only as far as they can be no more than words."""
    said = "".join(chr(each) for each in body[:_WHY_BYTES_MAX].partition(b"\n")[0] if 32 <= each < 127)
    return f"HTTP {status}" + (f": {said}" if said else "")
