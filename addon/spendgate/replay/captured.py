"""Which past calls a candidate policy would decrypt: its gate's own answer, by the host that a call went to."""

from __future__ import annotations

from functools import lru_cache

from spendgate.contracts import GATEWAY
from spendgate.ledger.history import Step
from spendgate.policy import Capture
from spendgate.providers.below import within
from spendgate.providers.own_hosts import provider_of_host
from spendgate.providers.registry import Registry


class Captured:
    """What one policy's `capture` decrypts."""

    def __init__(self, capture: Capture) -> None:
        self._never = frozenset(capture.never)
        self._registry = Registry.build(capture)
        self._providers = None if capture.providers is None else frozenset(capture.providers)
        self._own = frozenset(provider_of_host(each) for each in capture.hosts if not within(each.host, self._never))
        # Hosts in use are few, and calls many; a scan over names below a wildcard is bounded by the cache.
        self._decrypts = lru_cache(maxsize=1024)(self._decrypts_host)

    def has(self, step: Step) -> bool:
        """Whether the gate would have been asked. A case's call names no host: it is at any that its provider has."""
        if step.host:
            return self._decrypts(step.host)
        if self._providers is None or step.billing == GATEWAY:
            return True
        return step.provider in self._providers or step.provider in self._own

    def _decrypts_host(self, host: str) -> bool:
        return not within(host, self._never) and self._registry.host(host) is not None
