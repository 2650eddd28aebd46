"""The conformance tests are awake: each planted fault fails the test that names its promise."""

import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from isthmus.clock import ManualClock
from isthmus.connect import connect
from isthmus.contracts import Engine
from isthmus.engines.memory.database import Connection
from isthmus.engines.memory.group import Group
from isthmus.engines.memory.journal import Journal
from isthmus.engines.memory.queue import MemoryQueue
from isthmus.engines.memory.store import MemoryStore
from isthmus.engines.memory.subscription import Slot, Subscription
from isthmus.errors import IsthmusError
from isthmus.message import Message, new_id
from isthmus.testing import (
    LogConformance,
    QueueConformance,
    StoreConformance,
    TransactionConformance,
)
from isthmus.testing.conformance.desk import Desk
from isthmus.testing.conformance.ledger import Ledger
from isthmus.testing.conformance.orders import Orders
from isthmus.testing.conformance.shelf import Shelf
from isthmus.testing.conformance.wiring import Rig

Patch = pytest.MonkeyPatch


async def rigs(*kinds: type[Rig]) -> Any:
    clock, url = ManualClock(), f"memory://{new_id()}"

    async def opening() -> Engine:
        return await connect(url, clock=clock)

    engine = await opening()
    return [kind(engine, clock=clock, opening=opening, tick=1.0, patience=0.0) for kind in kinds]


async def an_orders() -> Orders:
    (orders,) = await rigs(Orders)
    await orders.declare()
    return orders


async def a_ledger() -> Ledger:
    return (await rigs(Ledger))[0]


async def a_shelf() -> Shelf:
    return (await rigs(Shelf))[0]


async def a_desk() -> Desk:
    desk = Desk(*await rigs(Shelf, Orders, Ledger))
    await desk.orders.declare()
    await desk.ledger.declare()
    return desk


def a_lease_ends_late(patch: Patch) -> None:
    look = Subscription._look
    patch.setattr(Subscription, "_look", lambda self, now: look(self, now - 0.001))


def a_stale_receipt_settles(patch: Patch) -> None:
    patch.setattr(Subscription, "held", lambda self, number, _: self._slots.get(number))


def extending_is_forgotten(patch: Patch) -> None:
    patch.setattr(Subscription, "extend", lambda *_, **__: None)


def a_nack_loses_its_headers(patch: Patch) -> None:
    patch.setattr(Message, "with_headers", lambda self, _: self)


def a_lapse_is_not_counted(patch: Patch) -> None:
    hand_out = Slot.hand_out

    def forget(self: Slot, **options: float) -> Any:
        self.receipt = ""
        return hand_out(self, **options)

    patch.setattr(Slot, "hand_out", forget)


def a_send_forgets_the_topic(patch: Patch) -> None:
    send = MemoryQueue.send

    async def to_all(self: MemoryQueue, topic: str, messages: Any, **options: Any) -> None:
        for topic, _ in list(self._all):  # noqa: PLR1704
            await send(self, topic, messages, **options)

    patch.setattr(MemoryQueue, "send", to_all)


def a_transaction_is_ignored(patch: Patch) -> None:
    patch.setattr(Connection, "apply", lambda _, step, __: step() and None)


def a_guard_looks_at_nothing(patch: Patch) -> None:
    patch.setattr(Group, "owns", lambda *_: True)


def a_put_is_half_done(patch: Patch) -> None:
    def put_all(self: MemoryStore, space: str, puts: Any) -> Callable[[], None]:
        for put in puts:
            self._put(space, put)
        return lambda: None

    patch.setattr(MemoryStore, "_put_all", put_all)


def versions_begin_anew(patch: Patch) -> None:
    trim = Journal.trim

    def forget(self: Journal, number: int, before: int) -> int:
        self._versions.clear()
        return trim(self, number, before)

    patch.setattr(Journal, "trim", forget)


Q, L, S, T = QueueConformance, LogConformance, StoreConformance, TransactionConformance
a_fresh_one_is_stale = partial(Q.test_a_stale_receipt_changes_nothing, past="fresh")
FAULTS: list[tuple[Callable[[Patch], None], Any, Callable[[], Awaitable[Any]]]] = [
    (a_lease_ends_late, Q.test_at_its_end_the_message_is_handed_to_another, an_orders),
    (a_stale_receipt_settles, a_fresh_one_is_stale, an_orders),
    (extending_is_forgotten, Q.test_an_extended_lease_lasts_from_now, an_orders),
    (a_nack_loses_its_headers, Q.test_headers_of_a_nack_are_merged, an_orders),
    (a_lapse_is_not_counted, Q.test_every_lapse_is_counted, an_orders),
    (a_send_forgets_the_topic, Q.test_a_topic_feeds_only_its_own_subscriptions, an_orders),
    (a_transaction_is_ignored, T.test_a_send_leaves_with_the_commit, a_desk),
    (a_guard_looks_at_nothing, T.test_a_guard_stops_a_former_owner, a_desk),
    (a_put_is_half_done, S.test_a_key_put_twice_in_a_call_is_put_in_turn, a_shelf),
    (versions_begin_anew, L.test_versions_go_on_though_records_were_dropped, a_ledger),
]


def _name(each: Any) -> str:
    return getattr(each, "__name__", "")


@pytest.mark.parametrize(("plant", "test", "made"), FAULTS, ids=_name)
async def test_a_planted_fault_is_caught(plant, test, made, monkeypatch: Patch):
    await test(None, await made())
    plant(monkeypatch)
    with pytest.raises((AssertionError, IsthmusError, pytest.fail.Exception)):
        await test(None, await made())


@pytest.mark.parametrize("missing", ["pytest", "hypothesis"])
def test_what_is_not_installed_is_named(missing: str):
    wanted = "QueueConformance" if missing == "pytest" else "queue_model"
    program = f"""
import sys
sys.modules[{missing!r}] = None
import isthmus.testing
isthmus.testing.Chaos()
try:
    isthmus.testing.{wanted}
except ImportError as error:
    print(error)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert missing in ran.stdout
    assert "pip install 'isthmus[testing]'" in ran.stdout
