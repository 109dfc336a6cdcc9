"""A browser's own connections are its person's affair: the policy's `capture.browsers: never`. Pure; no mitmproxy.

Hosts that people open in a browser as well (`providers/provider.Site`) are decided by the process at the other end, before any
certificate is made. A browser is one by its program's file, never by what it says of itself in the hello. Where nobody can tell:

    a website (claude.ai, chatgpt.com)       not decrypted, and counted as a gap: a seat's traffic that is missed costs less
                                             than a private page that is read
    below a wildcard of the policy's own     the same: an intranet's pages are as private
    an API on a website's host (openrouter)  decrypted: its calls cost money, and else any program of that name would
                                             go past every budget

A host that is nothing but an API is decrypted whoever asks, browsers too, for the latter reason: there, no page is private.
"""

from __future__ import annotations

from spendgate.attribution import BROWSER, NAMED_BROWSER, Peer
from spendgate.capture.coverage import Gap
from spendgate.capture.scope import Decrypt, Scope, Tunnel
from spendgate.providers.below import within


def depends(scope: Scope, verdict: Decrypt | Tunnel) -> bool:
    """Whether the process is to be known before this verdict stands."""
    return verdict.host is not None and within(verdict.host, scope.sites) is not None


def for_whom(scope: Scope, verdict: Decrypt | Tunnel, peer: Peer) -> Decrypt | Tunnel:
    """The verdict on a connection of this process. A browser's is not even counted, unless the policy says `count`."""
    if not depends(scope, verdict):
        return verdict
    counted = scope.counts_browsers and isinstance(verdict, Decrypt)
    if peer.browser == BROWSER:
        return Tunnel(verdict.host, counted=True) if counted else Tunnel()
    if isinstance(verdict, Tunnel) or within(verdict.host, scope.private) is None:
        return verdict
    if peer.browser == NAMED_BROWSER:
        return Tunnel(verdict.host, Gap.NAMED_BROWSER, counted)
    known = peer.pid is not None or scope.one_command
    return verdict if known else Tunnel(verdict.host, Gap.NO_PROCESS, counted)
