"""Spendgate: sees what AI tools spend, ties it to the person, and holds it to a budget before the call leaves."""

__version__ = "0.1.0"
