"""Where the gate's own requests go out: as its traffic does."""

from __future__ import annotations

from pathlib import Path

import pytest

from spendgate.cli.given import way
from spendgate.cli.wanted import Wanted
from spendgate.config.paths import State
from spendgate.config.policy_url import Way


@pytest.mark.parametrize(
    ("modes", "sets", "expected"),
    [
        (("regular",), (), Way()),
        (("transparent@127.0.0.1:8443", "regular"), (), Way()),
        (("upstream:http://proxy.acme.example:3128",), (), Way("http://proxy.acme.example:3128")),
        (("regular@1", "upstream:https://[::1]:3128@8080"), (), Way("https://[::1]:3128")),
        (
            ("upstream:http://proxy:3128",),
            ("connect_to=a=b:1", "upstream_auth=alice:a:b"),
            Way("http://proxy:3128", ("alice", "a:b")),
        ),
    ],
)
def test_through_the_upstream_proxy_or_direct(modes: tuple[str, ...], sets: tuple[str, ...], expected: Way) -> None:
    """With its password, as `exec` and `--set upstream_auth` give it."""
    assert way(Wanted(policy=None, state=State(Path("/s")), modes=modes, sets=sets)) == expected
