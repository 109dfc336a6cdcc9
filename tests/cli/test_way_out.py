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
        pytest.param({"all_proxy": "http://proxy.corp:3128"}, "upstream:http://proxy.corp:3128", (), id="for all"),
        pytest.param(
            {"ALL_PROXY": "http://other:1", "https_proxy": "http://proxy.corp:3128"},
            "upstream:http://proxy.corp:3128",
            (),
            id="for HTTPS before that for all",
        ),
        pytest.param({"ALL_PROXY": "socks5h://me:secret@proxy:1080"}, "regular", (), id="SOCKS for all"),
    ],
)
def test_the_way_out(
    capsys: pytest.CaptureFixture[str], environ: dict[str, str], mode: str, sets: tuple[str, ...]
) -> None:
    """Address, scheme and login become the gate's own."""
    assert way_out(environ) == (mode, sets)
    assert "secret" not in capsys.readouterr().err


def test_a_way_that_not_every_program_goes_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    """The gate cannot go through SOCKS; the command runs all the same, since Node would not have gone there either."""
    way_out({"ALL_PROXY": "socks5://proxy:1080"})

    assert "ALL_PROXY names a socks5 proxy" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["socks5://me:secret@proxy:1080", "http://proxy:notaport", "http://:secret@"])
def test_a_proxy_that_cannot_be_used_is_told(wrong: str) -> None:
    """One error that names the variable; never the password."""
    with pytest.raises(UsageError, match="HTTPS_PROXY") as caught:
        way_out({"HTTPS_PROXY": wrong})

    assert "secret" not in str(caught.value)
