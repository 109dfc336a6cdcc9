"""What osquery is told: the configuration's own queries, asked of the file as osquery asks them."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest

from mdm.kit import rollout
from spendgate.doctor.osquery import write
from spendgate.errors import StateError
from spendgate.mdm.osquery import TABLES, osquery

DOCUMENT = {
    "version": 1, "spendgate": "1.0", "at": "2026-11-29T12:00:00Z", "account": "root", "machine": None, "fine": False,
    "findings": 1, "not_seen": 0,
    "checks": [{"check": "tool.trust", "about": "codex", "state": "finding", "says": "has 'not'; DROP TABLE", "remedy": ""}],
    "tools": [{
        "tool": "codex", "path": "/usr/bin/codex", "version": None, "trusted": False, "trusted_by": "no", "captured": None,
        "way": "", "shown_by": "what is known of it", "last_call_at": None,
    }],
    "around": [{
        "pid": 7, "account": "alice", "program": "/usr/bin/x", "tool": None, "hosts": ["api.openai.com", "claude.ai"],
        "addresses": ["203.0.113.5"],
    }],
}  # fmt: skip


def asked(file: Path) -> dict[str, list[dict[str, object]]]:
    """Each table of the configuration, by its own query."""
    (made,) = osquery(rollout())
    tables = json.loads(made.content)["auto_table_construction"]
    conn = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    conn.row_factory = sqlite3.Row
    try:
        assert conn.execute("PRAGMA journal_mode").fetchone()[0] != "wal", "osquery reads it without locks"
        found = {name: [dict(row) for row in conn.execute(table["query"])] for name, table in tables.items()}
    finally:
        conn.close()
    for name, rows in found.items():
        assert all(list(row) == tables[name]["columns"] for row in rows)
        assert "path" not in tables[name]["columns"], "osquery's own"
    return found


def test_each_table_has_what_was_found(tmp_path: Path) -> None:
    """And only its owner may read it."""
    file = tmp_path / "doctor.db"
    write(file, DOCUMENT)
    found = asked(file)
    assert found["spendgate_doctor"] == [{name: DOCUMENT[name] for name in TABLES["spendgate_doctor"]}]
    (check,) = found["spendgate_checks"]
    assert (check["kind"], check["says"]) == ("tool.trust", "has 'not'; DROP TABLE")
    (tool,) = found["spendgate_tools"]
    assert (tool["program"], tool["trusted"], tool["captured"]) == ("/usr/bin/codex", 0, None)
    (process,) = found["spendgate_around"]
    assert (process["program"], process["hosts"]) == ("/usr/bin/x", "api.openai.com claude.ai")
    assert file.stat().st_mode & 0o777 == 0o600


def test_whoever_reads_has_the_old_file_or_the_new(tmp_path: Path) -> None:
    """It is another file, and nothing is left beside it."""
    file = tmp_path / "doctor.db"
    write(file, DOCUMENT)
    reader = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    assert reader.execute("SELECT findings FROM spendgate_doctor").fetchone() == (1,)
    write(file, DOCUMENT | {"findings": 0, "checks": []})
    assert reader.execute("SELECT findings FROM spendgate_doctor").fetchone() == (1,)
    reader.close()
    assert asked(file)["spendgate_checks"] == []
    assert list(tmp_path.iterdir()) == [file]


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    """One clear line, and nothing left."""
    with pytest.raises(StateError, match=r"doctor\.db cannot be written: No such file"):
        write(tmp_path / "none" / "doctor.db", DOCUMENT)
    (tmp_path / "doctor.db").mkdir()
    with pytest.raises(StateError, match="cannot be written: Is a directory"):
        write(tmp_path / "doctor.db", DOCUMENT)
    assert [each.name for each in tmp_path.iterdir()] == ["doctor.db"]


def test_the_tables_are_as_documented() -> None:
    """Every column, in `mdm/README.md`."""
    readme = (
        (Path(__file__).parents[2] / "mdm" / "README.md").read_text().partition("### osquery")[2].partition("\n## ")[0]
    )
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", readme, re.MULTILINE))
    assert rows.keys() == TABLES.keys()
    for table, columns in TABLES.items():
        assert [each for each in re.findall(r"`(\w+)`", rows[table]) if each in columns] == list(columns)
