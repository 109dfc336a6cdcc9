"""`python -m spendgate.standin`: run a stand-in until stopped; one line on stdout says where it is."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from pathlib import Path

from spendgate.standin.script import Script
from spendgate.standin.server import NAMES, StandIn


async def run(options: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM. The line that it prints is JSON with `port` and `ca`, the authority's file."""
    standin = StandIn((*NAMES, *options.name), options.log)
    standin.set(options.script)
    await standin.start(options.host, options.port)
    ca = options.ca or Path(tempfile.mkdtemp(prefix="standin-")) / "standin-ca.pem"
    ca.write_bytes(standin.ca_pem)
    line = json.dumps({"port": standin.port, "ca": str(ca)})
    if options.ready_file:
        options.ready_file.write_text(line + "\n")
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    await standin.stop()


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; a wrong one ends with status 2."""
    parser = argparse.ArgumentParser(prog="python -m spendgate.standin", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port; 0 takes a free one")
    parser.add_argument("--ca", type=Path, help="where to write the authority's certificate")
    parser.add_argument("--ready-file", type=Path, help="file that gets the ready line too")
    parser.add_argument("--log", type=Path, help="file for one line of JSON per answer: counts, hash and times")
    parser.add_argument("--name", action="append", default=[], help="one more host name for the certificate")
    parser.add_argument("--script", type=_script, default=Script(), help="the default answer: output=2000; events=50")
    return parser.parse_args(arguments)


def _script(text: str) -> Script:
    try:
        return Script().reading(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(str(fault)) from fault


if __name__ == "__main__":
    asyncio.run(run(parse(sys.argv[1:])))
