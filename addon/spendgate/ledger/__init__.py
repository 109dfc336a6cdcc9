"""SQLite: calls, holds, balances, and the questions that people ask of them."""

from spendgate.ledger.ledger import Ledger

__all__ = ["Ledger"]
