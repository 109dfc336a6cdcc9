"""The dialects `bedrock-invoke` and `bedrock-converse`: AWS Bedrock's four operations. Source: facts/wire-formats.md 5.

The model stands in the URL alone, and its prefix decides the price (`global.` is list; `us.`, `eu.`, `apac.` or none is
regional), so what a body names is not used. An ARN that hides the model (application inference profiles, provisioned and
imported models, prompt routers) stays the model's name, no price list knows it, and it is never free; but where the answer
itself names a model, as Claude's does to InvokeModel, that is priced.

AWS counts beside the model: in headers of InvokeModel's answer and in `amazon-bedrock-invocationMetrics` of its stream's last
event. These go before the body's counts; where the two differ, a flag says so.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Final
from urllib.parse import unquote

from msgspec.structs import replace

from spendgate.model_names import hides_model
from spendgate.providers.anthropic import AnthropicMessages
from spendgate.providers.ask import Ask
from spendgate.providers.base import BaseDialect
from spendgate.providers.bedrock_answers import LATENCY_HEADER, TIER_HEADER, InvokeDocument, converse_document, speed_of
from spendgate.providers.bedrock_errors import bedrock_cut, bedrock_error, bedrock_refusal
from spendgate.providers.bedrock_streams import ConverseStream, InvokeStream
from spendgate.providers.bedrock_usage import CONVERSE_ANSWER, CONVERSE_ANSWER_SCAN
from spendgate.providers.boundaries import Boundaries
from spendgate.providers.client import sender
from spendgate.providers.eventstream import CONTENT_TYPE, BetweenFrames
from spendgate.providers.interface import Answer, Head, Headers, Notice, Reader
from spendgate.providers.jsonscan import ESCAPED, Scan, Scanner
from spendgate.providers.packed import drawn
from spendgate.providers.readers import BodyReader, FreeReader, is_open
from spendgate.providers.shapes import COUNT, PRESENT, TEXT, Shape, cap, items, record
from spendgate.providers.stated import GUARDRAIL

_CLAUDE: Final = AnthropicMessages()
_PATH: Final = re.compile(
    r"/(?:.+/)?model/(?:[^/]+:(?:inference-profile|foundation-model)/)?(.+)/[^/]+/?", re.IGNORECASE
)
"""A gateway of one's own has it below whatever it puts in front."""
_ROUTER: Final = re.compile(r":(?:default-)?prompt-router/")
"""A router charges by the model that it chooses, which it names afterwards: no price bounds it before."""
_TOOLS_BYTES: Final = 1536
"""Tokens that a model's own prompt for tools adds at most, as for Claude."""
_CONVERSE: Final = Shape(
    inferenceConfig=record(maxTokens=COUNT),
    toolConfig=record(tools=items(record(systemTool=PRESENT))),
    serviceTier=record(type=TEXT),
    performanceConfig=record(latency=TEXT),
    additionalModelRequestFields=PRESENT,
    promptVariables=PRESENT,
    guardrailConfig=PRESENT,
)
_CONVERSE_SCAN: Final = Scanner(
    _CONVERSE,
    (
        "inferenceConfig", "toolConfig", "serviceTier", "performanceConfig", "additionalModelRequestFields",
        "promptVariables", "guardrailConfig",
    ),
    marks=rb'(cachePoint|cache_control)"|ttl"\s*:\s*"(1h)"|(image|document|video|audio|s3Location)"\s*:',
)  # fmt: skip
_DRAWS: Final = re.compile(r"nova-canvas|titan-image|stability\.|stable-(?:image|diffusion)")
"""Amazon's and Stability's models of pictures: they count nothing, and are billed by the picture, which no list has."""
_DRAWING_SCAN: Final = Scanner(Shape(imageGenerationConfig=record(numberOfImages=COUNT)), ("imageGenerationConfig",))
_OPAQUE: Final = frozenset({b"image", b"document", b"video", b"audio", b"s3Location", ESCAPED})


def model_of(path: str) -> str | None:
    """The model in a path of Bedrock's; the id at the end of an ARN that shows it, else the whole ARN."""
    found = _PATH.fullmatch(unquote(path))
    return found[1] if found else None


class _Bedrock(BaseDialect):
    """What both have in common."""

    final: str
    """The error of its operations that says most nearly what a refusal is, and that boto3 does not retry."""

    def reader(self, ask: Ask, status: int, headers: Headers) -> Reader:
        """A reader for the response."""
        if status >= 300:
            return FreeReader(headers)
        kind = (headers.get("content-type") or "").lower()
        streamed = kind.startswith(CONTENT_TYPE) if kind else ask.streamed
        return self.events(ask, headers) if streamed else self.document(ask, headers)

    def refusal(self, notice: Notice, tool: str | None, *, strict: bool = False) -> Answer:
        """A refusal in AWS's error shape."""
        return bedrock_refusal(notice, tool, strict=strict, final=self.final)

    def error(self, status: int, message: str, request_id: str = "") -> Answer:
        """The gate's own error in AWS's shape."""
        return bedrock_error(status, message, request_id)

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """An exception frame, which ends a stream."""
        return bedrock_cut(notice)

    def boundaries(self, headers: Headers) -> Boundaries | None:
        """Frames of AWS's event stream."""
        return BetweenFrames() if is_open(headers, CONTENT_TYPE) else None


class BedrockInvoke(_Bedrock):
    """InvokeModel and InvokeModelWithResponseStream: the model's own body. Stateless."""

    name = "bedrock-invoke"
    final = "ServiceQuotaExceededException"

    request = _CLAUDE.request

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan; what is not Claude's is bounded by the model's own limits."""
        said = _CLAUDE.asked(head, body, scan)
        asked = replace(
            said,
            model=model_of(head.path),
            streamed=head.path.rstrip("/").endswith("-stream"),
            service_tier=head.headers.get(TIER_HEADER) or said.service_tier,
            speed=speed_of(head.headers.get(LATENCY_HEADER)) or said.speed,
            guarded=bool(head.headers.get(GUARDRAIL)),
        )
        if "anthropic." in (asked.model or "") and not hides_model(asked.model):
            return asked
        return replace(asked, opaque_input=True, output_tokens_max=None)

    def asking(self, head: Head, body: bytes) -> Generator[None, None, Ask]:
        """What the request asks for, in steps; of a model that draws, how many pictures."""
        ask = yield from super().asking(head, body)
        if not _DRAWS.search(ask.model or ""):
            return ask
        drawing = (yield from _DRAWING_SCAN.steps(body)).fields.get("imageGenerationConfig") or {}
        return replace(ask, pictures=drawn(drawing.get("numberOfImages")))

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of events."""
        return InvokeStream(headers, ask)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of one answer."""
        return InvokeDocument(headers, ask)


class BedrockConverse(_Bedrock):
    """Converse and ConverseStream: one body for all models. Stateless."""

    name = "bedrock-converse"
    final = "AccessDeniedException"

    request = _CONVERSE_SCAN

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan."""
        found, model = scan.fields, model_of(head.path)
        tools = (found.get("toolConfig") or {}).get("tools")
        cached = bool(scan.marks & {b"cachePoint", b"cache_control", ESCAPED})
        hour = bool(scan.marks & {b"1h", ESCAPED})
        return Ask(
            model=model,
            streamed=head.path.rstrip("/").endswith("-stream"),
            text_bytes=len(body) + (_TOOLS_BYTES if tools else 0),
            # A prompt's text may be kept at AWS (`promptVariables`); a model's own fields may hold anything, also a larger cap.
            opaque_input=bool(scan.marks & _OPAQUE or found.get("promptVariables")),
            output_tokens_max=None
            if found.get("additionalModelRequestFields") or _ROUTER.search(model or "")
            else cap((found.get("inferenceConfig") or {}).get("maxTokens")),
            service_tier=(found.get("serviceTier") or {}).get("type"),
            speed=speed_of((found.get("performanceConfig") or {}).get("latency")),
            cache_ttl="1h" if cached and hour else "5m" if cached else None,
            loops=any(tool and tool.get("systemTool") for tool in tools or []),
            guarded=bool(found.get("guardrailConfig")),
            **sender(head),
        )

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of events."""
        return ConverseStream(headers, ask)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of one JSON answer."""
        return BodyReader(
            headers,
            CONVERSE_ANSWER,
            CONVERSE_ANSWER_SCAN,
            lambda reading, found: converse_document(reading, found, ask),
        )
