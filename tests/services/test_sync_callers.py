"""Code that blocks calls other services through the sync face: by HTTP, by gRPC, by an adapter."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import msgspec
import pytest

from isthmus import App, Service
from isthmus.services.client import RefusedError
from isthmus.services.rpc import RpcListening
from isthmus.services.serving.facts import ServerListening


class Word(msgspec.Struct):
    text: str


class Echo(Service, name="echo.v1.EchoService"):
    async def say(self, word: Word) -> Word:
        return Word(word.text.upper())

    async def spell(self, word: Word) -> AsyncIterator[Word]:
        for letter in word.text:
            yield Word(letter)


class Speech(Protocol):
    async def say(self, text: str) -> str: ...


def upstream() -> App:
    app = App("upstream", engine="memory://")

    @app.post("/words")
    async def take(word: Word) -> Word:
        return Word(word.text[::-1])

    app.serve(Echo())
    app.configure(port=0, grpc_port=0)
    return app


def all_of_it(http: str, grpc: str) -> list[str]:
    """Call each from eight threads; return what they said."""
    app = App("caller", engine="memory://")
    client, stub = app.client("words", http), app.stub(Echo, grpc)

    class Spoken:
        async def say(self, text: str) -> str:
            return (await stub.say(Word(text))).text

    speech = app.adapter(Speech, {"spoken": Spoken})
    with app.sync() as caller, ThreadPoolExecutor(8) as threads:

        def talk(text: str) -> str:
            said = caller.call(client.post, "/words", Word(text), result=Word).text
            said += caller.call(stub.say, Word(text)).text + caller.call(speech.say, text)
            return said + "".join(each.text for each in caller.iterate(stub.spell(Word(text))))

        with pytest.raises(RefusedError, match="404"):
            caller.call(client.post, "/nowhere", Word("a"))
        return list(threads.map(talk, ["ab", "cd"] * 8))


async def test_threads_call_services_of_every_kind() -> None:
    app, loop = upstream(), asyncio.get_running_loop()
    http, grpc = loop.create_future(), loop.create_future()
    app.signals.listen(ServerListening, lambda signal: http.set_result(signal.address))
    app.signals.listen(RpcListening, lambda signal: grpc.set_result(signal.address))
    running = asyncio.create_task(app.run())
    async with asyncio.timeout(40):
        addresses = await http, (await grpc).partition("://")[2]
        said = await asyncio.to_thread(all_of_it, *addresses)
    assert said == ["baABABab", "dcCDCDcd"] * 8
    await app.drain()
    await running
