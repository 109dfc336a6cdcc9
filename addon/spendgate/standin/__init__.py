"""A stand-in for the model providers: real TLS, HTTP/1.1, HTTP/2 and WebSocket, scripted answers, no account and no cost."""
