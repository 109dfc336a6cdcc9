"""Imports point inward: nouns import the nouns below them, edges import nouns, each edge keeps to its own outside world."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "addon" / "spendgate"

NOUNS = {
    "errors": set(),
    "money": set(),
    "usage": set(),
    "statement": {"usage"},
    "calibration": {"model_names", "usage"},
    "audit_words": set(),
    "attribution": set(),
    "exchange": set(),
    "model_names": set(),
    "written": set(),
    "minisign": set(),
    "name_constraints": set(),
    "runtimes": set(),
    "minisign_secret": {"minisign"},
    "price_change": {"money"},
    "listed_prices": {"money", "usage"},
    "price_cards": {"usage"},
    "price_sheets": {"listed_prices", "price_cards", "price_change", "usage"},
    "changed_cards": {"listed_prices", "price_cards", "price_change", "price_sheets"},
    "price_times": set(),
    "price_lists": {"model_names"},
    "listed_models": {"model_names", "price_lists"},
    "pricing": {
        "listed_models",
        "changed_cards",
        "listed_prices",
        "money",
        "price_cards",
        "price_change",
        "price_lists",
        "price_sheets",
        "price_times",
        "usage",
    },
    "wall_clock": set(),
    "window": {"wall_clock"},
    "contracts": {"model_names", "price_change", "roster", "selector", "window", "written"},
    "flow": {"usage"},
    "adaptive": {"money"},
    "standing": {"adaptive", "flow"},
    "tries": {"standing"},
    "limits": {"adaptive", "money", "standing"},
    "sizing": {"standing"},
    "rate_memory": {"flow", "standing"},
    "rates": {"draws", "flow", "roster", "selector", "standing", "window"},
    "admission": {"limits", "standing", "sizing", "rates"},
    "selector": {"attribution", "errors", "model_names", "written"},
    "roster": {"attribution", "model_names", "window"},
    "validity": {"roster", "window"},
    "privacy": {"roster"},
    "sight": {"roster"},
    "reach": {"roster"},
    "lapse": {"admission", "policy"},
    "notices": {"budget", "lapse", "money", "policy"},
    "exceptions": {"roster", "selector", "standing"},
    "allowances": {"selector"},
    "tallies": {"exceptions", "standing"},
    "draws": {"adaptive", "allowances", "exceptions", "flow", "standing", "selector", "tallies", "window"},
    "hours": {"roster", "window"},
    "alert_rules": {"hours", "roster", "selector"},
    "approvers": {"alert_rules", "roster", "selector"},
    "model_rules": {"admission", "model_names", "roster", "selector"},
    "budget": {"adaptive", "roster", "selector", "standing", "window"},
    "policy": {
        "alert_rules",
        "approvers",
        "budget",
        "contracts",
        "draws",
        "exceptions",
        "model_names",
        "model_rules",
        "money",
        "privacy",
        "rates",
        "reach",
        "roster",
        "selector",
        "validity",
        "window",
    },
    "inert_text": set(),
    "plural": set(),
    "digest": {"money", "policy", "window"},
    "digest_made": {"digest", "model_names", "policy", "window"},
    "digest_sections": {"digest", "money", "plural", "window"},
    "digest_texts": {"digest", "digest_sections", "inert_text"},
    "grant_texts": {"budget", "minisign", "money", "selector", "window"},
    "answerers": {"approvers", "budget", "policy", "selector"},
    "grants": {
        "answerers",
        "approvers",
        "budget",
        "exceptions",
        "grant_texts",
        "minisign",
        "money",
        "policy",
        "selector",
        "window",
    },
    "fitting": {"admission", "budget", "draws", "model_rules", "policy", "selector", "standing"},
    "seats": {"contracts", "policy", "selector", "window"},
    "token_means": {"flow", "usage"},
    "call_bounds": {"price_cards"},
    "cost_lines": {"price_cards", "usage"},
    "estimate": {"call_bounds", "cost_lines", "flow", "price_cards", "standing", "token_means", "usage"},
}
"""Each noun, and the nouns that it may import. All of them are pure: no I/O, no clock, no randomness, no mitmproxy."""

EDGES = {
    "providers": set(),
    "identity": {"providers"},
    "ledger": set(),
    "alerts": {"ledger"},
    "config": {"mdm", "providers", "reconcile", "review"},
    "gate": {"alerts", "providers", "ledger", "identity"},
    "replay": {"alerts", "ledger", "gate", "providers"},
    "review": {"alerts", "gate", "ledger", "providers", "replay"},
    "reconcile": {"ledger", "providers"},
    "capture": {"providers", "identity", "gate", "config"},
    "enrolment": {"capture", "config"},
    "exports": {"ledger"},
    "redirect": {"identity", "service"},
    "verifiers": {"capture"},
    "stores": set(),
    "doctor": {"capture", "identity", "mdm", "stores", "verifiers"},
    "standin": set(),
    "service": set(),
    "mdm": {"ledger"},
    "cli": {
        "mdm",
        "alerts",
        "providers",
        "identity",
        "ledger",
        "config",
        "doctor",
        "enrolment",
        "exports",
        "gate",
        "reconcile",
        "replay",
        "review",
        "capture",
        "redirect",
        "service",
        "stores",
        "verifiers",
    },
}
"""Each edge, and the other edges that it may import. Every edge may import every noun."""

ONLY_PLACE = {
    "mitmproxy": {"capture"},
    "sqlite3": {"ledger", "reconcile/witnesses/databases.py", "doctor/osquery.py", "enrolment/books.py"},
    "sqlite_utils": {"ledger"},
    "yaml": {"config"},
    "httpx2": {"config", "enrolment/asking.py", "reconcile"},
    "tornado": {"enrolment/server.py"},
    "apprise": {"alerts"},
    "keyring": {"config"},
    "publicsuffixlist": {"config"},
    "pkcs11": {"capture/token_key.py"},
    "pygal": {"reconcile/report/charts.py"},
    "typer": {"cli"},
    "rich": {"cli"},
    "genai_prices": {
        "pricing",
        "listed_models",
        "listed_prices",
        "price_times",
        "price_sheets",
        "changed_cards",
        "config",
    },
}
"""Libraries that stand for an outside world, and the one place that knows them: a room, or one module of it. Other programs'
databases are another world than the ledger: what opens them holds no ledger, and no other module of its room opens anything."""

IMPURE = {"os", "time", "random", "socket", "subprocess", "pathlib", "asyncio", "threading", "secrets"}
"""What no noun imports."""


def modules() -> list[Path]:
    """Every module of the package."""
    return sorted(path for path in ROOT.rglob("*.py") if path.name not in {"__init__.py", "__main__.py"})


def room(path: Path) -> str:
    """The noun or edge that a module belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Absolute names of all imports of a module, whether at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_every_room_is_in_the_table() -> None:
    """A new noun or edge is argued for by adding it here."""
    assert {room(path) for path in modules()} == set(NOUNS) | set(EDGES)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_inward(path: Path) -> None:
    """A module imports its own room, the nouns below it, and the edges that the table names."""
    own = room(path)
    allowed = {own} | (NOUNS[own] if own in NOUNS else set(NOUNS) | EDGES[own])
    if path.relative_to(ROOT).as_posix() == "capture/entry.py":
        allowed |= EDGES["cli"]  # what `mitmdump -s` loads puts the parts together, as the command line does
    reached = {name.split(".")[1] for name in imported(path) if name.startswith("spendgate.")}

    assert reached - {"__version__"} <= allowed


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_each_outside_world_has_one_door(path: Path) -> None:
    """mitmproxy, SQLite, YAML and the rest are known in one place; a noun knows no outside world at all."""
    tops = {name.split(".")[0] for name in imported(path)}
    places = {room(path), path.relative_to(ROOT).as_posix()}

    assert not [lib for lib, homes in ONLY_PLACE.items() if lib in tops and not places & homes]
    if room(path) in NOUNS:
        assert not tops & IMPURE
