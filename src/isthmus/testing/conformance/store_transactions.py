"""All of it, or nothing: what a transaction does to messages, records and entries."""

# ruff: noqa: PT012  # what raises is the end of a block, not one call

import asyncio
from typing import Any

import pytest

from isthmus.connect import connect
from isthmus.contracts import Delivery, Member, Put, Transaction
from isthmus.errors import ConfigError, ConflictError, LeaseLostError, UnsupportedError
from isthmus.testing.conformance.desk import Desk, DeskTests
from isthmus.testing.conformance.ledger import SESSION, Ledger, texts
from isthmus.testing.conformance.orders import Taker, bodies
from isthmus.testing.conformance.wiring import PROMPT

__all__ = ["TransactionTests"]


class Oops(Exception):  # noqa: N818  # it is no error, it is thrown to see what happens
    """What a handler of the user's raises."""


async def held(desk: Desk, text: str = "a") -> tuple[Taker, Delivery]:
    taker = await desk.orders.taker(lease=30)
    await desk.orders.send(text)
    return taker, await taker.one()


async def stale(desk: Desk) -> tuple[Taker, Delivery]:
    taker, delivery = await held(desk)
    await taker.ack(delivery)
    return taker, delivery


async def owner(desk: Desk) -> Member:
    await desk.ledger.append("r1", "r2")
    return await desk.ledger.owner()


class TransactionTests(DeskTests):
    # --- beginning and ending

    async def test_a_transaction_has_the_scope_of_its_store(self, desk: Desk) -> None:
        tx = desk.begin()
        assert tx.scope == desk.shelf.able.scope
        await tx.rollback()

    async def test_leaving_the_block_commits(self, desk: Desk) -> None:
        async with desk.begin() as tx:
            await desk.shelf.put("a", "1", tx=tx)
            assert await desk.shelf.values("a") == {}
        assert await desk.shelf.values("a") == {"a": "1"}

    async def test_an_error_rolls_back_and_goes_on(self, desk: Desk) -> None:
        with pytest.raises(Oops):
            async with desk.begin() as tx:
                await desk.shelf.put("a", "1", tx=tx)
                raise Oops
        assert await desk.shelf.values("a") == {}

    async def test_a_cancelled_block_is_rolled_back(self, desk: Desk) -> None:
        entered = asyncio.Event()

        async def handler() -> None:
            async with desk.begin() as tx:
                await desk.shelf.put("a", "1", tx=tx)
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(handler())
        await entered.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await desk.shelf.values("a") == {}

    async def test_a_block_may_end_its_transaction_itself(self, desk: Desk) -> None:
        async with desk.begin() as tx:
            await desk.shelf.put("a", "1", tx=tx)
            await tx.commit()
        async with desk.begin() as tx:
            await desk.shelf.put("b", "1", tx=tx)
            await tx.rollback()
        assert await desk.shelf.scan() == {"a": "1"}

    async def test_an_empty_transaction_commits(self, desk: Desk) -> None:
        async with desk.begin():
            pass

    @pytest.mark.parametrize("end", ["commit", "rollback"])
    async def test_a_transaction_ends_once(self, desk: Desk, end: str) -> None:
        tx = desk.begin()
        await desk.shelf.put("a", "1", tx=tx)
        await getattr(tx, end)()
        with pytest.raises(ConfigError, match="ended"):
            await tx.commit()
        with pytest.raises(ConfigError, match="ended"):
            await desk.shelf.put("b", "1", tx=tx)
        with pytest.raises(ConfigError, match="ended"):
            await desk.shelf.values("a", tx=tx)
        assert await desk.shelf.values("b") == {}

    async def test_after_its_end_nothing_takes_it(self, desk: Desk) -> None:
        taker, delivery = await held(desk)
        member = await owner(desk)
        tx = desk.begin()
        await tx.commit()
        with pytest.raises(ConfigError, match="ended"):
            await desk.orders.send("b", tx=tx)
        with pytest.raises(ConfigError, match="ended"):
            await taker.ack(delivery, tx=tx)
        with pytest.raises(ConfigError, match="ended"):
            await desk.ledger.append("b", tx=tx)
        with pytest.raises(ConfigError, match="ended"):
            await member.commit({0: 1}, tx=tx)
        await taker.ack(delivery)

    async def test_a_failed_commit_is_an_end(self, desk: Desk) -> None:
        await desk.shelf.put("a", "1")
        tx = desk.begin()
        await desk.shelf.put("a", "2", if_version=0, tx=tx)
        with pytest.raises(ConflictError):
            await tx.commit()
        with pytest.raises(ConfigError, match="ended"):
            await desk.shelf.put("b", "1", tx=tx)

    async def test_the_steps_apply_in_the_order_of_the_calls(self, desk: Desk) -> None:
        async with desk.begin() as tx:
            await desk.shelf.put("a", "1", if_version=0, tx=tx)
            await desk.shelf.put("a", "2", if_version=1, tx=tx)
            await desk.shelf.put("a", None, if_version=2, tx=tx)
            await desk.shelf.put("a", "3", if_version=0, tx=tx)
        assert await desk.shelf.scan() == {"a": "3"}

    # --- each of the calls

    async def test_a_send_leaves_with_the_commit(self, desk: Desk) -> None:
        taker = await desk.orders.taker()
        tx = desk.begin()
        await desk.orders.send("a", "b", tx=tx)
        assert await taker.finds_nothing()
        await tx.commit()
        assert bodies(await taker.take_all()) == ["a", "b"]

    async def test_a_send_rolled_back_never_was(self, desk: Desk) -> None:
        tx = desk.begin()
        await desk.orders.send("a", tx=tx)
        await tx.rollback()
        assert await (await desk.orders.taker()).finds_nothing()

    async def test_a_delayed_send_waits_for_both(self, desk: Desk) -> None:
        async with desk.begin() as tx:
            await desk.orders.send("a", delay=10, tx=tx)
        taker = await desk.orders.taker()
        await desk.orders.elapse(9)
        assert await taker.finds_nothing()
        await desk.orders.elapse(1)
        assert bodies(await taker.take()) == ["a"]

    async def test_a_commit_wakes_a_waiting_receive(self, desk: Desk) -> None:
        taker = await desk.orders.taker()
        receiving = asyncio.create_task(taker.receiver.receive(1, wait=1000 * desk.orders.tick))
        await desk.orders.pause()
        async with desk.begin() as tx:
            await desk.orders.send("a", tx=tx)
        async with asyncio.timeout(PROMPT):
            assert bodies(await receiving) == ["a"]

    async def test_an_ack_happens_with_the_commit(self, desk: Desk) -> None:
        taker, delivery = await held(desk)
        tx = desk.begin()
        await taker.ack(delivery, tx=tx)
        assert (await desk.orders.stats()).leased in {1, -1}
        await tx.commit()
        assert (await desk.orders.stats()).leased in {0, -1}
        with pytest.raises(LeaseLostError):
            await taker.ack(delivery)
        await desk.orders.elapse(40)
        assert await taker.finds_nothing()

    async def test_an_ack_rolled_back_leaves_the_delivery_held(self, desk: Desk) -> None:
        taker, delivery = await held(desk)
        tx = desk.begin()
        await taker.ack(delivery, tx=tx)
        await tx.rollback()
        assert await taker.finds_nothing()
        await taker.extend(delivery)
        await taker.nack(delivery)
        assert (await taker.one()).attempt == 2

    async def test_a_nack_happens_with_the_commit(self, desk: Desk) -> None:
        taker, delivery = await held(desk)
        tx = desk.begin()
        await taker.nack(delivery, headers={"x": "1"}, tx=tx)
        assert await taker.finds_nothing()
        await tx.commit()
        again = await taker.one()
        assert (again.attempt, again.message.headers) == (2, {"x": "1"})

    async def test_a_nack_rolled_back_changes_nothing(self, desk: Desk) -> None:
        taker, delivery = await held(desk)
        tx = desk.begin()
        await taker.nack(delivery, headers={"x": "1"}, tx=tx)
        await tx.rollback()
        await taker.nack(delivery, headers={"y": "2"})
        again = await taker.one()
        assert (again.attempt, again.message.headers) == (2, {"y": "2"})

    async def test_a_removal_happens_with_the_commit(self, desk: Desk) -> None:
        a, b = await desk.orders.send("a", "b")
        tx = desk.begin()
        assert await desk.orders.remove(a, tx=tx) == 0
        await tx.rollback()
        tx = desk.begin()
        assert await desk.orders.remove(b, tx=tx) == 0
        assert bodies(await desk.orders.browse()) == ["a", "b"]
        await tx.commit()
        assert bodies(await (await desk.orders.taker()).take_all()) == ["a"]

    async def test_an_append_happens_with_the_commit(self, desk: Desk) -> None:
        tx = desk.begin()
        await desk.ledger.append("a", "b", tx=tx)
        assert not await desk.ledger.read()
        await tx.commit()
        assert texts(await desk.ledger.read()) == ["a", "b"]

    async def test_an_append_rolled_back_never_was(self, desk: Desk) -> None:
        tx = desk.begin()
        await desk.ledger.append("a", tx=tx)
        await tx.rollback()
        await desk.ledger.append("b")
        assert texts(await desk.ledger.read()) == ["b"]

    async def test_a_commit_wakes_a_waiting_read(self, desk: Desk) -> None:
        log = desk.ledger
        reading = asyncio.create_task(
            log.engine_log.read(log.log, 0, offset=0, limit=9, wait=1000 * log.tick)
        )
        await log.pause()
        async with desk.begin() as tx:
            await log.append("a", tx=tx)
        async with asyncio.timeout(PROMPT):
            assert texts(await reading) == ["a"]

    async def test_a_position_is_set_with_the_commit(self, desk: Desk) -> None:
        member = await owner(desk)
        tx = desk.begin()
        await member.commit({0: 1}, tx=tx)
        assert await desk.ledger.positions() == {0: 0}
        await tx.commit()
        assert await desk.ledger.positions() == {0: 1}
        tx = desk.begin()
        await member.commit({0: 2}, tx=tx)
        await tx.rollback()
        assert await desk.ledger.positions() == {0: 1}

    # --- what undoes everything

    async def everything(self, desk: Desk, tx: Transaction) -> None:
        """One of each, to see whether it is undone."""
        taker, delivery = await held(desk, "held")
        await desk.orders.send("sent", tx=tx)
        await taker.nack(delivery, delay=1000, headers={"x": "1"}, tx=tx)
        await desk.ledger.append("appended", tx=tx)
        await desk.shelf.put("put", "1", tx=tx)

    async def nothing_happened(self, desk: Desk) -> bool:
        await desk.orders.elapse(31)
        taken = await (await desk.orders.taker()).take_all()
        assert [(each.message.body, dict(each.message.headers)) for each in taken] == [
            (b"held", {})
        ]
        assert "appended" not in texts(await desk.ledger.read())
        assert await desk.shelf.values("put") == {}
        return True

    async def test_all_of_it_commits_together(self, desk: Desk) -> None:
        async with desk.begin() as tx:
            await self.everything(desk, tx)
            member = await owner(desk)
            await member.commit({0: 2}, tx=tx)
        assert bodies(await (await desk.orders.taker()).take_all()) == ["sent"]
        assert texts(await desk.ledger.read()) == ["r1", "r2", "appended"]
        assert await desk.shelf.values("put") == {"put": "1"}
        assert await desk.ledger.positions() == {0: 2}

    async def test_a_stale_receipt_undoes_everything(self, desk: Desk) -> None:
        taker, delivery = await stale(desk)
        with pytest.raises(LeaseLostError) as caught:
            async with desk.begin() as tx:
                await self.everything(desk, tx)
                await taker.ack(delivery, tx=tx)
        assert caught.value.lost == (delivery.receipt,)
        assert await self.nothing_happened(desk)

    async def test_a_stale_receipt_undoes_what_comes_after_it(self, desk: Desk) -> None:
        taker, delivery = await stale(desk)
        with pytest.raises(LeaseLostError):
            async with desk.begin() as tx:
                await taker.ack(delivery, tx=tx)
                await self.everything(desk, tx)
        assert await self.nothing_happened(desk)

    async def test_one_stale_receipt_of_many_undoes_the_others(self, desk: Desk) -> None:
        taker, delivery = await stale(desk)
        await desk.orders.send("b")
        b = await taker.one()
        with pytest.raises(LeaseLostError) as caught:
            async with desk.begin() as tx:
                await taker.ack(b, delivery, tx=tx)
        assert caught.value.lost == (delivery.receipt,)
        await taker.nack(b)
        assert bodies(await taker.take_all()) == ["b"]

    async def test_a_receipt_taken_over_meanwhile_undoes_everything(self, desk: Desk) -> None:
        if not desk.orders.able.timed:
            pytest.skip("capability: timed")
        await desk.orders.send("a")
        taker = await desk.orders.taker(lease=10)
        delivery = await taker.one()
        tx = desk.begin()
        await desk.shelf.put("put", "1", tx=tx)
        await taker.ack(delivery, tx=tx)
        await desk.orders.elapse(10)
        other = await desk.orders.taker()
        again = await other.one()
        with pytest.raises(LeaseLostError):
            await tx.commit()
        assert await desk.shelf.values("put") == {}
        await other.ack(again)

    async def test_a_receipt_settles_in_one_of_two_transactions(self, desk: Desk) -> None:
        taker, delivery = await held(desk)
        one, two = desk.begin(), desk.begin()
        for key, tx in (("one", one), ("two", two)):
            await desk.shelf.put(key, "1", tx=tx)
            await taker.ack(delivery, tx=tx)
        await one.commit()
        with pytest.raises(LeaseLostError):
            await two.commit()
        assert await desk.shelf.scan() == {"one": "1"}

    async def test_a_put_that_conflicts_undoes_everything(self, desk: Desk) -> None:
        await desk.shelf.put("taken", "1")
        with pytest.raises(ConflictError) as caught:
            async with desk.begin() as tx:
                await self.everything(desk, tx)
                await desk.shelf.put("taken", "2", if_version=0, tx=tx)
        assert caught.value.subject == f"{desk.shelf.space}/taken"
        assert await self.nothing_happened(desk)

    async def test_a_put_that_conflicts_undoes_what_comes_after_it(self, desk: Desk) -> None:
        await desk.shelf.put("taken", "1")
        with pytest.raises(ConflictError):
            async with desk.begin() as tx:
                await desk.shelf.put("taken", "2", if_version=0, tx=tx)
                await self.everything(desk, tx)
        assert await self.nothing_happened(desk)

    async def test_a_version_that_conflicts_undoes_everything(self, desk: Desk) -> None:
        log = versioned(desk)
        await log.declare_versioned()
        await log.append("first", key="k")
        with pytest.raises(ConflictError) as caught:
            async with desk.begin() as tx:
                await self.everything(desk, tx)
                await log.append("second", key="k", expected={"k": 0}, tx=tx)
        assert caught.value.subject == f"{log.log}/k"
        assert await self.nothing_happened(desk)
        await log.append("second", key="k", expected={"k": 1})

    async def test_a_lost_partition_undoes_everything(self, desk: Desk) -> None:
        member = await owner(desk)
        await member.release([0])
        with pytest.raises(LeaseLostError) as caught:
            async with desk.begin() as tx:
                await self.everything(desk, tx)
                await member.commit({0: 1}, tx=tx)
        assert caught.value.lost == (0,)
        assert await self.nothing_happened(desk)
        assert await desk.ledger.positions() == {0: 0}

    async def test_a_partition_lost_meanwhile_undoes_everything(self, desk: Desk) -> None:
        former = await owner(desk)
        tx = desk.begin()
        await former.commit({0: 1}, tx=tx)
        await desk.shelf.put("put", "1", tx=tx)
        await desk.ledger.elapse(SESSION * 1.1)
        other = await desk.ledger.join()
        await desk.ledger.share_out(other)
        with pytest.raises(LeaseLostError):
            await tx.commit()
        assert await desk.shelf.values("put") == {}
        assert await desk.ledger.positions() == {0: 0}

    async def test_a_partition_lost_and_regained_undoes_everything(self, desk: Desk) -> None:
        member = await owner(desk)
        tx = desk.begin()
        await member.commit({0: 1}, tx=tx)
        await desk.ledger.engine_log.seek(desk.ledger.log, desk.ledger.group, {0: 0})
        await desk.ledger.share_out(member)
        assert 0 in member.owned
        with pytest.raises(LeaseLostError):
            await tx.commit()
        assert await desk.ledger.positions() == {0: 0}

    # --- guards

    async def test_a_guard_lets_the_owner_commit(self, desk: Desk) -> None:
        member = await owner(desk)
        one, two = desk.begin(), desk.begin()
        for key, tx in (("one", one), ("two", two)):
            await member.guard([0], tx=tx)
            await desk.shelf.put(key, "1", tx=tx)
        await one.commit()
        await two.commit()
        assert await desk.shelf.scan() == {"one": "1", "two": "1"}
        assert await desk.ledger.positions() == {0: 0}

    async def test_a_guard_stops_a_former_owner(self, desk: Desk) -> None:
        former = await owner(desk)
        await desk.ledger.elapse(SESSION * 1.1)
        other = await desk.ledger.join()
        await desk.ledger.share_out(other)
        with pytest.raises(LeaseLostError) as caught:
            async with desk.begin() as tx:
                await desk.shelf.put("put", "1", tx=tx)
                await former.guard([0], tx=tx)
        assert caught.value.lost == (0,)
        assert await desk.shelf.values("put") == {}

    async def test_a_guard_stops_who_loses_the_partition_meanwhile(self, desk: Desk) -> None:
        member = await owner(desk)
        tx = desk.begin()
        await member.guard([0], tx=tx)
        await desk.shelf.put("put", "1", tx=tx)
        await desk.ledger.engine_log.seek(desk.ledger.log, desk.ledger.group, {0: 0})
        with pytest.raises(LeaseLostError):
            await tx.commit()
        assert await desk.shelf.values("put") == {}

    # --- reading

    async def test_a_read_does_not_see_what_is_staged(self, desk: Desk) -> None:
        await desk.shelf.put("a", "1")
        async with desk.begin() as tx:
            await desk.shelf.put("a", "2", tx=tx)
            assert await desk.shelf.values("a", tx=tx) == {"a": "1"}
        assert await desk.shelf.values("a") == {"a": "2"}

    async def test_what_was_read_and_stays_lets_the_commit_pass(self, desk: Desk) -> None:
        await desk.shelf.put("a", "1")
        async with desk.begin() as tx:
            assert await desk.shelf.values("a", "absent", tx=tx) == {"a": "1"}
            await desk.shelf.put("a", "2", tx=tx)
            await desk.shelf.put("elsewhere", "1")
        assert await desk.shelf.values("a") == {"a": "2"}

    @pytest.mark.parametrize("change", [Put("a", b"2"), Put("a", None), Put("absent", b"2")])
    async def test_what_was_read_and_changed_is_a_conflict(self, desk: Desk, change: Put) -> None:
        await desk.shelf.put("a", "1")
        with pytest.raises(ConflictError):
            async with desk.begin() as tx:
                await desk.shelf.values("a", "absent", tx=tx)
                await desk.shelf.put("b", "1", tx=tx)
                await desk.shelf.puts(change)
        assert await desk.shelf.values("b") == {}

    async def test_a_history_that_was_read_and_grew_is_a_conflict(self, desk: Desk) -> None:
        log = versioned(desk)
        await log.declare_versioned()
        await log.append("a", key="k")
        async with desk.begin() as tx:
            assert texts(await log.history("k", tx=tx)) == ["a"]
            await log.append("b", key="k", expected={"k": 1}, tx=tx)
        with pytest.raises(ConflictError):
            async with desk.begin() as tx:
                assert texts(await log.history("k", tx=tx)) == ["a", "b"]
                await desk.shelf.put("put", "1", tx=tx)
                await log.append("c", key="k")
        assert await desk.shelf.values("put") == {}

    async def test_of_many_who_count_none_is_lost(self, desk: Desk) -> None:
        await desk.shelf.put("count", "0")

        async def count() -> None:
            for attempt in range(1, 100):
                try:
                    async with desk.shelf.store.begin(attempt=attempt) as tx:
                        counted = await desk.shelf.values("count", tx=tx)
                        await asyncio.sleep(0)
                        await desk.shelf.put("count", str(int(counted["count"]) + 1), tx=tx)
                except ConflictError:
                    continue
                return
            pytest.fail("99 conflicts in a row")

        await asyncio.gather(*(count() for _ in range(10)))
        assert await desk.shelf.values("count") == {"count": "10"}

    # --- others

    async def test_an_open_transaction_makes_nobody_wait(self, desk: Desk) -> None:
        async with asyncio.timeout(PROMPT), desk.begin() as tx:
            await desk.shelf.put("a", "1", tx=tx)
            await desk.orders.send("a", tx=tx)
            await desk.ledger.append("a", tx=tx)
            await desk.shelf.put("b", "1")
            await desk.orders.send("b")
            await desk.ledger.append("b")
            async with desk.begin() as other:
                await desk.shelf.put("c", "1", tx=other)
        assert await desk.shelf.scan() == {"a": "1", "b": "1", "c": "1"}
        assert texts(await desk.ledger.read()) == ["b", "a"]

    async def test_a_transaction_of_another_database_is_refused(self, desk: Desk) -> None:
        elsewhere = await connect("memory://", clock=desk.shelf.clock)
        assert elsewhere.store is not None
        taker, delivery = await held(desk)
        member = await owner(desk)
        async with elsewhere.store.begin() as tx:
            refused: list[Any] = [
                lambda: desk.orders.send("b", tx=tx),
                lambda: taker.ack(delivery, tx=tx),
                lambda: desk.ledger.append("b", tx=tx),
                lambda: member.commit({0: 1}, tx=tx),
                lambda: member.guard([0], tx=tx),
                lambda: desk.shelf.put("b", "1", tx=tx),
                lambda: desk.shelf.values("b", tx=tx),
            ]
            for call in refused:
                with pytest.raises(ConfigError, match="memory://"):
                    await call()
        await elsewhere.aclose()
        await taker.ack(delivery)
        assert await taker.finds_nothing()

    async def test_what_is_no_connection_is_not_adopted(self, desk: Desk) -> None:
        with pytest.raises(UnsupportedError):
            desk.shelf.store.adopt(object())


def versioned(desk: Desk) -> Ledger:
    """Another log than the desk's, for records with versions."""
    log = desk.ledger
    if not log.able.versioned:
        pytest.skip("capability: versioned")
    return Ledger(
        log.engine, clock=log.clock, opening=log.opening, tick=log.tick, patience=log.patience
    )
