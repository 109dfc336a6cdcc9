"""A call from a container behind a bridge, through the running gate: whose it is, and who may come to the port for containers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import pytest

from end_to_end.village import CLIENT, Village, names, village
from end_to_end.world import PATIENCE_S, until
from redirect.lab import BRIDGE4, container, why_not

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("village")]


@pytest.fixture(scope="module", name="led")
def _led() -> Iterator[Village]:
    if reason := why_not():
        pytest.skip(reason)
    with village("--containers", "172.20.0.0/16=whoever-develops") as made:
        yield made


def test_a_call_counts_for_whom_the_rule_names(led: Village) -> None:
    """Metered as any other, its answer unchanged; how the person is known is no word of the kernel's. Whoever comes to the port
    by himself is not taken, also when the rules have gone for a moment."""
    rows = led.ids()
    with container(led.laptop) as inside, names(inside.name):
        asked = inside.inside("python3", "-c", textwrap.dedent(CLIENT), str(led.ca), "reads", "443", cwd="/")
        out, err = asked.communicate(timeout=PATIENCE_S)
        assert asked.returncode == 0, out + err
        (row,) = led.ended(rows)
        came = (
            "import socket, sys\nwire = socket.create_connection((sys.argv[1], 8444), timeout=60)\n"
            "try:\n  wire.sendall(b'GET / HTTP/1.1\\r\\nHost: evil.example\\r\\n\\r\\n'); print(wire.recv(100))\n"
            "except ConnectionError:\n  print(b'')"
        )

        def let_in() -> str | None:
            """What the gate says before its table is mended, which is within a second; None: it was mended."""
            led.laptop.nft("flush chain inet spendgate containers_port")
            said: str = inside.inside("python3", "-c", came, BRIDGE4, cwd="/").communicate(timeout=PATIENCE_S)[0]
            return said or None

        said = until(let_in)
    assert (row["person"], row["account_os"], row["state"]) == ("whoever-develops", "whoever-develops", "settled")
    assert row["request_id"] == out.strip()
    assert "person=policy" in row["evidence"]
    assert said == "b''\n"
