"""The web tier: HTTP/1.1 and WebSocket on our own connections, an ASGI application of routes, pages and JMAP."""
