"""A server on loopback that does to each request what a test says."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class Asked:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Wire:
    """One connection, with which a behaviour does what it likes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def answer(
        self, content: Any = b"", status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        said = {"content-type": "application/json", "content-length": str(len(body))}
        said |= {name.lower(): value for name, value in (headers or {}).items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
        await self.send(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + body)

    def reset(self) -> None:
        """End the connection by RST."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    async def gone_within(self, seconds: float) -> bool:
        """Return whether the other side closed by then."""
        try:
            async with asyncio.timeout(seconds):
                return await self.reader.read(65536) == b""
        except TimeoutError:
            return False

    async def gone(self) -> None:
        """Wait until the other side has closed."""
        while await self.reader.read(65536):
            pass


Behaviour = Callable[[Wire, Asked], Awaitable[object]]


def answers(
    content: Any = b"", status: int = 200, headers: Mapping[str, str] | None = None
) -> Behaviour:
    return lambda wire, _: wire.answer(content, status, headers)


async def stalls(wire: Wire, _: Asked) -> None:
    await wire.gone()


async def closes(wire: Wire, _: Asked) -> None:
    wire.writer.close()


async def resets(wire: Wire, _: Asked) -> None:
    wire.reset()


@dataclass
class Upstream:
    """Does `script` in turn, a behaviour a request; the last goes on."""

    port: int = 0
    script: list[Behaviour] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    reads_body: bool = True
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def does(self, *behaviours: Behaviour) -> "Upstream":
        self.script = list(behaviours)
        return self

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        wire = Wire(reader, writer)
        try:
            while not writer.is_closing():
                asked = await _asked(reader, reads_body=self.reads_body)
                self.asked.append(asked)
                behaviour = self.script[min(len(self.asked), len(self.script)) - 1]
                await behaviour(wire, asked)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client is gone, or the test is over
        finally:
            self._tasks.discard(task)
            writer.close()

    async def end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))


async def _asked(reader: asyncio.StreamReader, *, reads_body: bool) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    pairs = (line.split(": ", 1) for line in lines if line)
    headers = {name.lower(): value for name, value in pairs}
    body = await _body(reader, headers) if reads_body else b""
    return Asked(method, target, headers, body)


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    parts = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(parts)


@asynccontextmanager
async def serving(**words: Any) -> AsyncGenerator[Upstream]:
    upstream = Upstream(script=[answers()])
    async with await asyncio.start_server(upstream.connected, "127.0.0.1", 0, **words) as server:
        upstream.port = server.sockets[0].getsockname()[1]
        try:
            yield upstream
        finally:
            await upstream.end()


@pytest.fixture
async def upstream() -> AsyncGenerator[Upstream]:
    async with serving() as made:
        yield made


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name that no other test has: policies are shared by name."""
    return request.node.nodeid
