"""Measures how real clients take a refusal and writes it as two tables into `addon/README.md`, between markers.

The first table is the product: a gate whose budget is spent, each client through it. The second is why it refuses in these
shapes: what each client does with shapes that a provider could send, measured on the stand-in without a gate.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from end_to_end.agent import Agent
from end_to_end.agents import AGENTS
from end_to_end.clients import CLIENTS, PROMPT, Client, Run, binaries, run, surroundings, through, version
from end_to_end.raw import trust
from end_to_end.shapes import SHAPES, WORD, Shape
from end_to_end.world import ROOT, Gate, Provider, policy, running_gate
from spendgate.capture.call import ANSWERED_HERE
from spendgate.standin.tunnel import Tunnel

README = ROOT / "addon" / "README.md"
BEGIN, END = "<!-- client-table -->", "<!-- /client-table -->"
PATIENCE_S = 20
HELP = "#ai-budget"
SHOWN_MAX = 110
BEFORE_MAX = 50
OURS = re.compile(r"Spendgate: budget|Budget person", re.IGNORECASE)
type Row = tuple[str, ...]
PROMPTED = "[{'role': 'user', 'content': 'hi'}]"
SDK_CALLS = {
    "anthropic (Python)": f"anthropic.Anthropic().messages.create(model='claude-sonnet-4-6', max_tokens=9, messages={PROMPTED})",
    "openai (Python), chat": f"openai.OpenAI().chat.completions.create(model='gpt-5.1', messages={PROMPTED})",
    "openai (Python), responses": "openai.OpenAI().responses.create(model='gpt-5.1', input='hi')",
}
SDKS = tuple(
    Client(name, f"{name.partition(' ')[0]}-sdk", (sys.executable, "-c", f"import {name.partition(' ')[0]}\n{code}"))
    for name, code in SDK_CALLS.items()
)


def main() -> None:
    """Measure and write. Needs the stand-in alone, no account; a quarter of an hour, most of it spent on clients that hang."""
    chosen = frozenset(sys.argv[1:])
    clients = tuple(client for client in (*CLIENTS, *SDKS, *AGENTS) if not chosen or client.name in chosen)
    if unknown := chosen - {client.name for client in clients}:
        sys.exit(
            f"no such client: {', '.join(sorted(unknown))}; there are {', '.join(a.name for a in AGENTS)} and others"
        )
    binaries()
    with tempfile.TemporaryDirectory(prefix="client-table-") as name:
        folder = Path(name)
        provider = Provider(folder)
        try:
            product = [row for word in WORDS for row in _product(folder / word, provider, word, clients)]
            shapes = list(_shapes(folder / "shapes", provider, [one for one in SHAPES if one.client in clients]))
        finally:
            provider.close()
    text = "\n".join([_head(), "", *_table(PRODUCT, product), "", SHAPES_INTRO, "", *_table(TRIED, shapes)])
    if chosen:
        # A part of the table is shown, not written: the page holds whole measurements only.
        sys.stdout.write(text + "\n")
    else:
        _write(text)


COLOURS = re.compile(r"\x1b\[[0-9;]*m")
WORDS = ("readable", "strict")
SECONDS = "seconds until the person sees why"
PRODUCT = ("client", "version", "refusals", "requests sent", "reached the provider", SECONDS, "what the person reads")
TRIED = ("client", "shape", "requests sent", SECONDS, "ends after", "what the person reads")
SHAPES_INTRO = "Shapes tried, without the gate (a dash: our text was not shown):"


def _head() -> str:
    today = datetime.now(UTC).date().isoformat()
    return (
        f"Measured {today} by `scripts/client-table`. Seconds count from the client's first request for an answer.\n"
        "Requests are those for an answer; over WebSocket each `response.create`, beside the handshakes that the gate accepts."
    )


def _product(folder: Path, provider: Provider, word: str, clients: tuple[Client | Agent, ...]) -> Iterator[Row]:
    """Rows of the first table for one value of the policy's `refusals`."""
    folder.mkdir()
    with running_gate(folder, provider, policy(folder, limit="$0.01", more=f"refusals: {word}\n")) as gate:
        spend(gate)
        # Tunnelled hosts are the stand-in too; a client that did not trust it would spend seconds on trying again.
        trusted = folder / "trusted.pem"
        trusted.write_bytes(gate.ca.read_bytes() + provider.ca.read_bytes())
        for client in clients:
            served, rows = len(provider.served), {row["id"] for row in gate.calls()}
            home = folder / client.name.replace(" ", "-")
            home.mkdir()
            try:
                done = _ran(client, home, gate.proxy, trusted)
            except pytest.skip.Exception as reason:
                yield (client.name, _version(client), word, "-", "-", "-", f"not measured: {reason}")
                continue
            reached = [one for one in provider.served[served:] if one.billable or one.transport == "websocket"]
            new = [row for row in gate.calls() if row["id"] not in rows and _is_refusal(row)]
            counts = (_sent(new), str(len(reached)))
            # What asked nothing has no first request.
            seconds = _seconds(done, HELP, datetime.fromisoformat(new[0]["started_at"]).timestamp()) if new else "-"
            yield (client.name, _version(client), word, *counts, seconds, _shown(done, HELP))


def _ran(client: Client | Agent, home: Path, proxy: str, trusted: Path) -> Run:
    """What a client did in an empty home. Skips where it cannot be installed."""
    if isinstance(client, Agent):
        command, env = client.program(), through(surroundings(home, client.env), proxy, trusted)
        client.prepare(Path(env["HOME"]))
    else:
        command = [*client.command, *([] if client in SDKS else [PROMPT])]
        env = through(surroundings(home), proxy, trusted)
    return run(command, env, patience_s=PATIENCE_S)


def _is_refusal(row: dict[str, Any]) -> bool:
    return row["state"] == "refused" or row["flags"] == ANSWERED_HERE


def _sent(rows: list[dict[str, Any]]) -> str:
    """How many requests for an answer these rows are, and how many handshakes without one."""
    handshakes = sum(row["flags"] == ANSWERED_HERE for row in rows)
    requests = sum(row["state"] == "refused" for row in rows)
    return f"{requests}, {handshakes} handshakes" if handshakes else str(requests)


def spend(gate: Gate) -> None:
    """Spend the whole of a budget of one cent."""
    body = {"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
    headers = {"x-standin": "input=10000", "x-api-key": "sk-ant-api03-made-up"}
    with httpx2.Client(proxy=gate.proxy, verify=trust(gate)) as http:
        answer = http.post("https://api.anthropic.com/v1/messages", json=body, headers=headers)
    gate.row(answer.headers["request-id"])


def _shapes(folder: Path, provider: Provider, shapes: list[Shape]) -> Iterator[Row]:
    """Rows of the second table."""
    folder.mkdir()
    with _tunnel(provider) as proxy:
        for number, shape in enumerate(shapes):
            yield _shape(folder / str(number), provider, proxy, shape)
    provider.set()


def _shape(home: Path, provider: Provider, proxy: str, shape: Shape) -> Row:
    home.mkdir()
    provider.set(canned=shape.canned)
    served = len(provider.served)
    try:
        done = _ran(shape.client, home, proxy, provider.ca)
    except pytest.skip.Exception as reason:
        return (shape.client.name, shape.name, "-", "-", "-", f"not measured: {reason}")
    asked = [one for one in provider.served[served:] if one.billable or one.transport == "websocket"]
    tried = [one for one in asked if one.billable or one.status != 101]
    seconds = _seconds(done, WORD, asked[0].started_ms / 1000) if asked else "-"
    ends = f"{done.seconds:.1f} s" if done.status is not None else f"hangs ({PATIENCE_S} s)"
    return (shape.client.name, shape.name, str(len(tried)), seconds, ends, _shown(done, WORD))


@contextmanager
def _tunnel(provider: Provider) -> Iterator[str]:
    tunnel = Tunnel(frozenset(provider.NAMES), provider.port)
    port = provider.run(tunnel.start())
    yield f"http://127.0.0.1:{port}"
    provider.run(tunnel.stop())


def _version(client: Client | Agent) -> str:
    if isinstance(client, Agent):
        return client.version
    if client in SDKS:
        package = client.name.partition(" ")[0]
        command = [sys.executable, "-c", f"import {package}; print({package}.__version__)"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return version(client.command[0])


def _seconds(done: Run, word: str, first: float) -> str:
    """From the client's first request, in epoch seconds, to the line with this word."""
    at = done.shown(word)
    return "-" if at is None else f"{done.ended - done.seconds + at - first:.1f}"


def _shown(done: Run, word: str) -> str:
    """Our text with what stands before it on its line, else the last line that the client printed; short enough for a table."""
    lines = [line for _, line in done.lines]
    at = next((number for number, line in enumerate(lines) if word in line), None)
    if at is None:
        whole = next((line for line in reversed(lines) if line.strip()), "nothing")
    else:
        # Some break our text into lines of a terminal's width.
        begun = next((number for number in range(at, max(-1, at - 8), -1) if OURS.search(lines[number])), at)
        whole = " ".join(line.strip() for line in lines[begun : at + 1])
    text = COLOURS.sub("", whole).strip().replace("|", "\\|")
    ours = OURS.search(text)
    if ours and ours.start() > BEFORE_MAX:
        text = f"{text[: BEFORE_MAX - 1]}… {text[ours.start() :]}"
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…"


def _table(head: tuple[str, ...], rows: list[Row]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows)]


def _write(text: str) -> None:
    whole = README.read_text() if README.exists() else ""
    if BEGIN not in whole or END not in whole:
        sys.stdout.write(text + "\n")
        sys.stderr.write(f"{README} has no {BEGIN} … {END}: printed instead\n")
        return
    before, rest = whole.split(BEGIN, 1)
    README.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END, 1)[1]}")


if __name__ == "__main__":
    main()
