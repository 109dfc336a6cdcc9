"""What GitHub tells Copilot CLI of an account, its seat and its models: as much as 1.0.102 wants before it asks a model."""

from __future__ import annotations

from typing import Final

COPILOT: Final = "api.business.githubcopilot.com"
MODEL: Final = "gpt-5.1"
_SEAT: Final[dict[str, object]] = {
    "login": "standin",
    "access_type_sku": "copilot_for_business_seat",
    "copilot_plan": "business",
    "chat_enabled": True,
    "cli_enabled": True,
    "endpoints": {"api": f"https://{COPILOT}", "proxy": f"https://{COPILOT}"},
    "organization_list": [],
    "quota_snapshots": {},
}
_LIMITS: Final = {
    "max_context_window_tokens": 264_000,
    "max_prompt_tokens": 128_000,
    "max_output_tokens": 64_000,
}
_CAPABILITIES: Final[dict[str, object]] = {
    "family": MODEL,
    "type": "chat",
    "object": "model_capabilities",
    "tokenizer": "o200k_base",
    "limits": _LIMITS,
    "supports": {"streaming": True, "tool_calls": True, "parallel_tool_calls": True},
}
_MODELS: Final[dict[str, object]] = {
    "object": "list",
    "data": [
        {
            "id": MODEL,
            "name": MODEL,
            "object": "model",
            "vendor": "OpenAI",
            "version": MODEL,
            "preview": False,
            "model_picker_enabled": True,
            "policy": {"state": "enabled"},
            "supported_endpoints": ["/responses"],
            "capabilities": _CAPABILITIES,
            "billing": {"is_premium": True, "multiplier": 1},
        }
    ],
}


def answer(host: str, path: str) -> dict[str, object] | None:
    """The body that answers this request; None: nothing of GitHub's that is known here."""
    if host == "api.github.com" and path == "/copilot_internal/user":
        return _SEAT
    return _MODELS if host == COPILOT and path == "/models" else None
