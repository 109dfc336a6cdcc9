"""What keeps a call from its provider, told from mitmproxy's own text, and nothing else of that text."""

from __future__ import annotations

import errno
import socket

import pytest

from spendgate.capture.coverage import FAILED, Gap
from spendgate.capture.unreached import NETWORK, REMEDIES, unreached

HOST = "api.anthropic.com"
SECRET = "kanarie"


@pytest.mark.parametrize(
    ("fault", "gap", "said"),
    [
        pytest.param(
            f"Upstream proxy proxy.acme.example:3128 refused HTTP CONNECT request: 407 {SECRET}",
            Gap.PROXY_CREDENTIALS,
            "The proxy proxy.acme.example:3128 did not accept the gate's user and password (HTTP 407), so that"
            f" {HOST} was not reached.",
            id="credentials",
        ),
        pytest.param(
            f"Upstream proxy [2001:db8::9]:3128 refused HTTP CONNECT request: 403 {SECRET}",
            Gap.PROXY_REFUSED,
            f"The proxy [2001:db8::9]:3128 does not let the gate through to {HOST} (HTTP 403).",
            id="not let through",
        ),
        pytest.param(
            f"Upstream proxy proxy.acme.example:3128 refused HTTP CONNECT request: 503 {SECRET}",
            Gap.PROXY_FAILED,
            f"The proxy proxy.acme.example:3128 did not get through to {HOST} (HTTP 503).",
            id="not got through",
        ),
        pytest.param(
            "Certificate verify failed: self-signed certificate in certificate chain",
            Gap.UPSTREAM_UNTRUSTED,
            f"The certificate that came for {HOST} is of an authority that this machine does not trust"
            " (self-signed certificate in certificate chain).",
            id="an inspector that sends its root",
        ),
        pytest.param(
            "Certificate verify failed: unable to get local issuer certificate",
            Gap.UPSTREAM_UNTRUSTED,
            "(unable to get local issuer certificate)",
            id="one that does not",
        ),
        pytest.param(
            "Certificate verify failed: hostname mismatch",
            Gap.UPSTREAM_INVALID,
            f"The certificate that came for {HOST} is not valid for it (hostname mismatch).",
            id="something in its place",
        ),
        pytest.param(
            "Certificate verify failed: certificate has expired",
            Gap.UPSTREAM_INVALID,
            "is not valid for it (certificate has expired)",
            id="out of date, or the clock",
        ),
    ],
)
def test_who_is_to_be_asked(fault: str, gap: Gap, said: str) -> None:
    """Whose doing, that it is neither the tool's nor the provider's, and the remedy; a proxy's own words are not repeated."""
    found = unreached(fault, HOST)
    assert found is not None
    assert found.gap is gap
    assert said in found.message
    assert ("Neither the tool nor the provider is at fault." in found.message) is (gap is not Gap.UPSTREAM_INVALID)
    assert REMEDIES[gap] in found.message
    assert SECRET not in found.message


@pytest.mark.parametrize(
    "fault",
    [
        "[Errno 111] Connect call failed ('198.51.100.9', 3128)",
        "Multiple exceptions: [Errno 111] Connect call failed (…)",
    ],
)
def test_a_proxy_that_is_not_there(fault: str) -> None:
    """Through one, it alone is connected to; it may be there in a moment."""
    found = unreached(fault, HOST, ("http", ("198.51.100.9", 3128)))
    assert found is not None
    assert (found.gap, found.passes) == (Gap.PROXY_FAILED, True)
    assert f"The proxy 198.51.100.9:3128, by which {HOST} is reached, was not." in found.message


def test_a_certificate_may_be_the_proxys_own() -> None:
    """Where it is spoken to over TLS, which of the two failed is not told."""
    fault = "Certificate verify failed: unable to get local issuer certificate"
    found = unreached(fault, HOST, ("https", ("proxy.acme.example", 443)))
    assert found is not None
    assert f"came for the proxy proxy.acme.example:443 or for {HOST} is" in found.message


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (f"[Errno {socket.EAI_NONAME}] Name or service not known", "its name could not be resolved"),
        (f"[Errno {socket.EAI_AGAIN}] Temporary failure in name resolution", "its name could not be resolved"),
        (f"[Errno {errno.ECONNREFUSED}] Connect call failed ('198.51.100.4', 443)", "the connection was refused"),
        (f"[Errno {errno.ETIMEDOUT}] Connect call failed ('198.51.100.4', 443)", "nothing answered"),
        (
            f"Multiple exceptions: [Errno {errno.ENETUNREACH}] Connect call failed ('2001:db8::4', 443, 0, 0),"
            f" [Errno {errno.ECONNREFUSED}] Connect call failed ('198.51.100.4', 443), {SECRET}",
            "no network leads to it, the connection was refused",
        ),
    ],
)
def test_a_network_that_does_not_lead_there(fault: str, said: str) -> None:
    """Why, and what to look at; it may be there in a moment, and is no finding."""
    found = unreached(fault, HOST)
    assert found is not None
    assert (found.gap, found.passes) == (None, True)
    assert found.message == f"Spendgate: The gate could not reach {HOST}: {said}. To mend it: {NETWORK}."


@pytest.mark.parametrize("fault", ["connection closed", "[Errno 99999] it went wrong", "[Errno ] it went wrong"])
def test_what_says_neither_who_nor_why(fault: str) -> None:
    """It stays the error of a connection: a remedy would lead astray."""
    assert unreached(fault, HOST) is None


def test_each_that_fails_has_a_remedy() -> None:
    """`doctor` looks there."""
    assert REMEDIES.keys() == FAILED
