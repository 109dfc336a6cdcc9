"""LiteLLM beside the gate: a proxy of its own in a throwaway environment, without a database.

Without one LiteLLM enforces no key's `max_budget`; `provider_budget_config` works and is what is used here: it adds a call's
cost when the answer has come, and looks before the next one. A call warms it up, since its first one alone loads what it needs.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
from parts.bench_systems import free_port, running

MODEL = "claude-opus-4-5"
KEY = "sk-throwaway"
STARTS_S = 600
CONFIG = """\
model_list:
  - model_name: {model}
    litellm_params:
      model: anthropic/{model}
      api_base: https://localhost:{port}
      api_key: sk-ant-api03-bench
      extra_headers: {{x-standin: "{script}"}}
router_settings:
  num_retries: 0
  provider_budget_config:
    anthropic: {{budget_limit: {limit}, time_period: 1d}}
litellm_settings: {{num_retries: 0, telemetry: false}}
general_settings: {{master_key: {key}}}
"""


class NotInstallable(Exception):
    """LiteLLM cannot be had here; the message says why."""


@dataclass(frozen=True, slots=True)
class LiteLLM:
    """A running proxy."""

    version: str
    port: int


def binary(folder: Path) -> Path:
    """`litellm` from SPENDGATE_LITELLM, else installed into `folder` from the package registry. Raises NotInstallable."""
    given = os.environ.get("SPENDGATE_LITELLM")
    if given:
        return Path(given)
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin/pip"), "install", "-q", "litellm[proxy]"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
        if done.returncode:
            raise NotInstallable((done.stderr.strip().splitlines() or ["no reason given"])[-1])
    return folder / "bin" / "litellm"


@contextlib.contextmanager
def running_proxy(command: Path, standin: dict[str, str], script: str, limit: float) -> Iterator[LiteLLM]:
    """LiteLLM in front of the stand-in, with this budget in dollars; every call is answered as `script` says."""
    with tempfile.TemporaryDirectory(prefix="overshoot-litellm-") as name:
        port, config = free_port(), Path(name) / "config.yaml"
        config.write_text(CONFIG.format(model=MODEL, port=standin["port"], script=script, limit=limit, key=KEY))
        more = {"SSL_CERT_FILE": standin["ca"], "HOME": name, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        version = subprocess.run(
            [str(command.parent / "python"), "-c", "from importlib.metadata import version; print(version('litellm'))"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        arguments = ["--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
        with running(["env", "-u", "PYTHONPATH", str(command), *arguments], more) as process:
            _ready(port, process)
            yield LiteLLM(version, port)


def _ready(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + STARTS_S
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(f"http://127.0.0.1:{port}/health/liveliness", timeout=2).status_code == 200:
                return
        time.sleep(0.5)
    raise NotInstallable("it does not start here")


async def ask(client: httpx2.AsyncClient, proxy: LiteLLM) -> int:
    """One chat completion through the proxy; its status."""
    body = {"model": MODEL, "max_tokens": 16, "messages": [{"role": "user", "content": "x" * 2_000}]}
    answer = await client.post(
        f"http://127.0.0.1:{proxy.port}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {KEY}"}
    )
    return answer.status_code
