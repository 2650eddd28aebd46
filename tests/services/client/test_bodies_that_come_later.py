"""A connection whose answer came in several pieces was not given back."""

import asyncio

from isthmus.services.client import Client

from .conftest import Asked, Upstream, Wire  # noqa: TID252


async def in_pieces(wire: Wire, asked: Asked) -> None:
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n12")
    for _ in range(5):  # turns of the loop, in which the client reads what there is
        await asyncio.to_thread(int)
    await wire.send(b"34")


async def test_it_is_used_for_the_next_call(upstream: Upstream, name: str) -> None:
    upstream.does(in_pieces)
    async with Client(name, upstream.url) as client:
        for _ in range(3):
            assert await client.get("/x", result=bytes) == b"1234"
    assert upstream.connections == 1
