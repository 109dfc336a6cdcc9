"""Statements, calibrations and what no call has; and what each call changes of a balance, made cheaper."""

from __future__ import annotations

from sqlite_utils import Database

from spendgate.ledger.eras.append_only import append_only
from spendgate.ledger.eras.era import Era

era = Era()


@era
def m020_statements(db: Database) -> None:
    """Providers' statements: each import is a version of its own, and what it says is never changed."""
    db.conn.execute("""
        CREATE TABLE imports (
            seq INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, at_ms INTEGER NOT NULL, source TEXT NOT NULL,
            provider TEXT NOT NULL, subject TEXT NOT NULL, from_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL,
            sha256 TEXT NOT NULL, origin TEXT NOT NULL, refreshed_ms INTEGER, lines INTEGER NOT NULL, notes TEXT NOT NULL
        ) STRICT""")
    db.conn.execute("""
        CREATE TABLE statement_lines (
            import INTEGER NOT NULL, position INTEGER NOT NULL, starts_ms INTEGER NOT NULL, ends_ms INTEGER NOT NULL,
            line TEXT NOT NULL, PRIMARY KEY (import, position)
        ) STRICT, WITHOUT ROWID""")
    for table in ("imports", "statement_lines"):
        for change in ("UPDATE", "DELETE"):
            db.conn.execute(f"""
                CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table}
                BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""")


@era
def m021_append_only_at_less(db: Database) -> None:
    """The same refusal for a third of its price, paid by each call's end.

    SQLite reads a row again after a trigger before its change, and copies each page that a statement touches for as long as a
    trigger may take back that statement alone. So it is refused after the change, and the whole transaction is taken back.
    """
    db.conn.execute("DROP TRIGGER call_rows_no_update")
    db.conn.execute("""
        CREATE TRIGGER call_rows_no_update AFTER UPDATE ON call_rows WHEN OLD.state <> 'open'
        BEGIN SELECT RAISE(ROLLBACK, 'the ledger is append-only'); END""")


@era
def m022_narrow_sums(db: Database) -> None:
    """What each call changes of a balance is a row of its own, without the names, which SQLite read and wrote again each time.

    `balances` is a view of both. It takes changes, so that a gate of the version before, which still runs, ends its calls.
    """
    names = ("budget", "words", "value", "window", "length_ms", "starts_ms", "ends_ms")
    sums = ("settled", "held", "ceiling", "open_calls", "settled_calls")
    purged = ("purged_nanos", "purged_calls")
    db.conn.execute("""
        CREATE TABLE windows (
            id INTEGER PRIMARY KEY, budget TEXT NOT NULL, words TEXT NOT NULL, value TEXT NOT NULL, window TEXT NOT NULL,
            length_ms INTEGER NOT NULL, starts_ms INTEGER NOT NULL, ends_ms INTEGER,
            purged_nanos INTEGER NOT NULL DEFAULT 0, purged_calls INTEGER NOT NULL DEFAULT 0,
            UNIQUE (budget, value, window, words, length_ms)
        ) STRICT""")
    db.conn.execute("""
        CREATE TABLE sums (
            id INTEGER PRIMARY KEY, settled INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0,
            ceiling INTEGER NOT NULL DEFAULT 0, open_calls INTEGER NOT NULL DEFAULT 0,
            settled_calls INTEGER NOT NULL DEFAULT 0, edge_ms INTEGER
        ) STRICT""")
    for table, columns in (("windows", ("id", *names, *purged)), ("sums", ("id", *sums, "edge_ms"))):
        listed = ", ".join(columns)
        db.conn.execute(f"INSERT INTO {table} ({listed}) SELECT {listed} FROM balances ORDER BY id")  # noqa: S608 - our own words
    db.conn.execute("DROP TABLE balances")
    db.conn.execute(f"""
        CREATE VIEW balances AS SELECT windows.id, {", ".join((*names, "edge_ms", *sums, *purged))}
        FROM windows JOIN sums ON sums.id = windows.id""")  # noqa: S608 - our own words
    for table, changing in (("sums", [*sums, "edge_ms"]), ("windows", [*purged])):
        changed = ", ".join(f"{name} = NEW.{name}" for name in changing)
        db.conn.execute(f"""
            CREATE TRIGGER balances_update_{table} INSTEAD OF UPDATE OF {", ".join(changing)} ON balances BEGIN
            UPDATE {table} SET {changed} WHERE id = OLD.id; END""")  # noqa: S608 - our own words
    db.conn.execute("""
        CREATE TRIGGER balances_delete INSTEAD OF DELETE ON balances BEGIN
        DELETE FROM sums WHERE id = OLD.id; DELETE FROM windows WHERE id = OLD.id; END""")


@era
def m023_calibrations(db: Database) -> None:
    """By what estimates of a tool and model are multiplied: versions, of which the newest is in force."""
    db.conn.execute("""
        CREATE TABLE calibrations (
            seq INTEGER PRIMARY KEY, name TEXT NOT NULL, at_ms INTEGER NOT NULL, tool TEXT NOT NULL, model TEXT NOT NULL,
            factor_ppm INTEGER NOT NULL, before_ppm INTEGER, after_ppm INTEGER, user_days INTEGER NOT NULL,
            calls INTEGER NOT NULL, from_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, imports TEXT NOT NULL, who TEXT NOT NULL
        ) STRICT""")
    append_only(db, "calibrations")


@era
def m024_uncaptured(db: Database) -> None:
    """What bills have and the ledger has not, in versions, and the charges that balances have of it.

    In the view `holds` such a charge is one of a call below zero, which no call is.
    """
    db.conn.execute("""
        CREATE TABLE uncaptured_runs (
            seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, from_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL
        ) STRICT""")
    db.conn.execute("""
        CREATE TABLE uncaptured (
            run INTEGER NOT NULL, day_ms INTEGER NOT NULL, provider TEXT NOT NULL, person TEXT NOT NULL,
            api_key TEXT NOT NULL, tool TEXT NOT NULL, model TEXT NOT NULL, nanos INTEGER NOT NULL, requests INTEGER,
            imports TEXT NOT NULL
        ) STRICT""")
    db.conn.execute("CREATE INDEX uncaptured_days ON uncaptured (run, day_ms)")
    db.conn.execute("""
        CREATE TABLE billed_charges (
            id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, booked_ms INTEGER NOT NULL, nanos INTEGER NOT NULL,
            imports TEXT NOT NULL
        ) STRICT""")
    db.conn.execute("CREATE INDEX billed_charges_booked ON billed_charges (balance, booked_ms)")
    db.conn.execute("CREATE INDEX billed_charges_when ON billed_charges (booked_ms)")
    for table in ("uncaptured_runs", "uncaptured"):
        append_only(db, table)
    append_only(db, "billed_charges", "EXISTS (SELECT 1 FROM windows WHERE id = OLD.balance)")
    # With its balance a charge goes, whichever version of Spendgate purges it.
    db.conn.execute("""
        CREATE TRIGGER billed_charges_go AFTER DELETE ON windows BEGIN
        DELETE FROM billed_charges WHERE balance = OLD.id; END""")
    [view] = db.conn.execute("SELECT sql FROM sqlite_schema WHERE name = 'holds'").fetchone()
    db.conn.execute("DROP VIEW holds")
    db.conn.execute(f"{view} UNION ALL SELECT -id, booked_ms, balance, 0, 0, 'billed', 1, nanos FROM billed_charges")  # noqa: S608 - our own words


@era
def m025_marks(db: Database) -> None:
    """The mark of the balance that an ended call's row may have beside a charge; rows of older versions have none."""
    [view] = db.conn.execute("SELECT sql FROM sqlite_schema WHERE name = 'holds'").fetchone()
    db.conn.execute("DROP VIEW holds")
    of_calls = "json_extract(hold.value, '$[6]')"
    for table, mark in (("call_rows", of_calls), ("charges", "NULL"), ("billed_charges", "NULL")):
        view = view.replace(f"nanos FROM {table}", f"nanos, {mark} AS mark FROM {table}")
    db.conn.execute(view)


@era
def m026_statement_parts(db: Database) -> None:
    """Lines of a statement, many in a row (`packed`). Those of older imports stay the rows that they are."""
    db.conn.execute("""
        CREATE TABLE statement_parts (
            import INTEGER NOT NULL, part INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,
            lines BLOB NOT NULL, PRIMARY KEY (import, part)
        ) STRICT""")
    append_only(db, "statement_parts")
