"""What of mitmproxy's log lines reaches ours: known shapes in our words, nothing else of them."""

import io
import logging

import pytest

from spendgate.capture import logs

SECRET = "sk-ant-canary-secret"


@pytest.fixture
def heard():
    """What a log file would hold: everything that reaches the root logger while the relay stands in front of mitmproxy."""
    stream = io.StringIO()
    file, root = logging.StreamHandler(stream), logging.getLogger()
    level, relay = root.level, logs.install()
    root.addHandler(file)
    root.setLevel(logging.DEBUG)
    yield stream.getvalue
    root.removeHandler(file)
    root.setLevel(level)
    logs.remove(relay)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param(
            f"Client TLS handshake failed. The client does not trust the proxy's certificate for api.openai.com ({SECRET})",
            "a client does not trust our certificate for api.openai.com; `spendgate ca show` prints the one that",
            id="trust",
        ),
        pytest.param(
            "Server TLS handshake failed. Certificate verify failed: hostname mismatch",
            "an upstream's certificate was not accepted: hostname mismatch",
            id="upstream",
        ),
        pytest.param(
            f"Client TLS handshake failed. Cannot parse ClientHello: {SECRET}",
            "a client's TLS handshake failed",
            id="hello",
        ),
        pytest.param(
            f"Upstream proxy proxy.corp:3128 refused HTTP CONNECT request: 407 {SECRET}",
            "the proxy proxy.corp:3128 refused a connection: HTTP 407",
            id="a proxy",
        ),
        pytest.param(f"GET /v1/messages?key={SECRET}", "reports a problem", id="a line of no known shape"),
        pytest.param("mitmproxy has crashed!", "the proxy core failed on one connection", id="crash"),
    ],
)
def test_a_line_is_said_again_without_what_it_quotes(heard, line, said):
    """Hosts and causes from closed tables pass; paths, headers and bytes never do."""
    logging.getLogger("mitmproxy.proxy.server").warning(line)
    assert said in heard()
    assert SECRET not in heard()
    assert "/v1/messages" not in heard()


def test_a_traceback_is_reduced_to_types_and_places(heard):
    """The message of an exception may quote a request; its type and where it came from do not."""
    try:
        raise KeyError(SECRET)
    except KeyError:
        logging.getLogger("mitmproxy.proxy.server").exception("mitmproxy has crashed!")
    assert "KeyError at test_logs.py" in heard()
    assert SECRET not in heard()


def test_lines_below_a_warning_are_not_even_made(heard):
    """mitmproxy logs each connection and each stream at INFO."""
    logging.getLogger("mitmproxy.proxy.server").info("client connect")
    assert heard() == ""


def test_a_record_that_cannot_be_read_is_said_to_be_so(heard):
    """A broken format string neither raises nor prints its arguments."""
    record = logging.LogRecord("mitmproxy", logging.ERROR, "x.py", 1, "%d", (SECRET,), None)
    logs.Relay().emit(record)
    assert "could not be read" in heard()
    assert SECRET not in heard()
