"""The CSV files of OpenAI's dashboard: completions usage and costs.

Source: columns as real exports have them (`facts/reconciliation.md` 2.2; public parsers of such files), the meaning of each as in
the types of the API (`openai_lines`). Buckets may be minutes, hours or days; a bucket without use is a row of times alone, and an
export without any has no other columns. `start_time_iso` may lack its zone, so epoch seconds are read.
"""

from __future__ import annotations

from typing import Final

from spendgate.reconcile.sources.assembling import TIMES, Reading, begins
from spendgate.reconcile.sources.openai_lines import cost_line, token_line
from spendgate.reconcile.sources.reading import Row, csv_header, epoch_ms
from spendgate.statement import Line, Statement

_COUNTS: Final = ("num_model_requests", "input_tokens", "output_tokens")
_MONEY: Final = ("amount_value", "amount_currency")


class OpenAIUsageCsv:
    """`openai-usage-csv`."""

    name = "openai-usage-csv"
    title = "OpenAI completions usage, from the usage page of platform.openai.com: Export"

    def recognises(self, head: bytes) -> bool:
        """See `FileSource`."""
        return begins(head, (*TIMES[:2], *_COUNTS), _MONEY) or csv_header(head) == TIMES

    def read(self, data: bytes, origin: str) -> Statement:
        """See `FileSource`."""
        reading = Reading(self.name, "openai", data, origin)

        def take(row: Row) -> list[Line]:
            span = reading.covers(epoch_ms(row["start_time"]), epoch_ms(row["end_time"]))
            if _empty(row):
                return []
            reading.once(row)
            line, doubt = token_line("completions", row, *span)
            reading.notes.update([doubt] if doubt else [])
            return [line]

        def nothing(row: Row) -> list[Line]:
            reading.covers(epoch_ms(row["start_time"]), epoch_ms(row["end_time"]))
            reading.notes.update(["without a column but times: read as days without usage"])
            return []

        if csv_header(data[:4096]) == TIMES:
            return reading.rows(TIMES, nothing).statement()
        return reading.rows((*TIMES[:2], *_COUNTS), take).statement()


class OpenAICostCsv:
    """`openai-cost-csv`."""

    name = "openai-cost-csv"
    title = "OpenAI costs, from the usage page of platform.openai.com: Export; grouped by line item it says most"

    def recognises(self, head: bytes) -> bool:
        """See `FileSource`."""
        return begins(head, (*TIMES[:2], *_MONEY))

    def read(self, data: bytes, origin: str) -> Statement:
        """See `FileSource`."""
        reading = Reading(self.name, "openai", data, origin)

        def take(row: Row) -> list[Line]:
            span = reading.covers(epoch_ms(row["start_time"]), epoch_ms(row["end_time"]))
            if _empty(row):
                return []
            reading.once(row)
            line = cost_line(row["amount_value"], row["amount_currency"], row, *span)
            if line.product is None:
                reading.notes.update(["without a line item: the amount is taken for the tokens of all models"])
            return [line]

        return reading.rows((*TIMES[:2], *_MONEY), take).statement(lambda line: line.who.organization)


def _empty(row: Row) -> bool:
    return not any(cell.strip() for name, cell in row.items() if name not in TIMES)
