"""Windsurf: its language server's calls to the model. Source: facts/wire-formats.md 11 (one capture of February 2026)."""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import WINDSURF, Provider, billable, free

_SERVICE: Final = "/exa.api_server_pb.ApiServerService"

PROVIDERS: Final = (
    Provider(
        "windsurf",
        ("server.codeium.com", "server.self-serve.windsurf.com", "inference.codeium.com"),
        # No list has Windsurf's own prices: its models are priced as unknown ones, as those of Cursor that this list lacks.
        "cursor",
        (
            billable(f"{_SERVICE}/GetChatMessage", WINDSURF),
            *free(f"{_SERVICE}/CheckUserMessageRateLimit", f"{_SERVICE}/GetModelStatuses"),
            *free("/exa.seat_management_pb.SeatManagementService/GetUserStatus"),
        ),
        WINDSURF,
    ),
)
