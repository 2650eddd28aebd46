"""How a transaction ends, and that it ends once."""

# ruff: noqa: PT012  # what raises is the end of a block, not one call

import asyncio

import pytest

from isthmus.errors import ConfigError, ConflictError
from isthmus.testing.conformance.desk import Desk, DeskTests

__all__ = ["EndingTests"]


class Oops(Exception):  # noqa: N818  # it is no error, it is thrown to see what happens
    """What a handler of the user's raises."""


class EndingTests(DeskTests):
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
        taker, delivery = await desk.held()
        member = await desk.owner()
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
