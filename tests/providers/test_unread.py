"""What costs money and is not read stands in the README, path by path: what the registry does not know, and no more than that."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.feeding import head
from spendgate.providers.interface import Kind
from spendgate.providers.provider import Rule
from spendgate.providers.registry import Registry

README = (Path(__file__).parents[2] / "addon" / "README.md").read_text()
_ROW = re.compile(r"^\| `([a-z0-9.-]+\.[a-z]+)` \| (`.*`) \| ", re.MULTILINE)

COSTS_NOTHING = {
    "api.openai.com": (
        "/v1/assistants/**", "/v1/audio/voice_consents/**", "/v1/chat/completions/*", "/v1/projects/**", "/v1/skills/**",
        "/v1/vaults/**", "/v1/webhook_endpoints/**",
    ),
    "api.anthropic.com": ("/v1/tunnels/**", "/v1/user_profiles/**", "/v1/vaults/**"),
    "generativelanguage.googleapis.com": (),
}  # fmt: skip
"""What SDKs send that only writes something down: definitions, roles, secrets, hooks, a stored chat's own notes."""


class _All:
    providers = None
    hosts = ()
    never = ()
    stream_usage = "never"


REGISTRY = Registry.build(_All())


def kind_of(host: str, path: str) -> Kind:
    """What a POST, or a handshake where it says `WS`, is to the registry."""
    word, _, rest = path.rpartition(" ")
    method, headers = ("GET", {"upgrade": "websocket"}) if word == "WS" else ("POST", {})
    return REGISTRY.route(head(method, rest.replace("/**", "").replace("*", "x"), host, **headers)).kind


UNREAD = [(host, path) for host, paths in _ROW.findall(README) for path in re.findall(r"`([^`]+)`", paths)]


@pytest.mark.parametrize(("host", "path"), UNREAD)
def test_what_is_said_not_to_be_read_is_not(host: str, path: str) -> None:
    """Once it is, its line is to go."""
    assert kind_of(host, path) is Kind.UNRECOGNIZED


def sent() -> Iterator[tuple[str, str]]:
    """(host, path) of all that the vendors' SDKs send with a body, or as a socket."""
    resources = re.compile(r'\._post\(\s*(?:path_template\(\s*)?"([^"]+)"')
    listed = re.compile(
        r'\._get_api_list\(\s*(?:path_template\(\s*)?"([^"]+)"(?:(?!\bdef ).)*?method="post"', re.DOTALL
    )
    socket = re.compile(r'rstrip\(b"/"\)\s*\+ (?:b|path_template\()"([^"]+)"')
    for package, host, base in (("openai", "api.openai.com", "/v1"), ("anthropic", "api.anthropic.com", "")):
        for source in folder_of(package).glob("resources/**/*.py"):
            text = source.read_text()
            yield from ((host, base + path) for path in (*resources.findall(text), *listed.findall(text)))
            yield from ((host, f"WS {base}{path}") for path in socket.findall(text))
    models = (folder_of("google.genai") / "models.py").read_text()
    for verb in re.findall(r"path = '\{model\}:(\w+)", models):
        yield "generativelanguage.googleapis.com", f"/v1beta/models/x:{verb}"


def folder_of(package: str) -> Path:
    """Where an installed package's files are."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


SENT = sorted({(host, re.sub(r"\{[^}]*\}", "x", path.partition("?")[0])) for host, path in sent()})


def test_all_that_sdks_send_is_read_or_said_not_to_be() -> None:
    """Of each path that no rule knows the README tells, unless it costs nothing."""
    assert len(SENT) > 150
    told = {host: [path for each, path in UNREAD if each == host] for host in COSTS_NOTHING}
    missing = [
        (host, path)
        for host, path in SENT
        if kind_of(host, path) is Kind.UNRECOGNIZED
        and not any(Rule(one, Kind.FREE).match(path) for one in (*told[host], *COSTS_NOTHING[host]))
    ]
    assert missing == []
