"""The view `calls`, which people and scripts read: columns may be added, never renamed, moved or given another meaning."""

from __future__ import annotations

from sqlite_utils import Database

BOOKED = "held_nanos IS NOT NULL OR basis IS NOT NULL"


def view_calls(db: Database, *, booked: str, more: str = "") -> None:
    """Make the view, with these columns at its end."""
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
