"""The page for the people whose laptops these are: what is seen, what is kept, what never is, whom to ask. No script, no network.

Each column of a call's row stands in `KEPT`; a test compares them with a real ledger, so that nothing is kept that is not told.
The tables are the ledger's own words, as `spendgate me` shows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

from spendgate.ledger.mine import TOLD
from spendgate.mdm.interface import Made
from spendgate.mdm.rollout import FromFile, Mode, Rollout, Stage

NAME: Final = "for-people.html"
KEPT: Final = (
    ("Who and where", "your account, the person and team that the policy makes of it, the laptop, and how sure that is",
     ("person", "team", "groups", "machine", "account_os", "account", "evidence")),
    ("With what",
     "the tool, the program's name, the repository's name, the tool's own numbers for the conversation and its helpers",
     ("tool", "process", "project", "session", "agent", "agent_name", "parent_agent", "parent_call")),
    ("Asked of whom",
     "provider, host, path without ids, model, and a fingerprint of the key that cannot be turned back into it",
     ("provider", "host", "path", "dialect", "kind", "model_requested", "also_requested", "model", "api_key", "billing",
      "request_id", "response_id")),
    ("When", "begin, end, and how long it took",
     ("started_at", "sent_at", "ended_at", "booked_at", "first_byte_ms", "duration_ms", "waited_ms")),
    ("How much", "counts of tokens, searches and bytes, and dollars",
     ("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens",
      "cache_write_other_tokens", "output_tokens", "reasoning_tokens", "input_audio_tokens", "output_audio_tokens",
      "web_searches", "size", "request_bytes", "text_bytes", "response_bytes", "cost_nanos", "value_nanos", "held_nanos",
      "estimate_nanos", "ceiling_nanos", "basis", "prices")),
    ("What was decided", "let through or refused, by which rule, with the figures of that moment",
     ("id", "state", "http_status", "flags", "policy_hash", "would_refuse_by", "refused_by", "refused_why",
      "refused_reason", "refused_value", "refused_settled_nanos", "refused_held_nanos", "refused_hold_nanos",
      "refused_limit_nanos", "refused_resets_at", "refused_others")),
)  # fmt: skip
"""Of one call: a heading, words for people, and the columns of the ledger's view `calls` that they are about."""
NEVER: Final = (
    "what you ask and what you are answered: no prompt, no answer, no file, no picture",
    "keys, passwords, tokens and cookies",
    "what you do on other sites: their connections pass closed, with their own certificates",
    "what a browser opens on a provider's site, unless your policy says otherwise: `spendgate status` tells it",
    "the folder in which your home lies, keystrokes, your screen",
)
_STAGES: Final = {
    Stage.OBSERVE: "Nothing is refused. What would have been is written down.",
    Stage.CANARY: "A group is refused what its budget does not hold; nobody else is. A refusal says which, and until when.",
    Stage.ENFORCE: "A call that a budget does not hold is refused. The refusal says which budget, and until when.",
}
_MODES: Final = {
    Mode.TRANSPARENT: "The system leads connections of all programs to the gate; those to other hosts it passes on unread.",
    Mode.PROXY: "Settings and variables name the gate as your programs' proxy. What is for other hosts it passes on unread.",
}
_KEEPS: Final = (("keep", "as said above"), ("good", "for good"))
"""The ledger's words for how long, at the beginning of what it says."""
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE: Final = """
:root{color-scheme:light dark}
body{margin:0 auto;max-width:46rem;padding:1.5rem 1.25rem 3rem;font:16px/1.55 system-ui,sans-serif;overflow-wrap:break-word}
h1{font-size:1.6rem;margin:0 0 .5rem}h2{font-size:1.2rem;margin:2rem 0 .5rem}
dt{font-weight:600;margin-top:.7rem}dd{margin:0}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #8886}
details{margin:.8rem 0}li{margin:.2rem 0}
"""


def notice(rollout: Rollout) -> Iterator[Made]:
    """The page."""
    about = "the page for the people: publish it before the first laptop has any of this"
    yield Made(NAME, _page(rollout).encode(), about)


def _page(rollout: Rollout) -> str:
    name, address = escape(rollout.contact.name), rollout.contact.address
    link = escape(address if address.startswith("https:") else f"mailto:{address}", quote=True)
    who = escape(rollout.organization)
    body = "\n".join(
        (
            f"<h1>AI tools on your laptop at {who}</h1>",
            f"<p>{who} counts what AI tools spend. A program on your laptop, Spendgate, does it. It sees the connections of AI"
            " tools to the providers below, reads counts and prices from them, and keeps those. This page says what that means"
            " for you.</p>",
            f"<h2>How it works</h2><p>{escape(_MODES[rollout.mode])}</p><p>{escape(_STAGES[rollout.stage])}</p>",
            f"<p>To read a connection to a provider, your laptop trusts a certificate of {who}. By its own limits it can stand"
            f" for {_for_what(rollout)}, and for no other site: not for your bank, not for your mail.</p>",
            _hosts(rollout),
            "<h2>What is kept of each call</h2>",
            _definitions((heading, f"{words}.") for heading, words, _ in KEPT),
            "<h2>What never is</h2>",
            f"<ul>{''.join(f'<li>{_code(each)}</li>' for each in NEVER)}</ul>",
            "<h2>Where it lies, and for how long</h2>",
            f"<p>{_how_long(rollout)}</p>",
            _tables(),
            "<h2>See it yourself</h2>",
            "<p>On Linux <code>spendgate me</code> shows everything that is kept about you, and who else is told what."
            " <code>spendgate status</code> shows your budgets, and what is not seen. You see your own rows; your colleagues do"
            " not. On macOS and Windows the gate answers administrators alone: ask whom is named below for what it keeps about"
            " you.</p>",
            f'<h2>Whom to ask</h2><p>{name}: <a href="{link}">{escape(address)}</a></p>',
        )
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>AI tools on your laptop at {who}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _for_what(rollout: Rollout) -> str:
    """The root may be able to sign for more providers' hosts than are read now."""
    if rollout.signs_for == frozenset(rollout.hosts):
        return "the hosts below and what is under their names"
    return (
        f"{len(rollout.signs_for)} hosts of AI providers, of which those below are read, and what is under their names"
    )


def _hosts(rollout: Rollout) -> str:
    listed = "".join(f"<li>{escape(host)}</li>" for host in rollout.hosts)
    number = f"{len(rollout.hosts)} host{'' if len(rollout.hosts) == 1 else 's'}"
    return f"<details><summary>{number} of providers</summary><ul>{listed}</ul></details>"


def _definitions(pairs: Iterable[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(term)}</dt><dd>{escape(words)}</dd>' for term, words in pairs)}</dl>"


def _tables() -> str:
    rows = "".join(
        f"<tr><td>{escape(table)}</td><td>{escape(what)}</td><td>{escape(_until(until))}</td></tr>"
        for table, what, until in TOLD
    )
    return f"<table><thead><tr><th>Table</th><th>What it is</th><th>Kept</th></tr></thead><tbody>{rows}</tbody></table>"


def _until(said: str) -> str:
    for word, words in _KEEPS:
        if said == word or said.startswith((f"{word} ", f"{word};")):
            return words + said.removeprefix(word)
    return said


def _how_long(rollout: Rollout) -> str:
    where = "In a file on your laptop that the gate's account and administrators can read."
    if not isinstance(rollout.policy, FromFile):
        return f"{where} Calls are kept as long as the policy in force says: <code>spendgate me</code> tells how long."
    privacy = rollout.policy.privacy
    days = f"for {privacy.keep_days} days, then as sums by day" if privacy.keep_days else "for good"
    names = {"repository": "the repository's name is kept", "none": "no repository's name is kept"}[privacy.project]
    programs = {"name": "the program's name is", "path": "the program's path is", "none": "the program is not"}[
        privacy.process
    ]
    return f"{where} Calls are kept {days}; {names}, {programs}."


def _code(text: str) -> str:
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
