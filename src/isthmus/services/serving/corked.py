"""A connection that writes once where an answer is written in pieces.

Uvicorn writes the head of an answer and its body apart, and each write is a call of the system
that wakes the client: the second costs more than all that our layers do.
"""

import asyncio
from typing import Any

__all__ = ["Corked"]

MOST = 1 << 16
"""Bytes that are joined; a stream that never waits is written as it comes."""


class Corked:
    """A transport that joins what is written in one turn of the loop; for all else, as it was."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self.is_closing = transport, transport.is_closing
        self._parts: list[bytes] = []
        self._size = 0
        self._soon = asyncio.get_running_loop().call_soon

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._soon(self._flush)
        self._parts.append(data)
        self._size += len(data)
        if self._size > MOST:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def write_eof(self) -> None:
        self._flush()
        self._transport.write_eof()

    def get_write_buffer_size(self) -> int:
        return self._size + self._transport.get_write_buffer_size()

    def _flush(self) -> None:
        if self._parts and not self.is_closing():
            self._transport.write(b"".join(self._parts))
        self._parts.clear()
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
