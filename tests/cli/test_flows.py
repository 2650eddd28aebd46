"""What `isthmus flows` promises."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.flows.fulfilment import Placed, Refused, Released, Reserved, Shipped, Shop

from isthmus.cli import main
from isthmus.flows import FlowAdvanced, FlowEnded, FlowEventLate

Flows = Callable[..., Result]


async def happen(engine: str) -> None:
    """A-1 is completed, by services that react to each other; A-3 waits; a return times out."""
    shop = Shop(engine=engine)
    shop.flow.begins(shop.placed)
    shop.flow.expects(shop.charged, after=shop.reserved, within=3600)
    shop.flow.expects(shop.reserved, within=3600)
    shop.flow.ends(shop.shipped)
    returns = shop.app.flow("returns", key=lambda event: event.order)
    returns.begins(shop.refused)
    returns.expects(shop.released, within=0.2, otherwise=[shop.cancel])

    @shop.placed.subscription("stock")
    async def reserve(placed: Placed) -> None:
        await shop.reserved.publish(Reserved(placed.order))

    @shop.reserved.subscription("dispatch")
    async def ship(reserved: Reserved) -> None:
        if reserved.order == "A-1":
            await shop.shipped.publish(Shipped(reserved.order))

    ended, late = asyncio.Queue[FlowEnded](), asyncio.Queue[FlowEventLate]()
    advanced, opened = asyncio.Queue[tuple[str, str]](), asyncio.Event()
    shop.app.signals.listen(FlowEnded, ended.put_nowait)
    shop.app.signals.listen(FlowEventLate, late.put_nowait)
    shop.app.signals.listen(FlowAdvanced, lambda on: advanced.put_nowait((on.key, on.event)))

    async def tell(_: object) -> None:
        opened.set()

    shop.app.declarations.open_with(tell)
    shop.app.configure(port=0)
    running = asyncio.create_task(shop.app.run(only=["queue:*", "flow:*"]))
    await opened.wait()
    await shop.placed.publish(Placed("A-1"))
    assert (await ended.get()).status == "completed"
    await shop.refused.publish(Refused("A-2"))
    assert (await ended.get()).status == "timed_out"
    await shop.released.publish(Released("A-2"))
    await late.get()
    await shop.placed.publish(Placed("A-3"))
    while await advanced.get() != ("A-3", "reserved"):
        pass
    await shop.app.drain()
    await running


@pytest.fixture
def flows(tmp_path: Path) -> Flows:
    engine = f"sqlite:///{tmp_path}/shop.db"
    asyncio.run(happen(engine))

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, ["flows", "--engine", engine, *words])

    return run


def rows(line: str) -> str:
    """Return what a line of the tree shows of it."""
    found = re.match(r"[│└├─┄ ]*\w+", line)
    return found[0] if found else ""


def test_flows_are_counted_listed_and_shown(flows: Flows) -> None:
    counts = json.loads(flows("--json").output)
    assert [tuple(each.values()) for each in counts] == [
        ("fulfilment", "completed", 1),
        ("fulfilment", "running", 1),
        ("returns", "timed_out", 1),
    ]
    listed = json.loads(flows("list", "--json").output)
    assert [(each["key"], each["status"]) for each in listed] == [
        ("A-2", "timed_out"),
        ("A-3", "running"),
    ]
    lines = flows("list", "--status", "timed_out").output.splitlines()
    assert lines[1].startswith("returns/A-2  timed_out")
    assert lines[1].endswith("released did not come within 0.2 s")
    assert flows("list", "--status", "failed").output == "no such flows\n"

    told = flows("show", "fulfilment/A-1").output.splitlines()
    assert told[0] == "flow         fulfilment/A-1"
    assert told[1] == "status       completed"
    assert [rows(line) for line in told[-3:]] == ["placed", "└─ reserved", "   └─ shipped"]
    told = flows("show", "returns/A-2").output.splitlines()
    assert [rows(line) for line in told[-3:]] == ["refused", "├─ cancelled", "└┄ released"]
    assert [line.rpartition("  ")[2] for line in told[-2:]] == ["(compensates)", "(late)"]

    shown = json.loads(flows("show", "fulfilment/A-3", "--json").output)
    assert set(shown["waits_for"]) == {"shipped", "charged"}
    assert shown["timeline"][0]["source"] == "shop"


def test_a_flow_that_is_not_there_is_told(flows: Flows) -> None:
    unknown = flows("show", "fulfilment/A-9")
    assert unknown.exit_code == 1
    assert "saw nothing of 'A-9'" in unknown.output
    assert 'write name and key, as "fulfilment/order-7"' in flows("show", "A-1").output
