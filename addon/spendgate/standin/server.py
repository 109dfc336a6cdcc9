"""The stand-in as a server: one TLS port for all provider names, HTTP/2 or HTTP/1.1 as the client asks."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from pathlib import Path

from spendgate.standin import http1
from spendgate.standin.certificates import make
from spendgate.standin.context import Context
from spendgate.standin.http2 import Connection
from spendgate.standin.script import Canned, Script
from spendgate.standin.served import Log

NAMES = (
    "api.anthropic.com",
    "api.openai.com",
    "chatgpt.com",
    "claude.ai",
    "api.business.githubcopilot.com",
    "api.github.com",
    "standin.openai.azure.com",
    "standin.services.ai.azure.com",
    "llm.acme.example",
    "openrouter.ai",
    "api.x.ai",
    "api.groq.com",
    "api.deepseek.com",
    "api.mistral.ai",
    "generativelanguage.googleapis.com",
    "cloudcode-pa.googleapis.com",
    "aiplatform.googleapis.com",
    "us-east5-aiplatform.googleapis.com",
    "bedrock-runtime.us-east-1.amazonaws.com",
    "localhost",
)


class StandIn:
    """A running stand-in. `script` and `canned` may be changed at any time; `log` tells what was served."""

    def __init__(self, names: tuple[str, ...] = NAMES, log_file: Path | None = None) -> None:
        self.log = Log(log_file)
        self.context = Context(self.log)
        self._tls, self.ca_pem = make(names, dt.datetime.now(dt.UTC))
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port that it listens on. Raises RuntimeError before `start`."""
        if self._server is None:
            raise RuntimeError("the stand-in has not been started")
        return int(self._server.sockets[0].getsockname()[1])

    def set(self, script: Script | None = None, canned: Canned | None = None) -> None:
        """Answer with this from now on; nothing given: the defaults."""
        self.context.script, self.context.canned = script or Script(), canned

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen. Raises OSError where the port is taken."""
        self._server = await asyncio.start_server(self._connected, host, port, ssl=self._tls, backlog=4096)

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server:
            self._server.close()
        self.hang_up()
        await asyncio.gather(*self._open, return_exceptions=True)
        self.log.close()

    def hang_up(self) -> None:
        """Break every connection off, whatever runs on it; new ones are taken."""
        for task in self._open:
            task.cancel()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        try:
            if tls.selected_alpn_protocol() == "h2":
                await Connection(self.context, reader, writer).serve()
            else:
                await http1.serve(self.context, reader, writer)
        except (ConnectionError, ssl.SSLError, TimeoutError):
            # A client that leaves is everyday; the log says how far its answer came.
            return
        finally:
            writer.close()
