"""One file for each vendor, or for a few alike: its entry in the registry. A new file here is a new provider; nothing else need
be touched where it speaks a known dialect.

A file holds `PROVIDERS`, a tuple of `provider.Provider`. What no rule of a provider knows: see `registry.Registry.route`. Paths
that cost money but that no dialect here reads are left out on purpose, so that they are recorded as `unrecognized` and shown,
not passed as free.
"""
