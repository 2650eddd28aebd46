"""What `isthmus dead-letters` promises."""

import asyncio
from typing import Any

import pytest

from isthmus.handling.facts import MessageBuried


@pytest.fixture
def buried(project: Any) -> Any:
    """The project, after three orders and a record became dead letters."""
    from isthmus.cli.locate import locate

    app = locate("shop:app")
    app.configure(port=0)
    import shop  # pyright: ignore[reportMissingImports]

    async def run() -> None:
        dead, all_dead = list[str](), asyncio.Event()

        def bury(signal: MessageBuried) -> None:
            dead.append(signal.message)
            if len(dead) == 4:
                all_dead.set()

        app.signals.listen(MessageBuried, bury)
        async with app:
            await shop.orders.send(shop.Order("bad-1", -1), id="bad-1")
            await shop.orders.send(shop.Order("bad-2", -2), id="bad-2")
            await shop.orders.send(shop.Order("rich", 1000), id="rich")
            await shop.ledger.append(shop.Order("acc", -1), id="record")
        running = asyncio.create_task(app.run())
        await all_dead.wait()
        await app.drain()
        await running

    asyncio.run(run())
    return project


def test_they_are_counted_where_they_lie(buried: Any) -> None:
    counts = {row["name"]: row["dead"] for row in buried.json("dead-letters")}
    assert counts == {"orders": 2, "order-accepted/mail": 1, "ledger/balances": 1}


def test_they_are_listed_with_their_reason(buried: Any) -> None:
    letters = buried.json("dead-letters", "list", "orders")
    assert {letter["id"] for letter in letters} == {"bad-1", "bad-2"}
    assert letters[0]["reason"] == "failed 2 times"
    assert [failure["attempt"] for failure in letters[0]["failures"]] == [1, 2]
    table = buried("dead-letters", "list", "orders", "--limit", "1").output
    assert "failed 2 times: ValueError: no such total" in table
    assert "1 more; --limit 2 shows all" in table


def test_one_is_shown_with_every_traceback(buried: Any) -> None:
    shown = buried("dead-letters", "show", "orders", "bad-2").output
    assert shown.count("Traceback (most recent call last)") == 2
    assert '{"id":"bad-2","total":-2}' in shown
    missing = buried("dead-letters", "show", "orders", "bad-3")
    assert (missing.exit_code, "'bad-3'" in missing.output) == (1, True)


def test_all_of_them_are_searched(buried: Any) -> None:
    found = buried.json("dead-letters", "search", "TOO MUCH")
    assert [(letter["queue"], letter["type"]) for letter in found] == [
        ("order-accepted/mail", "Order")
    ]
    assert "orders:\n" in buried("dead-letters", "search", "bad-1").output
    assert "no dead letter has 'xyz'" in buried("dead-letters", "search", "xyz").output


def test_some_are_replayed_after_a_preview_and_a_question(buried: Any) -> None:
    refused = buried("dead-letters", "replay", "orders", "bad-1", input="n\n")
    assert "send 1 again to orders?" in refused.output
    assert "bad-1" in refused.output
    assert "bad-2" not in refused.output
    done = buried("dead-letters", "replay", "orders", "bad-1", input="y\n")
    assert done.output.endswith("1 sent again to orders\n")
    rows = {row["name"]: row for row in buried.json("queues")}
    assert (rows["orders"]["ready"], rows["orders"]["dead"]) == (1, 1)


def test_those_that_are_found_are_replayed_elsewhere(buried: Any) -> None:
    done = buried(
        "dead-letters",
        "replay",
        "order-accepted/mail",
        "--search",
        "much",
        "--to",
        "orders",
        "--yes",
    )
    assert done.output == "1 sent again to orders\n"
    assert [row["ready"] for row in buried.json("queues")] == [0, 1]
    nowhere = buried("dead-letters", "replay", "orders", "--all", "--to", "nowhere", "--yes")
    assert (nowhere.exit_code, "no queue is called 'nowhere'" in nowhere.output) == (1, True)


def test_a_record_of_a_group_is_replayed_into_the_group(buried: Any) -> None:
    assert buried("dead-letters", "replay", "ledger/balances", "--all", "--yes").exit_code == 0
    rows = {row["name"]: row["ready"] for row in buried.json("queues", "--all")}
    assert rows["ledger/balances.parked"] == 1


def test_all_are_dropped(buried: Any) -> None:
    assert "dropped" not in buried("dead-letters", "drop", "orders", "--all", input="n\n").output
    done = buried("dead-letters", "drop", "orders", "--all", "--yes")
    assert done.output == "2 dropped from orders\n"
    assert "orders" not in {row["name"] for row in buried.json("dead-letters")}
    again = buried("dead-letters", "drop", "orders", "--all", "--yes")
    assert (again.exit_code, again.output) == (0, "no dead letters of orders\n")


@pytest.mark.parametrize("choice", [(), ("bad-1", "--all"), ("--all", "--search", "x")])
def test_which_ones_is_said_in_one_way(buried: Any, choice: tuple[str, ...]) -> None:
    result = buried("dead-letters", "drop", "orders", *choice)
    assert result.exit_code == 2
    assert "which? Name them by ID" in result.output


def test_an_unknown_place_is_told_what_there_is(buried: Any) -> None:
    result = buried("dead-letters", "list", "ordrs")
    assert "did you mean 'orders'?" in result.output
