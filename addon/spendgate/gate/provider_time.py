"""The providers' own time as a witness, so that a wall clock that somebody moves opens no new windows.

Each answer of a provider has a date. What it is ahead of the boot clock, which nobody can set, is a sample; three of one host
that agree are that host's word, and where hosts contradict each other none is believed. From then on the wall clock is compared
with boot clock + word at each look: as long as it is within five minutes of it windows follow the wall clock, else the providers.
So a clock set back or ahead under a running gate changes no window, not even for one call.

A gate that starts within the same boot goes on with what was remembered. After another boot, until the providers have spoken,
the time when a gate last looked is a floor: windows do not go back behind it. A clock that was set ahead before the machine
started is believed until three answers have come, since a machine may have been off for so long.

What must never be done too early (`sure_ms`: rows that go for good) asks the wall clock nothing: it goes by the providers' word,
and by what boot clocks have counted since, over any number of boots. That is late by as long as the machine was off, never early.
"""

from __future__ import annotations

from collections import deque
from statistics import median_low
from typing import Final

from spendgate.gate.clock import Clock
from spendgate.ledger.heads_file import SeenClock

FAR_MS: Final = 300_000
"""How far a wall clock may be off before windows leave it: five minutes, as Kerberos allows."""
_AGREE_MS: Final = 60_000
_SAMPLES: Final = 3
_HOSTS_MAX: Final = 64
_REMEMBERED: Final = 24
"""Samples that the next gate is told, the latest: gates that live for one call each come to a word together."""
_WORD_KEPT_MS: Final = 86_400_000
"""How long a host's word counts against others'."""


class ProviderTime:
    """The time that windows go by. Of one event loop; `now_ms` may be asked from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: dict[str, deque[tuple[int, int]]] = {}
        """Of each host: when by the boot clock, and how far ahead of it."""
        self._ahead_ms: int | None = None
        self._floor_ms: int | None = None
        """As far ahead of the boot clock as the time when a gate last looked is at least."""
        self._sure_ahead_ms: int | None = None
        """The same of the time that it surely is."""

    def go_on(self, seen: SeenClock | None) -> None:
        """Begin with what an earlier gate has remembered."""
        if seen is not None:
            sure_ms = seen.sure_ms if seen.sure_ms is not None or seen.ahead_ms is None else seen.at_ms
            if sure_ms is not None:
                self._sure_ahead_ms = sure_ms - self._clock.boot_ms()
            self._floor_ms = seen.at_ms - self._clock.boot_ms()
            self.believe(seen)

    def believe(self, seen: SeenClock) -> None:
        """Take over what another gate of this boot was told, where this one has no word of its own."""
        if self._ahead_ms is not None or not seen.boot or seen.boot != self._clock.boot():
            return
        self._ahead_ms = seen.ahead_ms
        for host, boot_ms, ahead_ms in () if self._samples else seen.samples:
            self._kept(host).append((boot_ms, ahead_ms))

    def _kept(self, host: str) -> deque[tuple[int, int]]:
        return self._samples.setdefault(host, deque(maxlen=_SAMPLES))

    def now_ms(self) -> int:
        """Epoch milliseconds: the wall clock, or, where it is far off, the providers' time."""
        wall = self._clock.now_ms()
        if self._ahead_ms is not None:
            told = self._clock.boot_ms() + self._ahead_ms
            return wall if -FAR_MS <= wall - told <= FAR_MS else told
        if self._floor_ms is not None:
            least = self._clock.boot_ms() + self._floor_ms
            return wall if wall >= least - FAR_MS else least
        return wall

    def sure_ms(self) -> int | None:
        """What time it is at least: `now_ms` where the providers have said so since the machine started, else as long after they
        last did as it was on; None: they never have, only the machine's own clock says so."""
        if self.witnessed:
            return self.now_ms()
        return None if self._sure_ahead_ms is None else self._clock.boot_ms() + self._sure_ahead_ms

    def off_ms(self) -> int | None:
        """How far the wall clock is ahead of the time that windows go by; None: they go by the wall clock."""
        off = self._clock.now_ms() - self.now_ms()
        return off if abs(off) > FAR_MS // 2 else None

    @property
    def witnessed(self) -> bool:
        """Whether the providers have said what time it is."""
        return self._ahead_ms is not None

    def seen(self) -> SeenClock:
        """What is to be remembered."""
        samples = [(host, *each) for host, kept in self._samples.items() for each in kept]
        latest = sorted(samples, key=lambda each: each[1])[-_REMEMBERED:]
        return SeenClock(
            self.now_ms(), self._clock.boot(), self._ahead_ms, self.off_ms(), tuple(latest), self.sure_ms()
        )

    def dated(self, host: str, date_ms: int) -> None:
        """An answer of this host, over a verified connection, has this date (whole seconds)."""
        boot_ms = self._clock.boot_ms()
        if host not in self._samples and len(self._samples) >= _HOSTS_MAX:
            return
        self._kept(host).append((boot_ms, date_ms + 500 - boot_ms))
        words = [word for samples in self._samples.values() if (word := _word(samples, boot_ms)) is not None]
        if words and max(words) - min(words) <= _AGREE_MS:
            self._ahead_ms = median_low(words)
        elif words:
            self._ahead_ms = None


def _word(samples: deque[tuple[int, int]], boot_ms: int) -> int | None:
    """What a host says, if it has said so three times, and not too long ago."""
    ahead = [each for _, each in samples]
    if len(ahead) < _SAMPLES or boot_ms - samples[-1][0] > _WORD_KEPT_MS:
        return None
    return median_low(ahead) if max(ahead) - min(ahead) <= _AGREE_MS else None
