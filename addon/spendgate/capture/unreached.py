"""Why a call did not get as far as its provider: a proxy or a TLS inspector between the two, or the machine's own network. Pure.

mitmproxy tells it in a text of its own. Of that only what cannot carry a secret goes on: a status, an address, OpenSSL's cause,
the system's number of a fault.
"""

from __future__ import annotations

import errno
import re
import socket
from dataclasses import dataclass
from typing import Final

from mitmproxy.net.server_spec import ServerSpec
from mitmproxy.utils.human import format_address

from spendgate.capture.coverage import Gap
from spendgate.config.credentials import UPSTREAM_AUTH

_HOST = r"[A-Za-z0-9_.:\[\]-]{1,255}"
_REFUSED: Final = re.compile(rf"Upstream proxy ({_HOST}) refused HTTP CONNECT request: (\d{{3}})\b")
_UNTRUSTED: Final = re.compile(
    r"Certificate verify failed: ((?:self-signed certificate|unable to get (?:local )?issuer|unable to verify the first)"
    r"[A-Za-z0-9 ,()'-]{0,100})$"
)
_INVALID: Final = re.compile(r"Certificate verify failed: ([A-Za-z0-9 ,()'-]{1,120})$")
_NOT_CONNECTED: Final = ("[Errno ", "Multiple exceptions: [Errno ")
"""The system's and asyncio's own words; through a proxy, it alone is connected to."""
_NUMBER: Final = re.compile(r"\[Errno (-?\d{1,5})\]")
_NAME: Final = ("EAI_NONAME", "EAI_NODATA", "EAI_AGAIN", "EAI_FAIL")
_WHY: Final = {
    **{getattr(socket, name): "its name could not be resolved" for name in _NAME if hasattr(socket, name)},
    errno.ECONNREFUSED: "the connection was refused",
    errno.ENETUNREACH: "no network leads to it",
    errno.EHOSTUNREACH: "no network leads to it",
    errno.ENETDOWN: "no network leads to it",
    errno.ETIMEDOUT: "nothing answered",
}
"""What the system's numbers mean, those of names as its resolver has them."""
NETWORK: Final = (
    "see whether this machine is online and finds the host by its name; where it goes out by a proxy alone, name that to the gate"
    " (`run --mode upstream:http://HOST:PORT`; under `exec`, HTTPS_PROXY)"
)
NEITHER: Final = "Neither the tool nor the provider is at fault."
REMEDIES: Final = {
    Gap.PROXY_CREDENTIALS: f"give the gate the proxy's USER:PASSWORD in {UPSTREAM_AUTH}, or in the OS keyring"
    f" (`keyring set spendgate {UPSTREAM_AUTH}`), and restart it",
    Gap.PROXY_REFUSED: "have whoever runs the proxy let this machine through to the host",
    Gap.PROXY_FAILED: "see whether the proxy runs and is named rightly (`--mode upstream:http://HOST:PORT`)",
    Gap.UPSTREAM_UNTRUSTED: "where a TLS inspector stands on the way, put its CA's certificate into the system's trust store"
    " and restart the gate",
    Gap.UPSTREAM_INVALID: "see what answers in the host's place (its address, a hosts file, a network's log-in page), whether"
    " this machine's clock is right, and, where a TLS inspector stands on the way, what certificate it makes",
}


@dataclass(frozen=True, slots=True)
class Unreached:
    """Which of them it was, and what the person is told."""

    gap: Gap | None
    """None: this machine's network, which comes and goes, and is no finding."""
    message: str

    @property
    def passes(self) -> bool:
        """Whether it may be different in a moment."""
        return self.gap in (None, Gap.PROXY_FAILED)


def unreached(fault: str, host: str, proxy: ServerSpec | None = None) -> Unreached | None:
    """From mitmproxy's text of a failed connection for this host, through this proxy; None: it says neither who nor why."""
    asked = f"the proxy {format_address(proxy[1])} or for {host}" if proxy and proxy[0] == "https" else host
    if found := _UNTRUSTED.match(fault):
        what = (
            f"The certificate that came for {asked} is of an authority that this machine does not trust ({found[1]})."
        )
        return _told(Gap.UPSTREAM_UNTRUSTED, what)
    if found := _INVALID.match(fault):
        return _told(Gap.UPSTREAM_INVALID, f"The certificate that came for {asked} is not valid for it ({found[1]}).")
    found = _REFUSED.match(fault)
    if found is None and proxy is not None and fault.startswith(_NOT_CONNECTED):
        return _told(Gap.PROXY_FAILED, f"The proxy {format_address(proxy[1])}, by which {host} is reached, was not.")
    if found is None:
        return _network(fault, host)
    if found[2].startswith("5"):
        return _told(Gap.PROXY_FAILED, f"The proxy {found[1]} did not get through to {host} (HTTP {found[2]}).")
    if found[2] == "407":
        what = f"The proxy {found[1]} did not accept the gate's user and password (HTTP 407), so that {host} was not reached."
        return _told(Gap.PROXY_CREDENTIALS, what)
    return _told(Gap.PROXY_REFUSED, f"The proxy {found[1]} does not let the gate through to {host} (HTTP {found[2]}).")


def _network(fault: str, host: str) -> Unreached | None:
    """One fault, or one for each of the host's addresses."""
    numbers = _NUMBER.findall(fault) if fault.startswith(_NOT_CONNECTED) else ()
    why = ", ".join(dict.fromkeys(_WHY[int(number)] for number in numbers if int(number) in _WHY))
    if not why:
        return None
    return Unreached(None, f"Spendgate: The gate could not reach {host}: {why}. To mend it: {NETWORK}.")


def _told(gap: Gap, what: str) -> Unreached:
    whose = "" if gap is Gap.UPSTREAM_INVALID else f"{NEITHER} "  # it may be the provider's own
    return Unreached(gap, f"Spendgate: {what} {whose}To mend it: {REMEDIES[gap]}.")
