"""What `isthmus streams` promises."""

import asyncio
import json
import signal
from typing import Any

import pytest

from isthmus.contracts import LogEngine


@pytest.fixture
def filled(project: Any) -> Any:
    """The project with six records of two keys, which the group has read."""
    from isthmus.cli.locate import locate

    app = locate("shop:app")
    import shop  # pyright: ignore[reportMissingImports]

    async def append() -> None:
        async with app as opened:
            for number in range(6):
                await shop.ledger.append(shop.Order("ad"[number % 2], number))
            log: LogEngine = opened.declarations.host.log
            member = await log.join("ledger", "balances")
            await member.read(0, wait=0)
            await member.commit(await log.offsets("ledger", at="end"))
            await member.aclose()

    asyncio.run(append())
    return project


def lag(project: Any) -> int:
    return project.json("streams")[0]["groups"]["balances"]


def test_streams_are_listed_with_the_lag_of_their_groups(filled: Any) -> None:
    assert filled.json("streams") == [
        {"name": "ledger", "partitions": 2, "offsets": 6, "groups": {"balances": 0}}
    ]
    assert "balances (0)" in filled("streams").output


def test_a_group_is_shown_partition_by_partition(filled: Any) -> None:
    rows = filled.json("streams", "groups", "ledger")
    assert sorted(row["partition"] for row in rows) == [0, 1]
    assert sum(row["position"] for row in rows) == 6
    assert all((row["behind"], row["since"]) == (0, None) for row in rows)


def test_records_are_read_in_the_order_of_their_keys(filled: Any) -> None:
    read = filled.json("streams", "read", "ledger", "--key", "a")
    assert [json.loads(record["body"])["total"] for record in read] == [0, 2, 4]
    assert len(filled.json("streams", "read", "ledger", "--limit", "2")) == 2
    assert "APPENDED" in filled("streams", "read", "ledger").output
    partition = read[0]["partition"]
    some = filled.json("streams", "read", "ledger", "--from", f"{partition}:2")
    assert {record["partition"] for record in some} == {partition}
    assert some[0]["offset"] == 2
    assert filled.json("streams", "read", "ledger", "--from", "2099-01-01") == []
    assert "0 to 1" in filled("streams", "read", "ledger", "--partition", "7").output


def test_a_group_reads_again_after_a_question(filled: Any) -> None:
    assert filled("streams", "seek", "ledger/balances", "--to", "start", input="n\n").exit_code
    assert lag(filled) == 0
    done = filled("streams", "seek", "ledger/balances", "--to", "start", input="y\n")
    assert "go on there?" in done.output
    assert lag(filled) == 6
    filled("streams", "seek", "ledger/balances", "--to", "end", "--yes")
    assert lag(filled) == 0
    filled("streams", "seek", "ledger/balances", "--to", "0:1,1:2", "--yes")
    assert lag(filled) == 3
    filled("streams", "seek", "ledger/balances", "--to", "2001-02-03T04:05:06Z", "--yes")
    assert lag(filled) == 6


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("groups", "leger"), "no stream is called 'leger'; did you mean 'ledger'?"),
        (("seek", "ledger/x", "--to", "end"), "no group 'x' ever read 'ledger'; groups: balances"),
        (("seek", "ledger", "--to", "end"), "which group of ledger? Write ledger/GROUP"),
        (("seek", "ledger/balances", "--to", "noon"), "'noon' is no place: expected start, end"),
    ],
)
def test_a_wrong_name_or_place_is_told(filled: Any, arguments: Any, told: str) -> None:
    result = filled("streams", *arguments)
    assert result.exit_code in {1, 2}
    assert told in result.output


def test_records_are_trimmed_after_a_question(filled: Any) -> None:
    assert filled("streams", "trim", "ledger", "--before", "end", input="n\n").exit_code == 1
    assert filled.json("streams")[0]["offsets"] == 6
    done = filled("streams", "trim", "ledger", "--before", "end", "--yes")
    assert "6 records dropped" in done.output
    assert filled.json("streams")[0]["offsets"] == 0


def test_tail_prints_records_as_they_come(filled: Any) -> None:
    tail = filled.start("streams", "tail", "ledger", "--from", "start", "--json", piped=True)
    told = [json.loads(tail.process.stdout.readline()) for _ in range(6)]
    assert {record["partitionkey"] for record in told} == {"a", "d"}
    tail.process.send_signal(signal.SIGINT)
    assert tail.wait() == 130
    assert tail.lines == []
