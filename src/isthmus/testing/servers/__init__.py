"""Real servers for tests and measurements, on loopback, gone at the end."""

from isthmus.testing.servers.postgres import PostgresServer

__all__ = ["PostgresServer"]
