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
ASKING = ("/v1/messages", "/v1/responses", "/v1/chat/completions")
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
    """Measure and write. Needs the stand-in alone, no account; a few minutes, most of them spent on clients that hang."""
    chosen = tuple(sys.argv[1:])
    if chosen:
        # A part of the table is shown, not written: the page holds whole measurements only.
        agents = tuple(agent for agent in AGENTS if agent.name in chosen)
        if unknown := set(chosen) - {agent.name for agent in AGENTS}:
            sys.exit(f"no such agent: {', '.join(sorted(unknown))}; there are {', '.join(a.name for a in AGENTS)}")
        with tempfile.TemporaryDirectory(prefix="client-table-") as name:
            provider = Provider(Path(name))
            try:
                rows = [row for word in WORDS for row in _agents(Path(name) / word, provider, word, agents)]
            finally:
                provider.close()
        sys.stdout.write("\n".join(_table(PRODUCT, rows)) + "\n")
        return
    binaries()
    with tempfile.TemporaryDirectory(prefix="client-table-") as name:
        folder = Path(name)
        provider = Provider(folder)
        try:
            product = [row for word in WORDS for row in _product(folder / word, provider, word)]
            product += [row for word in WORDS for row in _agents(folder / f"agents-{word}", provider, word, AGENTS)]
            shapes = list(_shapes(folder / "shapes", provider))
        finally:
            provider.close()
    _write("\n".join([_head(), "", *_table(PRODUCT, product), "", SHAPES_INTRO, "", *_table(TRIED, shapes)]))


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


def _product(folder: Path, provider: Provider, word: str) -> Iterator[tuple[str, ...]]:
    """Rows of the first table for one value of the policy's `refusals`."""
    folder.mkdir()
    with running_gate(folder, provider, policy(folder, limit="$0.01", more=f"refusals: {word}\n")) as gate:
        spend(gate)
        # Tunnelled hosts are the stand-in too; a client that did not trust it would spend seconds on trying again.
        trusted = folder / "trusted.pem"
        trusted.write_bytes(gate.ca.read_bytes() + provider.ca.read_bytes())
        for client in (*CLIENTS, *SDKS):
            served, rows = len(provider.served), {row["id"] for row in gate.calls()}
            home = folder / client.name.replace(" ", "-")
            home.mkdir()
            done = run(
                [*client.command, *([] if client in SDKS else [PROMPT])],
                through(surroundings(home), gate.proxy, trusted),
            )
            reached = [one for one in provider.served[served:] if one.billable or one.transport == "websocket"]
            new = [row for row in gate.calls() if row["id"] not in rows and row["path"] in ASKING]
            first = datetime.fromisoformat(new[0]["started_at"]).timestamp()
            counts = (_sent(new), str(len(reached)))
            yield (client.name, _version(client), word, *counts, _seconds(done, HELP, first), _shown(done, HELP))


def _agents(folder: Path, provider: Provider, word: str, agents: tuple[Agent, ...]) -> Iterator[tuple[str, ...]]:
    """Rows of the first table for the agents that have a folder of packages each."""
    folder.mkdir()
    with running_gate(folder, provider, policy(folder, limit="$0.01", more=f"refusals: {word}\n")) as gate:
        spend(gate)
        trusted = folder / "trusted.pem"
        trusted.write_bytes(gate.ca.read_bytes() + provider.ca.read_bytes())
        for agent in agents:
            served, rows = len(provider.served), {row["id"] for row in gate.calls()}
            home = folder / agent.name.replace(" ", "-")
            home.mkdir()
            command, env = agent.program(), through(surroundings(home, agent.env), gate.proxy, trusted)
            agent.prepare(Path(env["HOME"]))
            done = run(command, env, patience_s=PATIENCE_S)
            reached = [one for one in provider.served[served:] if one.billable]
            new = [row for row in gate.calls() if row["id"] not in rows and row["path"] in ASKING]
            first = datetime.fromisoformat(new[0]["started_at"]).timestamp()
            counts = (_sent(new), str(len(reached)))
            yield (agent.name, agent.version, word, *counts, _seconds(done, HELP, first), _shown(done, HELP))


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


def _shapes(folder: Path, provider: Provider) -> Iterator[tuple[str, ...]]:
    """Rows of the second table."""
    folder.mkdir()
    with _tunnel(provider) as proxy:
        for number, shape in enumerate(SHAPES):
            yield _shape(folder / str(number), provider, proxy, shape)
    provider.set()


def _shape(home: Path, provider: Provider, proxy: str, shape: Shape) -> tuple[str, ...]:
    home.mkdir()
    provider.set(canned=shape.canned)
    served = len(provider.served)
    env = through(surroundings(home), proxy, provider.ca)
    done = run([*shape.client.command, PROMPT], env, patience_s=PATIENCE_S)
    asked = [one for one in provider.served[served:] if one.billable or one.transport == "websocket"]
    tried = [one for one in asked if one.billable or one.status != 101]
    seconds = _seconds(done, WORD, asked[0].started_ms / 1000)
    ends = f"{done.seconds:.1f} s" if done.status is not None else f"hangs ({PATIENCE_S} s)"
    return (shape.client.name, shape.name, str(len(tried)), seconds, ends, _shown(done, WORD))


@contextmanager
def _tunnel(provider: Provider) -> Iterator[str]:
    tunnel = Tunnel(frozenset(provider.NAMES), provider.port)
    port = provider.run(tunnel.start())
    yield f"http://127.0.0.1:{port}"
    provider.run(tunnel.stop())


def _version(client: Client) -> str:
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
    """The line with our text, else the last one that the client printed, short enough for a table."""
    ours = [line for _, line in done.lines if word in line]
    line = ours[0] if ours else next((line for _, line in reversed(done.lines) if line.strip()), "nothing")
    text = COLOURS.sub("", line).strip().replace("|", "\\|")
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
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
