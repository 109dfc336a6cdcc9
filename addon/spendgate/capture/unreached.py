"""Why a call did not get as far as its provider, where somebody between the two is to be asked: a proxy, a TLS inspector. Pure.

mitmproxy tells it in a text of its own. Of that only what cannot carry a secret goes on: a status, an address, OpenSSL's cause.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from spendgate.capture.coverage import Gap
from spendgate.config.credentials import UPSTREAM_AUTH

_HOST = r"[A-Za-z0-9_.:\[\]-]{1,255}"
_REFUSED: Final = re.compile(rf"Upstream proxy ({_HOST}) refused HTTP CONNECT request: (\d{{3}})\b")
_UNTRUSTED: Final = re.compile(
    r"Certificate verify failed: ((?:self-signed certificate|unable to get (?:local )?issuer|unable to verify the first)"
    r"[A-Za-z0-9 ,()'-]{0,100})$"
)
NEITHER: Final = "Neither the tool nor the provider is at fault."
REMEDIES: Final = {
    Gap.PROXY_CREDENTIALS: f"give the gate the proxy's USER:PASSWORD in {UPSTREAM_AUTH}, or in the OS keyring"
    f" (`keyring set spendgate {UPSTREAM_AUTH}`), and restart it",
    Gap.PROXY_REFUSED: "have whoever runs the proxy let this machine through to the host",
    Gap.UPSTREAM_UNTRUSTED: "where a TLS inspector stands on the way, put its CA's certificate into the system's trust store"
    " and restart the gate",
}


@dataclass(frozen=True, slots=True)
class Unreached:
    """Which of them it was, and what the person is told."""

    gap: Gap
    message: str


def unreached(fault: str, host: str) -> Unreached | None:
    """From mitmproxy's text of a failed connection for this host; None: it is about nobody in between."""
    if found := _UNTRUSTED.match(fault):
        what = f"The certificate that came for {host} is of an authority that this machine does not trust ({found[1]})."
        return _told(Gap.UPSTREAM_UNTRUSTED, what)
    found = _REFUSED.match(fault)
    if found is None:
        return None
    if found[2] == "407":
        what = f"The proxy {found[1]} did not accept the gate's user and password (HTTP 407), so that {host} was not reached."
        return _told(Gap.PROXY_CREDENTIALS, what)
    return _told(Gap.PROXY_REFUSED, f"The proxy {found[1]} does not let the gate through to {host} (HTTP {found[2]}).")


def _told(gap: Gap, what: str) -> Unreached:
    return Unreached(gap, f"Spendgate: {what} {NEITHER} To mend it: {REMEDIES[gap]}.")
