"""What a consumer group promises, on memory and virtual time."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from isthmus import App, Batch, ConfigError, Message, Postpone, Record, Reject, Retry, Transaction
from isthmus.errors import ConflictError, NotFoundError
from isthmus.handling.consuming.failures import failures
from isthmus.handling.facts import DuplicateSkipped, HandlerConflicted, HandlerTimedOut
from isthmus.streams import DeclaredGroup, GroupStopped, LagMeasured, RecordParked


class Entry(msgspec.Struct, frozen=True):
    account: str
    amount: int = 1


def entries(count: int, *, keys: int = 4) -> list[Entry]:
    return [Entry(f"acc-{n % keys}", n) for n in range(count)]


def by_key(handled: list[Entry]) -> dict[str, list[int]]:
    found = defaultdict[str, list[int]](list)
    for entry in handled:
        found[entry.account].append(entry.amount)
    return dict(found)


SOON = Retry(attempts=3, delay=1, jitter="none")


@pytest.fixture
def app() -> App:
    return App("shop")


async def test_every_group_reads_every_record(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account")
    balances, audit = list[Entry](), list[Entry]()

    @ledger.group("balances")
    async def post(entry: Entry) -> None:
        balances.append(entry)

    @ledger.group("audit")
    async def note(entry: Entry) -> None:
        audit.append(entry)

    async with app.test() as t:
        await ledger.append(*entries(20))
        await t.settle()
        assert sorted(balances, key=lambda e: e.amount) == entries(20)
        assert sorted(audit, key=lambda e: e.amount) == entries(20)


async def test_each_key_is_handled_in_order_and_keys_in_parallel(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=2)
    running, seen, most, handled = set[str](), list[Entry](), 0, list[Entry]()
    go = asyncio.Event()

    @ledger.group("balances")
    async def post(entry: Entry) -> None:
        nonlocal most
        assert entry.account not in running, "two of one key at once"
        running.add(entry.account)
        most = max(most, len(running))
        seen.append(entry)
        await go.wait()
        running.discard(entry.account)
        handled.append(entry)

    async with app.test() as t:
        await ledger.append(*entries(12, keys=4))
        await t.settle()
        assert {entry.amount for entry in seen} == {0, 1, 2, 3}
        go.set()
        await t.settle()
        assert most == 4
        assert by_key(handled) == {f"acc-{k}": [k, k + 4, k + 8] for k in range(4)}


async def test_records_without_a_key_wait_for_nobody(app: App) -> None:
    ledger = app.stream("ledger", Entry, partitions=1)
    running, go = list[Entry](), asyncio.Event()

    @ledger.group("balances", concurrency=8)
    async def post(entry: Entry) -> None:
        running.append(entry)
        await go.wait()

    async with app.test() as t:
        await ledger.append(*entries(10))
        await t.settle()
        assert len(running) == 8
        go.set()


async def test_the_position_moves_with_what_is_handled(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)

    @ledger.group("balances")
    async def post(entry: Entry) -> None: ...

    async with app.test() as t:
        await ledger.append(*entries(50))
        await t.settle()
        assert await ledger.positions("balances") == {0: 50}
        assert await ledger.lag("balances") == {0: 0}


async def test_the_position_waits_for_the_lowest_that_is_not_done(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    slow, done = asyncio.Event(), list[int]()

    @ledger.group("balances")
    async def post(entry: Entry, tx: Transaction) -> None:
        if entry.amount == 3:
            await slow.wait()
        done.append(entry.amount)

    async with app.test() as t:
        await ledger.append(*entries(10, keys=10))
        await t.settle()
        assert sorted(done) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
        assert await ledger.positions("balances") == {0: 3}
        notes = await t.host.store.scan("done/ledger/balances")
        assert len(notes) == 6
        slow.set()
        await t.settle()
        assert await ledger.positions("balances") == {0: 10}
        assert await t.host.store.scan("done/ledger/balances") == []


async def test_effect_and_position_commit_together(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    journal = app.stream("journal", Entry, key="account", partitions=1)

    @ledger.group("balances", retry=Retry(attempts=1))
    async def post(entry: Entry) -> None:
        await journal.append(entry)
        if entry.amount == 1:
            raise ValueError("no such account")

    async with app.test() as t:
        await ledger.append(*entries(3, keys=3))
        await t.settle()
        assert [entry.amount async for entry in journal.read()] == [0, 2]
        assert await ledger.positions("balances") == {0: 3}


async def test_a_handler_in_conflict_runs_again_uncounted(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    runs, conflicts = list[int](), list[HandlerConflicted]()

    @ledger.group("balances", retry=Retry(attempts=1))
    async def post(entry: Entry, tx: Transaction) -> None:
        runs.append(entry.amount)
        if len(runs) < 3:
            raise ConflictError("the world moved on", subject="read")

    app.signals.listen(HandlerConflicted, conflicts.append)
    async with app.test() as t:
        await ledger.append(Entry("a", 7))
        await t.settle()
        assert runs == [7, 7, 7]
        assert len(conflicts) == 2
        assert await ledger["balances"].dead_letters.count() == 0


@pytest.mark.parametrize("batch", [1, 10])
async def test_an_id_appended_twice_is_one_record_in_effect_with_an_inbox(
    app: App, batch: int
) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    handled, skipped = list[int](), list[DuplicateSkipped]()

    @ledger.group("balances", inbox=3600, batch=batch)
    async def post(entries: Any) -> None:
        handled.extend(each.amount for each in (entries if batch > 1 else [entries]))

    app.signals.listen(DuplicateSkipped, skipped.append)
    async with app.test() as t:
        for amount in (1, 1, 2):
            await ledger.append(Entry("a", amount), id=str(amount))
        await t.settle()
        await ledger.append(Entry("a", 2), id="2")
        await t.settle()
        assert handled == [1, 2]
        assert [each.message for each in skipped] == ["1", "2"]
        assert await ledger.positions("balances") == {0: 4}
        await ledger.seek("balances", "start")
        await t.advance(15)
        assert handled == [1, 2, 1, 2]


async def test_a_handler_may_ask_for_the_record_and_the_message(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    seen = list[tuple[int, str]]()

    @ledger.group("balances")
    async def post(entry: Entry, record: Record, message: Message) -> None:
        seen.append((record.offset, message.key))

    async with app.test() as t:
        await ledger.append(Entry("a"), Entry("a"))
        await t.settle()
        assert seen == [(0, "a"), (1, "a")]


# --- failures ------------------------------------------------------------------------------------


async def test_a_key_that_fails_waits_aside_while_the_others_flow(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    handled, parked, broken = list[Entry](), list[RecordParked](), True

    @ledger.group("balances", retry=Retry(attempts=9, delay=10, factor=1, jitter="none"))
    async def post(entry: Entry) -> None:
        if broken and entry.account == "acc-1":
            raise ValueError("account is locked")
        handled.append(entry)

    app.signals.listen(RecordParked, parked.append)
    async with app.test() as t:
        await ledger.append(*entries(12))
        await t.settle()
        assert set(by_key(handled)) == {"acc-0", "acc-2", "acc-3"}
        assert await ledger.positions("balances") == {0: 12}
        assert await ledger["balances"].parked() == 3
        assert [each.error for each in parked] == ["ValueError: account is locked"]
        broken = False
        await t.advance(11)
        assert by_key(handled)["acc-1"] == [1, 5, 9]
        assert await ledger["balances"].parked() == 0


async def test_a_key_flows_again_once_nothing_of_it_is_parked(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    handled, parked, broken = list[Entry](), list[RecordParked](), True

    @ledger.group("balances", retry=SOON)
    async def post(entry: Entry) -> None:
        if broken:
            raise ValueError("not yet")
        handled.append(entry)

    app.signals.listen(RecordParked, parked.append)
    async with app.test() as t:
        await ledger.append(Entry("a", 1), Entry("a", 2))
        await t.settle()
        broken = False
        await t.advance(5)
        assert await t.host.store.scan("parked/ledger/balances") == []
        await ledger.append(Entry("a", 3))
        await t.settle()
        assert [entry.amount for entry in handled] == [1, 2, 3]
        assert len(parked) == 1


async def test_what_fails_for_good_is_a_dead_letter_and_its_key_goes_on(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    handled = list[Entry]()

    @ledger.group("balances", retry=SOON)
    async def post(entry: Entry) -> None:
        if entry.amount == 5:
            raise ValueError("negative")
        handled.append(entry)

    async with app.test() as t:
        await ledger.append(*entries(12))
        await t.advance(30)
        (letter,) = await ledger["balances"].dead_letters.list()
        assert msgspec.json.decode(letter.message.body, type=Entry).amount == 5
        assert [failure.error for failure in letter.failures] == ["ValueError: negative"] * 3
        assert by_key(handled)["acc-1"] == [1, 9]
        assert await t.host.store.scan("parked/ledger/balances") == []


async def test_what_only_follows_has_all_its_attempts(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    attempts = list[tuple[int, int]]()

    @ledger.group("balances", retry=SOON)
    async def post(entry: Entry, message: Message) -> None:
        attempts.append((entry.amount, 1 + len(failures(message))))
        raise ValueError("no")

    async with app.test() as t:
        await ledger.append(Entry("a", 1), Entry("a", 2))
        await t.advance(30)
        assert attempts == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
        letters = await ledger["balances"].dead_letters.list()
        assert [[each.attempt for each in letter.failures] for letter in letters] == [
            [1, 2, 3],
            [1, 2, 3],
        ]
        attempts.clear()
        await ledger["balances"].dead_letters.replay([letters[0].message.id])
        await t.advance(30)
        assert attempts == [(1, 1), (1, 2), (1, 3)]


async def test_the_first_attempt_may_be_the_last(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    handled = list[Entry]()

    @ledger.group("balances", retry=SOON)
    async def post(entry: Entry) -> None:
        if entry.amount == 1:
            raise Reject("closed account")
        handled.append(entry)

    async with app.test() as t:
        await ledger.append(*[Entry("a", n) for n in range(3)])
        await t.settle()
        (letter,) = await ledger["balances"].dead_letters.list()
        assert letter.reason == "rejected: closed account"
        assert [entry.amount for entry in handled] == [0, 2]


async def test_what_cannot_be_read_is_a_dead_letter(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    handled = list[Entry]()

    @ledger.group("balances")
    async def post(entry: Entry) -> None:
        handled.append(entry)

    async with app.test() as t:
        await t.host.log.append("ledger", [Message(body=b"{", key="a")])
        await ledger.append(Entry("a", 2))
        await t.settle()
        (letter,) = await ledger["balances"].dead_letters.list()
        assert letter.reason.startswith("unreadable")
        assert handled == [Entry("a", 2)]


async def test_a_postponed_record_comes_back_with_those_of_its_key_behind(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    handled, tries = list[int](), 0

    @ledger.group("balances", retry=Retry(attempts=2))
    async def post(entry: Entry) -> None:
        nonlocal tries
        if entry.amount == 0 and (tries := tries + 1) < 3:
            raise Postpone(10)
        handled.append(entry.amount)

    async with app.test() as t:
        await ledger.append(*[Entry("a", n) for n in range(3)])
        await t.advance(9)
        assert handled == []
        await t.advance(12)
        assert handled == [0, 1, 2]


async def test_a_replayed_dead_letter_is_handled_again(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    handled, broken = list[Entry](), True

    @ledger.group("balances", retry=Retry(attempts=1))
    async def post(entry: Entry) -> None:
        if broken:
            raise ValueError("no")
        handled.append(entry)

    async with app.test() as t:
        await ledger.append(Entry("a", 1))
        await t.settle()
        broken = False
        assert await ledger["balances"].dead_letters.replay() == 1
        await t.settle()
        assert handled == [Entry("a", 1)]
        assert await ledger["balances"].dead_letters.count() == 0


async def test_a_record_that_comes_back_is_the_record_it_was(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    handled = list[tuple[int, Record]]()

    @ledger.group("balances", retry=SOON)
    async def post(entry: Entry, record: Record) -> None:
        handled.append((entry.amount, record))
        if entry.amount == 1 and len(handled) < 6:
            raise ValueError("not yet")

    async with app.test() as t:
        began = t.clock.now()
        await ledger.append(*[Entry("acc", amount) for amount in range(3)])
        await t.advance(10)
        assert await ledger["balances"].dead_letters.count() == 1
        await ledger["balances"].dead_letters.replay()
        await t.settle()
    assert [amount for amount, _ in handled] == [0, 1, 1, 1, 2, 1]
    for amount, record in handled:
        assert (record.partition, record.offset, record.at) == (0, amount, began)


async def test_skipping_retries_in_place_then_goes_on_without_it(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    handled, attempts = list[int](), 0

    @ledger.group("balances", retry=SOON, on_error="skip")
    async def post(entry: Entry) -> None:
        nonlocal attempts
        if entry.account == "a" and entry.amount == 1:
            attempts += 1
            raise ValueError("no")
        handled.append(entry.amount)

    async with app.test() as t:
        await ledger.append(Entry("a", 1), Entry("a", 2), Entry("b", 3))
        await t.settle()
        assert handled == [3]
        assert await ledger.positions("balances") == {0: 0}
        await t.advance(10)
        assert (attempts, handled) == (3, [3, 2])
        assert await ledger["balances"].dead_letters.count() == 1
        assert await ledger.positions("balances") == {0: 3}


async def test_stopping_leaves_the_record_and_all_after_it(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    handled, stopped = list[int](), list[GroupStopped]()

    @ledger.group("balances", retry=SOON, on_error="stop")
    async def post(entry: Entry) -> None:
        if entry.amount == 1:
            raise ValueError("no such account")
        handled.append(entry.amount)

    app.signals.listen(GroupStopped, stopped.append)
    async with app.test() as t:
        await ledger.append(*[Entry("a", n) for n in range(3)])
        await t.advance(30)
        assert handled == [0]
        assert "no such account" in stopped[0].error
        assert await ledger.positions("balances") == {0: 1}
        assert await ledger["balances"].dead_letters.count() == 0


async def test_a_handler_that_takes_too_long_is_cut_and_its_key_parked(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    handled, hang, late = list[int](), True, list[HandlerTimedOut]()

    @ledger.group("balances", retry=SOON, timeout=5)
    async def post(entry: Entry) -> None:
        if hang and entry.account == "a":
            await asyncio.Event().wait()
        handled.append(entry.amount)

    app.signals.listen(HandlerTimedOut, late.append)
    async with app.test() as t:
        await ledger.append(Entry("a", 1), Entry("a", 2), Entry("b", 3))
        await t.advance(7)
        assert handled == [3]
        assert len(late) == 1
        hang = False
        await t.advance(20)
        assert handled == [3, 1, 2]


# --- batches -------------------------------------------------------------------------------------


async def test_a_batch_is_one_call_and_one_transaction(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    journal = app.stream("journal", Entry, partitions=1)
    sizes = list[int]()

    @ledger.group("balances", batch=100)
    async def post(batch: list[Entry]) -> None:
        sizes.append(len(batch))
        await journal.append(*batch)

    async with app.test() as t:
        await ledger.append(*entries(250))
        await t.settle()
        assert sum(sizes) == 250
        assert max(sizes) == 100
        assert [entry async for entry in journal.read()] == entries(250)
        assert await ledger.positions("balances") == {0: 250}
        assert await t.host.store.scan("done/ledger/balances") == []


async def test_a_failing_batch_is_taken_apart_to_find_what_fails(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    journal = app.stream("journal", Entry, partitions=1)

    @ledger.group("balances", batch=100, retry=Retry(attempts=1))
    async def post(batch: list[Entry]) -> None:
        await journal.append(*batch)
        if any(entry.amount == 7 for entry in batch):
            raise ValueError("seven")

    async with app.test() as t:
        await ledger.append(*entries(20))
        await t.settle()
        written = [entry.amount async for entry in journal.read()]
        assert written == [n for n in range(20) if n != 7]
        assert await ledger["balances"].dead_letters.count() == 1
        assert await ledger.positions("balances") == {0: 20}


async def test_a_batch_may_fail_in_part(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    handled, calls = list[int](), list[int]()

    @ledger.group("balances", batch=100, retry=Retry(attempts=1))
    async def post(batch: Batch[Entry]) -> None:
        calls.append(len(batch))
        for entry in batch:
            if entry.amount == 2:
                batch.fail(entry, ValueError("two"))
            else:
                handled.append(entry.amount)

    async with app.test() as t:
        await ledger.append(*entries(4, keys=4))
        await t.settle()
        assert (calls, handled) == ([4], [0, 1, 3])
        assert await ledger["balances"].dead_letters.count() == 1
        assert await ledger.positions("balances") == {0: 4}


async def test_no_part_of_a_batch_overtakes_one_of_its_key_that_failed(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    journal, broken = app.stream("journal", Entry, partitions=1), True

    @ledger.group("balances", batch=100, retry=Retry(attempts=3, delay=1, jitter="none"))
    async def post(batch: Batch[Entry]) -> None:
        for entry in batch:
            if broken and entry.amount == 0:
                batch.fail(entry, ValueError("not yet"))
            else:
                await journal.append(entry)

    async with app.test() as t:
        await ledger.append(*[Entry("a", n) for n in range(3)])
        await t.settle()
        broken = False
        await t.advance(10)
        assert [entry.amount async for entry in journal.read()] == [0, 1, 2]


async def test_records_of_a_parked_key_leave_the_batch(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    handled, broken, calls = list[Entry](), True, list[int]()

    @ledger.group("balances", batch=10, retry=Retry(attempts=5, delay=10, jitter="none"))
    async def post(batch: list[Entry]) -> None:
        calls.append(len(batch))
        if broken and any(entry.account == "acc-1" for entry in batch):
            raise ValueError("locked")
        handled.extend(batch)

    async with app.test() as t:
        await ledger.append(*entries(8))
        await t.settle()
        assert by_key(handled) == {"acc-0": [0, 4], "acc-2": [2, 6], "acc-3": [3, 7]}
        calls.clear()
        await ledger.append(*[Entry(f"acc-{n % 4}", n) for n in range(8, 16)])
        await t.settle()
        assert calls == [6]
        broken = False
        await t.advance(60)
        assert by_key(handled)["acc-1"] == [1, 5, 9, 13]


# --- looking and mending -------------------------------------------------------------------------


async def test_lag_is_a_number_for_each_partition(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=2)
    hold = asyncio.Event()

    @ledger.group("balances", concurrency=1)
    async def post(entry: Entry) -> None:
        await hold.wait()

    async with app.test() as t:
        began = t.clock.now()
        await ledger.append(*entries(10))
        await t.advance(5)
        assert sum((await ledger.lag("balances")).values()) == 10
        told = await ledger["balances"].lag()
        assert {each.since for each in told.values()} <= {began, None}
        hold.set()
        await t.settle()
        assert await ledger.lag("balances") == {0: 0, 1: 0}


async def test_lag_is_told_while_somebody_listens(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    told = list[LagMeasured]()

    @ledger.group("balances")
    async def post(entry: Entry) -> None:
        if entry.amount:
            await asyncio.Event().wait()

    app.signals.listen(LagMeasured, told.append)
    async with app.test() as t:
        await ledger.append(Entry("a", 0), Entry("a", 1), Entry("b", 2))
        await t.advance(11)
        assert (told[-1].partition, told[-1].behind) == (0, 2)


async def test_the_lag_of_an_unknown_group_names_the_known(app: App) -> None:
    ledger = app.stream("ledger", Entry)

    @ledger.group("balances")
    async def post(entry: Entry) -> None: ...

    async with app.test():
        with pytest.raises(NotFoundError, match="known are: balances"):
            await ledger.lag("balance")
        assert await ledger.groups() == ["balances"]


@pytest.mark.parametrize("to", ["start", {0: 4}, "moment"])
async def test_a_group_reads_again_without_disturbing_others(
    app: App, to: str | dict[int, int]
) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    balances, audit = list[int](), list[int]()

    @ledger.group("balances")
    async def post(entry: Entry, tx: Transaction) -> None:
        balances.append(entry.amount)

    @ledger.group("audit")
    async def note(entry: Entry) -> None:
        audit.append(entry.amount)

    async with app.test() as t:
        await ledger.append(*entries(4))
        await t.advance(60)
        now = datetime.fromtimestamp(t.clock.now(), UTC)
        await ledger.append(*[Entry("a", n) for n in range(4, 8)])
        await t.settle()
        balances.clear()
        await ledger.seek("balances", now if to == "moment" else to)
        await t.advance(15)
        assert sorted(balances) == list(range(0 if to == "start" else 4, 8))
        assert sorted(audit) == list(range(8))
        assert await ledger.positions("balances") == {0: 8}


async def test_a_group_skips_what_it_does_not_want_to_read(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    handled, hold = list[int](), asyncio.Event()

    @ledger.group("balances", concurrency=1)
    async def post(entry: Entry) -> None:
        if entry.amount < 10:
            await hold.wait()
        handled.append(entry.amount)

    async with app.test() as t:
        await ledger.append(*entries(10, keys=1))
        await t.settle()
        await ledger["balances"].seek("end")
        await ledger.append(Entry("acc-0", 10))
        await t.advance(15)
        assert handled == [10]


async def test_what_was_done_out_of_order_is_done_again_after_a_replay(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    handled, slow = list[int](), asyncio.Event()

    @ledger.group("balances")
    async def post(entry: Entry, tx: Transaction) -> None:
        if entry.amount == 0:
            await slow.wait()
        handled.append(entry.amount)

    async with app.test() as t:
        await ledger.append(*entries(4))
        await t.settle()
        assert sorted(handled) == [1, 2, 3]
        await ledger["balances"].seek("start")
        handled.clear()
        await t.advance(5)
        slow.set()
        await t.advance(15)
        assert sorted(handled) == [0, 1, 2, 3]


async def test_a_place_that_is_none_is_refused(app: App) -> None:
    ledger = app.stream("ledger", Entry, partitions=1)

    @ledger.group("balances")
    async def post(entry: Entry) -> None: ...

    async with app.test():
        with pytest.raises(ConfigError, match='"start", "end"'):
            await ledger["balances"].seek("begin")
        with pytest.raises(NotFoundError, match="partitions 0 to 0, not 3"):
            await ledger["balances"].seek({3: 0})


async def test_a_paused_group_begins_nothing(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    handled = list[int]()

    @ledger.group("balances")
    async def post(entry: Entry) -> None:
        handled.append(entry.amount)

    async with app.test() as t:
        await ledger["balances"].pause()
        await t.advance(2)
        await ledger.append(*entries(3))
        await t.advance(5)
        assert handled == []
        assert await ledger["balances"].is_paused()
        await ledger["balances"].resume()
        await t.advance(2)
        assert sorted(handled) == [0, 1, 2]


# --- declaring -----------------------------------------------------------------------------------


def test_a_group_is_part_of_the_declared_model(app: App) -> None:
    ledger = app.stream("ledger", Entry)

    @ledger.group("balances", concurrency=3)
    async def post(entry: Entry) -> None: ...

    (found,) = app.describe().of(DeclaredGroup)
    assert (found.name, found.stream, found.options.concurrency) == ("ledger/balances", "ledger", 3)
    assert found.function.endswith("post")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"start": "begin"}, "expected one of earliest, latest"),
        ({"on_error": "ignore"}, "expected one of park, skip, stop"),
        ({"concurrency": 0}, "out of range"),
        ({"session": 0.1}, "out of range"),
        ({"speed": 1}, "no option 'speed'"),
    ],
)
def test_an_option_out_of_range_is_refused(app: App, words: dict[str, object], told: str) -> None:
    ledger = app.stream("ledger", Entry)
    with pytest.raises(ConfigError, match=told):
        ledger.group("balances", **words)  # pyright: ignore[reportArgumentType]


async def test_a_group_that_was_not_declared_is_not_found(app: App) -> None:
    with pytest.raises(ConfigError, match="has no group 'x'"):
        app.stream("ledger", Entry)["x"]
