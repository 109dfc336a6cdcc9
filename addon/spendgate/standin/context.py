"""What all connections of one stand-in share: its script, its log, and the head that every answer has."""

from __future__ import annotations

from dataclasses import dataclass, field

from spendgate.standin.respond import Reply, Request, new_id
from spendgate.standin.script import Canned, Script
from spendgate.standin.served import Log, Served


@dataclass(slots=True)
class Context:
    """Shared by all connections; `script` and `canned` may be changed while the server runs."""

    log: Log
    script: Script = field(default_factory=Script)
    canned: Canned | None = None
    streams_max: int = 100
    """That one HTTP/2 connection may have open at once (RFC 9113, 6.5.2); for connections made from then on."""

    def begin(self, request: Request, transport: str) -> Served:
        """Note a request's arrival."""
        served = Served(
            new_id("req"),
            transport,
            request.method,
            request.host,
            request.path.partition("?")[0],
            request_bytes=len(request.body),
            user_agent=request.headers.get("user-agent", ""),
            header_names=tuple(request.headers),
        )
        return self.log.begin(served)

    def headers(self, served: Served, answer: Reply) -> list[tuple[str, str]]:
        """The answer's head, with the request id as each provider spells it."""
        name = "request-id" if "anthropic" in served.host else "x-request-id"
        if served.host.endswith(".amazonaws.com"):
            name = "x-amzn-requestid"
        headers = [("content-type", answer.content_type), (name, served.request_id), *answer.headers]
        if answer.script.encoding:
            headers.append(("content-encoding", ", ".join(answer.script.encoding.split(","))))
        return headers
