"""AWS Bedrock: the runtime, with the model in the path, and the hosts that speak Anthropic's and OpenAI's own APIs.
Source: facts/wire-formats.md 0.1, 5.

An ARN of a foundation model or a system's inference profile ends in the model, which alone is kept. Batches, async-invoke and
ApplyGuardrail are billed otherwise, and stand in no rule, so that their rows say `unrecognized`.
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import (
    ANTHROPIC_BATCHES,
    CHAT,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    Provider,
    billable,
    free,
    responses_read,
    result,
)

_REGIONS: Final = (
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "ca-west-1", "mx-central-1", "sa-east-1",
    "eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3",
    "af-south-1", "il-central-1", "me-central-1", "me-south-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2",
    "ap-northeast-3", "ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3",
    "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "us-gov-east-1", "us-gov-west-1",
)  # fmt: skip
"""Where botocore 1.44.8 knows Bedrock, in the partitions that the internet reaches (China has none of it)."""
_FIPS: Final = (
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "ca-west-1", "us-gov-east-1", "us-gov-west-1",
)  # fmt: skip
_INVOKE: Final = "bedrock-invoke"
_CONVERSE: Final = "bedrock-converse"
_OPERATIONS: Final = (
    ("invoke", _INVOKE),
    ("invoke-with-response-stream", _INVOKE),
    ("converse", _CONVERSE),
    ("converse-stream", _CONVERSE),
)
_MODELS: Final = ("*:inference-profile/{model}", "*:foundation-model/{model}", "{model**}")

PROVIDERS: Final = (
    Provider(
        "aws",
        (
            *(f"bedrock-runtime.{region}.amazonaws.com" for region in _REGIONS),
            *(f"bedrock-runtime-fips.{region}.amazonaws.com" for region in _FIPS),
            # Asked for by AWS_USE_DUALSTACK_ENDPOINT.
            *(f"bedrock-runtime.{region}.api.aws" for region in _REGIONS),
            *(f"bedrock-runtime-fips.{region}.api.aws" for region in _FIPS),
            # The European sovereign cloud.
            "bedrock-runtime.eusc-de-east-1.amazonaws.eu",
            "bedrock-runtime.eusc-de-east-1.api.amazonwebservices.eu",
        ),
        "aws",
        (
            *(billable(f"/model/{model}/{verb}", dialect) for model in _MODELS for verb, dialect in _OPERATIONS),
            # OpenAI's APIs, below `/openai` or not: the same as Mantle's (docs.aws.amazon.com, Bedrock, apis).
            billable("/**/v1/chat/completions", CHAT),
            billable("/**/v1/responses", RESPONSES),
            *responses_read("/**/v1/responses"),
            *free("/model/**/count-tokens"),
        ),
        _CONVERSE,
    ),
    Provider(
        "aws-mantle",
        tuple(
            host.format(region)
            for region in _REGIONS
            for host in ("bedrock-mantle.{}.api.aws", "aws-external-anthropic.{}.api.aws")
        ),
        "aws",
        (
            billable("/**/v1/messages", MESSAGES),
            billable("/**/v1/chat/completions", CHAT),
            billable("/**/v1/responses", RESPONSES),
            billable("/**/v1/embeddings", EMBEDDINGS),
            billable("/**/v1/messages/batches", ANTHROPIC_BATCHES),
            # Worked off in the background or in a batch, and metered when it is read.
            result("/**/v1/messages/batches/*/results", ANTHROPIC_BATCHES),
            *responses_read("/**/v1/responses"),
            *free("/**/v1/messages/count_tokens", "/**/v1/messages/batches/*/cancel", "/**/v1/models/**"),
        ),
        CHAT,
    ),
)
