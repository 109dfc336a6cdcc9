"""Wire formats: what a request asks for, what a response used, how a refusal looks. One module per API dialect."""
