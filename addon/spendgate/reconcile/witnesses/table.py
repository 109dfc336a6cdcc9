"""The witnesses, by name. A new one is put in here."""

from __future__ import annotations

from typing import Final

from spendgate.reconcile.witnesses.claude_code import ClaudeCode
from spendgate.reconcile.witnesses.claude_telemetry import ClaudeTelemetry
from spendgate.reconcile.witnesses.codex import Codex
from spendgate.reconcile.witnesses.copilot_cli import CopilotCli
from spendgate.reconcile.witnesses.gemini_cli import GeminiCli
from spendgate.reconcile.witnesses.interface import Witness
from spendgate.reconcile.witnesses.opencode import OpenCode

TELEMETRY: Final = ClaudeTelemetry()
WITNESSES: Final[tuple[Witness, ...]] = (ClaudeCode(), Codex(), GeminiCli(), OpenCode(), CopilotCli(), TELEMETRY)
