"""What calls and limits came to need: results, agents, sizes, rates, means, exceptions; and a chained audit trail."""

from __future__ import annotations

from sqlite_utils import Database

from spendgate.ledger import audit_log
from spendgate.ledger.eras.calls_view import BOOKED, view_calls
from spendgate.ledger.eras.era import Era

era = Era()


@era
def m007_results(db: Database) -> None:
    """Results that are read back later: which call waits for one, and the time of a row that is one, which held nothing."""
    db.conn.execute("""
        CREATE TABLE awaited (result TEXT PRIMARY KEY, call INTEGER NOT NULL) STRICT, WITHOUT ROWID""")
    refuse = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    for change in ("UPDATE", "DELETE"):
        db.conn.execute(f"CREATE TRIGGER awaited_no_{change.lower()} BEFORE {change} ON awaited {refuse}")
    db.conn.execute("DROP VIEW calls")
    view_calls(db, booked=BOOKED)


@era
def m008_agents(db: Database) -> None:
    """Which agent of a session asked, and which one started it."""
    for column in ("agent_name", "parent_agent"):
        db.conn.execute(f"ALTER TABLE call_rows ADD COLUMN {column} TEXT")
    db.conn.execute("DROP VIEW calls")
    view_calls(db, booked=BOOKED, more=", agent_name, parent_agent")


@era
def m009_sizes(db: Database) -> None:
    """What was known of a call's size when it was decided: what proves a refusal, and decides it again under another policy."""
    db.conn.execute("ALTER TABLE call_rows ADD COLUMN size TEXT")
    db.conn.execute("DROP VIEW calls")
    view_calls(db, booked=BOOKED, more=", agent_name, parent_agent, size")


@era
def m010_flows(db: Database) -> None:
    """What rates have counted, as far as one of them still counts it, and the clock that its instants are of."""
    db.conn.execute("""
        CREATE TABLE flows (
            id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, wall_ms INTEGER NOT NULL,
            balances TEXT NOT NULL, requests INTEGER NOT NULL, counted INTEGER NOT NULL, reads INTEGER NOT NULL
        ) STRICT""")
    db.conn.execute("""
        CREATE TABLE flow_clock (
            one INTEGER PRIMARY KEY CHECK (one = 1), boot TEXT NOT NULL, offset_ms INTEGER NOT NULL
        ) STRICT""")


@era
def m011_moving_limits(db: Database) -> None:
    """What each day's limit by the mean rests on, and the window of each exception that holds for one alone. Written once."""
    db.conn.execute("""
        CREATE TABLE means (
            budget TEXT NOT NULL, words TEXT NOT NULL, value TEXT NOT NULL, day TEXT NOT NULL,
            settled_nanos INTEGER NOT NULL, days INTEGER NOT NULL, at_ms INTEGER NOT NULL,
            PRIMARY KEY (budget, words, value, day)
        ) STRICT, WITHOUT ROWID""")
    db.conn.execute("""
        CREATE TABLE claims (
            exception TEXT NOT NULL, words TEXT NOT NULL, value TEXT NOT NULL,
            window TEXT NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (exception, words, value)
        ) STRICT, WITHOUT ROWID""")
    for table in ("means", "claims"):
        db.conn.execute(f"""
            CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}
            BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""")


@era
def m012_counted_since(db: Database) -> None:
    """From when on a budget has counted all, so that a clock that was ahead leaves no hole."""
    db.conn.execute("ALTER TABLE counted ADD COLUMN since_ms INTEGER NOT NULL DEFAULT 0")


@era
def m013_also_requested(db: Database) -> None:
    """The other models that a call may have been answered by, which rules and budgets were asked about, too."""
    db.conn.execute("ALTER TABLE call_rows ADD COLUMN also_requested TEXT")
    db.conn.execute("DROP VIEW calls")
    view_calls(db, booked=BOOKED, more=", agent_name, parent_agent, size, also_requested")


@era
def m014_audit_chain(db: Database) -> None:
    """Audit lines are chained, each to the one before it and to the end of the calls' chain. Older lines are chained now."""
    older = db.conn.execute("SELECT at_ms, what, detail FROM audit ORDER BY id").fetchall()
    db.conn.execute("DROP TABLE audit")  # and its triggers
    db.conn.execute("""
        CREATE TABLE audit (
            position INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, what TEXT NOT NULL, who TEXT NOT NULL,
            detail TEXT NOT NULL, calls INTEGER NOT NULL, calls_head BLOB NOT NULL, digest BLOB NOT NULL, head BLOB NOT NULL
        ) STRICT""")
    for line in older:
        audit_log.adopt(db.conn, *line)
    for change in ("UPDATE", "DELETE"):
        db.conn.execute(f"""
            CREATE TRIGGER audit_no_{change.lower()} BEFORE {change} ON audit
            BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""")
