"""`--set`: every option of mitmproxy passes, is refused with its reason, or is fixed; none is ignored."""

import asyncio

import pytest
from mitmproxy import exceptions

from capture.proxies import NOW
from spendgate.capture import options
from spendgate.capture.ca import create
from spendgate.capture.detour import Detour, read_detour
from spendgate.capture.launcher import Gatehouse, Settings
from spendgate.capture.scope import Scope
from spendgate.errors import UsageError


@pytest.fixture
async def house():
    authority = create(["api.anthropic.com"], NOW)
    return Gatehouse(Settings(authority, lambda: Scope(frozenset()), modes=("regular", "upstream:x", "local")))


async def test_each_option_that_exists_is_decided_about(house):
    """mitmproxy's own list, compared with our tables: a new one must be looked at before it can do anything."""
    known = set(house.options.keys())
    ours = {"connect_to"}
    assert known - ours == (options.PASSES | set(options.REFUSED) | set(options.FIXED)) & known
    assert known >= options.PASSES
    assert not options.PASSES & set(options.REFUSED)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("stream_large_bodies=1", "before its cost is held", id="streams past the hold"),
        pytest.param("ignore_hosts=.*", "policy's `capture` alone", id="hosts past the meter"),
        pytest.param("ssl_insecure=true", "upstreams-are-not-verified", id="quiet insecurity"),
        pytest.param("no_such_option=1", "nobody defines", id="unknown"),
        pytest.param("client_replay=x", "spent twice", id="an addon that is not loaded"),
        pytest.param("tcp_timeout=soon", "not an integer", id="wrong value"),
        pytest.param("tls_version_client_min=TLS9", "TLS9", id="wrong choice"),
        pytest.param("ciphers_server=NONSENSE", "NONSENSE", id="no such cipher"),
        pytest.param("tls_ecdh_curve_client=round", "round", id="wrong curve"),
        pytest.param("ssl_verify_upstream_trusted_ca=/no/such/file", "does not exist", id="no such bundle"),
        pytest.param("connect_to=nowhere", "HOST=ADDR:PORT", id="malformed detour"),
    ],
)
async def test_an_option_that_would_break_a_promise_is_wrong_usage(house, text, said):
    """Refused with the reason, before anything listens."""
    with pytest.raises(UsageError, match=said):
        options.apply(house.options, [text])


async def test_insecurity_must_be_said_aloud(house):
    """Only the long word turns verification off."""
    options.apply(house.options, [options.INSECURE])
    assert house.options.ssl_insecure is True


async def test_an_option_reads_as_its_last_value(house):
    """Values stand as plain attributes and follow each change, also one that is rolled back."""
    options.apply(house.options, ["tcp_timeout=7"])
    assert house.options.tcp_timeout == 7
    with pytest.raises(exceptions.OptionsError):
        house.options.update(tls_ecdh_curve_client="round", tcp_timeout=8)
    assert house.options.tcp_timeout == 7
    assert "tcp_timeout" in vars(house.options)
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("text", "detour"),
    [
        ("api.OpenAI.com=127.0.0.1:8443", Detour("api.openai.com", ("127.0.0.1", 8443))),
        ("h=[::1]:1", Detour("h", ("::1", 1))),
    ],
)
def test_a_detour_is_read(text, detour):
    """HOST=ADDR:PORT, with brackets around IPv6."""
    assert read_detour(text) == detour


@pytest.mark.parametrize("text", ["", "h", "h=", "h=a", "h=a:", "h=a:x", "h=a:0", "h=a:70000", "=a:1", "h=:1"])
def test_a_malformed_detour_is_refused(text):
    """Never half understood."""
    with pytest.raises(ValueError, match="connect_to"):
        read_detour(text)
