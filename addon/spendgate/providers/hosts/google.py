"""Google: the Gemini API, Code Assist (Gemini CLI, Antigravity) and Vertex AI. Source: facts/wire-formats.md 0.1, 4.1, 4.2;
of interactions: google-genai 3.6.1.

What is neither billed by tokens nor known to be free is left to be shown as unrecognized: `predict` and `predictLongRunning`
(images, films), batches, stored caches, file search stores, Live and interactions over WebSocket; and, billed by the hour, a
customer's own endpoints but those of tuned Gemini. Vertex's premium of a tenth for Claude at a regional host (facts 13.3) is
not applied: no source says for which models and since when.
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import (
    CHAT,
    CODE_ASSIST,
    EMBEDDINGS,
    GEMINI,
    GOOGLE_KEYS,
    INTERACTIONS,
    MESSAGES,
    Provider,
    Rule,
    billable,
    free,
    result,
)

_VERBS: Final = ("generateContent", "streamGenerateContent", "embedContent", "batchEmbedContents")
_REGIONS: Final = (
    "africa-south1", "asia-east1", "asia-east2", "asia-northeast1", "asia-northeast2", "asia-northeast3",
    "asia-south1", "asia-south2", "asia-southeast1", "asia-southeast2", "australia-southeast1",
    "australia-southeast2", "europe-central2", "europe-north1", "europe-southwest1", "europe-west1",
    "europe-west2", "europe-west3", "europe-west4", "europe-west6", "europe-west8", "europe-west9",
    "europe-west12", "me-central1", "me-central2", "me-west1", "northamerica-northeast1",
    "northamerica-northeast2", "southamerica-east1", "southamerica-west1", "us-central1", "us-east1",
    "us-east4", "us-east5", "us-south1", "us-west1", "us-west2", "us-west3", "us-west4", "us", "eu",
    "europe-north2", "europe-west10", "europe-west15", "us-central2", "us-east7", "us-west8",
)  # fmt: skip
"""The service endpoints of Vertex' REST reference; in the last line what gcloud's own table has beside them."""
_PUBLISHERS: Final = ("/*/projects/*/locations/*/publishers", "/*/publishers")
"""With a project, and without one: Vertex in express mode, with an API key."""


def _generating(*folders: str) -> tuple[Rule, ...]:
    """What costs money below these folders of models."""
    return tuple(billable(f"{folder}/{{model}}:{verb}", GEMINI) for folder in folders for verb in _VERBS)


def _counting(*folders: str) -> tuple[Rule, ...]:
    """What only counts there."""
    return free(*(f"{at}/{{model}}:{verb}" for at in folders for verb in ("countTokens", "computeTokens")))


def _claude(at: str) -> tuple[Rule, ...]:
    """Claude below one list of publishers. The counting of tokens stands first: it looks like a model's name."""
    return (
        *free(f"{at}/anthropic/models/count-tokens:rawPredict"),
        billable(f"{at}/anthropic/models/{{model}}:rawPredict", MESSAGES),
        billable(f"{at}/anthropic/models/{{model}}:streamRawPredict", MESSAGES),
    )


def _partners(at: str) -> tuple[Rule, ...]:
    """Other vendors' models there: in the shape of chat (Mistral, AI21, Meta)."""
    verbs = ("rawPredict", "streamRawPredict")
    mistral = tuple(billable(f"{at}/mistralai/models/{{model}}:{verb}", CHAT, prices="mistral") for verb in verbs)
    return (*mistral, *(billable(f"{at}/*/models/{{model}}:{verb}", CHAT) for verb in verbs))


def _unnamed(folder: str) -> tuple[Rule, ...]:
    """Gemini under a name of the customer's: only the answer says which model it is."""
    return tuple(billable(f"{folder}/*:{verb}", GEMINI) for verb in ("generateContent", "streamGenerateContent"))


def _interactions(at: str) -> tuple[Rule, ...]:
    """The Interactions API; what is worked off in the background is metered when it is read."""
    return (
        billable(f"{at}/interactions", INTERACTIONS),
        result(f"{at}/interactions/*", INTERACTIONS),
        result(f"{at}/interactions/*/cancel", INTERACTIONS, method="POST"),
    )


_OWN: Final = ("/*/models", "/*/tunedModels")
_VERTEX: Final = tuple(f"{at}/google/models" for at in _PUBLISHERS)

_INTERNAL: Final = (
    "countTokens", "loadCodeAssist", "onboardUser", "retrieveUserQuota", "recordCodeAssistMetrics",
    "fetchAdminControls", "listExperiments", "fetchAvailableModels",
)  # fmt: skip

PROVIDERS: Final = (
    Provider(
        "google",
        ("generativelanguage.googleapis.com",),
        "google",
        (
            *_generating(*_OWN),
            *_unnamed("/*/dynamic"),
            billable("/*/openai/chat/completions", CHAT),
            billable("/*/openai/embeddings", EMBEDDINGS),
            *_interactions("/*"),
            *_counting(*_OWN),
            *free("/*/files/**", "/upload/*/files", "/*/files:register"),
        ),
        GEMINI,
        keys=GOOGLE_KEYS,
    ),
    Provider(
        "code-assist",
        (
            "cloudcode-pa.googleapis.com",
            "daily-cloudcode-pa.googleapis.com",
            "daily-cloudcode-pa.sandbox.googleapis.com",
            "autopush-cloudcode-pa.sandbox.googleapis.com",
        ),
        "google",
        (
            # A seat of Code Assist or a Google plan: no call has a price of its own.
            billable("/v1internal:generateContent", CODE_ASSIST, plan=True),
            billable("/v1internal:streamGenerateContent", CODE_ASSIST, plan=True),
            *free(*(f"/v1internal:{method}" for method in _INTERNAL)),
        ),
        CODE_ASSIST,
        keys=GOOGLE_KEYS,
    ),
    Provider(
        "vertex",
        (
            "aiplatform.googleapis.com",
            "aiplatform.us.rep.googleapis.com",
            "aiplatform.eu.rep.googleapis.com",
            *(f"{region}-aiplatform.googleapis.com" for region in _REGIONS),
        ),
        "google",
        (
            *(rule for at in _PUBLISHERS for rule in (*_claude(at), *_partners(at))),
            *_generating(*_VERTEX),
            *_unnamed("/*/projects/*/locations/*/endpoints"),
            billable("/*/projects/*/locations/*/endpoints/openapi/chat/completions", CHAT),
            billable("/*/projects/*/locations/*/endpoints/openapi/embeddings", EMBEDDINGS),
            *_interactions("/*/projects/*/locations/*"),
            *_counting(*_VERTEX),
        ),
        GEMINI,
        keys=GOOGLE_KEYS,
    ),
)
