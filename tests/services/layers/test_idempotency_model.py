"""Many requests of one key, in any order, with stalls and failures: the effect is once at most."""

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from isthmus.clock import ManualClock
from isthmus.contracts import Put
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.running.opening import opened
from isthmus.services.layers.idempotency import Idempotency, Idempotent
from isthmus.services.layers.idempotency.idempotent import TRANSACTION
from isthmus.services.problem import Problem
from isthmus.settings import Settings
from isthmus.signals import Signals

LEASE = 30.0

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask")),
        st.tuples(st.sampled_from(["answer", "fail", "refuse", "cut"]), st.integers(0, 5)),
        st.tuples(st.sampled_from(["pass", "stall"]), st.floats(1, 100)),
    ),
    max_size=30,
)


class Work:
    """Requests in hand; each waits in the application for what is to become of it."""

    def __init__(self, host: Host) -> None:
        self._host, self.begun = host, 0
        self._layer = Idempotent(self._run, host=host, options=Idempotency(lease=LEASE))
        self._waiting: list[asyncio.Future[str]] = []
        self.tasks: list[asyncio.Task[tuple[int, bytes]]] = []

    async def step(self, kind: str, number: float = 0) -> None:
        clock = self._host.clock
        assert isinstance(clock, ManualClock)
        if kind == "ask":
            self.tasks.append(asyncio.create_task(self._ask()))
        elif kind == "pass":
            await clock.advance(number)
        elif kind == "stall":  # time goes by, and nobody has had a turn
            clock._now += number  # pyright: ignore[reportPrivateUsage]
        elif kind == "cut" and self.tasks:
            self.tasks[int(number) % len(self.tasks)].cancel()
        elif waiting := [each for each in self._waiting if not each.done()]:
            waiting[int(number) % len(waiting)].set_result(kind)
        await clock.settle()

    async def finish(self) -> Sequence[tuple[int, bytes]]:
        """Let the rest go well; return all answers."""
        while any(not task.done() for task in self.tasks):
            await self.step("answer")
        return [task.result() for task in self.tasks if not task.cancelled()]

    async def _run(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun += 1
        number = self.begun
        await self._host.store.put("effects", [Put(str(number), b"")], tx=scope[TRANSACTION])
        fate: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append(fate)
        kind = await fate
        if kind == "fail":
            raise ValueError(number)
        if kind == "refuse":
            raise Problem(402, str(number))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"%d" % number})

    async def _ask(self) -> tuple[int, bytes]:
        answer: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(event: Any) -> None:
            answer.append(event.get("status") or event.get("body"))

        key = (b"idempotency-key", b"k")
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "query_string": b"",
            "headers": [key],
        }
        try:
            await self._layer(scope, receive, send)
        except Problem as problem:
            return problem.status, b""
        except ValueError:
            return 500, b""
        return answer[0], answer[1]


@given(STEPS)
def test_the_effect_is_once_and_all_answers_are_the_same(steps: list[tuple[Any, ...]]) -> None:
    asyncio.run(_played(steps))


async def _played(steps: list[tuple[Any, ...]]) -> None:
    settings = Settings(engine="memory://")
    async with opened("m", Declarations("m"), settings, ManualClock(), Signals()) as host:
        work = Work(host)
        for step in steps:
            await work.step(*step)
        answers = await work.finish()
        effects = [key for key, _ in await host.store.scan("effects")]
        assert len(effects) <= 1
        done = {answer for answer in answers if answer[0] in {200, 402}}
        assert len(done) <= 1
        if effects:
            assert {(200, effects[0].encode())} == done or not done
        if any(status == 402 for status, _ in done):
            assert not effects
