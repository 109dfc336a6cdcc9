"""Where mitmproxy lives, and nowhere else: launcher, TLS, hooks, streams, refusals on the wire."""
