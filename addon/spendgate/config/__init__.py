"""Files into values: the policy with its faults, the last good copy, paths, settings, price updates."""
