"""Policies of several processes, sharing the App's store."""

from pathlib import Path

import pytest

from isthmus import App, ConfigError
from isthmus.clock import ManualClock
from isthmus.resilience import (
    CircuitBreaker,
    CircuitOpenError,
    Feature,
    Policy,
    RateLimit,
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "sqlite"])
def two(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> list[App]:
    """One App in two processes: on one database, each with objects of its own."""
    urls = {"memory": f"memory://{tmp_path.name}", "sqlite": f"sqlite:///{tmp_path}/shop.db"}
    return [App("shop", engine=urls[request.param], clock=clock) for _ in range(2)]


async def fail() -> None:
    raise ConnectionError("down")


async def test_a_circuit_that_opened_in_one_process_is_open_in_the_other(
    two: list[App], clock: ManualClock
) -> None:
    calls = [
        Policy(
            CircuitBreaker(None, consecutive=1, open_for=60, name="pay", shared=app.shared),
            clock=clock,
        )
        for app in two
    ]
    async with two[0], two[1]:
        with pytest.raises(ConnectionError):
            await calls[0].call(fail)
        with pytest.raises(CircuitOpenError):
            await calls[1].call(fail)


async def test_an_allowance_is_one_for_both(two: list[App], clock: ManualClock) -> None:
    limits = [RateLimit(2, 60, shared=app.shared, name="pay", clock=clock) for app in two]
    async with two[0], two[1]:
        waits = [await limits[n % 2].allow_shared("ann") for n in range(4)]
    assert [wait == 0 for wait in waits] == [True, True, False, False]


async def test_a_feature_is_switched_in_both(two: list[App]) -> None:
    ours, theirs = (Feature("offers", shared=app.shared) for app in two)
    async with two[0], two[1]:
        await ours.off_everywhere("stock is being counted")
        await theirs.refresh()
    assert theirs.reason == "stock is being counted"


async def test_before_the_app_is_open_it_is_told_how_to_open_it(two: list[App]) -> None:
    with pytest.raises(ConfigError, match="isthmus run"):
        await two[0].shared.read("circuit breaker/pay")


async def test_what_a_module_shares_is_in_the_store_of_its_app(two: list[App]) -> None:
    from isthmus import Module

    module = Module("payments")
    two[0].include(module)
    async with two[0]:
        assert await module.shared.write("a", b"1", if_version=0)
        assert not await two[0].shared.write("a", b"2", if_version=0)
        assert await two[0].shared.read("a") == (b"1", 1)


async def test_what_a_handler_found_out_stands_though_it_is_rolled_back(two: list[App]) -> None:
    app = two[0]
    async with app:
        with pytest.raises(ValueError, match="no"):
            async with app.transaction():
                await app.shared.write("a", b"1", if_version=0)
                raise ValueError("no")
        assert (await app.shared.read("a")).value == b"1"


async def test_a_shared_value_is_gone_after_its_ttl(two: list[App], clock: ManualClock) -> None:
    app = two[0]
    async with app:
        await app.shared.write("a", b"1", if_version=0, ttl=10)
        await clock.advance(11)
        assert await app.shared.read("a") == (b"", 0)
