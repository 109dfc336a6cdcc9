"""A host below the company's own domain, through a gate and its CA: no line of the policy names it."""

from __future__ import annotations

from pathlib import Path

import httpx2
import openai
import pytest

from end_to_end.raw import AsyncHashing, Seen
from end_to_end.test_compatible_hosts import COUNTS, chat, checked
from end_to_end.test_sdks import drained, script
from end_to_end.world import Provider, policy, running_gate

WILD = """\
capture:
  providers: [anthropic]
  hosts: [{{host: "*.acme.example", dialect: openai, prices: openai}}]
  never: [{never}]
"""


@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="stream")])
async def test_a_host_below_a_wildcard_is_metered(folder: Path, provider: Provider, *, stream: bool) -> None:
    """The client trusts the leaf by the CA's constraints, the bytes are the provider's, the row is its own host's."""
    seen = Seen()
    with running_gate(folder, provider, policy(folder, more=WILD.format(never="sso.acme.example"))) as gate:
        async with httpx2.AsyncClient(transport=AsyncHashing(gate, seen, http2=False)) as http:
            client = openai.AsyncOpenAI(api_key="sk-test", base_url="https://llm.acme.example/v1", http_client=http)
            await drained(chat("gpt-5-mini", stream=stream)(client, script(COUNTS, "", "")))
        row = checked(gate, provider, seen)
    assert (row["host"], row["provider"], row["person"] != "") == ("llm.acme.example", "openai", True)
    assert row["cost_nanos"] > 0


async def test_never_goes_before_it(folder: Path, provider: Provider) -> None:
    """The tunnel shows the server's own certificate, at which a client that trusts the gate's CA alone ends."""
    with running_gate(folder, provider, policy(folder, more=WILD.format(never="llm.acme.example"))) as gate:
        async with httpx2.AsyncClient(transport=AsyncHashing(gate, Seen(), http2=False)) as http:
            client = openai.AsyncOpenAI(
                api_key="sk-test", base_url="https://llm.acme.example/v1", http_client=http, max_retries=0
            )
            with pytest.raises(openai.APIConnectionError):
                await drained(chat("gpt-5-mini", stream=False)(client, script(COUNTS, "", "")))
        assert gate.calls() == []
