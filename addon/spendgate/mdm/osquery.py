"""What `doctor` found, as tables that osquery reads: a file of SQLite, and the part of osquery's configuration that names it.

By osquery's own source (plugins/config/parsers/auto_constructed_tables.cpp): a table has a query, a path and its columns, each of
them text; `path` is a column of osquery's own; the file is opened for each question and, unless it is in WAL mode, without locks,
so that whoever writes it puts a whole new one in its place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from spendgate.mdm.interface import Made
from spendgate.mdm.rollout import Rollout

FILE: Final = "/var/lib/spendgate-doctor/doctor.db"
"""Where the configuration looks; root's folder, no account of the gate's."""
TABLES: Final = {
    "spendgate_doctor": ("at", "version", "spendgate", "machine", "account", "fine", "findings", "not_seen"),
    "spendgate_checks": ("kind", "about", "state", "says", "remedy"),
    "spendgate_tools": (
        "tool", "program", "version", "trusted", "trusted_by", "captured", "way", "shown_by", "last_call_at",
    ),
    "spendgate_around": ("pid", "account", "program", "tool", "hosts", "addresses"),
}  # fmt: skip
"""Columns by table. The document's names (`doctor --format json`), but `kind` for `check`, which SQL has taken, and `program` for
a tool's `path`, which osquery has."""


def osquery(rollout: Rollout) -> Iterator[Made]:
    """For osquery's folder of configurations."""
    content = json.dumps({"auto_table_construction": tables()}, indent=2) + "\n"
    about = f"for /etc/osquery/osquery.conf.d: tables of what `spendgate doctor --osquery {FILE}` found last, run hourly as root"
    yield Made("linux/osquery.conf", content.encode(), about)


def tables() -> dict[str, dict[str, object]]:
    """The automatic tables, as osquery's configuration names them; Fleet's server hands out the same words."""
    return {name: _table(name, columns) for name, columns in TABLES.items()}


def _table(name: str, columns: tuple[str, ...]) -> dict[str, object]:
    query = f"SELECT {', '.join(columns)} FROM {name}"  # noqa: S608 - our own words
    return {"query": query, "path": FILE, "columns": list(columns), "platform": "linux"}
