"""To whom the upstream proxy's password is shown: to the proxy alone."""

from __future__ import annotations

import pytest
from mitmproxy import exceptions
from mitmproxy.proxy import mode_specs
from mitmproxy.test import taddons, tflow

from spendgate.capture.way_out import Credentials, proxy_of

LOGIN = "kiebitz:kanarie"


@pytest.mark.parametrize(
    ("mode", "scheme", "shown"),
    [
        pytest.param(
            "upstream:http://proxy:3128", "http", {"Proxy-Authorization"}, id="a plain request, which is its own"
        ),
        pytest.param("upstream:http://proxy:3128", "https", set(), id="inside a tunnel"),
        pytest.param("reverse:https://api.anthropic.com", "https", set(), id="a provider behind a reverse listener"),
        pytest.param("regular", "http", set(), id="directly"),
    ],
)
def test_it_is_shown_to_the_proxy_alone(mode: str, scheme: str, shown: set[str]) -> None:
    """mitmproxy's own addon gives it to the provider of a reverse listener, in place of the person's key."""
    with taddons.context(Credentials()) as context:
        context.configure(context.master.addons.get("upstreamauth"), upstream_auth=LOGIN)
        flow = tflow.tflow()
        flow.client_conn.proxy_mode = mode_specs.ProxyMode.parse(mode)
        flow.request.scheme = scheme
        context.master.addons.get("upstreamauth").requestheaders(flow)
    assert {name for name in flow.request.headers if "authorization" in name.lower()} == shown


def test_a_wrong_form_is_not_repeated() -> None:
    """What was meant for a password may be all of it."""
    with taddons.context(Credentials()) as context, pytest.raises(exceptions.OptionsError) as caught:
        context.configure(context.master.addons.get("upstreamauth"), upstream_auth="kanarie")
    assert "USER:PASSWORD" in str(caught.value)
    assert "kanarie" not in str(caught.value)


def test_the_first_proxy_is_the_way_out() -> None:
    """IPv6 addresses, too; without an upstream mode there is none."""
    assert proxy_of(("transparent@8443", "upstream:http://[2001:db8::9]:3128@8080", "upstream:http://other:1@2")) == (
        "http", ("2001:db8::9", 3128),
    )  # fmt: skip
    assert proxy_of(("transparent", "regular")) is None
