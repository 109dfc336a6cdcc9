"""Captured against billed: statements in, matches, causes and a report out."""
