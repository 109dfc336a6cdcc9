"""What is decrypted, as decisions: hello and destination in, verdict out."""

import pytest

from spendgate.capture.coverage import Gap
from spendgate.capture.scope import (
    CANARY_HOST,
    HEAD_MAX,
    Decrypt,
    Hello,
    Plain,
    Scope,
    Tunnel,
    host_of,
    judge,
    read_plain,
)

SCOPE = Scope(
    hosts=frozenset({"api.anthropic.com", "llm.acme.example", "late.acme.example", "*.ai.acme.example"}),
    never=frozenset({"bridge.claudeusercontent.com", "sso.ai.acme.example"}),
    covers=lambda host: host != "late.acme.example",
)


@pytest.mark.parametrize(
    ("name", "destination", "verdict"),
    [
        pytest.param("api.anthropic.com", None, Decrypt("api.anthropic.com"), id="provider by address"),
        pytest.param("API.Anthropic.com", "api.anthropic.com", Decrypt("api.anthropic.com"), id="case"),
        pytest.param("Api.anthropic.com.", None, Decrypt("api.anthropic.com"), id="the root's dot"),
        pytest.param(
            None, "API.anthropic.com.", Tunnel("api.anthropic.com", Gap.NO_SNI), id="a destination's case and dot"
        ),
        pytest.param("api.anthropic.com", "192.0.2.7", Decrypt("api.anthropic.com"), id="CONNECT to an address"),
        pytest.param("a.b.ai.acme.example", None, Decrypt("a.b.ai.acme.example"), id="below a wildcard"),
        pytest.param(CANARY_HOST, None, Decrypt(CANARY_HOST), id="canary"),
        pytest.param("ai.acme.example", None, Tunnel(), id="a wildcard is not its domain"),
        pytest.param("*.ai.acme.example", None, Tunnel(), id="no certificate for a wildcard by asking for it"),
        pytest.param(".ai.acme.example", None, Tunnel(), id="an empty label"),
        pytest.param("a b.ai.acme.example", None, Tunnel(), id="no host's spelling"),
        pytest.param(
            "sso.ai.acme.example", None, Tunnel("sso.ai.acme.example", Gap.NEVER), id="never below a wildcard"
        ),
        pytest.param("example.com", "example.com", Tunnel(), id="a bystander"),
        pytest.param("notapi.anthropic.com", None, Tunnel(), id="a longer name"),
        pytest.param("api.anthropic.com.evil.example", None, Tunnel(), id="a name that goes on"),
        pytest.param(
            "bridge.claudeusercontent.com", None, Tunnel("bridge.claudeusercontent.com", Gap.NEVER), id="never"
        ),
        pytest.param(
            "late.acme.example", None, Tunnel("late.acme.example", Gap.OUTSIDE_CA), id="added after the CA was made"
        ),
        pytest.param(None, "api.anthropic.com", Tunnel("api.anthropic.com", Gap.NO_SNI), id="no name"),
        pytest.param(None, "192.0.2.7", Tunnel(), id="no name, an address"),
        pytest.param("example.com", "api.anthropic.com", Tunnel("api.anthropic.com", Gap.OTHER_NAME), id="fronted"),
    ],
)
def test_a_connection_is_decrypted_only_for_a_covered_provider(name, destination, verdict):
    """The hello's name decides; a destination that is a provider's only adds the gap."""
    assert judge(SCOPE, Hello(name), destination) == verdict


def test_a_hidden_name_is_counted_where_the_way_there_named_a_provider():
    """Encrypted ClientHello shows an outer name of the CDN: tunnelled and counted; noise beside our own name is ignored."""
    hidden = Hello("cloudflare-ech.com", hides_name=True)
    assert judge(SCOPE, hidden, "api.anthropic.com") == Tunnel("api.anthropic.com", Gap.HIDDEN_NAME)
    assert judge(SCOPE, hidden, "192.0.2.7") == Tunnel()  # an address of a CDN names nobody
    assert judge(SCOPE, Hello("api.anthropic.com", hides_name=True), None) == Decrypt("api.anthropic.com")


@pytest.mark.parametrize(
    ("sent", "plain"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: A.example:80\r\n\r\n", Plain(True, "a.example"), id="request"),
        pytest.param(
            b"\r\n\r\nPOST /v1 HTTP/1.1\r\nx: 1\r\nhost:a.example\r\n", Plain(True, "a.example"), id="blank lines first"
        ),
        pytest.param(b"GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n", Plain(True, "2001:db8::1"), id="IPv6"),
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", Plain(True), id="no host"),
        pytest.param(b"G", None, id="one letter"),
        pytest.param(b"\r\n", None, id="nothing yet"),
        pytest.param(b"GET / HTTP/1.1\r\nHos", None, id="head not whole"),
        pytest.param(b"\r\n" * (HEAD_MAX // 2), Plain(False), id="endless blank lines"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", Plain(False), id="ssh"),
        pytest.param(b"\x00\x01", Plain(False), id="binary"),
        pytest.param(b"hello there", Plain(False), id="words"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 4000, Plain(True), id="endless head"),
    ],
)
def test_plain_bytes_are_read_as_far_as_their_host(sent, plain):
    """HTTP is told from the rest by its request line, and waited for only while it may still be one."""
    assert read_plain(sent) == plain


@pytest.mark.parametrize(
    ("authority", "host"),
    [("A.example:443", "a.example"), ("[::1]:443", "::1"), ("a.example.", "a.example"), ("a.example", "a.example")],
)
def test_the_host_of_an_authority_has_no_port(authority, host):
    """Ports, brackets, case and the root's dot are dropped."""
    assert host_of(authority) == host
