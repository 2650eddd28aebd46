"""A real process under attack: its memory stays bounded, and a healthy client is served."""

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from isthmus.clock import ManualClock
from isthmus.testing import FaultProxy, HalfOpen, Slices

APP = """
    from isthmus import App
    from starlette.responses import StreamingResponse

    app = App("shop", engine="memory://")

    @app.get("/")
    async def hello() -> str:
        return "hello"

    @app.post("/")
    async def take(body: bytes) -> int:
        return len(body)

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def parts():
            while True:
                yield bytes(100_000)
        return StreamingResponse(parts())
"""

LIMITS = {
    "ISTHMUS_HTTP_HEAD_TIMEOUT": "1",
    "ISTHMUS_HTTP_BODY_TIMEOUT": "1",
    "ISTHMUS_HTTP_WRITE_TIMEOUT": "1",
    "ISTHMUS_HTTP_CONNECTIONS": "300",
}
MEGABYTE = 1 << 20


class Server:
    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.pid, self.port = process.pid, port

    @property
    def memory(self) -> int:
        """Bytes that the process holds now."""
        status = Path(f"/proc/{self.pid}/status").read_text("ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    @property
    def sockets(self) -> int:
        found = 0
        for link in Path(f"/proc/{self.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                found += "socket" in str(link.readlink())
        return found


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name, value in LIMITS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "shop.py").write_text(textwrap.dedent(APP), "utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "isthmus", "run", "shop:app", "--port", "0"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        for line in iter(process.stderr.readline, ""):
            if "listening on" in line:
                yield Server(process, int(line.rpartition(":")[2]))
                break
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


async def pour(port: int, head: bytes, *, more: bytes, times: int = 200) -> None:
    """Say `head`, then `more` as often as the server listens."""
    with suppress(ConnectionError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(head)
            for _ in range(times):
                writer.write(more)
                await writer.drain()
            await reader.read(1)
        finally:
            writer.transport.abort()


@asynccontextmanager
async def healthy(server: Server) -> AsyncGenerator[list[int]]:
    """Have a client ask all the time; yield what the server held at each of its answers."""
    held = list[int]()

    async def ask() -> None:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as client:
            while True:
                async with asyncio.timeout(20), client.get("/") as answer:
                    assert answer.status == 200
                    held.append(server.memory)

    asking = asyncio.create_task(ask())
    try:
        yield held
        assert not asking.done(), asking.exception()
    finally:
        asking.cancel()
        await asyncio.wait([asking])


POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNK = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
ATTACKS = {
    "heads that never end": (b"GET / HTTP/1.1\r\nHost: x\r\nA: ", b"a" * (1 << 16)),
    "names that never end": (b"GET / HTTP/1.1\r\nHost: x\r\n", b"a" * (1 << 16)),
    "many fields": (b"GET / HTTP/1.1\r\nHost: x\r\n", b"a: b\r\n" * 10_000),
    "bodies that never end": (POST + b"Transfer-Encoding: chunked\r\n\r\n", CHUNK),
    "bodies of nobody": (
        b"POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
        CHUNK,
    ),
    "requests on requests": (b"", b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000),
    "chunks of a byte": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 2_000),
    "nonsense": (b"", bytes(range(256)) * 256),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_what_never_ends_is_held_in_bounds(server: Server, attack: str) -> None:
    head, more = ATTACKS[attack]
    async with healthy(server) as held:
        while not held:
            await ManualClock(pause=0.01).settle(1)
        before = server.memory
        async with asyncio.timeout(40):
            await asyncio.gather(*(pour(server.port, head, more=more) for _ in range(30)))
    assert max(held) - before < 100 * MEGABYTE


async def test_slow_ones_are_held_in_bounds(server: Server) -> None:
    async with (
        FaultProxy("127.0.0.1", server.port, Slices(1, delay=0.05, way="up")) as slow,
        FaultProxy("127.0.0.1", server.port, HalfOpen(way="down")) as deaf,
        healthy(server) as held,
    ):
        while not held:
            await ManualClock(pause=0.01).settle(1)
        before, before_sockets = server.memory, server.sockets
        slowly = [pour(slow.port, b"GET / HTTP/1.1\r\nHost: x\r\n", more=b"a") for _ in range(100)]
        body = POST + b"Content-Length: 100\r\n\r\n"
        pausing = [pour(server.port, body, more=b"a", times=1) for _ in range(50)]
        unread = [
            pour(deaf.port, b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n", more=b"")
            for _ in range(50)
        ]
        asking = asyncio.gather(*slowly, *pausing, *unread)
        async with asyncio.timeout(40):
            await slow.until(lambda proxy: proxy.connections == 100, within=20)
            await deaf.until(lambda proxy: proxy.connections == 50, within=20)
            while server.sockets > before_sockets:
                await ManualClock(pause=0.01).settle(10)
            deaf.clear()
            await asking
    assert held
    assert max(held) - before < 100 * MEGABYTE
