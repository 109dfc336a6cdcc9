"""The tables, as migrations.

Rules: a migration that has shipped is never edited, a change is a new one; so this is one list, as long as it gets. All amounts
are nano-dollars, all times epoch milliseconds (`_ms`); only the view `calls`, which people and scripts read, prints times as
ISO 8601 with Z.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

from spendgate.ledger import audit_log, day_sums

migration = Migrations("spendgate-ledger")


@migration()
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


@migration()
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


@migration()
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


@migration()
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


@migration()
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


@migration()
def m006_calls_view(db: Database) -> None:
    """The public view. Columns may be added, never renamed, moved or given another meaning."""
    _view_calls(db, booked="held_nanos IS NOT NULL")


@migration()
def m007_results(db: Database) -> None:
    """Results that are read back later: which call waits for one, and the time of a row that is one, which held nothing."""
    db.conn.execute("""
        CREATE TABLE awaited (result TEXT PRIMARY KEY, call INTEGER NOT NULL) STRICT, WITHOUT ROWID""")
    refuse = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    for change in ("UPDATE", "DELETE"):
        db.conn.execute(f"CREATE TRIGGER awaited_no_{change.lower()} BEFORE {change} ON awaited {refuse}")
    db.conn.execute("DROP VIEW calls")
    _view_calls(db, booked=_BOOKED)


@migration()
def m008_agents(db: Database) -> None:
    """Which agent of a session asked, and which one started it."""
    for column in ("agent_name", "parent_agent"):
        db.conn.execute(f"ALTER TABLE call_rows ADD COLUMN {column} TEXT")
    db.conn.execute("DROP VIEW calls")
    _view_calls(db, booked=_BOOKED, more=", agent_name, parent_agent")


@migration()
def m009_sizes(db: Database) -> None:
    """What was known of a call's size when it was decided: what proves a refusal, and decides it again under another policy."""
    db.conn.execute("ALTER TABLE call_rows ADD COLUMN size TEXT")
    db.conn.execute("DROP VIEW calls")
    _view_calls(db, booked=_BOOKED, more=", agent_name, parent_agent, size")


@migration()
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


@migration()
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


@migration()
def m012_counted_since(db: Database) -> None:
    """From when on a budget has counted all, so that a clock that was ahead leaves no hole."""
    db.conn.execute("ALTER TABLE counted ADD COLUMN since_ms INTEGER NOT NULL DEFAULT 0")


@migration()
def m013_also_requested(db: Database) -> None:
    """The other models that a call may have been answered by, which rules and budgets were asked about, too."""
    db.conn.execute("ALTER TABLE call_rows ADD COLUMN also_requested TEXT")
    db.conn.execute("DROP VIEW calls")
    _view_calls(db, booked=_BOOKED, more=", agent_name, parent_agent, size, also_requested")


@migration()
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


@migration()
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


@migration()
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


@migration()
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


@migration()
def m018_letters(db: Database) -> None:
    """What is sent of a message that is more than a sentence: the week's digest, as plain text and as HTML for mail."""
    db.conn.execute("CREATE TABLE letters (alert INTEGER PRIMARY KEY, text TEXT NOT NULL, html TEXT NOT NULL) STRICT")
    db.conn.execute("CREATE INDEX alerts_forms ON alerts (form, window)")


@migration()
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


@migration()
def m021_append_only_at_less(db: Database) -> None:
    """The same refusal for a third of its price, paid by each call's end.

    SQLite reads a row again after a trigger before its change, and copies each page that a statement touches for as long as a
    trigger may take back that statement alone. So it is refused after the change, and the whole transaction is taken back.
    """
    db.conn.execute("DROP TRIGGER call_rows_no_update")
    db.conn.execute("""
        CREATE TRIGGER call_rows_no_update AFTER UPDATE ON call_rows WHEN OLD.state <> 'open'
        BEGIN SELECT RAISE(ROLLBACK, 'the ledger is append-only'); END""")


@migration()
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


@migration()
def m023_calibrations(db: Database) -> None:
    """By what estimates of a tool and model are multiplied: versions, of which the newest is in force."""
    db.conn.execute("""
        CREATE TABLE calibrations (
            seq INTEGER PRIMARY KEY, name TEXT NOT NULL, at_ms INTEGER NOT NULL, tool TEXT NOT NULL, model TEXT NOT NULL,
            factor_ppm INTEGER NOT NULL, before_ppm INTEGER, after_ppm INTEGER, user_days INTEGER NOT NULL,
            calls INTEGER NOT NULL, from_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, imports TEXT NOT NULL, who TEXT NOT NULL
        ) STRICT""")
    _append_only(db, "calibrations")


@migration()
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
        _append_only(db, table)
    _append_only(db, "billed_charges", "EXISTS (SELECT 1 FROM windows WHERE id = OLD.balance)")
    # With its balance a charge goes, whichever version of Spendgate purges it.
    db.conn.execute("""
        CREATE TRIGGER billed_charges_go AFTER DELETE ON windows BEGIN
        DELETE FROM billed_charges WHERE balance = OLD.id; END""")
    [view] = db.conn.execute("SELECT sql FROM sqlite_schema WHERE name = 'holds'").fetchone()
    db.conn.execute("DROP VIEW holds")
    db.conn.execute(f"{view} UNION ALL SELECT -id, booked_ms, balance, 0, 0, 'billed', 1, nanos FROM billed_charges")  # noqa: S608 - our own words


@migration()
def m025_marks(db: Database) -> None:
    """The mark of the balance that an ended call's row may have beside a charge; rows of older versions have none."""
    [view] = db.conn.execute("SELECT sql FROM sqlite_schema WHERE name = 'holds'").fetchone()
    db.conn.execute("DROP VIEW holds")
    of_calls = "json_extract(hold.value, '$[6]')"
    for table, mark in (("call_rows", of_calls), ("charges", "NULL"), ("billed_charges", "NULL")):
        view = view.replace(f"nanos FROM {table}", f"nanos, {mark} AS mark FROM {table}")
    db.conn.execute(view)


def _append_only(db: Database, table: str, kept: str = "1") -> None:
    """Nothing of the table is ever changed; nor deleted where `kept` is true of it."""
    refuse = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    db.conn.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}")
    db.conn.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} WHEN {kept} {refuse}")


_BOOKED = "held_nanos IS NOT NULL OR basis IS NOT NULL"


def _view_calls(db: Database, *, booked: str, more: str = "") -> None:
    plain = """person, team, machine, tool, process, project, provider, host, path, model_requested, model, session, api_key,
        billing, state, basis, input_tokens, cache_read_tokens"""
    writes = ("cache_write_5m_tokens", "cache_write_1h_tokens", "cache_write_other_tokens")
    total = " + ".join(f"coalesce({column}, 0)" for column in writes)
    db.conn.execute(f"""
        CREATE VIEW calls AS SELECT
            id, {_iso("started")}, {_iso("ended")}, {plain},
            CASE WHEN coalesce({", ".join(writes)}) IS NOT NULL THEN {total} END AS cache_write_tokens,
            output_tokens, reasoning_tokens, cost_nanos, value_nanos, held_nanos,
            {_iso("booked", when=booked)}, groups, estimate_nanos,
            ceiling_nanos, waited_ms, http_status, refused_by, refused_why, refused_settled_nanos, refused_held_nanos,
            refused_hold_nanos, refused_limit_nanos, would_refuse_by, first_byte_ms, duration_ms, request_id, parent_call,
            agent, policy_hash, {", ".join(writes)}, input_audio_tokens, output_audio_tokens, web_searches, account_os,
            account, dialect, evidence, kind, prices, flags, request_bytes, text_bytes, response_bytes, response_id,
            refused_reason, refused_value, {_iso("refused_resets")}, refused_others, {_iso("sent")}{more}
        FROM call_rows""")  # noqa: S608 - made of this file's own words


def _iso(moment: str, *, when: str | None = None) -> str:
    """`started_ms` as `started_at`: 2026-11-22T02:13:00.042Z, or NULL."""
    ms = f"{moment}_ms"
    text = f"strftime('%Y-%m-%dT%H:%M:%S', {ms} / 1000, 'unixepoch') || printf('.%03dZ', {ms} % 1000)"
    return f"{f'CASE WHEN {when} THEN {text} END' if when else text} AS {moment}_at"
