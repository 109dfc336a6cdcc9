"""Chat in an envelope: asked about by its model, never bounded, counted where counts stand beside the answer."""

from __future__ import annotations

import json

import pytest

from providers.feeding import fed, head
from spendgate.providers.cohere import CohereChat
from spendgate.providers.enveloped import EnvelopedChat
from spendgate.providers.interface import Notice
from spendgate.usage import Usage

CHAT = EnvelopedChat()


def body(**fields: object) -> bytes:
    """A JSON object."""
    return json.dumps(fields).encode()


@pytest.mark.parametrize(
    ("request_body", "model", "also"),
    [
        (body(model="qwen-max", input={"prompt": "hi"}, parameters={"max_tokens": 1, "n": 4}), "qwen-max", ()),
        (body(request={"model": "sonar-deep-research", "messages": []}), "sonar-deep-research", ()),
        (body(model="sonar", request={"model": "sonar-deep-research"}), "sonar-deep-research", ("sonar",)),
        (body(request="no object"), None, ()),
    ],
)
def test_a_request(request_body: bytes, model: str | None, also: tuple[str, ...]) -> None:
    """Its model is found in both places, and no cap is taken for a bound."""
    ask = CHAT.ask(head(), request_body)
    assert (ask.model, ask.also) == (model, also)
    assert ask.loops and ask.opaque_input and ask.output_tokens_max is None


def test_an_answer_with_counts() -> None:
    """Alibaba's native answer: counts beside the output."""
    usage = {"input_tokens": 22, "output_tokens": 17, "total_tokens": 39}
    reading = fed(
        CHAT, body(request_id="r", output={"choices": [{"finish_reason": "stop"}]}, usage=usage), stream=False
    )
    assert reading.final and reading.parts[0].usage == Usage(input_tokens=22, output_tokens=17)


def test_the_id_of_a_job() -> None:
    """It has no counts: an estimate, flagged."""
    reading = fed(CHAT, body(id="job-1", model="glm-4.7", task_status="PROCESSING"), stream=False)
    assert not reading.final and not reading.free and reading.flags == ("an answer without usage",)


def test_a_refusal_is_read_by_all_three() -> None:
    """OpenAI's shape, and Alibaba's own fields at the top."""
    shown = json.loads(CHAT.refusal(Notice("no more", "spent"), None).body)
    assert (shown["message"], shown["code"]) == ("no more", "spent")
    assert shown["error"]["message"] == "no more"


def test_coheres_older_chat() -> None:
    """A whole answer has its counts in `meta`; a stream of lines has none that are read; connectors bound nothing."""
    cohere = CohereChat()
    meta = {"billed_units": {"input_tokens": 5, "output_tokens": 7}}
    reading = fed(cohere, body(text="hi", generation_id="g", meta=meta), stream=False)
    assert reading.final and reading.parts[0].usage == Usage(input_tokens=5, output_tokens=7)
    lines = (
        body(event_type="text-generation", text="hi") + b"\n" + body(event_type="stream-end", response={"meta": meta})
    )
    assert not fed(cohere, lines, stream=False).final
    assert cohere.ask(head(), body(model="command-r", message="hi", connectors=[{"id": "web-search"}])).opaque_input
