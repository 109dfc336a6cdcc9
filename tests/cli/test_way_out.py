"""A proxy that a command would have used stays in the way, and its password in no message."""

from __future__ import annotations

import pytest

from spendgate.cli.exec_ import way_out
from spendgate.errors import UsageError


@pytest.mark.parametrize(
    ("environ", "mode", "sets"),
    [
        pytest.param({}, "regular", (), id="none"),
        pytest.param({"HTTPS_PROXY": ""}, "regular", (), id="empty"),
        pytest.param({"HTTPS_PROXY": "http://proxy.corp:3128"}, "upstream:http://proxy.corp:3128", (), id="plain"),
        pytest.param({"https_proxy": "proxy.corp:3128/"}, "upstream:http://proxy.corp:3128", (), id="bare, lower case"),
        pytest.param(
            {"HTTPS_PROXY": "http://me:p%40ss@proxy.corp"},
            "upstream:http://proxy.corp:80",
            ("upstream_auth=me:p@ss",),
            id="login",
        ),
        pytest.param(
            {"HTTPS_PROXY": "http://proxy.corp:3128", "SPENDGATE_UPSTREAM_AUTH": "me:p@ss"},
            "upstream:http://proxy.corp:3128",
            ("upstream_auth=me:p@ss",),
            id="a login of its own",
        ),
        pytest.param({"SPENDGATE_UPSTREAM_AUTH": "me:p@ss"}, "regular", (), id="a login for no proxy"),
        pytest.param({"HTTPS_PROXY": "https://[::1]:8080"}, "upstream:https://[::1]:8080", (), id="IPv6"),
    ],
)
def test_the_way_out(environ: dict[str, str], mode: str, sets: tuple[str, ...]) -> None:
    """Address, scheme and login become the gate's own."""
    assert way_out(environ) == (mode, sets)


@pytest.mark.parametrize("wrong", ["socks5://me:secret@proxy:1080", "http://proxy:notaport", "http://:secret@"])
def test_a_proxy_that_cannot_be_used_is_told(wrong: str) -> None:
    """One error that names the variable; never the password."""
    with pytest.raises(UsageError, match="HTTPS_PROXY") as caught:
        way_out({"HTTPS_PROXY": wrong})

    assert "secret" not in str(caught.value)
