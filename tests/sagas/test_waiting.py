"""Sagas sleep, wait for events, run other sagas, and several things at once."""

from typing import Any

import msgspec
import pytest

from isthmus import App, ConfigError, Retry
from isthmus.sagas import Compensate, Saga, SagaCompensatedError, StepFailedError
from isthmus.sagas.events import Waiting


class Shipped(msgspec.Struct):
    order: str
    carrier: str = "x"


class Approved(msgspec.Struct):
    by: str


async def test_a_saga_sleeps_without_being_held(engine: str) -> None:
    app = App("shop")

    @app.saga("nap")
    async def nap(saga: Saga) -> float:
        before = saga.now()
        await saga.sleep(60)
        return (saga.now() - before).total_seconds()

    async with app.test(engine=engine) as t:
        handle = await nap.start(id="1")
        await t.settle()
        assert (await handle.status()).waits_for == ("sleep",)
        stats = await t.host.letters.stats("isthmus.saga.nap", "run")
        assert (stats.ready, stats.leased) == (0, 0)
        await t.advance(59)
        assert (await handle.status()).status == "running"
        await t.advance(2)
        assert 60 <= await handle.result() < 62


async def test_a_signal_reaches_the_saga_that_waits_for_it(engine: str) -> None:
    app = App("shop")

    @app.saga("approve")
    async def approve(saga: Saga) -> str:
        approved = await saga.wait_for(Approved)
        assert approved is not None
        return approved.by

    async with app.test(engine=engine) as t:
        handle = await approve.start(id="1")
        await t.settle()
        await handle.signal(Shipped("other"))
        await handle.signal(Approved("ann"))
        await t.settle()
        assert await handle.result() == "ann"


async def test_events_that_come_early_are_kept_in_their_order(engine: str) -> None:
    app = App("shop")

    @app.saga("approve")
    async def approve(saga: Saga) -> list[str]:
        await saga.sleep(10)
        found = [await saga.wait_for(Approved, timeout=10) for _ in range(3)]
        return [each.by if each else "nobody" for each in found]

    async with app.test(engine=engine) as t:
        handle = await approve.start(id="1")
        await handle.signal(Approved("ann"), id="a")
        await handle.signal(Approved("ann"), id="a")
        await handle.signal(Approved("bob"))
        await t.advance(11)
        assert (await handle.status()).status == "running"
        await t.advance(11)
        assert await handle.result() == ["ann", "bob", "nobody"]


async def test_what_is_published_reaches_the_saga_by_its_key(engine: str) -> None:
    app = App("shop")
    shipped = app.topic("shipped", Shipped)

    @app.saga("fulfil", on=[shipped])
    async def fulfil(saga: Saga, order: str) -> str:
        event = await saga.wait_for(Shipped, key=order, timeout=60)
        return event.carrier if event else "late"

    async with app.test(engine=engine) as t:
        one, two = await fulfil.start("1", id="a"), await fulfil.start("2", id="b")
        await t.settle()
        await shipped.publish(Shipped("1", "ups"), key="1")
        await t.settle()
        assert await one.result() == "ups"
        assert (await two.status()).waits_for == ("wait_for 'Shipped'",)
        await t.advance(61)
        assert await two.result() == "late"
        await shipped.publish(Shipped("3", "dhl"), key="3")
        await t.settle()
        three = await fulfil.start("3", id="c")
        await t.settle()
        assert await three.result() == "dhl"


async def test_an_event_without_a_key_is_a_dead_letter_that_says_so(engine: str) -> None:
    app = App("shop")
    shipped = app.topic("shipped", Shipped)

    @app.saga("fulfil", version=1, on=[shipped])
    async def fulfil(saga: Saga) -> None:
        await saga.wait_for(Shipped, key="1")

    @app.saga("fulfil", version=2, on=[shipped])
    async def newer(saga: Saga) -> None:
        await saga.wait_for(Shipped, key="1")

    async with app.test(engine=engine) as t:
        await shipped.publish(Shipped("1"))
        await t.advance(60)
        assert await shipped["saga-fulfil"].dead_letters.count() == 1


async def test_nobody_is_left_waiting_when_a_saga_has_ended(engine: str) -> None:
    app = App("shop")
    shipped = app.topic("shipped", Shipped)

    @app.saga("fulfil", on=[shipped])
    async def fulfil(saga: Saga, order: str) -> None:
        await saga.wait_for(Shipped, key=order)

    async with app.test(engine=engine) as t:
        handle = await fulfil.start("1", id="a")
        await t.settle()
        assert len(await t.host.store.scan("isthmus.sagas.mail")) == 1
        await handle.cancel()
        await t.settle()
        assert (await handle.status()).status == "compensated"
        assert await t.host.store.scan("isthmus.sagas.mail") == []


async def test_branches_run_at_once_and_give_their_results_in_order(engine: str) -> None:
    app, running, most = App("trips"), [0], [0]

    @app.saga("book")
    async def book(saga: Saga) -> list[Any]:
        async def both(name: str) -> str:
            first = await saga.step(slow, f"{name}1")
            return first + await saga.step(slow, f"{name}2")

        async with saga.parallel() as branches:
            room = branches.start(saga.step(slow, "room"))
            seat = branches.start(both("seat"))
        gathered = await saga.gather(saga.step(slow, "a"), saga.sleep(5), saga.step(slow, "b"))
        return [room.result, seat.result, *gathered]

    async with app.test(engine=engine) as t:

        async def slow(name: str) -> str:
            running[0] += 1
            most[0] = max(most[0], running[0])
            await t.clock.sleep(10)
            running[0] -= 1
            return name

        handle = await book.start(id="1")
        await t.advance(60)
        assert await handle.result() == ["room", "seat1seat2", "a", None, "b"]
        assert most == [2]


async def test_a_branch_that_fails_fails_the_others_once_what_runs_has_ended(engine: str) -> None:
    app, log = App("trips"), list[str]()

    async def refuse() -> None:
        log.append("refuse")
        raise Compensate("full")

    async def undo(name: str) -> None:
        log.append(f"un{name}")

    @app.saga("book")
    async def book(saga: Saga) -> None:
        async def two() -> None:
            await saga.step(slow, "seat", undo=undo)
            await saga.step(slow, "meal", undo=undo)

        await saga.gather(two(), saga.wait_for(Approved), saga.step(refuse))

    async with app.test(engine=engine) as t:

        async def slow(name: str) -> str:
            await t.clock.sleep(10)
            log.append(name)
            return name

        handle = await book.start(id="1")
        await t.advance(60)
        with pytest.raises(SagaCompensatedError, match="full"):
            await handle.result()
        assert log == ["refuse", "seat", "unseat"]


async def test_a_gathering_that_failed_may_be_caught(engine: str) -> None:
    app = App("trips")

    async def refuse() -> None:
        raise Compensate("full")

    async def plan(name: str) -> str:
        return name

    @app.saga("book")
    async def book(saga: Saga) -> str:
        try:
            await saga.gather(saga.wait_for(Approved), saga.step(refuse))
        except StepFailedError:
            await saga.sleep(5)
            return await saga.step(plan, "train")
        return ""

    async with app.test(engine=engine) as t:
        handle = await book.start(id="1")
        await t.advance(10)
        assert await handle.result() == "train"


async def test_a_saga_runs_another_and_has_its_result(engine: str) -> None:
    app = App("shop")

    @app.saga("pay")
    async def pay(saga: Saga, total: int) -> int:
        await saga.sleep(10)
        return total + 1

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> int:
        return await saga.run(pay, 41)

    async with app.test(engine=engine) as t:
        handle = await fulfil.start(id="1")
        await t.advance(11)
        assert await handle.result() == 42
        assert await pay.handle("1.1").result() == 42


async def test_a_child_that_is_compensated_has_its_parent_compensate(engine: str) -> None:
    app, log = App("shop"), list[str]()

    async def do(name: str) -> str:
        log.append(name)
        return name

    async def undo(name: str) -> None:
        log.append(f"un{name}")

    @app.saga("pay")
    async def pay(saga: Saga, name: str) -> None:
        await saga.step(do, name, undo=undo)
        if name == "bad":
            raise Compensate("no funds")

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> None:
        await saga.step(do, "reserve", undo=undo)
        await saga.run(pay, "good", id="good")
        await saga.run(pay, "bad", id="bad")

    async with app.test(engine=engine) as t:
        handle = await fulfil.start(id="1")
        await t.settle()
        with pytest.raises(SagaCompensatedError, match="no funds"):
            await handle.result()
        assert log == ["reserve", "good", "bad", "unbad", "ungood", "unreserve"]
        assert (await pay.handle("good").status()).status == "compensated"


async def test_a_parent_that_is_cancelled_has_its_child_compensate_first(engine: str) -> None:
    app, log = App("shop"), list[str]()

    async def do(name: str) -> str:
        log.append(name)
        return name

    async def undo(name: str) -> None:
        log.append(f"un{name}")

    @app.saga("pay")
    async def pay(saga: Saga) -> None:
        await saga.step(do, "pay", undo=undo)
        await saga.wait_for(Approved)

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> None:
        await saga.step(do, "reserve", undo=undo)
        await saga.run(pay, None)

    async with app.test(engine=engine) as t:
        handle = await fulfil.start(id="1")
        await t.settle()
        await handle.cancel("gone")
        await t.settle()
        assert (await handle.status()).status == "compensated"
        assert log == ["reserve", "pay", "unpay", "unreserve"]


async def test_the_id_of_a_child_must_be_free(engine: str) -> None:
    app = App("shop")

    @app.saga("pay")
    async def pay(saga: Saga) -> None:
        await saga.wait_for(Approved)

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> None:
        await saga.run(pay, None, id="taken")

    async with app.test(engine=engine) as t:
        await pay.start(id="taken")
        handle = await fulfil.start(id="1")
        await t.settle()
        with pytest.raises(SagaCompensatedError, match="is taken"):
            await handle.result()
        assert (await pay.handle("taken").status()).status == "running"


async def test_a_query_is_answered_from_the_replayed_state(engine: str) -> None:
    app, done = App("shop"), list[str]()

    async def do(name: str) -> str:
        done.append(name)
        return name

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> None:
        saga.state["phase"] = "reserving"
        saga.state["shelf"] = await saga.step(do, "a7")
        saga.state["phase"] = "shipping"
        await saga.wait_for(Shipped)
        saga.state["phase"] = "done"

    @fulfil.query
    def phase(saga: Saga) -> str:
        return f"{saga.state['phase']} {saga.state['shelf']}"

    async with app.test(engine=engine) as t:
        handle = await fulfil.start(id="1")
        await t.settle()
        assert await handle.query(phase) == "shipping a7"
        await handle.signal(Shipped("1"))
        await t.settle()
        assert await handle.query("phase") == "done a7"
        assert done == ["a7"]
        with pytest.raises(ConfigError, match="answers no query 'nonsense' \\(phase\\)"):
            await handle.query("nonsense")


async def test_chance_and_time_are_the_same_whenever_a_saga_is_played(engine: str) -> None:
    app, seen = App("shop"), list[Any]()

    async def note(value: float) -> None:
        pass

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> None:
        played = [saga.random.random(), str(saga.uuid()), saga.now()]
        await saga.step(note, 1.0)
        played += [saga.random.random(), str(saga.uuid()), saga.now()]
        await saga.sleep(5)
        seen.append(played)

    async with app.test(engine=engine) as t:
        one, two = await fulfil.start(id="1"), await fulfil.start(id="2")
        await t.advance(6)
        await one.result()
        await two.result()
        before = sorted(seen)
        del seen[:]

        @fulfil.query
        def nothing(saga: Saga) -> None:
            del saga

        await one.query(nothing)
        await two.query(nothing)
        assert sorted(seen) == before
        assert before[0][:2] != before[1][:2]
        assert before[0][0] != before[0][3]


async def test_a_long_step_is_held_and_tells_how_far_it_is(engine: str) -> None:
    from isthmus.sagas import Heartbeat

    app, begun = App("shop"), list[Any]()

    @app.saga("export", retry=Retry(3, delay=1, jitter="none"), lease=10)
    async def export(saga: Saga) -> str:
        return await saga.step(write, heartbeat=20)

    async with app.test(engine=engine) as t:

        async def write(beat: Heartbeat) -> str:
            begun.append(beat.progress)
            for page in range(beat.progress or 0, 8):
                await t.clock.sleep(15 if page != 4 or len(begun) > 1 else 1e9)
                await beat(page + 1)
            return "written"

        handle = await export.start(id="1")
        await t.advance(70)
        assert begun == [None]
        await t.advance(200)
        assert await handle.result() == "written"
        assert begun == [None, 4]


async def test_operations_are_awaited_in_the_sagas_own_function_only(engine: str) -> None:
    app = App("shop")

    @app.saga("fulfil", retry=Retry(1))
    async def fulfil(saga: Saga) -> None:
        async def nested() -> None:
            await saga.sleep(1)

        await saga.step(nested)

    async with app.test(engine=engine) as t:
        handle = await fulfil.start(id="1")
        await t.settle()
        with pytest.raises(SagaCompensatedError, match="own function only"):
            await handle.result()


async def test_waiting_is_recorded_once(engine: str) -> None:
    app = App("shop")

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> None:
        await saga.wait_for(Shipped)

    async with app.test(engine=engine) as t:
        handle = await fulfil.start(id="1")
        for _ in range(3):
            await handle.signal(Approved("x"))
            await t.settle()
        recorded = [each for each in await handle.history() if isinstance(each, Waiting)]
        assert len(recorded) == 1
