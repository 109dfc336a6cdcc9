"""Recordings of OpenAI's API and of hosts that speak like it: counts, model and cost are the recording's own numbers.

They are read here a second time, by other means than the product's: `json` with exact decimals, and the totals that providers
give themselves. Money is compared with what the answer states, and with genai-prices' own calculator.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from genai_prices import Usage as Listed
from genai_prices import calc_price
from msgspec.structs import replace

from providers.feeding import JSON, STREAM, each_way, pieces, read
from providers.test_corpus import CORPUS, body_of, flat
from spendgate.price_lists import own_list
from spendgate.pricing import Charge, PriceBook
from spendgate.providers.ask import Ask
from spendgate.providers.interface import Dialect, Head, Kind, Route
from spendgate.providers.reading import Reading
from spendgate.providers.registry import Registry
from spendgate.providers.unfinished import estimate_usage
from spendgate.usage import Usage

pytestmark = pytest.mark.skipif(
    not CORPUS.is_dir(), reason="the corpus of public recordings is not at ../shared/corpus"
)

HOSTS = (
    "api.openai.com", "openrouter.ai", "api.groq.com", "api.mistral.ai", "api.deepseek.com", "api.x.ai", "api.moonshot.ai",
    "api.perplexity.ai", "api.cerebras.ai", "router.huggingface.co", "api.cohere.com", "api.z.ai",
    "dashscope-intl.aliyuncs.com", "recorded.openai.azure.com", "pydantic-ai-realtime-dev.openai.azure.com",
    "pydanticai7521574644.openai.azure.com",
)  # fmt: skip
PACKAGES = {
    "alibaba": ("dashscope-intl.aliyuncs.com", "/compatible-mode/v1/chat/completions"),
    "azure": ("recorded.openai.azure.com", "/openai/v1/responses"),
    "cohere": ("api.cohere.com", "/v2/chat"),
    "deepseek": ("api.deepseek.com", "/chat/completions"),
    "groq": ("api.groq.com", "/openai/v1/chat/completions"),
    "mistral": ("api.mistral.ai", "/v1/chat/completions"),
    "moonshotai": ("api.moonshot.ai", "/v1/chat/completions"),
    "openai-compatible": ("api.x.ai", "/v1/chat/completions"),
    "openai": ("api.openai.com", "/v1/responses"),
    "perplexity": ("api.perplexity.ai", "/chat/completions"),
    "xai": ("api.x.ai", "/v1/chat/completions"),
}
"""Where the fixtures of a package came from; a few of another kind are told by what they hold."""
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass(frozen=True)
class AzureHost:
    """An Azure resource that a policy names."""

    host: str
    dialect: str = "openai"
    prices: str | None = None
    billing: str | None = None


@dataclass(frozen=True)
class Everything:
    """All providers, and the Azure resources of the recordings."""

    providers: None = None
    hosts: tuple[AzureHost, ...] = tuple(AzureHost(host) for host in HOSTS if host.endswith("azure.com"))
    never: tuple[()] = ()
    stream_usage: str = "never"


REGISTRY = Registry.build(Everything())
BOOK = PriceBook()


@dataclass(frozen=True)
class Recording:
    """One recorded exchange."""

    head: Head
    status: int
    request: bytes
    response: bytes
    stream: bool

    @property
    def route(self) -> Route:
        return REGISTRY.route(self.head)

    @property
    def dialect(self) -> Dialect:
        return REGISTRY.dialect(self.route.dialect)

    @property
    def ask(self) -> Ask:
        return self.dialect.ask(self.head, self.request) if self.request else Ask()

    def reading(self, response: bytes | None = None) -> Reading:
        reader = self.dialect.reader(self.ask, self.status, STREAM if self.stream else JSON)
        return read(reader, [self.response if response is None else response])


def _fixtures() -> Iterator[tuple[str, Recording]]:
    for package, (host, path) in PACKAGES.items():
        folder = CORPUS / "vercel-ai/packages" / package
        for file in sorted([*folder.rglob("*.json"), *folder.rglob("*.chunks.txt"), *folder.rglob("*.sse")]):
            body = file.read_bytes()
            where, stream = path, file.suffix != ".json"
            if file.suffix == ".txt":
                lines = [line for line in body.splitlines() if line.strip()]
                # Fixtures leave out what ends a stream of chat.
                lines += [b"[DONE]"] if b'"choices"' in body else []
                body = b"".join(b"data: " + line + b"\n\n" for line in lines)
            if any(word in str(file) for word in ("skill-", "transcription", "reranking")):
                where = "/v1/skills" if host == "api.openai.com" else "/v2/rerank"
            elif b'"text_completion"' in body:
                where = "/v1/completions"
            elif b'"output_text"' in body or b'"response.created"' in body or "/responses/" in str(file):
                where = path.replace("chat/completions", "responses")
            elif package in ("azure", "openai"):
                where = path.replace("responses", "chat/completions")
            yield f"{package}-{file.stem}", Recording(Head("POST", host, where, "", flat({})), 200, b"", body, stream)


def _cassettes() -> Iterator[tuple[str, Recording]]:
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    hosts = [host.encode() for host in HOSTS]
    for file in sorted((CORPUS / "pydantic-ai").rglob("*.yaml")):
        raw = file.read_bytes()
        if not any(host in raw for host in hosts):
            continue
        found = yaml.load(raw, Loader=loader).get("interactions") or []  # noqa: S506  safe, in C or not
        for number, one in enumerate(found):
            url = urlsplit(one.get("request", {}).get("uri", ""))
            if url.hostname in HOSTS and "response" in one:
                head = Head(
                    one["request"]["method"], url.hostname, url.path, url.query, flat(one["request"].get("headers"))
                )
                answer = body_of(one["response"])
                kind = str(flat(one["response"].get("headers")).get("content-type"))
                stream = "event-stream" in kind or answer.startswith((b"data:", b"event:", b": "))
                status = one["response"]["status"]["code"]
                yield f"{file.stem}-{number}", Recording(head, status, body_of(one["request"]), answer, stream)


@cache
def recordings() -> dict[str, Recording]:
    """All of them, by name."""
    return dict([*_fixtures(), *_cassettes()]) if CORPUS.is_dir() else {}


def documents(recording: Recording) -> list[dict[str, Any]]:
    """The JSON objects of an answer, numbers as exact decimals."""
    texts = [recording.response.decode()]
    if recording.stream:
        lines = texts[0].replace("\r\n", "\n").split("\n")
        texts = [line[5:].strip() for line in lines if line.startswith("data:") and "[DONE]" not in line]
    found = [json.loads(text, parse_float=Decimal) for text in texts if text.strip()]
    return [one for one in found if isinstance(one, dict)]


def told(recording: Recording) -> tuple[dict[str, Any] | None, str | None]:
    """The last usage object of an answer, wherever it stands, and the last model that it names."""
    usage = model = None
    for one in documents(recording):
        inner = one.get("response") if isinstance(one.get("response"), dict) else {}
        delta = one.get("delta") if isinstance(one.get("delta"), dict) else {}
        groq = one.get("x_groq") or {}
        meta = one.get("meta") if "billed_units" in (one.get("meta") or {}) else None
        usage = one.get("usage") or inner.get("usage") or delta.get("usage") or groq.get("usage") or meta or usage
        model = one.get("model") or inner.get("model") or model
    return usage, model


def expected(recording: Recording, usage: dict[str, Any]) -> tuple[int, int, int]:
    """(input in all, output in all, read from a cache) of a usage object, as the provider's documentation has them."""
    if "billed_units" in usage:
        billed = usage["billed_units"]
        return int(billed["input_tokens"] + billed.get("image_tokens", 0)), int(billed.get("output_tokens", 0)), 0
    inputs = usage["prompt_tokens"] if "prompt_tokens" in usage else usage["input_tokens"]
    outputs = usage.get("completion_tokens", usage.get("output_tokens", 0))
    if recording.head.host == "api.x.ai" and "completion_tokens" in usage:
        outputs += usage["completion_tokens_details"]["reasoning_tokens"]
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    places = (
        details.get("cached_tokens"), usage.get("cached_tokens"), usage.get("num_cached_tokens"),
        usage.get("prompt_cache_hit_tokens"),
    )  # fmt: skip
    if "total_tokens" in usage:
        assert inputs + outputs == usage["total_tokens"], "the test reads the recording's counts wrongly"
    return inputs, outputs, max(place or 0 for place in places)


def stated(usage: dict[str, Any]) -> int | None:
    """Nano-dollars that an answer says it cost; one with the customer's own key at the vendor costs both."""
    if "cost_in_usd_ticks" in usage:
        dollars = Decimal(usage["cost_in_usd_ticks"]) / 10**10
    elif "cost" in usage:
        own = usage["cost_details"]["upstream_inference_cost"] if usage.get("is_byok") else 0
        dollars = Decimal(usage["cost"]) + Decimal(own)
    else:
        return None
    return int((dollars * 10**9).quantize(Decimal(1), ROUND_HALF_EVEN))


def credits_of(recording: Recording) -> int | None:
    """Nano-dollars of the credits that Copilot says a call cost: a credit is a cent, and stands there in billionths."""
    said = [each["copilot_usage"] for each in documents(recording) if each.get("copilot_usage")]
    return int(Decimal(said[-1]["total_nano_aiu"]) / 10**9 / 100 * 10**9) if said else None


def summed(reading: Reading) -> Usage:
    total = Usage()
    for part in reading.parts:
        total += part.usage
    return total


ALL = recordings()
COUNTED = [name for name, one in ALL.items() if one.status == 200 and one.route.kind is Kind.BILLABLE and told(one)[0]]
OTHERS = [name for name in ALL if name not in COUNTED]
STREAMS = [name for name, one in ALL.items() if one.stream and one.route.kind is Kind.BILLABLE]


def test_the_corpus_is_read_in_full() -> None:
    """No recording of these hosts is passed over: each host and each package is there, and nothing with counts is unknown."""
    assert {one.head.host for one in ALL.values()} == set(HOSTS)
    lost = [
        name for name in OTHERS if ALL[name].status == 200 and ALL[name].head.method == "POST" and told(ALL[name])[0]
    ]
    assert [name for name in lost if not name.endswith(("transcription", "reranking.1"))] == []
    assert len(COUNTED) > 250


@pytest.mark.parametrize("name", COUNTED)
def test_counts_model_and_cost_are_the_recordings_own(name: str) -> None:
    """Input, output, cached input, model and stated cost: by the second reading."""
    recording = ALL[name]
    usage, model = told(recording)
    assert usage is not None
    reading = recording.reading()
    ours = summed(reading)
    assert (ours.input_total, ours.output_tokens) == expected(recording, usage)[:2]
    assert (ours.cache_read_tokens or 0) == expected(recording, usage)[2]
    assert reading.model == model
    assert reading.stated_cost_nanos == (stated(usage) if credits_of(recording) is None else credits_of(recording))
    assert (reading.final, reading.ended, reading.free) == (True, True, False)


@pytest.mark.parametrize("name", COUNTED)
def test_price_is_genai_prices_own(name: str) -> None:
    """What the counts cost by the price list of the route is what genai-prices' calculator says, to the nano-dollar."""
    recording = ALL[name]
    usage, model = told(recording)
    assert usage is not None
    reading = recording.reading()
    (part,) = reading.parts
    by = own_list(recording.route.prices or recording.route.provider)
    named = part.model or model or recording.ask.model
    ours = BOOK.price(by, named, part.usage, at=AT, context=part.context)
    inputs, outputs, cached = expected(recording, usage)
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    wrote = min(details.get("cache_write_tokens") or 0, inputs - cached)
    given = {"input_tokens": inputs, "output_tokens": outputs, "cache_read_tokens": cached, "cache_write_tokens": wrote}
    if part.usage.web_searches:
        given["web_searches"] = part.usage.web_searches
    try:
        theirs = calc_price(
            Listed(**given), model_ref=str(named), provider_id=by, genai_request_timestamp=AT,
            price_context=dict(part.context),
        )  # fmt: skip
    except LookupError:
        assert not isinstance(ours, Charge), "genai-prices knows no price"
        pytest.skip(f"no price of {named} at {by}: the policy's unknown_model applies, and the row is flagged")
    assert isinstance(ours, Charge)
    assert abs(ours.nanos - theirs.total_price * 10**9) <= 1


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_billed_costs_nothing(name: str) -> None:
    """Lists, uploads, errors and unknown paths: free, or shown as unrecognized; an answer that does not count is never final."""
    recording = ALL[name]
    if recording.route.kind is not Kind.BILLABLE:
        return
    reading = recording.reading()
    assert not reading.parts
    assert reading.stated_cost_nanos is None
    assert reading.free if recording.status >= 300 else not reading.final


@pytest.mark.parametrize("name", [name for name in COUNTED if len(ALL[name].response) < 200_000])
def test_delivery_does_not_matter(name: str) -> None:
    """Whole, byte by byte, cut at random, encoded, with garbage behind: one reading."""
    recording = ALL[name]
    if recording.stream:
        ways = dict(each_way(recording.dialect, recording.response, stream=True))
        assert {way for way, reading in ways.items() if reading != ways["whole"]} == set()
        return
    whole = recording.reading()
    for seed in range(3):
        reader = recording.dialect.reader(recording.ask, 200, JSON)
        assert read(reader, pieces(recording.response, seed)) == whole


@pytest.mark.parametrize("name", COUNTED)
def test_a_truncated_answer_is_never_taken_for_a_whole_one(name: str) -> None:
    """Cut anywhere, no reader fails, and what calls itself final has the counts and the cost of the whole."""
    recording = ALL[name]
    whole, dice = recording.reading(), random.Random(name)
    if recording.response.count(b'"type":"response.completed"') > 1:
        pytest.skip("a fixture that holds several answers in a row")
    size = len(recording.response.rstrip())
    cuts = {0, 1, size - 1, *(dice.randrange(size) for _ in range(12)), *(max(0, size - n) for n in (2, 9, 40, 200))}
    for cut in cuts:
        reading = recording.reading(recording.response[:cut])
        assert not any(flag.startswith("reader failed") for flag in reading.flags)
        if reading.final or reading.stated_cost_nanos is not None:
            assert (reading.parts, reading.stated_cost_nanos) == (whole.parts, whole.stated_cost_nanos)
            assert recording.stream


def ratio(estimated: int | None, true: int | None) -> float:
    return (estimated or 0) / (true or 1)


def spread(found: list[float]) -> str:
    """Some points of a distribution, for people."""
    found = sorted(found)
    points = [found[round(share * (len(found) - 1))] for share in (0, 0.1, 0.5, 0.9, 1)]
    return f"{len(found)} calls: " + ", ".join(f"{point:.2f}" for point in points)


def test_estimates_lie_where_their_explanation_says() -> None:
    """Counts taken away, what `estimate_usage` makes of each recording, by host and dialect: `pytest -s` prints it."""
    inputs: dict[tuple[str, str], list[float]] = {}
    shown: dict[tuple[str, str], list[float]] = {}
    for recording in (ALL[name] for name in COUNTED if "cohere" not in ALL[name].route.dialect):
        reading, key = recording.reading(), (recording.head.host, recording.route.dialect)
        true, ask = summed(reading), recording.ask
        made = estimate_usage(ask, replace(reading, parts=(), final=False))
        if recording.request and not (ask.opaque_input or ask.loops):
            inputs.setdefault(key, []).append(ratio(made.input_tokens, true.input_total))
        if recording.stream and true.output_tokens:
            shown.setdefault(key, []).append(ratio(made.output_tokens, true.output_tokens))
    for title, table in (("input", inputs), ("output", shown)):
        for (host, dialect), found in sorted(table.items()):
            print(f"{title} {host} {dialect}: estimated to true, least, 10%, median, 90%, most of {spread(found)}")
    every = sorted(each for found in inputs.values() for each in found)
    assert 0.5 < every[len(every) // 2] < 3
    assert sum(0.3 < each < 4 for each in every) > 0.75 * len(every)
    chats = sorted(each for (_, dialect), found in shown.items() if dialect == "openai-chat" for each in found)
    assert 0.5 < chats[len(chats) // 2] < 2


def test_stated_and_listed_costs() -> None:
    """Where an answer states its cost and no tool was billed by the call, the price list says the same, but for what is named.

    OpenRouter's list knows no cache writes of these two models; one xAI fixture was made up by those who recorded it.
    """
    off = []
    for name in COUNTED:
        recording = ALL[name]
        usage, _ = told(recording)
        reading = recording.reading()
        if usage is None or reading.stated_cost_nanos is None or usage.get("server_tool_use_details"):
            continue
        (part,) = reading.parts
        listed = BOOK.price(recording.route.provider, part.model, part.usage, at=AT, context=part.context)
        if not isinstance(listed, Charge) or abs(listed.nanos - reading.stated_cost_nanos) > 1:
            off.append(name)
    assert off == [
        "xai-xai-image-generation-tool.1",
        "test_openrouter_responses_prompt_cache_e2e-0",
        "test_openrouter_responses_prompt_cache_e2e-1",
        "test_openrouter_cache_instructions_gemini_real_api-0",
    ]
