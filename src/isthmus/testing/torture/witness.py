"""What a process under torture has to tell of itself, told to the recorder."""

import asyncio
from collections import deque
from typing import Self, cast

__all__ = ["Witness"]


class Witness(asyncio.Protocol):
    """One process's way to the recorder on `port`; tells many things at once."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._transport: asyncio.WriteTransport | None = None
        self._lost: Exception | None = None

    @classmethod
    async def to(cls, port: int) -> Self:
        """Return one that is connected."""
        loop = asyncio.get_running_loop()
        _, witness = await loop.create_connection(cls, "127.0.0.1", port)
        return witness

    async def tell(self, line: str) -> None:
        """Return once it is written down.

        Raises:
            ConnectionError: The recorder is gone.
        """
        if self._lost is not None or self._transport is None:
            raise self._lost or ConnectionError("the recorder is not connected")
        heard = asyncio.get_running_loop().create_future()
        self._waiting.append(heard)
        self._transport.write(f"{line}\n".encode())
        await heard

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is none by type

    def data_received(self, data: bytes) -> None:
        for _ in data:
            heard = self._waiting.popleft()
            if not heard.done():
                heard.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = exc or ConnectionError("the recorder is gone")
        for heard in self._waiting:
            if not heard.done():
                heard.set_exception(self._lost)
