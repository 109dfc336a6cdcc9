"""By which way a program's traffic comes to the gate, and what the environment leads to."""

from __future__ import annotations

import pytest

from spendgate.doctor.environment import Proxy, java, proxies
from spendgate.doctor.interface import Routes, State
from spendgate.doctor.known import TOOLS
from spendgate.doctor.routing import reaches
from spendgate.doctor.ways import environment, routes, way

BY_NAME = {tool.name: tool for tool in TOOLS}
AT = "127.0.0.1:8080"


@pytest.mark.parametrize(
    ("tool", "found", "yes", "words"),
    [
        pytest.param("java", Routes(transparent=True), True, "transparent", id="rules take all"),
        pytest.param("codex", Routes(proxy="HTTPS_PROXY", listener=AT), True, "HTTPS_PROXY", id="a variable"),
        pytest.param("codex", Routes(listener=AT), False, f"set HTTPS_PROXY=http://{AT}", id="no variable"),
        pytest.param(
            "codex",
            Routes(listener=AT, strays={"HTTPS_PROXY": "corp:3128"}),
            False,
            "HTTPS_PROXY leads to corp:3128",
            id="another proxy",
        ),
        pytest.param("java", Routes(proxy="HTTPS_PROXY", listener=AT), False, "-Dhttps.proxyPort=8080", id="Java"),
        pytest.param("java", Routes(java=True, listener=AT), True, "JAVA_TOOL_OPTIONS", id="Java's options"),
        pytest.param("cursor", Routes(proxy="HTTPS_PROXY", listener=AT), None, "cannot be told", id="settings"),
        pytest.param("codex", Routes(), False, "`spendgate run --mode transparent`", id="no gate"),
        pytest.param("codex", Routes(listener=AT, service=True), False, "install the service again", id="a service"),
        pytest.param("codex", Routes(listener=AT, unseen="offline"), None, "offline", id="no network"),
        pytest.param("java", Routes(proxy="HTTPS_PROXY", unseen="offline"), None, "offline", id="Java without it"),
        pytest.param("codex", Routes(proxy="HTTPS_PROXY", unseen="offline"), True, "HTTPS_PROXY", id="its proxy"),
    ],
)
def test_reached(tool: str, found: Routes, yes: bool | None, words: str) -> None:
    """Why, or what to do."""
    reached = reaches(BY_NAME[tool], found)
    assert reached.yes is yes
    assert words in f"{reached.why} {reached.remedy}"
    assert bool(reached.remedy) is (yes is not True and not found.unseen)


@pytest.mark.parametrize(
    ("value", "mode", "where"),
    [
        pytest.param("http://127.0.0.1:8080", "regular", "127.0.0.1:8080", id="as it is written"),
        pytest.param("localhost:8080", "regular", "localhost:8080", id="without a scheme"),
        pytest.param("http://alice:s3cret@corp:3128", "regular", "corp:3128", id="with a password"),
        pytest.param("socks5h://127.0.0.1:1080", "socks5", "127.0.0.1:1080", id="SOCKS"),
        pytest.param("http://[::1]:8080", "regular", "::1:8080", id="IPv6"),
        pytest.param("https://corp:443", "", "corp:443", id="a proxy over TLS is none of ours"),
        pytest.param("http://corp:port", "", "no address", id="not a port"),
    ],
)
def test_proxies_of_variables(value: str, mode: str, where: str) -> None:
    """Where each leads, and no word of its password."""
    [found] = proxies({"HTTPS_PROXY": value})
    assert (found.variable, found.mode, found.where) == ("HTTPS_PROXY", mode, where)
    assert "s3cret" not in repr(found)


def test_javas_options() -> None:
    """Host and port; without a host there is none."""
    found = java("-Xmx1g -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=8080")
    assert (found and found.where) == AT
    assert java("-Dhttps.proxyPort=8080") is None


def test_the_first_variable_decides() -> None:
    """A second one that leads to the gate mends nothing for who asks the first."""
    first, second = proxies({"HTTPS_PROXY": "http://corp:3128", "https_proxy": f"http://{AT}"})
    found = routes([("regular", AT)], java=False, proxies={first: False, second: True})
    assert (found.proxy, found.strays) == ("", {"HTTPS_PROXY": "corp:3128"})
    [told] = environment(found, ())
    assert (told.state, told.about) == (State.FINDING, "HTTPS_PROXY")
    assert f"set it to http://{AT}" in told.remedy
    assert "upstream:http://corp:3128" in told.remedy


def test_a_proxy_beside_transparent_capture() -> None:
    """The rules take port 443 alone: what is sent to another proxy goes around."""
    stray = Proxy("HTTPS_PROXY", "regular", "corp", 3128)
    found = routes([("transparent", "127.0.0.1:8443")], java=False, proxies={stray: False})
    assert [each.about for each in environment(found, ())] == ["HTTPS_PROXY"]


def test_a_laptop_that_is_offline_is_no_finding() -> None:
    """The kernel has no way for any call: what rules would take of it is not seen. A proxy elsewhere is what it was."""
    found = routes([("regular", AT)], java=False, proxies={}, untried="no IPv4 route")
    assert [(each.state, each.says) for each in environment(found, ("anthropic.com",))] == [
        (State.UNSEEN, "no IPv4 route")
    ]
    stray = routes([("regular", AT)], java=False, proxies={Proxy("HTTPS_PROXY", "", "corp", 1): False}, untried="no")
    assert [each.state for each in environment(stray, ())] == [State.FINDING]
    tried = routes([("transparent", AT)], java=False, proxies={}, untried="no IPv4 route")
    assert not tried.unseen


def test_what_no_proxy_hides() -> None:
    """A finding where a proxy is the way; rules do not go by it."""
    by_proxy = Routes(proxy="HTTPS_PROXY", listener=AT)
    assert [each.state for each in environment(by_proxy, ("anthropic.com",))] == [State.FINE, State.FINDING]
    assert list(environment(Routes(transparent=True), ("anthropic.com",))) == []


def test_ways() -> None:
    """One that is not answered has its own remedy; one whose certificate nobody can read, another."""
    fine = way("transparent", "transparent", answered=True, readable=True, certificate="/ca")
    silent = way("transparent", "transparent", answered=False, readable=True, certificate="/ca")
    closed = way("regular 127.0.0.1:1", "regular", answered=False, readable=False, certificate="/ca")
    assert [each.state for each in (fine, silent, closed)] == [State.FINE, State.FINDING, State.FINDING]
    assert "nft list table inet spendgate" in silent.remedy
    assert "let everybody read /ca" in closed.remedy
