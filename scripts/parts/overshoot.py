"""Runs the cases live and prints what each gate let through, and whether the ledger proves every refusal."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
from parts import litellm, wire
from parts.bench_systems import ROOT, System, free_port, running, wait_for
from parts.bench_systems import gate as proxy_gate
from parts.overshoot_cases import CASES, DOLLAR, MODEL, Call, Case
from parts.overshoot_told import EVENTS, refusals_unproven, served, went_alone

import crowded

DELAY_MS = 2_000
LEARNED_S = 2.5
"""After this the other gate has read from the ledger what calls cost."""
TOKEN_BYTES = 3
"""Bytes of text for each output token of a stream: near the median of recorded streams (1.9 to 4.4)."""
POLICY = """\
version: 1
owner: bench@acme.example
budgets:
  - {{name: session, per: session, limit: "{limit} per day", hold: {hold}, wait: 60s, cut: {cut}}}
"""
HOST = "api.anthropic.com"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one case. Amounts in nano-dollars."""

    let_through: int
    spent: int
    limit: int
    refused: int
    alone: int
    """What the call that went alone cost beyond what was left (`parts.alone`): what more may be over where costs vary."""
    seconds: float
    unproven: int = 0
    """Refusals whose figures in the ledger do not show why."""


def main() -> int:
    """Run and print; exit status 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="scripts/overshoot", description=__doc__)
    parser.add_argument("--only", default="", help="cases, separated by semicolons")
    parser.add_argument("--gates", type=int, choices=(1, 2), default=1, help="gates on one ledger (default 1)")
    parser.add_argument("--seed", type=int, default=1, help="of the costs that vary")
    parser.add_argument(
        "--crowd",
        action="store_true",
        help="among thirty budgets over five kinds of window that all fit, for 500 people",
    )
    parser.add_argument("--naive", action="store_true", help="the naive gate too, on the first case")
    parser.add_argument(
        "--litellm", action="store_true", help="LiteLLM too, on the first case, where it can be installed"
    )
    wanted = parser.parse_args()
    only = set(filter(None, wanted.only.split(";")))
    print(
        f"{'case':32}{'let through':>12}{'spent':>9}{'over':>8}{'beyond':>8}{'unused':>8}{'refused':>9}{'s':>6}  promise",
        flush=True,
    )
    broken = 0
    for case in CASES:
        if only and case.name not in only:
            continue
        broken += _print(case.name, case, asyncio.run(_run(case, wanted.gates, wanted.seed, crowd=wanted.crowd)))
    if wanted.naive:
        _print("naive gate: 20x", CASES[0], asyncio.run(_run(CASES[0], 0, wanted.seed)))
    if wanted.litellm:
        _litellm(CASES[0])
    return 1 if broken else 0


def _litellm(case: Case) -> None:
    """Print LiteLLM's row: a call to warm it up, then all at once, and one more. Or why there is none."""
    limit = int(float(case.limit[1:]) * DOLLAR)
    with tempfile.TemporaryDirectory(prefix="spendgate-overshoot-") as name:
        folder, call = Path(name), case.calls(random.Random(1))[0]
        try:
            command = litellm.binary(folder / "venv")
            with (
                _standin(folder) as where,
                litellm.running_proxy(command, where, _script(case, call), limit / DOLLAR) as proxy,
            ):
                began = time.monotonic()
                statuses = asyncio.run(_through(proxy))
                seconds = time.monotonic() - began
        except litellm.NotInstallable as reason:
            print(f"LiteLLM left out: {reason}", flush=True)
            return
        costs = served(folder / "served.jsonl")
    _print(
        f"LiteLLM {proxy.version}: 20x", case, Outcome(len(costs), sum(costs), limit, statuses.count(429), 0, seconds)
    )


async def _through(proxy: litellm.LiteLLM) -> list[int]:
    async with httpx2.AsyncClient(timeout=300, limits=httpx2.Limits(max_connections=200)) as client:
        first = await litellm.ask(client, proxy)
        burst = await asyncio.gather(*(litellm.ask(client, proxy) for _ in range(100)))
        return [first, *burst, await litellm.ask(client, proxy)]


def _print(name: str, case: Case, got: Outcome) -> bool:
    over, unused = max(0, got.spent - got.limit), max(0, got.limit - got.spent)
    beyond = max(0, over - got.alone) if case.varied else over
    kept = beyond <= case.over_max * got.limit and got.spent >= case.used_min * got.limit and not got.unproven
    kept = kept and case.admits in (None, got.let_through)
    shares = "".join(f"{share / got.limit:8.1%}" for share in (over, beyond, unused))
    proof = f", {got.unproven} refusals unproven" if got.unproven else ""
    row = f"{name:32}{got.let_through:12}{got.spent / DOLLAR:9.3f}{shares}"
    print(f"{row}{got.refused:9}{got.seconds:6.1f}  {'kept' if kept else 'BROKEN'}{proof}", flush=True)
    return not kept


async def _run(case: Case, gates: int, seed: int, *, crowd: bool = False) -> Outcome:
    limit = int(float(case.limit[1:]) * DOLLAR)
    calls = case.calls(random.Random(seed))
    with tempfile.TemporaryDirectory(prefix="spendgate-overshoot-") as name:
        folder = Path(name)
        began = time.monotonic()
        statuses = await _all(case, calls, folder, gates, _policy(case, crowd=crowd))
        seconds = time.monotonic() - began
        costs = served(folder / "served.jsonl")[case.warm :]
        unproven, alone = 0, 0
        if gates:
            ledger = folder / "state" / "ledger.db"
            unproven, alone = refusals_unproven(ledger), went_alone(ledger, limit)
            if crowd:
                crowded.agree(ledger)
    return Outcome(len(costs), sum(costs), limit, statuses.count(429), alone, seconds, unproven)


def _policy(case: Case, *, crowd: bool) -> str:
    if crowd:
        narrow = crowded.Limited("narrow", "session", case.limit, case.hold, "60s", ", cut: true" if case.cut else "")
        return crowded.text(narrow)
    return POLICY.format(limit=case.limit, hold=case.hold, cut="true" if case.cut else "false")


async def _all(case: Case, calls: list[Call], folder: Path, gates: int, policy: str) -> list[int]:
    """All calls at once; their statuses. Everything that ran has ended when this returns, the stand-in's log too."""
    with contextlib.ExitStack() as stack:
        where = stack.enter_context(_standin(folder))
        systems = [stack.enter_context(proxy_gate(folder, where["ca"], policy=policy)) for _ in range(gates)]
        if not systems:
            systems = [stack.enter_context(_naive(folder, where))]
        trust = wire.trusting(*{system.ca for system in systems})
        if case.warm:
            before = [
                _one(case, calls[0], systems[n % len(systems)], trust, where, session="before")
                for n in range(case.warm)
            ]
            await asyncio.gather(*before)
            await asyncio.sleep(LEARNED_S)
        tasks = [_one(case, call, systems[number % len(systems)], trust, where) for number, call in enumerate(calls)]
        return [got.status for got in await asyncio.gather(*tasks)]


async def _one(
    case: Case, call: Call, system: System, trust: ssl.SSLContext, where: dict[str, str], *, session: str = "measured"
) -> wire.Got:
    script = _script(case, call)
    message = {"role": "user", "content": ""}
    body = {"model": MODEL, "max_tokens": call.max_tokens, "stream": case.stream, "messages": [message]}
    message["content"] = "x" * (call.body_bytes - len(json.dumps(body)))
    headers = {"x-api-key": "sk-ant-api03-bench", "anthropic-version": "2023-06-01", "x-standin": script}
    headers["x-claude-code-session-id"] = session
    return await wire.call(
        HOST,
        "/v1/messages",
        body,
        proxy=system.port,
        trust=trust,
        headers=headers,
        connect=f"127.0.0.1:{where['port']}",
    )


def _script(case: Case, call: Call) -> str:
    """How the stand-in shall answer this call."""
    stream = f"events={EVENTS}; interval_ms={DELAY_MS // EVENTS}; token_bytes={TOKEN_BYTES}"
    return (
        f"input={call.input_tokens}; output={call.output_tokens}; {stream if case.stream else f'delay_ms={DELAY_MS}'}"
    )


@contextlib.contextmanager
def _standin(folder: Path) -> Iterator[dict[str, str]]:
    command = [
        sys.executable,
        "-m",
        "spendgate.standin",
        "--ca",
        str(folder / "standin-ca.pem"),
        "--log",
        str(folder / "served.jsonl"),
    ]
    with running(command, {}) as process:
        assert process.stdout
        yield json.loads(process.stdout.readline())


@contextlib.contextmanager
def _naive(folder: Path, where: dict[str, str]) -> Iterator[System]:
    confdir, port = folder / "naive", free_port()
    command = [
        str(Path(sys.executable).parent / "mitmdump"),
        "-q",
        "--mode",
        f"regular@{port}",
        "--listen-host",
        "127.0.0.1",
    ]
    command += ["-s", str(ROOT / "scripts" / "parts" / "naive.py"), "--set", f"confdir={confdir}"]
    command += ["--set", f"ssl_verify_upstream_trusted_ca={where['ca']}"]
    with running(command, {}) as process:
        wait_for(port, process)
        yield System("naive", process.pid, port, str(confdir / "mitmproxy-ca-cert.pem"))


if __name__ == "__main__":
    sys.exit(main())
