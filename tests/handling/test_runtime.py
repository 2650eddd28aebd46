"""How the workers of a process are run, and drained."""

import asyncio

import pytest

from isthmus import ConfigError
from isthmus.clock import ManualClock
from isthmus.handling.declarations import Declarations, Worker
from isthmus.handling.facts import WorkerCut, WorkerFailed
from isthmus.handling.host import Host
from isthmus.handling.running.runtime import Runtime


class Job:
    """A worker that ends when drained, after `takes` seconds, or with an error."""

    def __init__(self, name: str, *, takes: float = 0.0, error: Exception | None = None) -> None:
        self.name, self._takes, self._error = name, takes, error
        self._drained = asyncio.Event()
        self.state = "idle"

    async def run(self, host: Host) -> None:
        self.state = "running"
        try:
            if self._error is None:
                await self._drained.wait()
            await host.clock.sleep(self._takes)
            if self._error is not None:
                raise self._error
            self.state = "done"
        except asyncio.CancelledError:
            self.state = "cut"
            raise

    async def drain(self) -> None:
        self._drained.set()


def runtime_of(host: Host, *workers: Worker, only: tuple[str, ...] = ()) -> Runtime:
    declared = Declarations("shop")
    for worker in workers:
        declared.work(worker)
    return Runtime(declared, host, only=only)


async def ended(running: asyncio.Task[None], clock: ManualClock) -> None:
    while not running.done():
        await clock.advance(0.5)


async def test_all_workers_run_until_drained(memory: Host, clock: ManualClock) -> None:
    jobs = [Job("queue:orders"), Job("schedules", takes=5)]
    runtime = runtime_of(memory, *jobs)
    running = asyncio.create_task(runtime.run())
    await runtime.ready.wait()
    assert [job.state for job in jobs] == ["running", "running"]
    await runtime.drain()
    await runtime.drain()
    await clock.advance(1)
    assert [job.state for job in jobs] == ["done", "running"]
    await ended(running, clock)
    await running
    assert jobs[1].state == "done"


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (("queue:orders",), ["queue:orders"]),
        (("queue:*",), ["queue:orders", "queue:events/mail"]),
        (("sched*", "queue:orders"), ["queue:orders", "schedules"]),
        ((), ["queue:orders", "queue:events/mail", "schedules"]),
    ],
)
async def test_only_the_named_workers_run(
    memory: Host, clock: ManualClock, only: tuple[str, ...], expected: list[str]
) -> None:
    jobs = [Job("queue:orders"), Job("queue:events/mail"), Job("schedules")]
    runtime = runtime_of(memory, *jobs, only=only)
    running = asyncio.create_task(runtime.run())
    await runtime.ready.wait()
    assert [job.name for job in jobs if job.state == "running"] == expected
    await runtime.drain()
    await ended(running, clock)
    await running


def test_an_unknown_name_is_refused_with_those_there_are(memory: Host) -> None:
    with pytest.raises(ConfigError, match="'queue:order'; there are: queue:orders, schedules"):
        runtime_of(memory, Job("queue:orders"), Job("schedules"), only=("queue:order",))


async def test_what_is_not_done_in_time_is_cut_and_told(
    memory: Host, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    cut: list[WorkerCut] = []
    memory.signals.listen(WorkerCut, cut.append)
    slow, quick = Job("queue:slow", takes=100), Job("queue:quick", takes=20)
    runtime = runtime_of(memory, slow, quick)
    running = asyncio.create_task(runtime.run())
    await runtime.ready.wait()
    await runtime.drain()
    await clock.advance(memory.settings.drain + 1)
    await running
    assert (slow.state, quick.state) == ("cut", "done")
    assert cut == [WorkerCut(name="queue:slow")]
    assert "queue:slow was not done 30.0 s after the drain began" in caplog.text


async def test_a_worker_that_fails_ends_all_and_its_error_is_raised(
    memory: Host, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[WorkerFailed] = []
    memory.signals.listen(WorkerFailed, told.append)
    other = Job("queue:orders", takes=5)
    runtime = runtime_of(memory, other, Job("http", error=OSError("port taken")))
    running = asyncio.create_task(runtime.run())
    await ended(running, clock)
    with pytest.raises(OSError, match="port taken"):
        await running
    assert other.state == "done"
    assert told == [WorkerFailed(name="http", error="OSError('port taken')")]
    assert "worker http failed" in caplog.text


async def test_several_errors_are_raised_together(memory: Host, clock: ManualClock) -> None:
    failing = [Job(f"queue:{each}", error=ValueError(each)) for each in "ab"]
    running = asyncio.create_task(runtime_of(memory, *failing).run())
    await ended(running, clock)
    with pytest.raises(ExceptionGroup) as raised:
        await running
    assert [str(error) for error in raised.value.exceptions] == ["a", "b"]


async def test_a_worker_that_cannot_be_drained_does_not_keep_the_others(
    memory: Host, clock: ManualClock
) -> None:
    class Stuck(Job):
        async def drain(self) -> None:
            raise ValueError("stuck")

    stuck, other = Stuck("queue:stuck"), Job("queue:orders")
    runtime = runtime_of(memory, stuck, other)
    running = asyncio.create_task(runtime.run())
    await runtime.ready.wait()
    await runtime.drain()
    await ended(running, clock)
    with pytest.raises(ValueError, match="stuck"):
        await running
    assert (stuck.state, other.state) == ("cut", "done")


async def test_cancelled_it_cuts_all(memory: Host) -> None:
    job = Job("queue:orders")
    runtime = runtime_of(memory, job)
    running = asyncio.create_task(runtime.run())
    await runtime.ready.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert job.state == "cut"


async def test_drained_before_it_runs_it_ends_at_once(memory: Host, clock: ManualClock) -> None:
    runtime = runtime_of(memory, Job("queue:orders"))
    await runtime.drain()
    running = asyncio.create_task(runtime.run())
    await clock.settle()
    assert running.done()
