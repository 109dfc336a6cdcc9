"""Where statements come from: one module for each API or file format, behind `interface`."""
