"""The recorder's own process: python -m isthmus.testing.torture.listener FILE

Prints the port it listens on; appends each line it is told to FILE, then answers.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import cast

HEARD = b"."
"""The answer to each line."""


class _Listener(asyncio.Protocol):
    """The other end: whole lines are appended, then answered."""

    def __init__(self, file: int) -> None:
        self._file, self._rest = file, b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        lines, end, self._rest = (self._rest + data).rpartition(b"\n")
        if end and self._transport is not None:
            os.write(self._file, lines + end)
            self._transport.write(HEARD * (lines.count(b"\n") + 1))


async def _listen(path: Path) -> None:
    file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Listener(file), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - its port, for who began it
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_listen(Path(sys.argv[1])))
