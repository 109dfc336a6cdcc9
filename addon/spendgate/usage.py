"""Usage: the token counts of one call, disjoint, so that no class is ever counted twice.

Providers disagree on what "input" includes (Anthropic: uncached only; OpenAI: cached too). Each dialect turns its own
convention into this one; totals are derived, never stored. `None` is a count that the provider did not give, which is
not zero. Streams report cumulative counts: a later report overwrites, it never adds.
"""

from __future__ import annotations

from operator import attrgetter

from msgspec import Struct


class Usage(Struct, frozen=True):
    """Counts of one sampling of one model. Tokens unless the name says otherwise."""

    input_tokens: int | None = None
    """Uncached input, neither read from nor written to a cache."""
    cache_read_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    cache_write_tokens: int | None = None
    """Cache writes whose time-to-live the provider does not tell (OpenAI); disjoint from the 5m and 1h counts."""
    output_tokens: int | None = None
    """All billed output, reasoning included."""
    reasoning_tokens: int | None = None
    """The part of `output_tokens` that was reasoning."""
    input_audio_tokens: int | None = None
    """Part of `input_tokens`, priced apart."""
    output_audio_tokens: int | None = None
    """Part of `output_tokens`, priced apart."""
    web_searches: int | None = None
    """Billed server-side searches: a count, not tokens."""

    def __post_init__(self) -> None:
        for count in _counts(self):
            if count is not None and (type(count) is not int or count < 0):
                name = _NAMES[next(place for place, each in enumerate(_counts(self)) if each is count)]
                raise ValueError(f"{name} must be a whole count of zero or more, not {count!r}")

    @property
    def writes(self) -> int:
        """All cache writes."""
        return (self.cache_write_5m_tokens or 0) + (self.cache_write_1h_tokens or 0) + (self.cache_write_tokens or 0)

    @property
    def input_total(self) -> int:
        """All input, whatever its cache class."""
        return (self.input_tokens or 0) + (self.cache_read_tokens or 0) + self.writes

    @property
    def known(self) -> bool:
        """Whether the provider gave at least input and output."""
        return self.input_tokens is not None and self.output_tokens is not None

    @property
    def nothing(self) -> bool:
        """Whether the provider gave its counts, and all of them are zero."""
        return self.known and not (self.input_total or self.output_tokens or self.web_searches)

    def overlaid(self, later: Usage) -> Usage:
        """This report with each count that `later` gives put in its place: cumulative reports of one stream."""
        if self is NO_USAGE:
            return later
        pairs = zip(_counts(self), _counts(later), strict=True)
        return Usage(*[mine if given is None else given for mine, given in pairs])

    def __add__(self, other: Usage) -> Usage:
        """Sum over *different* samplings (iterations, calls). Never over reports of one stream."""
        pairs = zip(_counts(self), _counts(other), strict=True)
        return Usage(
            *[None if mine is None and theirs is None else (mine or 0) + (theirs or 0) for mine, theirs in pairs]
        )


_NAMES = Usage.__struct_fields__
_counts = attrgetter(*_NAMES)
"""The counts in the order of the fields; several are made for each call, and `fields` costs more than all else of it."""
NO_USAGE = Usage()
"""No counts at all."""
