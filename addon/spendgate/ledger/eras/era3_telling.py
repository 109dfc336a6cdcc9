"""Alerts, grants and letters; and what is left of calls that were purged."""

from __future__ import annotations

from sqlite_utils import Database

from spendgate.ledger import day_sums
from spendgate.ledger.eras.era import Era

era = Era()


@era
def m015_alerts(db: Database) -> None:
    """Alerts, to whom each goes, and how far the ended calls have been looked at: a ledger with a past begins at its end."""
    db.conn.execute("""
        CREATE TABLE alerts (
            id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, rule TEXT NOT NULL, form TEXT NOT NULL, value TEXT NOT NULL,
            window TEXT NOT NULL, severity TEXT NOT NULL, at_ms INTEGER NOT NULL, made_ms INTEGER NOT NULL,
            again_ms INTEGER, person TEXT, team TEXT NOT NULL, owner TEXT NOT NULL, spent_nanos INTEGER,
            mark_nanos INTEGER, calls INTEGER, of_calls INTEGER, text TEXT NOT NULL, command TEXT NOT NULL,
            policy_hash TEXT NOT NULL, routed INTEGER NOT NULL DEFAULT 0, acked_ms INTEGER, acked_by TEXT
        ) STRICT""")
    db.conn.execute("CREATE INDEX alerts_told ON alerts (rule, value, window)")
    db.conn.execute("CREATE INDEX alerts_unrouted ON alerts (routed) WHERE routed = 0")
    db.conn.execute("""
        CREATE TABLE deliveries (
            alert INTEGER NOT NULL, receiver TEXT NOT NULL, due_ms INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
            delivered_ms INTEGER, given_up_ms INTEGER, error TEXT, PRIMARY KEY (alert, receiver)
        ) STRICT, WITHOUT ROWID""")
    db.conn.execute(
        "CREATE INDEX deliveries_due ON deliveries (due_ms) WHERE delivered_ms IS NULL AND given_up_ms IS NULL"
    )
    db.conn.execute("""
        CREATE TABLE alerting (
            one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL, state BLOB
        ) STRICT""")
    db.conn.execute("INSERT INTO alerting (one, position) SELECT 1, coalesce(max(position), 0) FROM chain")


@era
def m016_grants(db: Database) -> None:
    """What was asked for, which grants were taken in, and which of them were ended before their time or have come to it."""
    db.conn.execute("""
        CREATE TABLE asks (
            seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL,
            person TEXT NOT NULL, budget TEXT NOT NULL, amount_nanos INTEGER NOT NULL, reason TEXT NOT NULL,
            call TEXT, spent_nanos INTEGER, held_nanos INTEGER, limit_nanos INTEGER, resets_ms INTEGER,
            asked_of TEXT NOT NULL, code TEXT NOT NULL
        ) STRICT""")
    db.conn.execute("""
        CREATE TABLE grants (
            seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, ask TEXT NOT NULL, at_ms INTEGER NOT NULL,
            from_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, person TEXT NOT NULL, budget TEXT NOT NULL,
            amount_nanos INTEGER NOT NULL, approver TEXT NOT NULL, reason TEXT NOT NULL, text TEXT NOT NULL
        ) STRICT""")
    db.conn.execute("""
        CREATE TABLE grant_ends (
            seq INTEGER PRIMARY KEY, grant_id TEXT NOT NULL UNIQUE, at_ms INTEGER NOT NULL, why TEXT NOT NULL
        ) STRICT""")
    for table in ("asks", "grants", "grant_ends"):
        for change in ("UPDATE", "DELETE"):
            db.conn.execute(f"""
                CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table}
                BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""")


@era
def m017_purging(db: Database) -> None:
    """Sums by day of calls that were purged, what of a balance they still are, and before which instant rows may go at all.

    Nothing before `purging.before_ms` is protected any more; links of the chain and audit lines always are.
    """
    counts = ", ".join(f"{name} INTEGER NOT NULL" for name in day_sums.COUNTED)
    names = ", ".join(f"{name} TEXT NOT NULL" for name in day_sums.KEY)
    db.conn.execute(f"""
        CREATE TABLE day_sums ({names}, {counts}, PRIMARY KEY ({", ".join(day_sums.KEY)})) STRICT, WITHOUT ROWID""")
    for column in ("purged_nanos", "purged_calls"):
        db.conn.execute(f"ALTER TABLE balances ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
    db.conn.execute("CREATE INDEX awaited_call ON awaited (call)")
    db.conn.execute("""
        CREATE TABLE purging (one INTEGER PRIMARY KEY CHECK (one = 1), before_ms INTEGER NOT NULL) STRICT""")
    db.conn.execute("INSERT INTO purging (one, before_ms) VALUES (1, 0)")
    before = "(SELECT before_ms FROM purging)"
    for table, kept in (
        ("call_rows", f"OLD.state = 'open' OR OLD.booked_ms >= {before}"),
        ("charges", f"OLD.booked_ms >= {before}"),
        ("awaited", "EXISTS (SELECT 1 FROM call_rows WHERE seq = OLD.call)"),
        ("asks", f"OLD.until_ms >= {before}"),
    ):
        db.conn.execute(f"DROP TRIGGER {table}_no_delete")
        db.conn.execute(f"""
            CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} WHEN {kept}
            BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""")


@era
def m018_letters(db: Database) -> None:
    """What is sent of a message that is more than a sentence: the week's digest, as plain text and as HTML for mail."""
    db.conn.execute("CREATE TABLE letters (alert INTEGER PRIMARY KEY, text TEXT NOT NULL, html TEXT NOT NULL) STRICT")
    db.conn.execute("CREATE INDEX alerts_forms ON alerts (form, window)")
