"""Versions live side by side, small changes are guarded, and what goes astray says where."""

from pathlib import Path

import msgspec
import pytest

from isthmus import App, ConfigError, Retry
from isthmus.errors import CorruptedError
from isthmus.sagas import (
    Compensate,
    NotDeterministicError,
    RecordedSaga,
    Saga,
    SagaCompensatedError,
    SagaStuckError,
)
from isthmus.testing import replay


class Go(msgspec.Struct):
    n: int = 0


async def do(name: str) -> str:
    return name


async def undo(name: str) -> None:
    pass


ENGINE = "memory://sagas-versions"


def opened(app: App):
    """An App on the database of the test, after those before it."""
    return app.test(engine=ENGINE)


@pytest.fixture
async def keeper():
    """Keep the database while no App of the test is open."""
    app = App("shop")
    async with app.test(engine=ENGINE):
        yield


def one(app: App, *, version: int = 1):
    @app.saga("fulfil", version=version)
    async def fulfil(saga: Saga) -> str:
        first = await saga.step(do, f"first-{version}")
        await saga.wait_for(Go)
        return first + await saga.step(do, "last", name="last")

    return fulfil


async def test_a_running_saga_ends_by_the_version_it_was_started_with(keeper: None) -> None:
    both = App("shop")
    first, second = one(both), one(both, version=2)
    async with opened(both) as t:
        a, b = await first.start(id="a"), await second.start(id="b")
        await t.settle()
        for handle in (a, b):
            await handle.signal(Go())
        await t.settle()
        assert await a.result() == "first-1last"
        assert await b.result() == "first-2last"
        assert [(await each.status()).version for each in (a, b)] == [1, 2]


async def test_a_missing_version_is_stuck_until_it_is_registered(keeper: None) -> None:
    old = App("shop")
    fulfil = one(old)
    async with opened(old) as t:
        await fulfil.start(id="a")
        await t.settle()
    new = App("shop")
    newer = one(new, version=2)
    async with opened(new) as t:
        handle = newer.handle("a")
        await handle.signal(Go())
        await t.settle()
        with pytest.raises(SagaStuckError, match=r"version 1 .* is not registered here: 2 is"):
            await handle.result()
        assert (await handle.status()).reason == "version missing"
    again = App("shop")
    first = one(again)
    one(again, version=2)
    async with opened(again) as t:
        handle = first.handle("a")
        await handle.resume()
        await t.settle()
        assert await handle.result() == "first-1last"


def changed(app: App, how: str):
    @app.saga("fulfil", retry=Retry(1))
    async def fulfil(saga: Saga) -> str:
        match how:
            case "renamed":
                await saga.step(do, "first-1", name="other")
            case "other kind":
                await saga.sleep(1)
            case "shorter":
                return ""
            case "refused":
                raise Compensate("no")
            case "guarded":
                if saga.patched("gift"):
                    await saga.step(do, "wrap", name="wrap")
                await saga.step(do, "first-1")
            case "inserted":
                await saga.step(do, "wrap", name="wrap")
                await saga.step(do, "first-1")
            case _:
                await saga.step(do, "first-1")
        await saga.wait_for(Go)
        return await saga.step(do, "last", name="last")

    return fulfil


ASTRAY = {
    "renamed": "at 1 the history has step 'do', and the function asks for step 'other'",
    "other kind": "at 1 the history has step 'do', and the function asks for sleep",
    "shorter": "at 1 the history has step 'do', and the function asks for its end",
    "refused": "at 1 the history has step 'do', and the function asks for its end",
    "inserted": "at 1 the history has step 'do', and the function asks for step 'wrap'",
}


@pytest.mark.parametrize("how", ASTRAY)
async def test_a_function_that_goes_another_way_is_stuck_and_says_where(
    how: str, keeper: None
) -> None:
    before = App("shop")
    fulfil = changed(before, "as it was")
    async with opened(before) as t:
        handle = await fulfil.start(id=how)
        await t.settle()
        recorded = await handle.recorded()
    after = App("shop")
    fulfil = changed(after, how)
    async with opened(after) as t:
        handle = fulfil.handle(how)
        await handle.signal(Go())
        await t.settle()
        with pytest.raises(SagaStuckError, match=ASTRAY[how]):
            await handle.result()
        assert (await handle.status()).reason == "nondeterministic"
    with pytest.raises(NotDeterministicError, match=ASTRAY[how]) as error:
        replay(fulfil, recorded)
    assert error.value.__notes__ == [f"saga fulfil/{how}, version 1, in memory"]
    mended = App("shop")
    fulfil = changed(mended, "as it was")
    async with opened(mended) as t:
        handle = fulfil.handle(how)
        await handle.resume()
        await t.settle()
        assert await handle.result() == "last"
        replay(fulfil, await handle.recorded())


async def test_a_guarded_change_leaves_old_sagas_on_their_way(keeper: None) -> None:
    before = App("shop")
    fulfil = changed(before, "as it was")
    async with opened(before) as t:
        await fulfil.start(id="old")
        await t.settle()
    after = App("shop")
    fulfil = changed(after, "guarded")
    async with opened(after) as t:
        old, new = fulfil.handle("old"), await fulfil.start(id="new")
        for handle in (old, new):
            await handle.signal(Go())
        await t.settle()
        assert [await each.result() for each in (old, new)] == ["last", "last"]
        assert [(await each.status()).steps for each in (old, new)] == [2, 3]
        replay(fulfil, await old.recorded(), await new.recorded())


async def test_a_patch_is_answered_alike_in_a_loop_that_it_came_into() -> None:
    app, answers = App("shop"), list[bool]()

    @app.saga("loop")
    async def loop(saga: Saga) -> None:
        del answers[:]
        for _ in range(3):
            answers.append(saga.patched("x"))
            await saga.wait_for(Go)

    async with app.test() as t:
        handle = await loop.start(id="1")
        for _ in range(3):
            await t.settle()
            await handle.signal(Go())
        await t.settle()
        await handle.result()
        assert answers == [True, True, True]


async def test_histories_are_files_that_ci_plays_again(tmp_path: Path) -> None:
    app = App("shop")

    @app.saga("fulfil", version=3)
    async def fulfil(saga: Saga, raw: bytes) -> bytes:
        async def echo(value: bytes) -> bytes:
            return value

        await saga.gather(saga.step(do, "a", undo=undo), saga.sleep(1))
        await saga.wait_for(Go, key="k", timeout=1)
        return await saga.step(echo, raw)

    async with app.test() as t:
        handle = await fulfil.start(b"\xff\x00", id="1")
        await t.advance(5)
        assert await handle.result() == b"\xff\x00"
        recorded = await handle.recorded()
        recorded.write(tmp_path / "one.json")
        assert RecordedSaga.read(tmp_path / "one.json") == recorded
        assert '"result": "a"' in (tmp_path / "one.json").read_text()
        assert replay([fulfil], tmp_path) == ["fulfil/1"]
        assert replay(fulfil, str(tmp_path / "one.json")) == ["fulfil/1"]

    @App("other").saga("other")
    async def other(saga: Saga) -> None: ...

    with pytest.raises(ConfigError, match="a history of saga fulfil/3, and given are: other/1"):
        replay(other, tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"has no \*.json"):
        replay(fulfil, tmp_path / "empty")
    (tmp_path / "one.json").write_text("[1]")
    with pytest.raises(CorruptedError, match="no recorded history"):
        replay(fulfil, tmp_path)


async def test_a_compensated_saga_plays_again() -> None:
    app = App("shop")

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> None:
        await saga.step(do, "a", undo=undo)
        raise Compensate("no")

    async with app.test() as t:
        handle = await fulfil.start(id="1")
        await t.settle()
        with pytest.raises(SagaCompensatedError):
            await handle.result()
        assert replay(fulfil, await handle.recorded()) == ["fulfil/1"]


async def test_a_defect_found_by_a_replay_is_told() -> None:
    app, broken = App("shop"), list[str]()

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> None:
        await saga.step(do, "a")
        if broken:
            raise KeyError(broken[0])

    async with app.test() as t:
        handle = await fulfil.start(id="1")
        await t.settle()
        recorded = await handle.recorded()
        broken.append("x")
        with pytest.raises(KeyError, match="x"):
            replay(fulfil, recorded)


def test_a_version_is_declared_once() -> None:
    app = App("shop")
    one(app)
    with pytest.raises(ConfigError, match="'fulfil/1' is declared twice"):
        one(app)
