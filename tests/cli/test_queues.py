"""What `isthmus queues` promises."""

import asyncio
from typing import Any

import pytest


def fill(project: Any, *orders: dict[str, Any]) -> None:
    """Have `orders` wait in the queue; nobody handles them."""
    from isthmus.cli.locate import locate

    app = locate("shop:app")
    import shop  # pyright: ignore[reportMissingImports]

    async def send() -> None:
        async with app:
            for order in orders:
                await shop.orders.send(shop.Order(**order), id=order["id"])

    asyncio.run(send())


def test_what_waits_is_listed(project: Any) -> None:
    fill(project, {"id": "a", "total": 1}, {"id": "b", "total": 2})
    [mail, orders] = project.json("queues")
    assert mail["name"] == "order-accepted/mail"
    assert {k: orders[k] for k in ("name", "ready", "leased", "delayed", "dead", "paused")} == {
        "name": "orders",
        "ready": 2,
        "leased": 0,
        "delayed": 0,
        "dead": 0,
        "paused": False,
    }
    assert 0 <= orders["oldest"] < 60
    lines = project("queues").output.splitlines()
    assert lines[0].split() == ["QUEUE", "READY", "LEASED", "DELAYED", "OLDEST", "DEAD"]
    assert lines[2].split()[:2] == ["orders", "2"]


def test_an_engine_is_enough(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(project, {"id": "a", "total": 1})
    monkeypatch.delenv("ISTHMUS_APP")
    result = project("queues", "peek", "orders", "--engine", "sqlite:///shop.db")
    assert "waiting" in result.output


def test_own_queues_are_shown_when_asked_for(project: Any) -> None:
    fill(project)
    names = {row["name"] for row in project.json("queues", "--all")}
    assert {"isthmus.schedule.nightly", "ledger/balances.parked", "orders.dead/dead"} <= names
    assert {row["name"] for row in project.json("queues")} == {"orders", "order-accepted/mail"}


def test_a_queue_is_paused_and_resumed(project: Any) -> None:
    fill(project)
    assert project("queues", "pause", "order-accepted/mail").exit_code == 0
    paused = {row["name"]: row["paused"] for row in project.json("queues")}
    assert paused == {"orders": False, "order-accepted/mail": True}
    assert "paused" in project("queues").output
    assert project("queues", "resume", "order-accepted/mail").exit_code == 0
    assert not any(row["paused"] for row in project.json("queues"))


def test_peeking_takes_nothing(project: Any) -> None:
    fill(project, {"id": "a", "total": 1}, {"id": "b", "total": 2})
    [first] = project.json("queues", "peek", "orders", "--limit", "1")
    assert (first["id"], first["body"], first["leased"]) == ("a", '{"id":"a","total":1}', False)
    assert project("queues", "peek", "orders", "--body").output.splitlines() == [
        '{"id":"a","total":1}',
        '{"id":"b","total":2}',
    ]
    assert project.json("queues")[1]["ready"] == 2
    assert len(project.json("queues", "peek", "orders", "--limit", "5000")) == 2


def test_purging_asks_first(project: Any) -> None:
    fill(project, {"id": "a", "total": 1})
    refused = project("queues", "purge", "orders", input="n\n")
    assert (refused.exit_code, "drop 1 messages of orders" in refused.output) == (1, True)
    assert project.json("queues")[1]["ready"] == 1
    assert "1 messages dropped" in project("queues", "purge", "orders", "--yes").output
    assert project.json("queues")[1]["ready"] == 0


def test_what_is_sent_is_checked_by_the_schema(project: Any) -> None:
    fill(project)
    sent = project("queues", "send", "orders", '{"id": "a", "total": 1}', "--id", "a-1")
    assert sent.output == "a-1\n"
    piped = project("queues", "send", "orders", "-", "--delay", "60", input='{"id":"b","total":2}')
    assert piped.exit_code == 0
    row = project.json("queues")[1]
    assert (row["ready"], row["delayed"]) == (1, 1)
    wrong = project("queues", "send", "orders", '{"id": 1}')
    assert wrong.exit_code == 1
    assert "id: Expected `str`, got `int`; total: missing" in wrong.output
    unknown = project("queues", "send", "order", "{}")
    assert "the app declares no queue 'order'; did you mean 'orders'?" in unknown.output


@pytest.mark.parametrize("command", ["pause", "resume", "peek", "purge"])
def test_an_unknown_name_is_told_what_there_is(project: Any, command: str) -> None:
    fill(project)
    result = project("queues", command, "ordes")
    assert result.exit_code == 1
    expected = "error: no queue or subscription is called 'ordes'; did you mean 'orders'?\n"
    assert result.output == expected
    assert "order-accepted/mail, orders" in project("queues", command, "xyz").output


def test_a_missing_file_is_not_made(project: Any) -> None:
    result = project("queues", "--engine", "sqlite:///nowhere.db")
    assert result.exit_code == 1
    assert "there is no file nowhere.db here yet" in result.output
    assert not (project.folder / "nowhere.db").exists()


def test_memory_cannot_be_looked_into(project: Any) -> None:
    result = project("queues", "--engine", "memory://")
    assert "lives inside one process" in result.output


def test_options_may_stand_before_the_command(project: Any) -> None:
    fill(project, {"id": "a", "total": 1})
    assert project("queues", "--engine", "sqlite:///shop.db", "peek", "orders").exit_code == 0


@pytest.mark.parametrize("command", [("queues", "peek"), ("dead-letters", "list")])
def test_a_queue_that_the_app_does_not_declare_is_told_before_it_ever_ran(
    project: Any, command: tuple[str, str]
) -> None:
    result = project(*command, "ordres", "--app", "shop:app")
    assert result.exit_code == 1
    told = "the app declares no queue or subscription 'ordres'; did you mean 'orders'?"
    assert told in result.output
    assert "there is no file shop.db" in project(*command, "orders").output
