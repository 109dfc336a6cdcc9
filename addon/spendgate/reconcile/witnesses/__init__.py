"""What tools themselves keep of their requests: a second witness beside the ledger."""
