"""Plain ASGI middleware: each works around any ASGI application, not only around our routes."""
