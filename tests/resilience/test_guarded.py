"""What a policy does for each shape of function, and what it refuses to be around."""

from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import AsyncContextDecorator, ContextDecorator, asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import pytest

from isthmus.errors import ConfigError
from isthmus.resilience import (
    Cache,
    Chaos,
    CircuitBreaker,
    CircuitOpenError,
    Fallback,
    Feature,
    Hedge,
    LastKnownGood,
    Policy,
    Retry,
)
from isthmus.resilience.registry import Policies

pytestmark = pytest.mark.usefixtures("way")


def numbers(n: int) -> Iterator[int]:
    yield from range(n)


async def numbers_async(n: int) -> AsyncIterator[int]:
    for number in range(n):
        yield number


SHAPES: list[Any] = [
    numbers, numbers_async, contextmanager(numbers), asynccontextmanager(numbers_async),
    partial(numbers, 3), partial(contextmanager(numbers), 3),
]  # fmt: skip
NAMES = ["generator", "async generator", "context", "async context", "partial", "partial context"]


@pytest.mark.parametrize(
    "strategy",
    [
        Cache(10),
        Hedge(1),
        Fallback(0),
        Fallback(LastKnownGood()),
        Feature("numbers", fallback=[]),
        Chaos(result=1),
    ],
    ids=repr,
)
@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_what_keeps_races_or_replaces_answers_is_refused_around_what_is_opened(
    strategy: Any, shape: Any
):
    guard = Policy(Policy(strategy), Retry(3))
    with pytest.raises(ConfigError, match=r"generator or a context manager, and .* leave it out"):
        guard(shape)


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_what_lets_the_call_be_may_be_around_what_is_opened(shape: Any):
    Policy(Retry(3), CircuitBreaker(), Feature("numbers"), Chaos(error=OSError))(shape)


async def test_a_cache_that_configuration_puts_around_a_generator_is_refused_when_it_is_called():
    policies = Policies()
    guarded = policies.define("numbers", Retry(3))(numbers_async)
    assert [one async for one in guarded(2)] == [0, 1]
    policies.load({"numbers": {"cache": 10}}, environ={})
    with pytest.raises(ConfigError, match="numbers_async is a generator"):
        await anext(aiter(guarded(2)))


async def test_a_generator_called_through_a_policy_is_guarded_too():
    breaker = CircuitBreaker()
    guard = Policy(breaker)
    assert list(guard(numbers, 2)) == [0, 1]
    assert list(guard.call(partial(numbers, 2))) == [0, 1]
    assert [one async for one in guard(numbers_async, 2)] == [0, 1]
    with guard(contextmanager(numbers), 1) as number:
        assert number == 0
    async with guard(asynccontextmanager(numbers_async), 1) as number:
        assert number == 0
    breaker.isolate()
    with pytest.raises(CircuitOpenError):
        next(guard(numbers, 2))
    with pytest.raises(CircuitOpenError):
        await anext(guard(numbers_async, 2))
    with pytest.raises(CircuitOpenError), guard(contextmanager(numbers), 1):
        raise AssertionError


class entered(ContextDecorator, AsyncContextDecorator):  # noqa: N801 - reads as a verb
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


async def test_a_function_that_is_decorated_by_a_context_is_called_and_is_no_context():
    async def call(x: int) -> int:
        return x

    assert Policy(Retry(3))(ContextDecorator.__call__(entered(), lambda x: x))(3) == 3
    assert await Policy(Retry(3))(AsyncContextDecorator.__call__(entered(), call))(3) == 3


def test_what_a_generator_returns_is_returned():
    def count(n: int) -> Generator[int, Any, str]:
        yield from range(n)
        return f"{n} in all"

    def all_of(n: int) -> Generator[int, Any, str]:
        return (yield from Policy(Retry(3))(count)(n))

    for n in (0, 2):
        said = list[str]()

        def outer(n: int = n, said: list[str] = said) -> Iterator[int]:
            said.append((yield from all_of(n)))

        assert list(outer()) == list(range(n))
        assert said == [f"{n} in all"]


async def test_the_first_item_of_a_generator_called_through_a_policy_is_tried_again():
    begun: list[int] = []

    def flaky(n: int) -> Iterator[int]:
        begun.append(n)
        if len(begun) < 3:
            raise ConnectionError
        yield from range(n)

    async def flaky_async(n: int) -> AsyncIterator[int]:
        for number in flaky(n):
            yield number

    guard = Policy(Retry(3, delay=0), idempotent=True)
    assert list(guard(flaky, 2)) == [0, 1]
    begun.clear()
    assert [one async for one in guard(flaky_async, 2)] == [0, 1]
