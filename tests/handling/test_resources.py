from collections.abc import AsyncIterator, Iterator

import pytest

from isthmus import ConfigError
from isthmus.errors import UnavailableError
from isthmus.handling.calling.resources import Resources, resource
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host


class Pool: ...


class Cache:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool


class Client:
    def __init__(self, name: str) -> None:
        self.name = name


seen: list[str] = []


@pytest.fixture(autouse=True)
def forgotten() -> None:
    seen.clear()


async def pool() -> AsyncIterator[Pool]:
    seen.append("open pool")
    yield Pool()
    seen.append("close pool")


def cache(pool: Pool) -> Iterator[Cache]:
    seen.append("open cache")
    yield Cache(pool)
    seen.append("close cache")


async def client(host: Host) -> Client:
    return Client(host.name)


async def test_each_is_opened_after_what_it_needs_and_closed_before_it(memory: Host) -> None:
    resources = Resources({Cache: cache, Pool: pool, Client: client})
    await resources.open(memory)
    assert resources[Cache].pool is resources[Pool]
    assert resources[Client].name == "shop"
    await resources.aclose()
    await resources.aclose()
    assert seen == ["open pool", "open cache", "close cache", "close pool"]


async def test_what_was_opened_is_closed_when_another_cannot_be(memory: Host) -> None:
    async def broken(pool: Pool) -> Client:
        raise OSError("refused")

    resources = Resources({Client: broken, Pool: pool})
    with pytest.raises(UnavailableError, match=r"resource broken\(\) failed: OSError: refused"):
        await resources.open(memory)
    await resources.aclose()
    assert seen == ["open pool", "close pool"]


async def test_all_are_closed_whatever_one_raises(memory: Host) -> None:
    def broken(pool: Pool) -> Iterator[Cache]:
        yield Cache(pool)
        raise OSError("broken pipe")

    resources = Resources({Cache: broken, Pool: pool})
    await resources.open(memory)
    with pytest.raises(OSError, match="broken pipe"):
        await resources.aclose()
    assert seen == ["open pool", "close pool"]


async def test_a_circle_is_refused_by_its_names(memory: Host) -> None:
    def one(cache: Cache) -> Pool:
        raise AssertionError

    with pytest.raises(ConfigError, match="Cache -> Pool -> Cache"):
        await Resources({Cache: cache, Pool: one}).open(memory)


async def test_what_nobody_gives_is_refused(memory: Host) -> None:
    with pytest.raises(ConfigError, match=r"cache\(\): parameter 'pool' cannot be given"):
        await Resources({Cache: cache}).open(memory)


def test_a_resource_says_what_it_gives(declared: Declarations) -> None:
    def silent(): ...

    async def vague() -> AsyncIterator:  # pyright: ignore[reportMissingTypeArgument]
        yield 1

    for function in (silent, vague):
        with pytest.raises(ConfigError, match="does not say what it gives"):
            resource(declared, function)


def test_two_cannot_give_the_same(declared: Declarations) -> None:
    def other() -> Pool:
        raise AssertionError

    resource(declared, pool)
    with pytest.raises(ConfigError, match=r"pool\(\) both give"):
        resource(declared, other)


def test_a_resource_of_a_module_is_the_apps(declared: Declarations) -> None:
    module = Declarations("module")
    resource(module, pool)
    declared.include(module)
    resource(module, cache)
    assert declared.resources == {Pool: pool, Cache: cache}
