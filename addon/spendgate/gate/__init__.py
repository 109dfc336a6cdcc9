"""The gate: policy, prices, learned sizes and ledger put together. Knows no mitmproxy, so that it can be simulated."""
