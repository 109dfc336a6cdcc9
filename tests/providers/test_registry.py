"""Every path of a provider's host is one thing, however it is spelled; no id or secret of a path is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from genai_prices.data_snapshot import get_snapshot
from msgspec.structs import replace

from providers.feeding import head
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.interface import Kind
from spendgate.providers.provider import Family, Provider
from spendgate.providers.registry import PROVIDER_NAMES, Registry
from spendgate.providers.registry_data import FAMILIES, PROVIDERS
from spendgate.providers.spellings import template


@dataclass(frozen=True)
class Host:
    """A policy's host."""

    host: str
    dialect: str
    prices: str | None = None
    billing: str | None = None


@dataclass(frozen=True)
class Capture:
    """A policy's `capture`."""

    providers: tuple[str, ...] | None = None
    hosts: tuple[Host, ...] = ()
    never: tuple[str, ...] = ()
    stream_usage: str = "never"


ALL = Registry.build(Capture())
OWN = Registry.build(
    Capture(
        providers=(),
        hosts=(
            Host("llm.acme.example", "openai", prices="anthropic", billing="gateway"),
            Host("acme.openai.azure.com", "openai"),
            Host("claude.acme.example", "anthropic"),
        ),
    )
)
A, O = "api.anthropic.com", "api.openai.com"  # noqa: E741  the two vendors, all over the table


@pytest.mark.parametrize(
    ("method", "host", "path", "kind", "dialect", "kept"),
    [
        ("POST", A, "/v1/messages", Kind.BILLABLE, "anthropic-messages", "/v1/messages"),
        ("POST", A, "//v1/./x/../messages/", Kind.BILLABLE, "anthropic-messages", "/v1/messages"),
        ("POST", A, "/v1/%6dessages", Kind.BILLABLE, "anthropic-messages", "/v1/messages"),
        ("POST", A, "/v1/%256dessages;x=1", Kind.BILLABLE, "anthropic-messages", "/v1/messages"),
        ("POST", A, "/v1/messages#x", Kind.BILLABLE, "anthropic-messages", "/v1/messages"),
        ("POST", A, "/v1/messages#/../../../api/x", Kind.BILLABLE, "anthropic-messages", "/v1/messages"),
        ("POST", A, "/api/x#/../../../v1/messages", Kind.BILLABLE, "anthropic-messages", "/v1/messages"),
        ("POST", A, "/api/..;/v1/messages", Kind.BILLABLE, "anthropic-messages", "/v1/messages"),
        ("POST", A, "/api/..%3Bx=y/v1/messages;z", Kind.BILLABLE, "anthropic-messages", "/v1/messages"),
        ("POST", A, "https://api.anthropic.com/v1/messages", Kind.BILLABLE, "anthropic-messages", "/v1/messages"),
        ("POST", A, "/V1/Messages", Kind.BILLABLE, "anthropic-messages", "/v1/messages"),
        ("post", A, "/v1/messages", Kind.BILLABLE, "anthropic-messages", "/v1/messages"),
        ("POST", A, "/v1/messages/count_tokens", Kind.FREE, "", "/v1/messages/count_tokens"),
        ("POST", A, "/api/event_logging/v2/batch", Kind.FREE, "", "/api/event_logging/v2/batch"),
        ("POST", A, "/api/eval/sdk-zAZezfDKGoZuXXKe", Kind.FREE, "", "/api/eval/*"),
        ("HEAD", A, "/", Kind.FREE, "", "/"),
        ("GET", A, "/mcp-registry/v0/servers", Kind.FREE, "", "/mcp-registry/v0/servers"),
        ("POST", A, "/v1/messages/batches", Kind.BILLABLE, "anthropic-batches", "/v1/messages/batches"),
        ("GET", A, "/v1/messages/batches/msgbatch_1/results", Kind.RESULT, "anthropic-batches", "/v1/messages/batches/*/results"),
        ("GET", O, "/v1/files/file-abc/content", Kind.RESULT, "openai-batches", "/v1/files/*/content"),
        ("GET", O, "/v1/responses/resp_68aB9/input_items", Kind.FREE, "", "/v1/responses/*/*"),
        ("POST", A, "/v1/chat/completions", Kind.BILLABLE, "openai-chat", "/v1/chat/completions"),
        ("POST", A, "/v1/sessions/sess_01AbC/events", Kind.UNRECOGNIZED, "", "/v1/sessions/*/events"),
        ("PUT", A, "/v1/messages", Kind.UNRECOGNIZED, "", "/v1/messages"),
        ("POST", O, "/v1/chat/completions", Kind.BILLABLE, "openai-chat", "/v1/chat/completions"),
        ("POST", O, "/v1/completions", Kind.BILLABLE, "openai-chat", "/v1/completions"),
        ("POST", O, "/v1/responses", Kind.BILLABLE, "openai-responses", "/v1/responses"),
        ("POST", O, "/v1/responses/compact", Kind.BILLABLE, "openai-responses", "/v1/responses/compact"),
        ("POST", O, "/v1/embeddings", Kind.BILLABLE, "openai-embeddings", "/v1/embeddings"),
        ("POST", O, "/v1/responses/input_tokens", Kind.FREE, "", "/v1/responses/input_tokens"),
        ("POST", O, "/v1/responses/resp_68aB9/cancel", Kind.RESULT, "openai-responses", "/v1/responses/*/cancel"),
        ("GET", O, "/v1/responses/resp_68aB9", Kind.RESULT, "openai-responses", "/v1/responses/*"),
        ("DELETE", O, "/v1/files/file-abcDEF", Kind.FREE, "", "/v1/files/*"),
        ("OPTIONS", O, "/v1/chat/completions", Kind.FREE, "", "/v1/chat/completions"),
        ("POST", O, "/v1/images/generations", Kind.BILLABLE, "openai-images", "/v1/images/generations"),
        ("POST", O, "/v1/audio/transcriptions", Kind.BILLABLE, "openai-transcriptions", "/v1/audio/transcriptions"),
        ("POST", O, "/v1/chat/completions/extra", Kind.UNRECOGNIZED, "", "/v1/chat/completions/*"),
    ],
)  # fmt: skip
def test_paths(method: str, host: str, path: str, kind: Kind, dialect: str, kept: str) -> None:  # noqa: PLR0917  a table
    """What costs money is billable however its path is spelled; what is known to be free is free; the rest shows."""
    route = ALL.route(head(method, path, host))
    assert (route.kind, route.path) == (kind, kept)
    if kind is Kind.BILLABLE:
        assert route.dialect == dialect
    assert ALL.dialect(route.dialect).name == route.dialect


@pytest.mark.parametrize("name", ["x_http_method_override", "X_HTTP_Method", "x_method_override"])
@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_a_header_that_names_a_method_may_be_obeyed(method: str, name: str) -> None:
    """Google and others take the method from a header: what costs money under either is billable, and neither frees the other."""
    google, path = "generativelanguage.googleapis.com", "/v1beta/models/gemini-3-pro-preview:generateContent"
    assert ALL.route(head(method, path, google, **{name: " post"})).kind is Kind.BILLABLE
    assert ALL.route(head("POST", path, google, **{name: method})).kind is Kind.BILLABLE
    assert ALL.route(head("POST", "/v1/files/x", O, **{name: method})).kind is not Kind.BILLABLE


@pytest.mark.parametrize(
    "start", ["/" * 600, "/." * 600, "/x/.." * 200, "/%2e" * 300], ids=["slashes", "dots", "up", "encoded"]
)
def test_a_long_path_is_read_whole(start: str) -> None:
    """What folds away may be of any length: the call at its end is found, and what is kept of a long path is bounded."""
    assert ALL.route(head("POST", f"{start}/v1/messages", A)).kind is Kind.BILLABLE
    assert OWN.route(head("POST", f"{start}/v1/chat/completions", "llm.acme.example")).kind is Kind.BILLABLE
    long = OWN.route(head("POST", "/x" * 20_000 + "/v1/chat/completions", "llm.acme.example"))
    assert (long.kind, len(long.path)) == (Kind.BILLABLE, 512)


@pytest.mark.parametrize(
    ("method", "query", "headers", "kind"),
    [
        ("GET", "", {"X-HTTP-Method-Override": "POST"}, Kind.BILLABLE),
        ("PUT", "", {"x-http-method-override": " post "}, Kind.BILLABLE),
        ("GET", "key=x&$httpMethod=POST&alt=sse", {}, Kind.BILLABLE),
        ("GET", "%24http%4Dethod=POST", {}, Kind.BILLABLE),
        ("POST", "", {"x-http-method-override": "GET"}, Kind.BILLABLE),
        ("GET", "", {"x-http-method-override": "PATCH"}, Kind.UNRECOGNIZED),
        ("GET", "", {"x-http-method-override": "HEAD"}, Kind.FREE),
        ("GET", "", {"x-http-method-override": ""}, Kind.FREE),
        ("GET", "$httpMethod=", {}, Kind.FREE),
        ("GET", "", {}, Kind.FREE),
    ],
)
def test_a_method_that_is_only_asked_for_counts(method: str, query: str, headers: dict[str, str], kind: Kind) -> None:
    """A server that heeds it makes a model work at a GET; one that does not answers with an error, which costs nothing."""
    path, host = "/v1beta/models/gemini-2.5-pro:generateContent", "generativelanguage.googleapis.com"
    assert ALL.route(replace(head(method, path, host, **headers), query=query)).kind is kind


def test_websocket_of_responses_is_billable_and_others_are_not_known() -> None:
    """A handshake to /v1/responses is a billable socket; one to a path that is not read is unrecognized, not free."""
    route = ALL.route(head("GET", "/v1/responses", O, upgrade="WebSocket", connection="Upgrade"))
    assert (route.kind, route.websocket, route.dialect) == (Kind.BILLABLE, True, "openai-responses")
    assert ALL.route(head("GET", "/v1/responses", O)).kind is Kind.FREE
    for offered in ("websocket, x", "x,WebSocket/13"):
        assert ALL.route(head("GET", "/v1/responses", O, upgrade=offered)).websocket
    realtime = ALL.route(head("GET", "/v1/realtime", O, upgrade="websocket"))
    assert (realtime.kind, realtime.websocket, realtime.dialect) == (Kind.BILLABLE, True, "openai-realtime")
    other = ALL.route(head("GET", "/v1/agents/stream", O, upgrade="websocket"))
    assert (other.kind, other.websocket) == (Kind.UNRECOGNIZED, False)


@pytest.mark.parametrize(
    ("host", "path", "dialect", "model", "provider"),
    [
        (
            "acme.openai.azure.com",
            "/openai/deployments/Team%20GPT/chat/completions",
            "openai-chat",
            "Team GPT",
            "azure",
        ),
        ("acme.openai.azure.com", "/openai/deployments/gpt4/embeddings", "openai-embeddings", "gpt4", "azure"),
        ("acme.openai.azure.com", "/openai/v1/responses", "openai-responses", None, "azure"),
        ("acme.openai.azure.com", "/anthropic/v1/messages", "anthropic-messages", None, "azure"),
        ("llm.acme.example", "/team-a/v1/chat/completions", "openai-chat", None, "anthropic"),
        ("llm.acme.example", "/v1/messages", "anthropic-messages", None, "anthropic"),
        ("claude.acme.example", "/sk-live-1234/v1/messages", "anthropic-messages", None, "anthropic"),
    ],
)
def test_hosts_of_a_policy(host: str, path: str, dialect: str, model: str | None, provider: str) -> None:
    """Azure and compatible hosts are read by how their paths end, whatever stands before; deployments name the model."""
    route = OWN.route(head("POST", path, host))
    assert (route.kind, route.dialect, route.model, route.provider) == (Kind.BILLABLE, dialect, model, provider)
    assert "sk-live" not in route.path and "Team" not in route.path and "gpt4" not in route.path


@pytest.mark.parametrize(
    "path", ["/openai//deployments/./gpt4", "/OpenAI/Deployments/gpt4", "/openai/deployments/cheap/../gpt4"]
)
def test_a_deployment_is_found_however_its_path_is_spelled(path: str) -> None:
    """What the server folds is folded before the deployment is read: the body's model would be the client's choice."""
    assert OWN.route(head("POST", f"{path}/chat/completions", "acme.openai.azure.com")).model == "gpt4"


M, X, R, E = "bedrock-mantle.us-east-1.api.aws", "aws-external-anthropic.us-east-1.api.aws", "openrouter.ai", "api.x.ai"
Z, L, C = "acme.openai.azure.com", "llm.acme.example", "claude.acme.example"


@pytest.mark.parametrize(
    ("method", "host", "path", "dialect"),
    [
        ("GET", Z, "/openai/v1/responses/resp_1", "openai-responses"),
        ("GET", Z, "/openai/responses/resp_1", "openai-responses"),
        ("POST", Z, "/openai/v1/responses/resp_1/cancel", "openai-responses"),
        ("GET", Z, "/openai/files/file-1/content", "openai-batches"),
        ("GET", Z, "/openai/v1/files/file-1/content", "openai-batches"),
        ("GET", Z, "/anthropic/v1/messages/batches/b/results", "anthropic-batches"),
        ("GET", L, "/team-a/v1/responses/resp_1", "openai-responses"),
        ("GET", L, "/v1/files/file-1/content", "openai-batches"),
        ("GET", C, "/v1/messages/batches/b/results", "anthropic-batches"),
        ("GET", M, "/v1/responses/resp_1", "openai-responses"),
        ("POST", M, "/openai/v1/responses/resp_1/cancel", "openai-responses"),
        ("GET", "bedrock-runtime.us-east-1.amazonaws.com", "/openai/v1/responses/resp_1", "openai-responses"),
        ("GET", X, "/v1/messages/batches/b/results", "anthropic-batches"),
        ("GET", R, "/api/v1/responses/resp_1", "openai-responses"),
        ("GET", E, "/v1/responses/resp_1", "openai-responses"),
        ("GET", E, "/v1/chat/deferred-completion/f15c", "chat-deferred"),
    ],
)
def test_what_is_read_back_is_a_result_wherever_it_was_ordered(method: str, host: str, path: str, dialect: str) -> None:
    """Also beyond the vendors' own hosts: what leaves in the background is charged its bound until its counts are read."""
    route = (OWN if host in (Z, L, C) else ALL).route(head(method, path, host))
    assert (route.kind, route.dialect) == (Kind.RESULT, dialect)
    assert hasattr(DIALECTS[dialect], "results")


@pytest.mark.parametrize(
    ("host", "path", "dialect", "model"),
    [
        (Z, "/openai/deployments/draw/images/generations", "openai-images", "draw"),
        (Z, "/openai/v1/images/edits", "openai-images", None),
        (Z, "/openai/deployments/ear/audio/transcriptions", "openai-transcriptions", "ear"),
        (Z, "/openai/deployments/mouth/audio/speech", "openai-speech", "mouth"),
        (Z, "/openai/v1/batches", "openai-batches", None),
        (L, "/team-a/v1/audio/translations", "openai-transcriptions", None),
        (C, "/v1/messages/batches", "anthropic-batches", None),
        (X, "/v1/messages/batches", "anthropic-batches", None),
    ],
)
def test_what_azure_and_gateways_have_beside_chat(host: str, path: str, dialect: str, model: str | None) -> None:
    """Pictures, sound and batches, as the SDKs send them there."""
    route = (OWN if host in (Z, L, C) else ALL).route(head("POST", path, host))
    assert (route.kind, route.dialect, route.model) == (Kind.BILLABLE, dialect, model)


def test_azure_speaks_realtime() -> None:
    """Where the query may name a deployment in place of a model."""
    for query, path in (("deployment=voice", "/openai/realtime"), ("model=voice", "/openai/v1/realtime")):
        asked = replace(head("GET", path, Z, upgrade="websocket"), query=query)
        route = OWN.route(asked)
        assert (route.kind, route.websocket, route.dialect) == (Kind.BILLABLE, True, "openai-realtime")
        assert DIALECTS[route.dialect].ask(asked, b"").model == "voice"


def test_gateway_billing_and_free_paths() -> None:
    """The policy's word for billing goes with the route; token counts stay free on a policy's hosts."""
    assert OWN.route(head("POST", "/v1/chat/completions", "llm.acme.example")).billing == "gateway"
    for path in ("/x/v1/messages/count_tokens", "/v1/files", "/openai/files", "/api/event_logging/v2/batch"):
        assert OWN.route(head("POST", path, "llm.acme.example")).kind is Kind.FREE
    assert OWN.route(head("POST", "/whatever", "llm.acme.example")).kind is Kind.UNRECOGNIZED


@pytest.mark.parametrize("host", ["llm.acme.example", "acme.openai.azure.com", "claude.acme.example"])
@pytest.mark.parametrize(
    ("path", "kind"),
    [("/v1/messages", Kind.BILLABLE), ("/v1/chat/completions", Kind.BILLABLE), ("/embeddings", Kind.BILLABLE),
     ("/responses", Kind.BILLABLE), ("/responses/compact", Kind.BILLABLE), ("/v1/images/generations", Kind.BILLABLE),
     (":generateContent", Kind.UNRECOGNIZED), ("/v1/messages/batches", Kind.BILLABLE), ("/v1/complete", Kind.UNRECOGNIZED)],
)  # fmt: skip
@pytest.mark.parametrize(
    "prefix",
    ["/files", "/v1/files", "/proxy/files/x", "/models", "/v1/models/gpt-5", "/moderations", "/api/event_logging",
     "/api/event_logging/v2/batch", "/v1/messages/count_tokens", "/responses/input_tokens", "/responses/x/cancel"],
)  # fmt: skip
def test_a_free_word_in_front_frees_nothing(host: str, prefix: str, path: str, kind: Kind) -> None:
    """A gateway's prefix is anybody's choice: only how a path ends says that it is free."""
    assert OWN.route(head("POST", prefix + path, host)).kind is kind


@pytest.mark.parametrize("family", [*FAMILIES.values(), *PROVIDERS.values()], ids=lambda family: family.name)
def test_what_costs_money_is_looked_for_first(family: Family | Provider) -> None:
    """The first rule that fits decides, so no free one stands before one that is billable.

    But for one: Vertex counts Claude's tokens at a path that looks like that of a model named `count-tokens`.
    """
    kinds = [rule.kind for rule in family.rules if not rule.pattern.endswith("/count-tokens:rawPredict")]
    assert kinds == sorted(kinds, key=[Kind.BILLABLE, Kind.RESULT, Kind.FREE].index)


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("eu.api.openai.com", "openai"),
        ("eu-west-1.api.x.ai", "x-ai"),
        ("eu.openrouter.ai", "openrouter"),
        ("agentn-gcpp-eucentral.api5.cursor.sh", "cursor"),
    ],
)
def test_regions_are_hosts_like_the_global_one(host: str, provider: str) -> None:
    """Who has to keep data in a region asks there and nowhere else: a host that is missing is neither captured nor counted."""
    entry = ALL.host(host)
    assert entry is not None
    assert entry.provider == provider


AMP_GOOGLE = "/api/provider/google"


@pytest.mark.parametrize(
    ("host", "path", "dialect", "model"),
    [
        ("api.perplexity.ai", "/v1/sonar", "openai-chat", None),
        ("api.perplexity.ai", "/v1/agent", "openai-responses", None),
        ("ampcode.com", f"{AMP_GOOGLE}/v1beta/models/gemini-3-pro:generateContent", "gemini", "gemini-3-pro"),
        ("ampcode.com", f"{AMP_GOOGLE}/v1beta1/publishers/google/models/gemini-3:streamGenerateContent", "gemini", "gemini-3"),
    ],
)  # fmt: skip
def test_other_names_of_what_costs_money(host: str, path: str, dialect: str, model: str | None) -> None:
    """Perplexity's own names for two APIs, and Gemini behind Amp, which passes three vendors' on."""
    route = ALL.route(head("POST", path, host))
    assert (route.kind, route.dialect, route.model) == (Kind.BILLABLE, dialect, model)


def test_hosts_are_exact() -> None:
    """Only named hosts are ours: no parent, no child, in any case and with a trailing dot."""
    assert {A, O} <= set(ALL.hosts())
    assert ALL.host("API.Anthropic.com.") is ALL.host(A)
    for other in ("anthropic.com", "x.api.anthropic.com", "api.anthropic.com.evil.example", "x.claude.ai", ""):
        assert ALL.host(other) is None


def test_capture_chooses() -> None:
    """`providers` picks, `never` takes away, and names that nobody knows are refused with the known ones."""
    assert Registry.build(Capture(providers=("anthropic",))).hosts() == (A,)
    two = ("anthropic", "groq")
    assert Registry.build(Capture(providers=two, never=("API.groq.com",))).hosts() == (A,)
    assert Registry.build(Capture(providers=two, never=("*.groq.com",))).hosts() == (A,)
    with pytest.raises(ValueError, match="anthropic, "):
        Registry.build(Capture(providers=("antropic",)))
    with pytest.raises(ValueError, match="anthropic, azure, openai"):
        Registry.build(Capture(hosts=(Host("x.example", "grpc"),)))


@pytest.mark.parametrize(
    "secret",
    ["sk-ant-api03-abc", "550e8400-e29b-41d4-a716-446655440000", "deadbeef", "alice@acme.example", "JohnDoe", "12345",
     "averyveryverylongsegmentofletters", "caf\u00e9", "a b", "eyJhbGciOi.J9.x"],
)  # fmt: skip
def test_template_keeps_no_secret(secret: str) -> None:
    """What is not a word of the APIs never stays in a path."""
    assert template(f"/v1/files/{secret}/content") == "/v1/files/*/content"
    for unread in ("/v1/ocr", "/v1beta/cachedcontents", "/v1beta/models/*:batchgeneratecontent"):
        assert template(unread) == unread  # a row that says `unrecognized` says what


@pytest.mark.parametrize("family", [*FAMILIES.values(), *PROVIDERS.values()], ids=lambda family: family.name)
def test_every_entry_names_what_is_there(family: Family | Provider) -> None:
    """Its rules name dialects that are read, and its price list is one of genai-prices' own."""
    assert {rule.dialect or family.dialect for rule in family.rules} <= set(DIALECTS)
    assert family.prices in {provider.id for provider in get_snapshot().providers}


@pytest.mark.parametrize("name", PROVIDER_NAMES)
def test_hosts_of_the_table_are_names_in_lower_case(name: str) -> None:
    """The CA is constrained to them, so each is one exact name."""
    for host in PROVIDERS[name].hosts:
        assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", host), host
