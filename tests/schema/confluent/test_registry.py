"""The client of a schema registry, against one that keeps to the documented REST API."""

import asyncio
import json
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from isthmus import ConfigError, NotFoundError, SchemaError, UnavailableError
from isthmus.schema.confluent.registry import Document, Reference, SchemaRegistry, registry_at


def record(*fields: tuple[str, str], **defaults: Any) -> Document:
    said = [
        {"name": name, "type": kind, **({"default": defaults[name]} if name in defaults else {})}
        for name, kind in fields
    ]
    return Document(json.dumps({"type": "record", "name": "Order", "fields": said}))


FIRST = record(("id", "string"))


@pytest.fixture
def registry(server: Any) -> SchemaRegistry:
    return server.registry()


async def test_what_is_registered_is_found_by_its_id(registry: SchemaRegistry) -> None:
    number = await registry.register("orders-value", FIRST)
    assert await registry.get(number) == FIRST
    assert await registry.lookup("orders-value", FIRST) == number
    latest = await registry.latest("orders-value")
    assert (latest.version, latest.id, latest.document) == (1, number, FIRST)


async def test_what_it_said_is_not_asked_again(server: Any, registry: SchemaRegistry) -> None:
    number = await registry.register("orders-value", FIRST)
    other = server.registry()
    server.asked.clear()
    await asyncio.gather(*(registry.register("orders-value", FIRST) for _ in range(20)))
    assert server.asked == []
    await asyncio.gather(*(other.get(number) for _ in range(20)))
    await other.get(number)
    assert server.asked == [f"GET /schemas/ids/{number}"]
    assert other.known(number) == FIRST
    await other.aclose()


async def test_what_is_remembered_is_bounded(server: Any) -> None:
    registry = server.registry(most=2)
    ids = [
        await registry.register(f"s{number}", record((f"f{number}", "string")))
        for number in range(3)
    ]
    for number in ids:
        await registry.get(number)
    assert [registry.known(each) is not None for each in ids] == [False, True, True]
    await registry.aclose()


async def test_who_is_cancelled_does_not_take_the_question_from_others(
    registry: SchemaRegistry,
) -> None:
    number = await registry.register("orders-value", FIRST)
    first, second = (asyncio.create_task(registry.get(number)) for _ in range(2))
    await asyncio.sleep(0)  # noqa: TID251 - a turn of the loop, no wait
    first.cancel()
    assert await second == FIRST


async def test_an_incompatible_schema_is_refused(registry: SchemaRegistry) -> None:
    await registry.register("orders-value", FIRST)
    new = record(("id", "string"), ("total", "long"))
    with pytest.raises(SchemaError, match=r"orders-value.*incompatible"):
        await registry.register("orders-value", new)
    assert "total" in (await registry.incompatibilities("orders-value", new))[0]
    mended = record(("id", "string"), ("total", "long"), total=0)
    assert await registry.incompatibilities("orders-value", mended) == []
    assert await registry.incompatibilities("nobody", new) == []


async def test_what_is_no_schema_is_refused(registry: SchemaRegistry) -> None:
    with pytest.raises(SchemaError, match="422"):
        await registry.register("orders-value", Document("no schema"))


async def test_what_is_not_there_is_not_found(registry: SchemaRegistry) -> None:
    for asking in (
        registry.get(77),
        registry.latest("nobody"),
        registry.lookup("nobody", FIRST),
    ):
        with pytest.raises(NotFoundError):
            await asking


async def test_subjects_of_any_name_are_asked_for(registry: SchemaRegistry) -> None:
    for subject in ("shop/order value", "a?b#c", "ä"):
        await registry.register(subject, FIRST)
        assert (await registry.latest(subject)).subject == subject


async def test_references_are_kept(registry: SchemaRegistry) -> None:
    document = Document(FIRST.text, references=(Reference("Money", "money", 1),))
    assert await registry.get(await registry.register("orders-value", document)) == document


# --- out of reach --------------------------------------------------------------------------------


async def test_one_that_is_out_of_order_is_unavailable_until_it_is_not(
    server: Any, registry: SchemaRegistry
) -> None:
    server.down = True
    with pytest.raises(UnavailableError, match="503"):
        await registry.register("orders-value", FIRST)
    server.down = False
    assert await registry.register("orders-value", FIRST) == 1


async def test_one_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        registry = SchemaRegistry(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(UnavailableError, match="out of reach"):
            await registry.get(1)
        await registry.aclose()


async def test_one_that_does_not_answer_is_unavailable() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        registry = SchemaRegistry(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.1)
        with pytest.raises(UnavailableError, match="did not answer"):
            await registry.get(1)
        await registry.aclose()


async def test_one_that_is_no_registry_is_unavailable() -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n<!>\n")
        writer.close()

    web = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    registry = SchemaRegistry(f"http://127.0.0.1:{web.sockets[0].getsockname()[1]}")
    with pytest.raises(UnavailableError, match="JSON"):
        await registry.get(1)
    await registry.aclose()
    web.close()
    await web.wait_closed()


# --- who asks ------------------------------------------------------------------------------------


async def test_who_asks_says_who_it_is_and_shows_it_to_nobody(server: Any) -> None:
    server.guarded = True
    by_url = server.url.replace("http://", "http://key:of%20the%20test@")
    for registry in (
        server.registry(auth=("key", "of the test")),
        SchemaRegistry(by_url),
    ):
        assert await registry.register("orders-value", FIRST) == 1
        assert "test" not in f"{registry!r} {registry.url}"
        await registry.aclose()
    for registry in (
        server.registry(),
        server.registry(auth=("key", "wrong")),
        server.registry(token="wrong"),
    ):
        with pytest.raises(ConfigError, match="auth=") as caught:
            await registry.register("orders-value", FIRST)
        assert "wrong" not in str(caught.value)
        await registry.aclose()


@pytest.mark.parametrize("url", ["registry", "ftp://host", "http://", "key:secret@host"])
def test_what_is_no_url_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(ConfigError, match="http") as caught:
        SchemaRegistry(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("options", [{"timeout": 0}, {"most": 0}])
def test_numbers_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="above 0"):
        SchemaRegistry("http://host", **options)


def test_one_url_is_one_registry() -> None:
    assert registry_at("http://one.example") is registry_at("http://one.example")


async def test_a_closed_one_may_be_asked_again(registry: SchemaRegistry) -> None:
    await registry.register("orders-value", FIRST)
    await registry.aclose()
    await registry.aclose()
    assert (await registry.latest("orders-value")).version == 1


def test_it_may_be_asked_from_one_loop_after_another(server: Any) -> None:
    registry = server.registry()

    async def ask(number: int) -> int:
        try:
            return await registry.register(f"s{number}", FIRST)
        finally:
            await registry.aclose()

    assert [asyncio.run(ask(number)) for number in range(3)] == [1, 1, 1]


async def test_a_certificate_that_is_trusted_is_asked_and_no_other(
    secure: Any, certificate: tuple[Path, Path]
) -> None:
    trusting = secure.registry(tls=ssl.create_default_context(cafile=certificate[0]))
    assert await trusting.register("orders-value", FIRST) == 1
    with pytest.raises(UnavailableError, match="certificate"):
        await secure.registry().register("orders-value", FIRST)
