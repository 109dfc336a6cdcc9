"""Anthropic's Usage & Cost Admin API of a Console organization, before the analytics API. It still answers.

Source: the documentation's pages on `cost_report` and `usage_report/messages`. Money is told by workspace and description
(model, class, price axes) without keys, counts by key, account, workspace, model and price axes without money. They meet at
day, workspace, model, class and axes.
"""

from __future__ import annotations

from typing import Any, Final

from spendgate.reconcile.sources.anthropic_reports import Report, Run, cost_or_counts
from spendgate.reconcile.sources.reading import text
from spendgate.statement import Line, Who

_PRIORITY: Final = (
    "Priority Tier use is counted here, and the cost report leaves its cost out: it is in the commitment's invoice"
)


class AnthropicLegacy(Report):
    """`anthropic-legacy`: a Console organization."""

    name = "anthropic-legacy"
    title = "Anthropic Usage & Cost Admin API of a Console organization, before the analytics API; an admin key"
    variable = "ANTHROPIC_ADMIN_KEY"
    gap_ms = 1_000
    paths = ("/v1/organizations/cost_report", "/v1/organizations/usage_report/messages")
    groups = (
        ("workspace_id", "description"),
        (
            "account_id",
            "api_key_id",
            "context_window",
            "inference_geo",
            "model",
            "service_tier",
            "speed",
            "workspace_id",
        ),
    )

    def headers(self, credential: str) -> dict[str, str]:
        """See `ApiSource`. The beta is what lets counts be grouped by speed, as costs are."""
        return {
            "x-api-key": credential,
            "anthropic-version": "2023-06-01",
            "anthropic-beta": "fast-mode-2026-02-01",
        }

    def line(self, starts_ms: int, ends_ms: int, row: dict[str, Any]) -> Line:
        """A cost's workspace is all that it tells of who; a count also names the key ("": none) and the account."""
        money = "amount" in row
        workspace = text(row["workspace_id"]) or ""
        who = Who(workspace=workspace)
        if not money:
            who = Who(workspace=workspace, key=text(row["api_key_id"]) or "", user=text(row.get("account_id")))
        common = {"product": text(row["description"]) if money else None}
        return cost_or_counts(starts_ms, ends_ms, row, who, common)

    def notes(self, run: Run) -> tuple[str, ...]:
        """See `Report`."""
        priority = any(each.axes.tier == "priority" for each in run.lines)
        told = "costs are told by workspace and model, counts by key: a cost is brought to keys by counts alone"
        return (told, _PRIORITY) if priority else (told,)
