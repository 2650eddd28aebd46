from collections.abc import Awaitable, Callable

import msgspec
import pytest

from isthmus import App, Batch, Incoming, Message, Retry
from isthmus.handling.calling.handler import Failed
from isthmus.handling.declarations import Declarations

Called = Callable[..., Awaitable[Failed | None]]
Proceed = Callable[[], Awaitable[None]]


class Order(msgspec.Struct):
    id: str


def order(id_: str) -> Message:
    return Message(body=f'{{"id":"{id_}"}}'.encode())


async def test_middleware_wraps_the_handler_the_first_outermost(
    called: Called, declared: Declarations
) -> None:
    seen: list[str] = []

    def tracing(name: str) -> Callable[[Incoming, Proceed], Awaitable[None]]:
        async def trace(incoming: Incoming, proceed: Proceed) -> None:
            seen.append(f"{name} in")
            await proceed()
            seen.append(f"{name} out")

        return trace

    async def handle(order: Order) -> None:
        seen.append(order.id)

    declared.wrap(tracing("outer"))
    declared.wrap(tracing("inner"))
    await called(handle, Order, [order("a")])
    assert seen == ["outer in", "inner in", "a", "inner out", "outer out"]


async def test_middleware_knows_what_comes_in(called: Called, declared: Declarations) -> None:
    seen: list[Incoming] = []

    async def look(incoming: Incoming, proceed: Proceed) -> None:
        seen.append(incoming)
        await proceed()

    async def handle(order: Order) -> None: ...

    declared.wrap(look)
    messages = [order("a")]
    await called(handle, Order, messages, attempt=3)
    assert seen[0].handler.endswith("handle")
    assert (seen[0].messages, seen[0].attempt) == (messages, 3)


async def test_what_failed_of_a_batch_passes_through(
    called: Called, declared: Declarations
) -> None:
    async def through(incoming: Incoming, proceed: Proceed) -> None:
        await proceed()

    async def handle(batch: Batch[Order]) -> None:
        batch.fail(1, "second")

    declared.wrap(through)
    failed = await called(handle, Order, [order("a"), order("b")], batch=True)
    assert failed is not None
    assert list(failed) == [1]


async def test_a_handlers_error_reaches_the_middleware(
    called: Called, declared: Declarations
) -> None:
    seen: list[str] = []

    async def look(incoming: Incoming, proceed: Proceed) -> None:
        try:
            await proceed()
        except ValueError as error:
            seen.append(str(error))
            raise

    async def handle(order: Order) -> None:
        raise ValueError(order.id)

    declared.wrap(look)
    with pytest.raises(ValueError, match="a"):
        await called(handle, Order, [order("a")])
    assert seen == ["a"]


async def test_middleware_of_a_module_wraps_in_the_app(
    called: Called, declared: Declarations
) -> None:
    seen: list[str] = []
    module = Declarations("module")
    declared.include(module)

    async def look(incoming: Incoming, proceed: Proceed) -> None:
        seen.append("late")
        await proceed()

    async def handle(order: Order) -> None: ...

    module.wrap(look)
    await called(handle, Order, [order("a")])
    assert seen == ["late"]


async def test_middleware_sees_every_attempt() -> None:
    app, attempts = App("shop"), list[int]()
    orders = app.queue("orders", Order)

    @app.middleware
    async def look(incoming: Incoming, proceed: Proceed) -> None:
        attempts.append(incoming.attempt)
        await proceed()

    @orders.handler(retry=Retry(3, delay=1, jitter="none"))
    async def handle(order: Order) -> None:
        raise ValueError

    async with app.test() as t:
        await orders.send(Order("a"))
        await t.advance(60)
    assert attempts == [1, 2, 3]
