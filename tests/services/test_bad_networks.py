"""A service whose upstreams are real ones, behind a network that fails: what it answers itself."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec
import pytest

from isthmus import App, CircuitBreaker, Client, Policy, Retry, Service
from isthmus.errors import IsthmusError, TimedOutError
from isthmus.resilience import Bulkhead, Timeout
from isthmus.services.client import (
    AnswerTooLargeError,
    ConnectionBrokenError,
    ConnectRefusedError,
)
from isthmus.services.rpc import RpcListening, Stub
from isthmus.services.rpc.serving.server import RpcServer
from isthmus.services.serving.facts import ServerListening
from isthmus.testing import (
    Bandwidth,
    BlackHole,
    Close,
    FaultProxy,
    HalfOpen,
    NetworkFault,
    Refuse,
    Reset,
)

MEGABYTE = 1 << 20


class Word(msgspec.Struct):
    text: str


class Echo(Service, name="echo.v1.EchoService"):
    async def say(self, word: Word) -> Word:
        return word


def upstream() -> App:
    app = App("upstream", engine="memory://")

    @app.get("/word")
    async def word() -> str:
        return "word"

    @app.post("/word")
    async def take(body: bytes) -> int:
        return len(body)

    @app.get("/huge")
    async def huge() -> bytes:
        return bytes(8 * MEGABYTE)

    app.serve(Echo())
    return app


@dataclass
class Ports:
    http: int = 0
    grpc: int = 0


@asynccontextmanager
async def run(app: App) -> AsyncGenerator[Ports]:
    app.configure(port=0, grpc_port=0)
    ports, both = Ports(), asyncio.Event()
    grpc = any(isinstance(worker, RpcServer) for worker in app.declarations.workers)

    def listening(signal: ServerListening | RpcListening) -> None:
        kind = "grpc" if isinstance(signal, RpcListening) else "http"
        setattr(ports, kind, int(signal.address.rpartition(":")[2]))
        if ports.http and (ports.grpc or not grpc):
            both.set()

    app.signals.listen(ServerListening, listening)
    app.signals.listen(RpcListening, listening)
    running = asyncio.create_task(app.run())
    waiting = asyncio.create_task(both.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if running.done():
        await running
    try:
        yield ports
    finally:
        await app.drain()
        await running


def guarded() -> Policy:
    """The strategies that a client has by default, in a hurry."""
    return Policy(
        Timeout(1, total=True),
        Retry(2, delay=0.01),
        CircuitBreaker(consecutive=8, open_for=0.2),
        Bulkhead(4, queue=4),
        Timeout(0.2, connect=0.2),
    )


async def test_a_hung_upstream_is_told_in_time_and_harms_no_other() -> None:
    gateway = App("gateway", engine="memory://")
    async with (
        asyncio.timeout(40),
        run(upstream()) as ports,
        FaultProxy("127.0.0.1", ports.http, BlackHole()) as hung,
        FaultProxy("127.0.0.1", ports.grpc, BlackHole()) as hung_grpc,
    ):
        sick = gateway.client("sick", hung.url, policy=guarded())
        sick_stub = gateway.stub(Echo, hung_grpc.address, policy=guarded(), name="sick-grpc")
        well = gateway.client("well", f"http://127.0.0.1:{ports.http}", policy=guarded())
        stub = gateway.stub(Echo, f"127.0.0.1:{ports.grpc}", policy=guarded(), name="well-grpc")

        @gateway.get("/sick")
        async def ask_sick() -> str:
            return await sick.get("/word", result=str)

        @gateway.get("/sick-grpc")
        async def ask_sick_stub() -> str:
            return (await sick_stub.say(Word("word"))).text

        @gateway.get("/well")
        async def ask_well() -> str:
            return await well.get("/word", result=str) + (await stub.say(Word("word"))).text

        async with (
            run(gateway) as own,
            aiohttp.ClientSession(
                f"http://127.0.0.1:{own.http}", connector=aiohttp.TCPConnector(limit=0)
            ) as client,
        ):

            async def status(path: str) -> int:
                async with client.get(path) as answer:
                    await answer.read()
                    return answer.status

            sick_paths = ["/sick", "/sick-grpc"] * 30
            asking = [asyncio.create_task(status(path)) for path in sick_paths]
            healthy = 0
            while not all(one.done() for one in asking):
                assert await status("/well") == 200
                healthy += 1
            assert healthy > 10
            assert {await one for one in asking} <= {503, 504}
            hung.clear()
            hung_grpc.clear()
            for path in ("/sick", "/sick-grpc"):  # circuits are tried again, and close
                while await status(path) != 200:
                    pass


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Refuse(), ConnectRefusedError),
        (BlackHole(), TimedOutError),
        (HalfOpen(), TimedOutError),
        (Bandwidth(40, way="down"), TimedOutError),
        (Close(after=40, way="down"), ConnectionBrokenError),
        (Reset(after=40, way="down"), ConnectionBrokenError),
        (Close(), ConnectionBrokenError),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, NetworkFault) else "",
)
async def test_each_fault_has_its_error_and_nothing_is_sent_twice(
    fault: NetworkFault, error: type[IsthmusError]
) -> None:
    app = upstream()
    taken = list[int]()

    @app.put("/once")
    async def once(body: bytes) -> None:
        taken.append(len(body))

    @app.post("/once")
    async def post(body: bytes) -> None:
        taken.append(len(body))

    async with asyncio.timeout(40), run(app) as ports:
        async with FaultProxy("127.0.0.1", ports.http, fault) as proxy:
            policy = Policy(Retry(3, delay=0.01), Timeout(0.3))
            async with Client("faulty", proxy.url, policy=policy) as client:
                with pytest.raises(error) as raised:
                    await client.post("/once", b"x")
                assert len(taken) <= 1
                proxy.clear()
                await client.put("/once", b"xx")
        assert getattr(raised.value, "never_ran", False) == isinstance(fault, Refuse)
    assert taken[-1] == 2


async def test_memory_is_bounded_though_the_answer_is_huge_and_its_server_dies() -> None:
    async with (
        asyncio.timeout(40),
        run(upstream()) as ports,
        FaultProxy("127.0.0.1", ports.http) as proxy,
    ):
        before = _resident()
        policy = Policy(Timeout(5))
        async with Client("huge", proxy.url, policy=policy, limit=MEGABYTE) as client:
            for _ in range(20):
                with pytest.raises(AnswerTooLargeError):
                    await client.get("/huge")
            with proxy.suffering(Close(after=100_000, way="down")):
                async with client.stream("GET", "/huge") as answer:
                    with pytest.raises(ConnectionBrokenError):
                        async for _ in answer.chunks():
                            pass
        assert _resident() - before < 60 * MEGABYTE


async def test_a_grpc_upstream_that_dies_or_stalls_is_told() -> None:
    async with (
        asyncio.timeout(40),
        run(upstream()) as ports,
        FaultProxy("127.0.0.1", ports.grpc) as proxy,
        Stub(Echo, proxy.address, policy=Policy(Timeout(0.3))) as stub,
    ):
        assert await stub.say(Word("a")) == Word("a")
        with proxy.suffering(HalfOpen(way="down")), pytest.raises(TimedOutError):
            await stub.say(Word("b"))
        with proxy.suffering(Reset()), pytest.raises(IsthmusError):
            await stub.say(Word("c"))
        while True:  # gRPC connects again in its own time
            try:
                assert await stub.say(Word("d")) == Word("d")
                break
            except IsthmusError:
                pass


def _resident() -> int:
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024
