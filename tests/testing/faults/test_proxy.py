"""A proxy that does nothing until told, and then exactly what it is told."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import pytest

from isthmus.clock import ManualClock
from isthmus.errors import ConfigError
from isthmus.testing.faults import (
    Bandwidth,
    BlackHole,
    Close,
    Corrupt,
    FaultProxy,
    HalfOpen,
    Latency,
    NetworkFault,
    Refuse,
    Reset,
    Slices,
)
from isthmus.testing.faults.connection import LINGER_NOT

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter
Handler = Callable[[Reader, Writer], Awaitable[None]]


async def echo(reader: Reader, writer: Writer) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def behind(
    *faults: NetworkFault, server: Handler = echo, **words: Any
) -> AsyncGenerator[FaultProxy]:
    """A proxy before a real server; nothing of it may be left behind."""
    before = asyncio.all_tasks()
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    try:
        port = listening.sockets[0].getsockname()[1]
        async with FaultProxy("127.0.0.1", port, *faults, **words) as proxy:
            yield proxy
        assert proxy.open == 0
    finally:
        listening.close()
    mine = {task for task in asyncio.all_tasks() - before if "isthmus" in repr(task)}
    assert not mine


async def connect(proxy: FaultProxy) -> tuple[Reader, Writer]:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def said(proxy: FaultProxy, words: bytes) -> bytes:
    """Say `words`, then hear to the end what comes back."""
    reader, writer = await connect(proxy)
    writer.write(words)
    writer.write_eof()
    heard = await reader.read()
    writer.close()
    return heard


def test_a_fault_that_cannot_be_meant_is_refused_where_it_is_written() -> None:
    for made in (
        lambda: Latency(-1),
        lambda: Latency(1, jitter=-1),
        lambda: Bandwidth(0),
        lambda: Slices(0),
        lambda: Corrupt(0),
        lambda: Corrupt(1.5),
        lambda: Reset(after=-1),
        lambda: Close(way="sideways"),  # pyright: ignore[reportArgumentType]
        lambda: HalfOpen(connections=0),
        lambda: BlackHole(share=0),
        lambda: BlackHole(timeout=-1),
    ):
        with pytest.raises(ConfigError, match="expected"):
            made()


async def test_without_faults_it_is_transparent() -> None:
    words = bytes(range(256)) * 5000
    async with behind() as proxy:
        assert await said(proxy, words) == words
        await proxy.until(lambda p: p.open == 0)
        assert proxy.connections == 1
        assert proxy.bytes == {"up": len(words), "down": len(words)}
        assert proxy.url == f"http://127.0.0.1:{proxy.port}"


async def test_half_a_conversation_may_end_before_the_other() -> None:
    async def answer_after_the_end(reader: Reader, writer: Writer) -> None:
        writer.write(b"heard " + await reader.read())
        writer.close()

    async with behind(server=answer_after_the_end) as proxy:
        assert await said(proxy, b"all") == b"heard all"


async def test_a_server_that_is_not_there_resets_the_client() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        async with FaultProxy("127.0.0.1", nobody.getsockname()[1]) as proxy:
            with pytest.raises(ConnectionResetError):
                await said(proxy, b"")


async def test_a_reset_server_resets_its_client() -> None:
    async def crash(_: Reader, writer: Writer) -> None:
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        writer.transport.abort()

    async with behind(server=crash) as proxy:
        reader, writer = await connect(proxy)
        with pytest.raises(ConnectionResetError):
            assert await reader.read() == b"?"
        writer.close()


# --- faults ---------------------------------------------------------------------------------


async def test_latency_holds_bytes_back_and_keeps_their_order() -> None:
    clock = ManualClock()
    async with behind(Latency(5, way="up"), clock=clock) as proxy:
        reader, writer = await connect(proxy)
        writer.write(b"one")
        await asleep(clock)
        await clock.advance(4.9)
        assert proxy.bytes["up"] == 0
        await clock.advance(0.2)
        assert await reader.readexactly(3) == b"one"
        writer.close()


async def test_bytes_under_way_wait_beside_each_other() -> None:
    clock = ManualClock()
    async with behind(Latency(5, way="up"), clock=clock) as proxy:
        reader, writer = await connect(proxy)
        writer.write(b"one")
        await asleep(clock)
        await clock.advance(3.0)
        writer.write(b"two")
        while proxy_read(proxy) < 6:
            await clock.settle(1)
        await clock.advance(2.0)
        assert await reader.readexactly(3) == b"one"
        await asleep(clock)
        await clock.advance(3.0)
        assert await reader.readexactly(3) == b"two"
        writer.close()


async def test_latency_ends_at_once_when_it_is_taken_away() -> None:
    clock, slow = ManualClock(), Latency(1000)
    async with behind(slow, clock=clock) as proxy:
        reader, writer = await connect(proxy)
        writer.write(b"one")
        await asleep(clock)
        proxy.remove(slow)
        assert await reader.readexactly(3) == b"one"
        writer.close()


async def test_jitter_is_drawn_from_the_seed() -> None:
    async def waited(seed: int) -> float:
        clock = ManualClock(0.0)
        async with behind(Latency(0, jitter=100, way="up"), clock=clock, seed=seed) as proxy:
            reader, writer = await connect(proxy)
            writer.write(b"one")
            await asleep(clock)
            while not proxy.bytes["up"]:
                await clock.advance(0.5)
            await reader.readexactly(3)
            writer.close()
            return clock.now()

    first = await waited(7)
    assert first == await waited(7)
    assert first != await waited(8)


async def test_bandwidth_lets_so_many_bytes_pass_in_a_second() -> None:
    clock = ManualClock()
    async with behind(Bandwidth(100, way="up"), clock=clock) as proxy:
        _, writer = await connect(proxy)
        writer.write(bytes(1000))
        await asleep(clock)
        await clock.advance(2.0)
        assert 190 <= proxy.bytes["up"] <= 200
        await clock.advance(8.1)
        await proxy.until(lambda p: p.bytes["up"] == 1000)
        writer.close()


async def test_slices_arrive_one_by_one() -> None:
    clock = ManualClock()
    async with behind(Slices(2, delay=1, way="up"), clock=clock) as proxy:
        reader, writer = await connect(proxy)
        writer.write(b"slices")
        for piece in (b"sl", b"ic", b"es"):
            assert await reader.read(100) == piece
            await asleep(clock)
            await clock.advance(1.0)
        writer.close()


async def test_a_black_hole_takes_all_and_answers_nothing() -> None:
    hole = BlackHole()
    async with behind(hole) as proxy:
        reader, writer = await connect(proxy)
        writer.write(b"lost")
        await until_read(proxy, 4)
        await ManualClock().settle()
        assert proxy.bytes == {"up": 0, "down": 0}
        proxy.remove(hole)
        writer.write(b"kept")
        assert await reader.readexactly(4) == b"kept"
        writer.close()


async def test_a_black_hole_with_a_timeout_closes() -> None:
    clock = ManualClock()
    async with behind(BlackHole(timeout=3), clock=clock) as proxy:
        reader, writer = await connect(proxy)
        await asleep(clock)
        assert proxy.open == 1
        await clock.advance(3.0)
        assert await reader.read() == b""
        writer.close()


async def test_a_half_open_peer_makes_the_sender_wait_and_memory_is_bounded() -> None:
    half = HalfOpen(way="up")
    async with behind(half) as proxy:
        reader, writer = await connect(proxy)
        words = bytes(64 << 20)
        writer.write(words)
        sending = asyncio.create_task(writer.drain())
        await ManualClock().settle(200)
        assert not sending.done()
        assert proxy_read(proxy) == 0
        proxy.remove(half)
        writer.write_eof()
        assert len(await reader.read()) == len(words)
        await sending
        writer.close()


async def test_a_receiver_that_does_not_read_makes_the_sender_wait() -> None:
    async def never_read(_: Reader, writer: Writer) -> None:
        writer.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue]
        await done.wait()
        writer.close()

    done = asyncio.Event()
    async with behind(server=never_read) as proxy:
        _, writer = await connect(proxy)
        writer.write(bytes(64 << 20))
        held = 0
        while held != (held := proxy_read(proxy)) or not held:
            await ManualClock(pause=0.001).settle(50)
        assert proxy_read(proxy) - proxy.bytes["up"] <= 1 << 18
        done.set()
        writer.transport.abort()


@pytest.mark.parametrize("after", [0, 1, 5, 9])
async def test_a_reset_comes_after_so_many_bytes(after: int) -> None:
    async with behind(Reset(way="down", after=after)) as proxy:
        reader, writer = await connect(proxy)
        writer.write(b"0123456789")
        heard = b""
        with pytest.raises(ConnectionResetError):
            while True:
                heard += await reader.readexactly(1)
        assert heard == b"0123456789"[:after]
        writer.close()


@pytest.mark.parametrize("after", [0, 1, 5, 9])
async def test_a_close_comes_after_so_many_bytes(after: int) -> None:
    async with behind(Close(way="down", after=after)) as proxy:
        reader, writer = await connect(proxy)
        writer.write(b"0123456789")
        assert await reader.read() == b"0123456789"[:after]
        writer.close()
        await proxy.until(lambda p: p.open == 0)


async def test_the_server_sees_an_end_that_is_upwards() -> None:
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def hear(reader: Reader, writer: Writer) -> None:
        heard.set_result(await reader.read())
        writer.close()

    async with behind(Close(way="up", after=3), server=hear) as proxy:
        _, writer = await connect(proxy)
        writer.write(b"0123456789")
        assert await heard == b"012"
        writer.close()


async def test_corrupted_bytes_are_the_same_however_they_are_cut() -> None:
    words = bytes(2000)

    async def corrupted(*before: NetworkFault, seed: int = 3) -> bytes:
        async with behind(*before, Corrupt(0.05, way="down"), seed=seed) as proxy:
            return await said(proxy, words)

    first = await corrupted()
    changed = sum(byte != 0 for byte in first)
    assert 50 <= changed <= 150
    assert first == await corrupted() == await corrupted(Slices(7))
    assert first != await corrupted(seed=4)
    assert {byte.bit_count() for byte in first} == {0, 1}


async def test_only_bytes_after_a_position_are_corrupted() -> None:
    async with behind(Corrupt(way="down", after=4)) as proxy:
        heard = await said(proxy, b"headBODY")
    assert heard[:4] == b"head"
    assert all(a != b for a, b in zip(heard[4:], b"BODY", strict=True))


async def test_who_is_refused_is_let_in_again_on_the_same_port() -> None:
    async with behind() as proxy:
        port = proxy.port
        reader, writer = await connect(proxy)
        for _ in range(3):
            with proxy.suffering(Refuse()), pytest.raises(ConnectionRefusedError):
                await connect(proxy)
            assert await said(proxy, b"in again") == b"in again"
        writer.write(b"as before")
        assert await reader.readexactly(9) == b"as before"
        assert proxy.port == port
        writer.close()


async def test_a_proxy_may_begin_by_refusing() -> None:
    refuse = Refuse()
    async with behind(refuse) as proxy:
        with pytest.raises(ConnectionRefusedError):
            await connect(proxy)
        proxy.clear()
        assert await said(proxy, b"in") == b"in"


# --- switching, and limits ------------------------------------------------------------------


async def test_a_fault_befalls_so_many_connections_and_no_more() -> None:
    async with behind(Reset(connections=2)) as proxy:
        outcomes = [await outcome(proxy) for _ in range(4)]
    assert outcomes == ["reset", "reset", "fine", "fine"]


async def test_a_number_of_connections_is_counted_from_the_next() -> None:
    async with behind() as proxy:
        reader, writer = await connect(proxy)
        writer.write(b"open")
        assert await reader.readexactly(4) == b"open"
        with proxy.suffering(Reset(connections=1)):
            assert [await outcome(proxy) for _ in range(2)] == ["reset", "fine"]
            writer.write(b"still")
            assert await reader.readexactly(5) == b"still"
        writer.close()


async def test_a_share_of_connections_is_drawn_from_the_seed() -> None:
    async def outcomes(seed: int) -> list[str]:
        async with behind(Reset(share=0.5), seed=seed) as proxy:
            return [await outcome(proxy) for _ in range(20)]

    first = await outcomes(1)
    assert 5 <= first.count("reset") <= 15
    assert first == await outcomes(1)
    assert first != await outcomes(2)


async def test_an_open_connection_meets_what_is_added() -> None:
    async with behind() as proxy:
        reader, writer = await connect(proxy)
        writer.write(b"fine")
        assert await reader.readexactly(4) == b"fine"
        with proxy.suffering(Reset()), pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()
        assert await said(proxy, b"fine again") == b"fine again"


async def test_faults_befall_in_the_order_in_which_they_were_added() -> None:
    async with behind(Slices(3), Corrupt(way="up"), Close(way="up", after=5)) as proxy:
        reader, writer = await connect(proxy)
        writer.write(b"0123456789")
        assert len(await reader.read()) <= 5
        await proxy.until(lambda p: p.open == 0)
        assert proxy.bytes["up"] == 5
        writer.close()


async def test_the_same_fault_twice_is_refused() -> None:
    async with behind(slow := Latency(1)) as proxy:
        with pytest.raises(ConfigError, match="Latency is in force already"):
            proxy.add(slow)


async def test_a_fault_of_ones_own_is_a_class() -> None:
    class Shout(NetworkFault):
        async def befall(self, data: bytes, passage: Any, forward: Any) -> None:
            await forward(data.upper())

    async with behind(Shout(way="up")) as proxy:
        assert await said(proxy, b"hello") == b"HELLO"


async def test_a_fault_that_fails_itself_is_told(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(NetworkFault):
        async def befall(self, data: bytes, passage: Any, forward: Any) -> None:
            raise ValueError("my own mistake")

    async with behind(Broken(way="up")) as proxy:
        with pytest.raises(ConnectionResetError):
            await said(proxy, b"hello")
    assert "my own mistake" in caplog.text


async def test_leaving_ends_what_is_open() -> None:
    async with behind() as proxy:
        open_ = [await connect(proxy) for _ in range(20)]
        await proxy.until(lambda p: p.open == 20)
    for reader, writer in open_:
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()


async def outcome(proxy: FaultProxy) -> str:
    try:
        return "fine" if await said(proxy, b"hello") == b"hello" else "wrong"
    except ConnectionResetError:
        return "reset"


async def asleep(clock: ManualClock) -> None:
    """Let real bytes arrive, until somebody waits for virtual time."""
    while not clock.sleepers:
        await clock.settle(1)


def proxy_read(proxy: FaultProxy) -> int:
    return sum(passage.read for one in proxy._connections for passage in one.passages)


async def until_read(proxy: FaultProxy, size: int) -> None:
    while proxy_read(proxy) < size:
        await ManualClock().settle(1)
