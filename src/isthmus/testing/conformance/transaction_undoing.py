"""All of it, or nothing: one thing that cannot be undoes all the others."""

# ruff: noqa: PT012  # what raises is the end of a block, not one call

import pytest

from isthmus.errors import ConflictError, LeaseLostError
from isthmus.testing.conformance.desk import Desk, DeskTests
from isthmus.testing.conformance.ledger import SESSION, texts
from isthmus.testing.conformance.orders import bodies

__all__ = ["UndoingTests"]


class UndoingTests(DeskTests):
    # --- what undoes everything

    async def test_all_of_it_commits_together(self, desk: Desk) -> None:
        async with desk.begin() as tx:
            await desk.one_of_each(tx)
            member = await desk.owner()
            await member.commit({0: 2}, tx=tx)
        assert bodies(await (await desk.orders.taker()).take_all()) == ["sent"]
        assert texts(await desk.ledger.read()) == ["r1", "r2", "appended"]
        assert await desk.shelf.values("put") == {"put": "1"}
        assert await desk.ledger.positions() == {0: 2}

    async def test_a_stale_receipt_undoes_everything(self, desk: Desk) -> None:
        taker, delivery = await desk.stale()
        with pytest.raises(LeaseLostError) as caught:
            async with desk.begin() as tx:
                await desk.one_of_each(tx)
                await taker.ack(delivery, tx=tx)
        assert caught.value.lost == (delivery.receipt,)
        assert await desk.shows_no_trace()

    async def test_a_stale_receipt_undoes_what_comes_after_it(self, desk: Desk) -> None:
        taker, delivery = await desk.stale()
        with pytest.raises(LeaseLostError):
            async with desk.begin() as tx:
                await taker.ack(delivery, tx=tx)
                await desk.one_of_each(tx)
        assert await desk.shows_no_trace()

    async def test_one_stale_receipt_of_many_undoes_the_others(self, desk: Desk) -> None:
        taker, delivery = await desk.stale()
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
        taker, delivery = await desk.held()
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
                await desk.one_of_each(tx)
                await desk.shelf.put("taken", "2", if_version=0, tx=tx)
        assert caught.value.subject == f"{desk.shelf.space}/taken"
        assert await desk.shows_no_trace()

    async def test_a_put_that_conflicts_undoes_what_comes_after_it(self, desk: Desk) -> None:
        await desk.shelf.put("taken", "1")
        with pytest.raises(ConflictError):
            async with desk.begin() as tx:
                await desk.shelf.put("taken", "2", if_version=0, tx=tx)
                await desk.one_of_each(tx)
        assert await desk.shows_no_trace()

    async def test_a_version_that_conflicts_undoes_everything(self, desk: Desk) -> None:
        log = await desk.versioned()
        await log.append("first", key="k")
        with pytest.raises(ConflictError) as caught:
            async with desk.begin() as tx:
                await desk.one_of_each(tx)
                await log.append("second", key="k", expected={"k": 0}, tx=tx)
        assert caught.value.subject == f"{log.log}/k"
        assert await desk.shows_no_trace()
        await log.append("second", key="k", expected={"k": 1})

    async def test_a_lost_partition_undoes_everything(self, desk: Desk) -> None:
        member = await desk.owner()
        await member.release([0])
        with pytest.raises(LeaseLostError) as caught:
            async with desk.begin() as tx:
                await desk.one_of_each(tx)
                await member.commit({0: 1}, tx=tx)
        assert caught.value.lost == (0,)
        assert await desk.shows_no_trace()
        assert await desk.ledger.positions() == {0: 0}

    async def test_a_partition_lost_meanwhile_undoes_everything(self, desk: Desk) -> None:
        former = await desk.owner()
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
        member = await desk.owner()
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
        member = await desk.owner()
        one, two = desk.begin(), desk.begin()
        for key, tx in (("one", one), ("two", two)):
            await member.guard([0], tx=tx)
            await desk.shelf.put(key, "1", tx=tx)
        await one.commit()
        await two.commit()
        assert await desk.shelf.scan() == {"one": "1", "two": "1"}
        assert await desk.ledger.positions() == {0: 0}

    async def test_a_guard_stops_a_former_owner(self, desk: Desk) -> None:
        former = await desk.owner()
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
        member = await desk.owner()
        tx = desk.begin()
        await member.guard([0], tx=tx)
        await desk.shelf.put("put", "1", tx=tx)
        await desk.ledger.engine_log.seek(desk.ledger.log, desk.ledger.group, {0: 0})
        with pytest.raises(LeaseLostError):
            await tx.commit()
        assert await desk.shelf.values("put") == {}
