"""Transactions that commit at the same moment: each stands or falls alone."""

import asyncio
from collections.abc import Sequence

from isthmus.contracts import Put, Transaction
from isthmus.errors import ConflictError, IsthmusError, LeaseLostError
from isthmus.testing.conformance.desk import Desk, DeskTests
from isthmus.testing.conformance.ledger import texts
from isthmus.testing.conformance.orders import bodies

__all__ = ["CrowdTests"]

CROWD = 12


class CrowdTests(DeskTests):
    async def crowd(self, desk: Desk) -> list[Transaction]:
        """Open transactions, each of which sends and puts its own number."""
        crowd = [desk.begin() for _ in range(CROWD)]
        for number, tx in enumerate(crowd):
            await desk.orders.send(str(number), tx=tx)
            await desk.shelf.put(str(number), "1", tx=tx)
        return crowd

    async def commit(self, crowd: Sequence[Transaction]) -> dict[int, type[IsthmusError]]:
        """Commit all at once; return who failed, and how."""
        done = await asyncio.gather(*(tx.commit() for tx in crowd), return_exceptions=True)
        assert all(each is None or isinstance(each, IsthmusError) for each in done)
        return {n: type(each) for n, each in enumerate(done) if isinstance(each, IsthmusError)}

    async def numbers(self, desk: Desk) -> set[int]:
        """Whose send and put are both there; nobody's is there in part."""
        sent = {int(text) for text in bodies(await (await desk.orders.taker()).take_all())}
        put = {int(key) for key in await desk.shelf.scan() if key.isdigit()}
        assert sent == put
        return sent

    async def test_all_that_can_commit_do(self, desk: Desk) -> None:
        crowd = await self.crowd(desk)
        assert await self.commit(crowd) == {}
        assert await self.numbers(desk) == set(range(CROWD))

    async def test_who_rolls_back_leaves_the_others(self, desk: Desk) -> None:
        crowd = await self.crowd(desk)
        for tx in crowd[::2]:
            await tx.rollback()
        assert await self.commit(crowd[1::2]) == {}
        assert await self.numbers(desk) == set(range(1, CROWD, 2))

    async def test_only_those_with_a_stale_receipt_fail(self, desk: Desk) -> None:
        taker = await desk.orders.taker(lease=30)
        await desk.orders.send(*(f"order {number}" for number in range(CROWD)))
        held = await taker.take(CROWD)
        crowd = await self.crowd(desk)
        for tx, delivery in zip(crowd, held, strict=True):
            await taker.ack(delivery, tx=tx)
        await taker.ack(held[3], held[7])
        assert await self.commit(crowd) == {3: LeaseLostError, 7: LeaseLostError}
        await desk.orders.elapse(31)
        assert await self.numbers(desk) == set(range(CROWD)) - {3, 7}

    async def test_one_of_those_with_the_same_receipt_commits(self, desk: Desk) -> None:
        taker, delivery = await desk.held("order")
        crowd = await self.crowd(desk)
        for tx in crowd:
            await taker.ack(delivery, tx=tx)
        failed = await self.commit(crowd)
        assert set(failed.values()) == {LeaseLostError}
        assert len(failed) == CROWD - 1
        assert await self.numbers(desk) == set(range(CROWD)) - set(failed)

    async def test_one_of_those_with_the_same_key_commits(self, desk: Desk) -> None:
        crowd = await self.crowd(desk)
        for number, tx in enumerate(crowd):
            await desk.shelf.puts(Put(f"inbox {number // 2}", b"", if_version=0), tx=tx)
        failed = await self.commit(crowd)
        assert set(failed.values()) == {ConflictError}
        assert {number // 2 for number in failed} == set(range(CROWD // 2))
        assert len(failed) == CROWD // 2
        assert await self.numbers(desk) == set(range(CROWD)) - set(failed)

    async def test_one_of_those_that_expect_the_same_commits(self, desk: Desk) -> None:
        log = await desk.versioned()
        crowd = await self.crowd(desk)
        for number, tx in enumerate(crowd):
            await log.append(str(number), key="k", expected={"k": 0}, tx=tx)
        failed = await self.commit(crowd)
        assert set(failed.values()) == {ConflictError}
        (winner,) = set(range(CROWD)) - set(failed)
        assert texts(await log.history("k")) == [str(winner)]
        assert await self.numbers(desk) == {winner}

    async def test_only_the_former_owners_fail(self, desk: Desk) -> None:
        await desk.ledger.append("r")
        former, owner = await desk.ledger.fenced()
        crowd = await self.crowd(desk)
        for number, tx in enumerate(crowd):
            member = former if number % 3 == 0 else owner
            if number % 2:
                await member.guard([0], tx=tx)
            else:
                await member.commit({0: 1}, tx=tx)
        failed = await self.commit(crowd)
        assert failed == dict.fromkeys(range(0, CROWD, 3), LeaseLostError)
        assert await desk.ledger.positions() == {0: 1}
        assert await self.numbers(desk) == set(range(CROWD)) - set(failed)

    async def test_plain_calls_among_them_stand_on_their_own(self, desk: Desk) -> None:
        await desk.shelf.put("taken", "1")
        crowd = await self.crowd(desk)
        for tx in crowd[::4]:
            await desk.shelf.put("taken", "2", if_version=0, tx=tx)
        plain = [desk.shelf.put(f"plain {n}", "1", if_version=n % 2) for n in range(4)]
        results = await asyncio.gather(
            self.commit(crowd), *plain, desk.ledger.append("r"), return_exceptions=True
        )
        assert results[0] == dict.fromkeys(range(0, CROWD, 4), ConflictError)
        assert [type(result) for result in results[1:5]] == [type(None), ConflictError] * 2
        assert texts(await desk.ledger.read()) == ["r"]
        assert await self.numbers(desk) == set(range(CROWD)) - set(range(0, CROWD, 4))
