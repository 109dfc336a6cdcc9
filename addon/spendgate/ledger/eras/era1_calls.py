"""The first tables: calls, what they hold and cost, gates, the chain, and the view that people read."""

from __future__ import annotations

from sqlite_utils import Database

from spendgate.ledger.eras.calls_view import view_calls
from spendgate.ledger.eras.era import Era

era = Era()


@era
def m001_calls(db: Database) -> None:
    """One row for each call. `seq` orders rows by when they were first written, on every gate.

    `booked_ms` places every row in time: when its hold was granted, else when it was refused or seen.
    """
    db.conn.execute("""
        CREATE TABLE call_rows (
            seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, gate INTEGER NOT NULL,
            started_ms INTEGER NOT NULL, booked_ms INTEGER NOT NULL, sent_ms INTEGER, ended_ms INTEGER,
            person TEXT NOT NULL, team TEXT, groups TEXT NOT NULL, machine TEXT NOT NULL, account_os TEXT,
            tool TEXT, process TEXT, project TEXT, session TEXT, agent TEXT, parent_call TEXT, evidence TEXT NOT NULL,
            provider TEXT NOT NULL, host TEXT NOT NULL, path TEXT NOT NULL, dialect TEXT,
            model_requested TEXT, model TEXT, kind TEXT NOT NULL, api_key TEXT, account TEXT, billing TEXT NOT NULL,
            estimate_nanos INTEGER, ceiling_nanos INTEGER, typical_nanos INTEGER, held_nanos INTEGER,
            resized INTEGER, holds TEXT,
            cost_nanos INTEGER, value_nanos INTEGER, basis TEXT, prices TEXT, flags TEXT NOT NULL DEFAULT '',
            input_tokens INTEGER, cache_read_tokens INTEGER, cache_write_5m_tokens INTEGER,
            cache_write_1h_tokens INTEGER, cache_write_other_tokens INTEGER, output_tokens INTEGER,
            reasoning_tokens INTEGER, input_audio_tokens INTEGER, output_audio_tokens INTEGER, web_searches INTEGER,
            request_bytes INTEGER NOT NULL, text_bytes INTEGER NOT NULL, response_bytes INTEGER,
            http_status INTEGER, first_byte_ms INTEGER, duration_ms INTEGER, waited_ms INTEGER,
            request_id TEXT, response_id TEXT,
            refused_by TEXT, refused_why TEXT, refused_reason TEXT, refused_value TEXT, refused_settled_nanos INTEGER,
            refused_held_nanos INTEGER, refused_hold_nanos INTEGER, refused_limit_nanos INTEGER,
            refused_resets_ms INTEGER, refused_others INTEGER, would_refuse_by TEXT, policy_hash TEXT NOT NULL
        ) STRICT""")
    db.conn.execute("CREATE INDEX calls_booked ON call_rows (booked_ms)")


@era
def m002_money(db: Database) -> None:
    """Balances; charges that filling has added to ended calls; what each budget has counted of the calls.

    A balance without a budget counts the calls of one kind, its `value`. The view `holds` has a row for each call and
    balance: those in the call's own row, and the added ones.
    """
    db.conn.execute("""
        CREATE TABLE balances (
            id INTEGER PRIMARY KEY, budget TEXT NOT NULL, words TEXT NOT NULL, value TEXT NOT NULL, window TEXT NOT NULL,
            length_ms INTEGER NOT NULL, starts_ms INTEGER NOT NULL, ends_ms INTEGER, edge_ms INTEGER,
            settled INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0, ceiling INTEGER NOT NULL DEFAULT 0,
            open_calls INTEGER NOT NULL DEFAULT 0, settled_calls INTEGER NOT NULL DEFAULT 0,
            UNIQUE (budget, value, window, words, length_ms)
        ) STRICT""")
    db.conn.execute("""
        CREATE TABLE charges (
            call INTEGER NOT NULL, balance INTEGER NOT NULL, booked_ms INTEGER NOT NULL, mode TEXT NOT NULL,
            charged_nanos INTEGER NOT NULL, PRIMARY KEY (call, balance)
        ) STRICT, WITHOUT ROWID""")
    db.conn.execute("CREATE INDEX charges_booked ON charges (balance, booked_ms)")
    held = ("balance", "nanos", "bound_nanos", "mode", "added", "charged_nanos")
    columns = ", ".join(f"json_extract(hold.value, '$[{place}]') AS {name}" for place, name in enumerate(held))
    db.conn.execute(f"""
        CREATE VIEW holds AS SELECT seq AS call, booked_ms, {columns} FROM call_rows, json_each(call_rows.holds) AS hold
        UNION ALL SELECT call, booked_ms, balance, 0, 0, mode, 1, charged_nanos FROM charges""")  # noqa: S608 - our own words
    db.conn.execute("""
        CREATE TABLE counted (
            budget TEXT NOT NULL, words TEXT NOT NULL, upto_seq INTEGER NOT NULL, PRIMARY KEY (budget, words)
        ) STRICT, WITHOUT ROWID""")


@era
def m003_gates(db: Database) -> None:
    """Gate processes, and the calls that wait: one place for each call, one line for each balance."""
    db.conn.execute("""
        CREATE TABLE gates (
            id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, pid INTEGER NOT NULL, pid_started_ms INTEGER NOT NULL,
            opened_ms INTEGER NOT NULL, from_seq INTEGER NOT NULL,
            ended INTEGER NOT NULL DEFAULT 0
        ) STRICT""")
    db.conn.execute("""
        CREATE TABLE waiters (
            place INTEGER PRIMARY KEY AUTOINCREMENT, call_id TEXT NOT NULL UNIQUE, gate INTEGER NOT NULL,
            until_ms INTEGER NOT NULL
        ) STRICT""")
    db.conn.execute("""
        CREATE TABLE waits (
            balance INTEGER NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (balance, place)
        ) STRICT, WITHOUT ROWID""")


@era
def m004_evidence(db: Database) -> None:
    """The hash chain over ended calls, the audit trail, and what could not be read."""
    db.conn.execute("""
        CREATE TABLE ledger (
            one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, created_ms INTEGER NOT NULL
        ) STRICT""")
    db.conn.execute("""
        CREATE TABLE chain (
            position INTEGER PRIMARY KEY, call INTEGER NOT NULL, form INTEGER NOT NULL,
            digest BLOB NOT NULL, head BLOB NOT NULL
        ) STRICT""")
    db.conn.execute(
        "CREATE TABLE audit (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, what TEXT NOT NULL, detail TEXT NOT NULL) STRICT"
    )
    db.conn.execute("""
        CREATE TABLE coverage (
            account TEXT NOT NULL, tool TEXT NOT NULL, host TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,
            first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, PRIMARY KEY (account, tool, host, reason)
        ) STRICT, WITHOUT ROWID""")


@era
def m005_append_only(db: Database) -> None:
    """What has ended is never changed: the file itself refuses, whoever writes to it."""
    refuse = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    for table, change, when in (
        ("call_rows", "UPDATE", "WHEN OLD.state <> 'open'"),
        ("call_rows", "DELETE", ""),
        ("charges", "UPDATE", ""),
        ("charges", "DELETE", ""),
        ("chain", "UPDATE", ""),
        ("chain", "DELETE", ""),
        ("audit", "UPDATE", ""),
        ("audit", "DELETE", ""),
        ("ledger", "UPDATE", ""),
        ("ledger", "DELETE", ""),
    ):
        db.conn.execute(f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} {when} {refuse}")


@era
def m006_calls_view(db: Database) -> None:
    """The public view. Columns may be added, never renamed, moved or given another meaning."""
    view_calls(db, booked="held_nanos IS NOT NULL")
