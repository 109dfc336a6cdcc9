"""The command line: one module per command group. Data on stdout, everything else on stderr."""
