"""Real responses that other projects recorded: counts equal genai-prices' own reading, and no bound is ever passed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from genai_prices import data

from providers.feeding import JSON, STREAM, each_way, fed
from spendgate.providers.ask import Ask
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Head, Kind
from spendgate.providers.reading import Reading
from spendgate.providers.registry import Registry
from spendgate.usage import Usage

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
pytestmark = pytest.mark.skipif(
    not CORPUS.is_dir(), reason="the corpus of public recordings is not at ../shared/corpus"
)

FIXTURES = {
    "anthropic/src/__fixtures__": ("anthropic-messages", "anthropic", "default"),
    "openai/src/chat/__fixtures__": ("openai-chat", "openai", "chat"),
    "openai/src/responses/__fixtures__": ("openai-responses", "openai", "responses"),
    "azure/src/__fixtures__": ("openai-responses", "openai", "responses"),
    "groq/src/__fixtures__": ("openai-chat", "groq", "default"),
    "moonshotai/src/__fixtures__": ("openai-chat", "moonshotai", "chat"),
}


def fixtures() -> list[Any]:
    """Every recorded answer of a dialect that is read here."""
    found = []
    for folder, (dialect, provider, flavour) in FIXTURES.items():
        for path in sorted((CORPUS / "vercel-ai/packages" / folder).glob("*")):
            name = f"{folder.split('/')[0]}-{path.stem}"
            chat = folder.startswith("azure") and b"chat.completion" in path.read_bytes()  # its folder holds both
            spoken = ("openai-chat", provider, "chat") if chat else (dialect, provider, flavour)
            found.append(pytest.param(path, *spoken, id=name))
    return found


def wire(path: Path) -> bytes:
    """A fixture as it came: `*.chunks.txt` holds one event's data a line."""
    if path.suffix == ".json":
        return path.read_bytes()
    return b"".join(b"data: " + line + b"\n\n" for line in path.read_bytes().splitlines() if line.strip())


@pytest.mark.parametrize(("path", "dialect", "provider", "flavour"), fixtures())
def test_delivery_does_not_matter(path: Path, dialect: str, provider: str, flavour: str) -> None:
    """A real answer, however delivered, gives one reading, and it is final unless the provider gave no counts."""
    stream = path.suffix != ".json"
    ways = dict(each_way(DIALECTS[dialect], wire(path), stream=stream))
    assert {name for name, reading in ways.items() if reading != ways["whole"]} == set()
    assert ways["whole"].final or b'"usage":{' not in wire(path).replace(b" ", b"")


@pytest.mark.parametrize(
    ("path", "dialect", "provider", "flavour"), [one for one in fixtures() if one.values[0].suffix == ".json"]
)
def test_counts_equal_genai_prices(path: Path, dialect: str, provider: str, flavour: str) -> None:
    """Where genai-prices can read a whole answer, our disjoint counts are its inclusive ones."""
    answer = json.loads(path.read_bytes())
    reading = fed(DIALECTS[dialect], path.read_bytes(), stream=False)
    if not answer.get("usage") or answer["usage"].get("iterations") or reading.free:
        pytest.skip("no counts, or counts that genai-prices does not read (iterations, free refusals)")
    owner = next(one for one in data.providers if one.id == provider)
    _, theirs = owner.extract_usage(answer, api_flavor=flavour)
    ours = reading.parts[0].usage
    assert ours.input_total == theirs.input_tokens
    assert ours.output_tokens == theirs.output_tokens
    if theirs.cache_read_tokens:  # Moonshot's own place for it is not read there
        assert ours.cache_read_tokens == theirs.cache_read_tokens
    assert ours.writes == (theirs.cache_write_tokens or 0)


@dataclass(frozen=True)
class Everything:
    """A policy's `capture` that leaves the defaults."""

    providers: None = None
    hosts: tuple[()] = ()
    never: tuple[()] = ()
    stream_usage: str = "never"


def flat(headers: dict[str, Any] | None) -> CaseInsensitive:
    """A cassette's headers."""
    return CaseInsensitive({name: v[0] if isinstance(v, list) else v for name, v in (headers or {}).items()})


def body_of(message: dict[str, Any]) -> bytes:
    """A cassette's body as it was sent."""
    if "parsed_body" in message:
        return json.dumps(message["parsed_body"], separators=(",", ":")).encode()
    body = message.get("body")
    text = (body.get("string") or "") if isinstance(body, dict) else body or ""
    return text if isinstance(text, bytes) else text.encode()


def exchanges(path: Path) -> Iterator[tuple[Head, dict[str, Any], dict[str, Any]]]:
    """(head, request, response) of each HTTP exchange in a cassette with a provider of ours."""
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    registry = Registry.build(Everything())
    for one in yaml.load(path.read_bytes(), Loader=loader).get("interactions") or []:  # noqa: S506  safe, in C or not
        if "request" in one and "response" in one and "uri" in one["request"]:
            url = urlsplit(one["request"]["uri"])
            head = Head(
                one["request"]["method"], url.hostname or "", url.path, url.query, flat(one["request"].get("headers"))
            )
            if registry.host(head.host) is not None:
                yield head, one["request"], one["response"]


def cassettes() -> list[Path]:
    """Cassettes of the providers that are read here."""
    hosts = (b"api.anthropic.com", b"api.openai.com")
    paths = sorted((CORPUS / "pydantic-ai").rglob("*.yaml"))
    return [path for path in paths if any(host in path.read_bytes() for host in hosts)]


@pytest.mark.parametrize("path", cassettes(), ids=lambda path: path.stem)
def test_recorded_calls(path: Path) -> None:
    """Every recorded call is known or shown; a billable one is counted in full and within its bound, a token a byte."""
    registry = Registry.build(Everything())
    for head, request, response in exchanges(path):
        route = registry.route(head)
        if route.kind is not Kind.BILLABLE:
            continue
        dialect = registry.dialect(route.dialect)
        ask = dialect.ask(head, body_of(request))
        headers = flat(response.get("headers"))
        kind = STREAM if "event-stream" in (headers.get("content-type") or "") else JSON
        reader = dialect.reader(ask, response["status"]["code"], kind)
        reader.feed(body_of(response))
        reading = reader.close()
        assert reading.final or reading.free or ask.background or b'"usage":{' not in body_of(response)
        assert within(ask, reading)


def within(ask: Ask, reading: Reading) -> bool:
    """Whether a call stayed within the bound that its Ask gives, where it gives one."""
    total = Usage()
    for part in reading.parts:
        total += part.usage
    text = ask.opaque_input or ask.loops or total.input_total <= ask.text_bytes
    cap = ask.output_tokens_max
    return text and (cap is None or ask.loops or (total.output_tokens or 0) <= cap * ask.choices)
