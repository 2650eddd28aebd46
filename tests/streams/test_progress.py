"""How far a partition is done, and the order in which its records may be handled."""

import random

from hypothesis import given
from hypothesis import strategies as st

from isthmus.contracts import Record
from isthmus.message import Message
from isthmus.streams.lanes import Lanes, Run
from isthmus.streams.progress import Progress


def records(keys: str) -> list[Record]:
    return [Record(Message(key=key.strip()), 0, offset, 0.0) for offset, key in enumerate(keys)]


@given(st.permutations(range(8)))
def test_the_position_is_the_lowest_that_is_not_done(order: list[int]) -> None:
    progress = Progress(0, 1, handled=set())
    progress.begin(records("abcdefgh"))
    done = set[int]()
    for offset in order:
        done.add(offset)
        reach = progress.reach((offset,))
        progress.finish((offset,), noted=False)
        lowest = min(set(range(9)) - done)
        assert progress.position == (lowest if 0 in done else 0)
        assert reach in {None, lowest}


def test_what_was_done_before_is_not_to_do() -> None:
    progress = Progress(0, 1, handled={0, 2, 7})
    assert [each.offset for each in progress.begin(records("abcd"))] == [1, 3]
    assert progress.position == 1
    progress.finish((1,), noted=False)
    assert progress.position == 3
    assert progress.handled == {7}


@given(st.text("abc ", max_size=30), st.integers(1, 5), st.integers())
def test_lanes_keep_the_order_of_keys_and_lose_nothing(keys: str, batch: int, seed: int) -> None:
    lanes, progress, draw = Lanes(batch=batch), Progress(0, 1, handled=set()), random.Random(seed)
    ready = list[Run]()
    for part in (records(keys)[:10], records(keys)[10:]):
        ready += lanes.add(progress, part)
    handled = list[Record]()
    while ready:
        busy = [each.message.key for run in ready for each in run.records if each.message.key]
        if batch == 1:
            assert len(busy) == len(set(busy)), "two of one key may begin"
        else:
            assert len(ready) == 1, "two of one partition may begin"
        run = ready.pop(draw.randrange(len(ready)))
        assert 1 <= len(run.records) <= batch
        handled += run.records
        if (following := lanes.next(run)) is not None:
            ready.append(following)
    assert sorted(each.offset for each in handled) == list(range(len(keys)))
    for key in "abc":
        offsets = [each.offset for each in handled if each.message.key == key]
        assert offsets == sorted(offsets)


def test_what_waits_of_a_partition_can_be_dropped() -> None:
    lanes, progress = Lanes(batch=1), Progress(0, 1, handled=set())
    (run,) = lanes.add(progress, records("aaa"))
    assert lanes.drop(progress) == 2
    assert lanes.next(run) is None


def test_a_partition_is_busy_until_the_group_knows_what_is_done() -> None:
    progress = Progress(0, 1, handled=set())
    progress.begin(records("ab"))
    assert not progress.busy
    progress.running = 1
    assert progress.busy
    progress.running = 0
    progress.finish((0,), noted=False)
    assert progress.busy, "it is not committed"
    progress.moved(1, ())
    assert not progress.busy
