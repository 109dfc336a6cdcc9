"""SQLite: calls, holds, balances, and the questions that people ask of them."""
