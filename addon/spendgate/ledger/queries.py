"""What people ask of the ledger. A read-only connection of its own: nothing here can write, hold up or be held up by a gate.

Times are epoch milliseconds, amounts nano-dollars; calls come as rows of the public view `calls`, by its column names.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from spendgate.audit_words import FINDINGS, AuditWord
from spendgate.calibration import CALIBRATED
from spendgate.digest import Stopped
from spendgate.errors import StateError
from spendgate.grants import Taken
from spendgate.ledger import (
    calibrations,
    chain,
    check,
    day_sums,
    flows,
    merged,
    mine,
    moving,
    purge,
    schema,
    statements,
    uncaptured,
    verify_merged,
)
from spendgate.ledger import compared as compared_calls
from spendgate.ledger import grants as grant_rows
from spendgate.ledger import heads as ends
from spendgate.ledger import verify as verifying
from spendgate.ledger.balances import READ_BY_KEY, Balance
from spendgate.ledger.calibrations import Calibration
from spendgate.ledger.compared import Alike, Running
from spendgate.ledger.fault import FILE, SUMS, Fault
from spendgate.ledger.fill import Counted, ScopesOf
from spendgate.ledger.history import Step, steps
from spendgate.ledger.interface import Flowing
from spendgate.ledger.kept import Kept
from spendgate.ledger.named import NamedCall, named
from spendgate.ledger.open_calls import Held
from spendgate.ledger.periods import PERIODS, period_of
from spendgate.ledger.purged_spend import Figures, Key, Wanted, purged_spend
from spendgate.ledger.results import CORRECTS
from spendgate.ledger.statements import Imported
from spendgate.ledger.store import unavailable
from spendgate.ledger.uncaptured import Uncaptured
from spendgate.ledger.unfilled import unfilled
from spendgate.ledger.untaken import ByBill, untaken
from spendgate.standing import Scope, Standing
from spendgate.statement import Line
from spendgate.window import DAY_MS

ATTRIBUTES: Final = (
    "person", "team", "machine", "tool", "process", "project", "session", "agent", "agent_name", "parent_agent",
    "provider", "host", "path", "model", "model_requested", "api_key", "account", "account_os", "billing", "state",
    "basis", "kind", "prices", "refused_by", "refused_why", "would_refuse_by",
)  # fmt: skip
"""What spend and calls can be grouped and filtered by, besides the periods `hour`, `day`, `week`, `month`."""

# The column `held_nanos` is the largest hold that a call ever had; what it holds now stands in its holds, one for each balance.
_HELD_NOW: Final = f"""(SELECT coalesce(max(json_extract(hold.value, '$[{Held.__struct_fields__.index("nanos")}]')), 0)
    FROM json_each(call_rows.holds) AS hold)"""  # noqa: S608 - our own words
# What a call on a plan holds in budgets with `counts: value` is no money.
_PAID: Final = "billing NOT IN ('subscription', 'personal')"
_SPEND: Final = f"""count(*) FILTER (WHERE state IN ('open', 'settled', 'interrupted') AND instr(flags, '{CORRECTS}') = 0),
    count(*) FILTER (WHERE state = 'refused'), coalesce(sum(cost_nanos), 0), coalesce(sum(value_nanos), 0),
    coalesce(sum(CASE WHEN state = 'open' AND {_PAID} THEN {_HELD_NOW} END), 0),
    coalesce(sum(cost_nanos) FILTER (WHERE basis <> 'reported'), 0),
    coalesce(sum(input_tokens), 0), coalesce(sum(cache_read_tokens), 0),
    coalesce(sum(coalesce(cache_write_5m_tokens, 0) + coalesce(cache_write_1h_tokens, 0)
        + coalesce(cache_write_other_tokens, 0)), 0),
    coalesce(sum(output_tokens), 0),
    coalesce(sum(cost_nanos) FILTER (WHERE instr(flags, '{CALIBRATED}') > 0), 0)"""


POLICY_PRICE: Final = "policy:unknown_model"
"""What stands in `prices` where no list has the model."""


@dataclass(frozen=True, slots=True)
class Span:
    """Calls booked from `since_ms` on and before `until_ms`, with these attributes; empty parts limit nothing."""

    since_ms: int | None = None
    until_ms: int | None = None
    where: tuple[tuple[str, str], ...] = ()
    gate: int | None = None
    """Only calls of this gate (`Ledger.gate_id`)."""
    free: bool = True
    """False: without what costs nothing."""


EVERY_CALL: Final = Span()


@dataclass(frozen=True, slots=True)
class Spend:
    """Totals of one group. `key` are its values, in the order asked for; None where a call had none."""

    key: tuple[str | None, ...]
    calls: int
    """Calls that left: settled, interrupted, open."""
    refused: int
    cost_nanos: int
    value_nanos: int
    held_nanos: int
    """What its open calls hold now: of each call the largest of its holds."""
    not_reported_nanos: int
    """The part of the cost that is estimated or a ceiling."""
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    calibrated_nanos: int = 0
    """The part of the estimates that is calibrated by a bill. Sums of purged calls do not tell it."""
    not_captured_nanos: int = 0
    """Beside all of these: what bills have of it and no call (`cli/not_captured`)."""


@dataclass(frozen=True, slots=True)
class CallHold:
    """What one call holds in one balance, or held there when it ended, and what was charged."""

    budget: str
    value: str
    window: str
    mode: str
    nanos: int
    charged_nanos: int | None


class Reader:
    """A read-only connection to one ledger. Use from one thread."""

    def __init__(self, path: Path) -> None:
        """Raises StateError when there is no ledger, or one that this Spendgate cannot read."""
        try:
            self._conn = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5
            )
        except sqlite3.Error as fault:
            raise StateError(f"{path} cannot be read as a ledger: {fault}") from fault
        try:
            schema.refuse_other(self._conn)
        except sqlite3.Error as fault:
            self._conn.close()
            if getattr(fault, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_ROLLBACK:
                raise StateError(f"{path}: a merge into it was ended midway: run the same merge again") from fault
            raise StateError(f"{path} cannot be read as a ledger: {fault}") from fault
        except StateError:
            self._conn.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._conn.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def head(self) -> chain.Head:
        """The ledger's id, age, and the end of its chain."""
        return chain.head(self._conn)

    def grants(self) -> tuple[Taken, ...]:
        """Every grant that was taken in."""
        return grant_rows.grants(self._conn)

    def asks(self) -> tuple[grant_rows.Asked, ...]:
        """Every ask."""
        return grant_rows.asks(self._conn)

    def imports(self) -> tuple[Imported, ...]:
        """All statements that were taken in, oldest first."""
        return statements.imports(self._conn)

    def statement_lines(self, one: Imported, from_ms: int, until_ms: int) -> tuple[Line, ...]:
        """Lines of an import that begin from then on and before then, in their order."""
        return statements.lines(self._conn, one, from_ms, until_ms)

    def calibrations(self) -> tuple[Calibration, ...]:
        """Every factor that was ever put in force, oldest first."""
        return calibrations.every(self._conn)

    def named_calls(self, from_ms: int, until_ms: int) -> tuple[NamedCall, ...]:
        """Calls that left, booked from then on and before then, by what names them elsewhere."""
        return named(self._conn, from_ms, until_ms)

    def calls_alike(self, span: tuple[int, int], ids: Iterable[str], edge_ms: int, bucket_ms: int) -> Iterator[Alike]:
        """Calls that left in this span, as a reconciliation takes them: see `ledger.compared`."""
        return compared_calls.alike(self._conn, span, ids, edge_ms, bucket_ms)

    def calls_singly(self, from_ms: int, until_ms: int) -> Iterator[Alike]:
        """The same calls one by one."""
        return compared_calls.singles(self._conn, from_ms, until_ms)

    def calls_running(self, from_ms: int, until_ms: int) -> Iterator[Running]:
        """The open calls that left in this span."""
        return compared_calls.running(self._conn, from_ms, until_ms)

    def gate_signs(self) -> dict[int, tuple[str, int]]:
        """By gate (`Ledger.gate_id`) its machine, and when it last wrote a call, epoch milliseconds."""
        return compared_calls.gate_signs(self._conn)

    def latest_refusal(self, person: str, budget: str | None, account: str | None = None) -> dict[str, Any] | None:
        """The newest call of this person's that a budget has refused: the one named, or any; of this account, where one is
        named. A row of `calls`."""
        named, values = (" AND refused_by = ?", (person, budget)) if budget else ("", (person,))
        if account is not None:
            named, values = f"{named} AND account_os = ?", (*values, account)
        where = f"state = 'refused' AND refused_why IN ('spent', 'held') AND person = ?{named}"
        inner = f"SELECT id FROM call_rows WHERE {where} ORDER BY booked_ms DESC, seq DESC LIMIT 1"  # noqa: S608 - our own words
        sql = f"SELECT calls.* FROM ({inner}) JOIN calls USING (id)"  # noqa: S608 - as above
        return next(iter(self._rows(sql, values)), None)

    def check(self) -> tuple[str, ...]:
        """Every fault of the ledger against itself."""
        return check.check(self._conn)

    def heads(self) -> ends.Heads:
        """Where both chains end."""
        return ends.of(self._conn)

    def unlike(self, seen: ends.Heads) -> ends.Finding | None:
        """What tells this ledger from one that was seen; None: it goes on from there."""
        return ends.unlike(self._conn, seen)

    def verify_merged(self) -> Iterator[Fault]:
        """Every fault of a merged ledger, as far as it can be told by itself; nothing else may be asked meanwhile."""
        return verify_merged.verify(self._conn)

    def verify(self, seen: ends.Heads | None) -> Iterator[Fault]:
        """Every fault of the file, against `seen`, of both chains, then of the sums; nothing else may be asked meanwhile."""
        yield from verifying.verify(self._conn, seen)
        try:
            self._conn.execute("BEGIN")
            yield from (Fault(SUMS, fault) for fault in check.sums(self._conn))
            self._conn.execute("ROLLBACK")
        except sqlite3.Error as fault:
            yield Fault(FILE, f"its sums cannot be read: {fault}")

    def standings(self, scopes: tuple[Scope, ...], now_ms: int) -> tuple[Standing, ...]:
        """Each scope's balance as the gate would see it now; zero where nothing was ever held."""
        return _standings(Kept(self._conn, now_ms), scopes)

    def standings_filled(
        self, scopes: tuple[Scope, ...], budgets: tuple[Counted, ...], scopes_of: ScopesOf, now_ms: int, *,
        by_bill: ByBill | None = None, until_ms: int | None = None,
    ) -> tuple[Standing, ...]:  # fmt: skip
        """As `standings`, of a policy that no gate may have followed: as if one had just taken it up, filled `budgets`, and taken
        what was billed and not captured into those of `by_bill`. `until_ms`: without what was booked later."""
        more = unfilled(self._conn, scopes, budgets, scopes_of, now_ms, until_ms=until_ms)
        if by_bill is not None:
            untaken(self._conn, more, scopes, by_bill, now_ms, until_ms=until_ms)
        return _standings(Kept(self._conn, now_ms, more, until_ms=until_ms), scopes)

    def billed_by(self, standing: Standing) -> tuple[str, ...]:
        """Which imports say that a part of the standing was billed and not captured."""
        found = self._conn.execute(READ_BY_KEY, standing.scope.balance).fetchone() if standing.billed_nanos else None
        return () if found is None else uncaptured.imports_of(self._conn, Balance(*found).id, Balance(*found).edge_ms)

    def uncaptured(self, from_ms: int = 0, until_ms: int = 2**62) -> tuple[Uncaptured, ...]:
        """What bills have of the UTC days that begin from then on and before then, and no call of this ledger."""
        return uncaptured.in_force(self._conn, from_ms, until_ms)

    def rates(self, scopes: tuple[Scope, ...], flowing: Flowing, now_ms: int) -> tuple[Standing, ...]:
        """Each rate with what it has counted and how many of its calls are open, at `flowing.boot_ms`."""
        found = [self._standing_at(scope) for scope in scopes]
        counted = flows.read(
            self._conn, [(scope, at) for scope, (at, _) in zip(scopes, found, strict=True)], flowing, now_ms
        )
        return tuple(replace(each, flow=flow) for (_, each), flow in zip(found, counted, strict=True))

    def _standing_at(self, scope: Scope) -> tuple[int | None, Standing]:
        """The balance of a window that does not slide, and its number; None: nothing was ever held in it."""
        key = scope.balance
        found = self._conn.execute(READ_BY_KEY, key).fetchone()
        if found is None:
            return None, Standing(scope, 0, 0, 0, 0, 0)
        balance = Balance(*found)
        return balance.id, balance.standing(scope, 0)

    def spend(self, by: tuple[str, ...], span: Span, zone: ZoneInfo, *, week_starts: int = 0) -> tuple[Spend, ...]:
        """Totals by attributes and periods, dearest first; periods in `zone`, weeks from `week_starts` (Monday is 0).

        Raises ValueError for an attribute that calls do not have.
        """

        def period(word: str, ms: int) -> str:
            return period_of(word, ms, zone, week_starts)

        self._conn.create_function("period", 2, period, deterministic=True)
        keys = [f"period('{word}', booked_ms)" if word in PERIODS else _attribute(word) for word in by]
        condition, values = _condition(span)
        group = f"GROUP BY {', '.join(str(place + 1) for place in range(len(keys)))}" if keys else ""
        columns = ", ".join([*keys, _SPEND])
        sql = f"SELECT {columns} FROM call_rows {condition} {group} ORDER BY {len(keys) + 3} DESC"  # noqa: S608 - checked words
        self._conn.execute("BEGIN")  # a call is a row or in a sum, at one moment
        try:
            found = [(row[: len(by)], row[len(by) :]) for row in self._conn.execute(sql, values)]
            wanted = Wanted(by, span.where, span.since_ms, span.until_ms)
            purged = purged_spend(self._conn, wanted, period) if span.gate is None else {}
        finally:
            self._conn.execute("ROLLBACK")
        if purged:
            found = _merged(found, purged)
        return tuple(Spend(key, *figures) for key, figures in found)

    def calls(self, span: Span, limit: int | None = None) -> tuple[dict[str, Any], ...]:
        """Rows of the view `calls`, newest first."""
        condition, values = _condition(span)
        inner = f"SELECT id FROM call_rows {condition} ORDER BY booked_ms DESC, seq DESC LIMIT ?"  # noqa: S608 - checked words
        sql = f"SELECT calls.* FROM ({inner}) JOIN calls USING (id)"  # noqa: S608 - as above
        return self._rows(sql, (*values, -1 if limit is None else limit))

    def each_call(self, span: Span) -> Iterator[dict[str, Any]]:
        """The same rows, oldest first, read one by one."""
        condition, values = _condition(span)
        cursor = self._conn.execute(f"SELECT id FROM call_rows {condition} ORDER BY booked_ms, seq", values)  # noqa: S608
        one = self._conn.cursor()
        for (call,) in cursor:
            found = one.execute("SELECT * FROM calls WHERE id = ?", (call,)).fetchone()
            yield dict(zip((column[0] for column in one.description), found, strict=True))

    def columns(self) -> tuple[str, ...]:
        """The columns of the view `calls`, in its order."""
        return tuple(column[0] for column in self._conn.execute("SELECT * FROM calls LIMIT 0").description)

    def call(self, prefix: str, span: Span = EVERY_CALL) -> tuple[dict[str, Any], tuple[CallHold, ...]]:
        """One call of this span by the beginning of its id, and its holds. Raises ValueError when none or several begin so.

        Ids are lower case, so a prefix in capitals is found, too.
        """
        begin = prefix.lower()
        condition, values = _condition(span)
        clause = f"{condition} {'AND' if condition else 'WHERE'} id >= ? AND id < ?"
        inner = f"SELECT id FROM call_rows {clause} LIMIT 2"  # noqa: S608 - checked words
        sql = f"SELECT calls.* FROM ({inner}) JOIN calls USING (id)"  # noqa: S608 - as above
        found = self._rows(sql, (*values, begin, f"{begin}\U0010ffff"))
        if len(found) > 1:
            raise ValueError(f"several calls begin with {prefix!r}: give more characters of the id")
        if not found:
            raise ValueError(f"no call begins with {prefix!r}")
        holds = self._conn.execute(
            """SELECT budget, value, window, mode, nanos, charged_nanos FROM holds JOIN balances ON balances.id = balance
               WHERE call = (SELECT seq FROM call_rows WHERE id = ?) AND mode <> 'rate' ORDER BY balance""",
            (found[0]["id"],),
        )
        return found[0], tuple(CallHold(*hold) for hold in holds)

    def states(self, span: Span = EVERY_CALL) -> dict[str, int]:
        """How many calls are in each state, by its stored word."""
        return self._counts("state", span)

    def would_refuse(self, span: Span = EVERY_CALL) -> dict[str, int]:
        """How many calls each rule would have refused but for `observe` or `warn`, the busiest rule first."""
        found = self._counts("would_refuse_by", span)
        return {rule: found[rule] for rule in sorted(found, key=lambda rule: (-found[rule], rule))}

    def guessed_prices(self, span: Span = EVERY_CALL) -> tuple[int, int]:
        """Calls of a model that no price list has, and the nano-dollars that the policy's own price makes of them."""
        condition, values = _condition(span)
        clause = f"{condition} {'AND' if condition else 'WHERE'} instr(prices, ?) > 0 AND cost_nanos > 0"
        sql = f"SELECT count(*), coalesce(sum(cost_nanos), 0) FROM call_rows {clause}"  # noqa: S608 - checked words
        calls, nanos = self._conn.execute(sql, (*values, POLICY_PRICE)).fetchone()
        return int(calls), int(nanos)

    def stopped(self, span: Span) -> tuple[Stopped, ...]:
        """What was refused, by person, rule and kind of refusal. The same request (person, team, session, model, size) that a
        rule refused again counts once, with the most that it would have held."""
        condition, values = _condition(span)
        clause = f"{condition} {'AND' if condition else 'WHERE'} state = 'refused'"
        each = f"""SELECT person, team, coalesce(refused_by, '') AS rule, coalesce(refused_why, '') AS why, count(*) AS calls,
            max(coalesce(refused_hold_nanos, estimate_nanos, 0)) AS most FROM call_rows {clause}
            GROUP BY 1, 2, 3, 4, session, model_requested, text_bytes"""  # noqa: S608 - checked words
        sql = f"SELECT person, team, rule, why, sum(calls), count(*), sum(most) FROM ({each}) GROUP BY 1, 2, 3, 4"  # noqa: S608
        return tuple(Stopped(*row) for row in self._conn.execute(sql, values))

    def running(self, budget: str, now_ms: int) -> tuple[tuple[str, str, str], ...]:
        """Value, window and words of each balance of this budget whose calendar window runs and has something in it; the most
        spent first."""
        found = self._conn.execute(
            """SELECT value, window, words FROM balances WHERE budget = ? AND starts_ms <= ? AND ends_ms > ?
               AND settled > 0 ORDER BY settled DESC""",
            (budget, now_ms, now_ms),
        )
        return tuple(found.fetchall())

    def tallied(self, name: str, words: str) -> tuple[int, ...]:
        """What each balance of this name has settled: of an exception what was spent under it, in each window."""
        found = self._conn.execute("SELECT settled FROM balances WHERE budget = ? AND words = ?", (name, words))
        return tuple(row[0] for row in found)

    def _counts(self, column: str, span: Span) -> dict[str, int]:
        """How many calls have each value of this column, where they have one."""
        condition, values = _condition(span)
        sql = f"SELECT {column}, count(*) FROM call_rows {condition} GROUP BY 1"  # noqa: S608 - checked words
        return {value: count for value, count in self._conn.execute(sql, values) if value is not None}

    def open_above_holds(self, span: Span = EVERY_CALL) -> int:
        """The most, in nano-dollars, that open calls could still cost above the largest hold that each has now."""
        condition, values = _condition(span)
        clause = f"{condition} {'AND' if condition else 'WHERE'} state = 'open' AND {_PAID}"
        sql = f"SELECT coalesce(sum(max(0, ceiling_nanos - {_HELD_NOW})), 0) FROM call_rows {clause}"  # noqa: S608 - checked words
        return int(self._conn.execute(sql, values).fetchone()[0])

    def open_unbounded(self, span: Span = EVERY_CALL) -> int:
        """How many of the open calls have no bound that this most could count."""
        condition, values = _condition(span)
        clause = f"{condition} {'AND' if condition else 'WHERE'} state = 'open' AND {_PAID} AND ceiling_nanos IS NULL"
        return int(self._conn.execute(f"SELECT count(*) FROM call_rows {clause}", values).fetchone()[0])  # noqa: S608 - as above

    def history(self, since_ms: int, until_ms: int | None = None) -> Iterator[Step]:
        """Every decided or charged call booked in this span, in the order in which they asked."""
        return steps(self._conn, since_ms, until_ms)

    def purged_until_ms(self) -> int | None:
        """Up to when, a beginning of a UTC day, calls may be sums alone; None: none was ever purged."""
        [day] = self._conn.execute("SELECT max(day) FROM day_sums").fetchone()
        return None if day is None else day_sums.noon_ms(day) + DAY_MS // 2

    def purged_calls(self) -> int:
        """How many ended calls of any state are sums alone."""
        return day_sums.totals(self._conn).rows

    def totals(self) -> day_sums.Totals:
        """All ended calls that the ledger ever had: rows and sums, of one moment."""
        return purge.totals(self._conn)

    def purgeable(self, before_ms: int) -> purge.Plan:
        """What a purge of what was booked before then would take."""
        return purge.plan(self._conn, before_ms)

    def kept_of(self, whose: mine.Whose) -> tuple[mine.Kept, ...]:
        """Every table with what it has of this person, of one moment."""
        return tuple(mine.kept(self._conn, whose))

    def coverage(self) -> tuple[dict[str, Any], ...]:
        """Connections to providers that could not be read, by account, tool, host and reason."""
        return self._rows("SELECT * FROM coverage ORDER BY last_ms DESC", ())

    def audit(self, since_ms: int = 0) -> tuple[dict[str, Any], ...]:
        """The audit trail, oldest first."""
        return self._rows(
            """SELECT position, at_ms, what, who, detail, calls, lower(hex(calls_head)) AS calls_head, lower(hex(head)) AS head
               FROM audit WHERE at_ms >= ? ORDER BY position""",
            (since_ms,),
        )

    def chained_from(self) -> tuple[int, int] | None:
        """From which line on, and since when, the audit trail is chained; None: all of it was when it was written."""
        found = self._rows("SELECT position, at_ms FROM audit WHERE what = ? LIMIT 1", (AuditWord.TRAIL_CHAINED.value,))
        return (found[0]["position"], found[0]["at_ms"]) if found else None

    def sources(self) -> tuple[merged.Source, ...]:
        """The ledgers that this one was merged from; none: it is a gate's own."""
        return merged.sources(self._conn) if merged.is_merged(self._conn) else ()

    def trails(self) -> tuple[tuple[tuple[dict[str, Any], ...], dict[int, tuple[str, int]]], ...]:
        """Each ledger's audit trail, oldest line first, with its `gate_signs`.

        Of a merged one each source's, its gates under the numbers that they have there.
        """
        if not merged.is_merged(self._conn):
            return ((self.audit(), self.gate_signs()),)
        signs: dict[int, dict[int, tuple[str, int]]] = {}
        for gate, sign in self.gate_signs().items():
            source, own = divmod(gate, 1 << merged.GATE_BITS)
            signs.setdefault(source, {})[own] = sign
        sql = "SELECT position, at_ms, what, who, detail FROM source_audit WHERE source = ? ORDER BY position"
        return tuple((self._rows(sql, (each.number,)), signs.get(each.number, {})) for each in self.sources())

    def unacknowledged(self) -> tuple[ends.Finding, ...]:
        """What the trail says was found about the ledger since somebody last took note of that."""
        words = ", ".join(f"'{word.value}'" for word in sorted(FINDINGS))
        found = self._conn.execute(
            f"""SELECT what, detail, at_ms FROM audit WHERE what IN ({words}) AND position > coalesce(
                (SELECT max(position) FROM audit WHERE what = ?), 0) ORDER BY position""",  # noqa: S608 - our own words
            (AuditWord.ACKNOWLEDGED.value,),
        )
        return tuple(ends.Finding(AuditWord(what), detail, at_ms, written=True) for what, detail, at_ms in found)

    def alerts(self, since_ms: int = 0) -> tuple[dict[str, Any], ...]:
        """Every alert made from then on, newest first, each with its `deliveries`."""
        found = self._rows("SELECT * FROM alerts WHERE made_ms >= ? ORDER BY id DESC", (since_ms,))
        sql = """SELECT deliveries.* FROM deliveries JOIN alerts ON alerts.id = alert WHERE made_ms >= ?
            ORDER BY alert, receiver"""
        deliveries: dict[int, list[dict[str, Any]]] = {}
        for row in self._rows(sql, (since_ms,)):
            deliveries.setdefault(row["alert"], []).append(row)
        return tuple({**row, "deliveries": deliveries.get(row["id"], [])} for row in found)

    def alert(self, prefix: str, person: str | None = None) -> str:
        """The whole name of an alert by its beginning, of those about this person alone where one is named. Raises ValueError
        when none or several begin so."""
        begin = prefix.lower()
        found = self._conn.execute(
            "SELECT name FROM alerts WHERE name >= ? AND name < ? AND (? IS NULL OR person = ?) LIMIT 2",
            (begin, f"{begin}\U0010ffff", person, person),
        ).fetchall()
        if len(found) != 1:
            several = "several alerts begin" if found else "no alert begins"
            raise ValueError(f"{several} with {prefix!r}: `spendgate alerts list` has their ids")
        return str(found[0][0])

    def messages(self, form: str) -> dict[str, dict[str, Any]]:
        """The messages of this form (`ask`) by their window (the ask's id), each with `routed` and its `deliveries`."""
        found = {
            row["window"]: {**row, "deliveries": []}
            for row in self._rows("SELECT id, name, window, routed, made_ms FROM alerts WHERE form = ?", (form,))
        }
        sql = """SELECT deliveries.*, window FROM deliveries JOIN alerts ON alerts.id = alert WHERE form = ?
            ORDER BY alert, receiver"""
        for row in self._rows(sql, (form,)):
            found[row["window"]]["deliveries"].append(row)
        return found

    def unseen(self, person: str, since_ms: int, limit: int) -> tuple[dict[str, Any], ...]:
        """The newest alerts about this person made since then that nobody has acknowledged."""
        sql = """SELECT name, made_ms, severity, text FROM alerts WHERE person = ? AND acked_ms IS NULL AND made_ms >= ?
            ORDER BY id DESC LIMIT ?"""
        return self._rows(sql, (person, since_ms, limit))

    def undelivered(self) -> tuple[int, tuple[str, ...]]:
        """How many messages are still to be delivered or were given up unseen, and why the latest of them failed."""
        found = self._conn.execute(
            """SELECT receiver, error FROM deliveries JOIN alerts ON alerts.id = alert
               WHERE delivered_ms IS NULL AND (acked_ms IS NULL OR given_up_ms IS NULL) ORDER BY alert DESC"""
        ).fetchall()
        return len(found), tuple(dict.fromkeys(f"{receiver}: {error}" for receiver, error in found if error))

    def _rows(self, sql: str, values: tuple[Any, ...]) -> tuple[dict[str, Any], ...]:
        cursor = self._conn.execute(sql, values)
        names = [column[0] for column in cursor.description]
        return tuple(dict(zip(names, row, strict=True)) for row in cursor)


def _standings(kept: Kept, scopes: tuple[Scope, ...]) -> tuple[Standing, ...]:
    found = []
    for scope in scopes:
        balance = kept.balance(scope.balance)
        made = Standing(scope, 0, 0, 0, 0, 0) if balance is None else balance.standing(scope, 0)
        billed = _billed(kept, scope, balance) if scope.by_bill and balance is not None else 0
        limit = moving.read_limit(kept, scope) if scope.moves else None
        found.append(replace(made, limit=limit, billed_nanos=billed))
    return tuple(found)


def _billed(kept: Kept, scope: Scope, balance: Balance) -> int:
    taken = uncaptured.part(kept.conn, balance.id, balance.edge_ms, kept.until_ms)
    return taken + kept.untaken(scope.balance)


@contextmanager
def reading(path: Path) -> Iterator[Reader]:
    """A reader whose every failure is one of ours, for a gate that goes on. Raises StateError, LedgerUnavailable."""
    with Reader(path) as reader:
        try:
            yield reader
        except sqlite3.Error as fault:
            raise unavailable(fault) from fault


def _merged(found: list[tuple[Key, Figures]], purged: dict[Key, Figures]) -> list[tuple[Key, Figures]]:
    """Rows and sums together, dearest first."""
    both = dict(found)
    for key, figures in purged.items():
        both[key] = tuple(map(sum, zip(both[key], figures, strict=True))) if key in both else figures
    cost_at = 2
    return sorted(both.items(), key=lambda each: -each[1][cost_at])


def _condition(span: Span) -> tuple[str, tuple[Any, ...]]:
    """A WHERE clause of checked words, and its values."""
    parts: list[tuple[str, Any]] = [(f"{_attribute(name)} = ?", value) for name, value in span.where]
    if span.since_ms is not None:
        parts.append(("booked_ms >= ?", span.since_ms))
    if span.until_ms is not None:
        parts.append(("booked_ms < ?", span.until_ms))
    if not span.free:
        parts.append(("state <> ?", "free"))
    if span.gate is not None:
        parts.append(("gate = ?", span.gate))
    if not parts:
        return "", ()
    return f"WHERE {' AND '.join(part for part, _ in parts)}", tuple(value for _, value in parts)


def _attribute(name: str) -> str:
    if name not in ATTRIBUTES:
        raise ValueError(f"calls have no {name!r}; allowed: {', '.join((*ATTRIBUTES, *PERIODS))}")
    # A model is the one that answered, else the one asked for.
    return "coalesce(model, model_requested)" if name == "model" else name
