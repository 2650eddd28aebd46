"""The instruments of torture: processes that are replaced, a recorder, a reckoning."""

import asyncio
import sys
from pathlib import Path

import pytest

from isthmus.testing import Place, Reckoning, Recorder, Torture, Witness

FOREVER = "import signal; print('up', flush=True); signal.pause()"


def place(program: str, *, ends: bool = False, count: int = 1) -> Place:
    command = [sys.executable, "-c", program]
    return Place(name="worker", command=command, count=count, ends=ends)


def test_a_reckoning_names_what_is_lost_what_came_twice_and_what_is_strange() -> None:
    reckoning = Reckoning("orders", wanted=[1, 2, 3], found=[2, 3, 3, 4])
    assert (reckoning.lost, reckoning.twice, reckoning.strange) == ([1], [3], [4])
    assert not reckoning.balances
    assert str(reckoning) == "orders: 3 wanted, 1 lost (1), 1 twice (3), 1 strange (4)"


def test_a_reckoning_balances_if_each_came_once() -> None:
    assert Reckoning("orders", wanted=range(3), found=[2, 0, 1]).balances


async def test_what_is_told_is_on_the_disk_once_it_is_heard(tmp_path: Path) -> None:
    async with Recorder(tmp_path / "told") as recorder:
        witness = await Witness.to(recorder.port)
        await asyncio.gather(*(witness.tell(f"order {number % 7}") for number in range(10)))
        assert recorder.told() == {f"order {n}": 1 + (n < 3) for n in range(7)}
        witness.close()


async def test_killed_processes_are_begun_anew_until_all_is_settled(tmp_path: Path) -> None:
    torture = Torture(place(FOREVER, count=2), folder=tmp_path, pause=(0.0, 0.01))

    async def settled() -> bool:
        return torture.begun == 2 + 3

    async with torture:
        await torture.run(until=settled, kills=3, within=50)
    assert len(torture.killed) == 3
    assert torture.deaths == 0
    assert torture.faults == [
        f"worker-{n} ended with status -15; {tmp_path}/worker-{n}.log says why" for n in (1, 2)
    ]


async def test_a_process_that_kills_itself_is_counted_apart(tmp_path: Path) -> None:
    program = f"""
import os, pathlib, signal
mark = pathlib.Path({str(tmp_path / "mark")!r})
if not mark.exists():
    mark.touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    torture = Torture(place(program, ends=True), folder=tmp_path)

    async def settled() -> bool:
        return torture.done

    async with torture:
        await torture.run(until=settled, kills=0, within=50)
    assert (torture.deaths, torture.killed, torture.faults) == (1, [], [])


async def test_a_process_that_fails_ends_the_torture_and_says_where_to_look(tmp_path: Path) -> None:
    torture = Torture(place("import no_such_module"), folder=tmp_path, pause=(0.0, 0.01))

    async def settled() -> bool:
        return False

    with pytest.raises(RuntimeError, match=r"worker-1 ended with status 1; .*worker-1.log says"):
        async with torture:
            await torture.run(until=settled, kills=0, within=50)
    assert "no_such_module" in (tmp_path / "worker-1.log").read_text()


async def test_a_frozen_process_goes_on_and_is_not_killed(tmp_path: Path) -> None:
    torture = Torture(place(FOREVER), folder=tmp_path, pause=(0.0, 0.01), frozen=0.01, seed=1)

    async def settled() -> bool:
        return True

    async with torture:
        while not torture.thawed:  # which blow is a frost depends on how fast they come back
            await torture.run(until=settled, kills=len(torture.killed) + 5, within=50)
    assert len(torture.killed) % 5 == 0
