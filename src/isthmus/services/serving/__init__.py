"""The HTTP server of a process, and all that it serves as one ASGI application."""
