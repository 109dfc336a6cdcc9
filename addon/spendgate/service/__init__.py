"""The local service: what an account of this machine asks a gate whose ledger is not its own, over a Unix socket."""
