"""What a handler may ask for, and what it is given."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any

import msgspec
import pytest

from isthmus import (
    Batch,
    ConfigError,
    Delivery,
    Depends,
    Header,
    Message,
    Record,
    SchemaError,
    SyncTransaction,
    Transaction,
)
from isthmus.contracts import Put
from isthmus.handling.calling.handler import Failed, Handler
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.schema import schema_of

Called = Callable[..., Awaitable[Failed | None]]


class Order(msgspec.Struct):
    id: str


class Cancelled(msgspec.Struct):
    id: str


class User(msgspec.Struct):
    name: str


class Later(msgspec.Struct):
    id: str


def order(id_: str = "a", **headers: str) -> Message:
    return Message(body=f'{{"id":"{id_}"}}'.encode(), headers=headers)


def handler_of(function: Callable[..., Any], type_: Any = Order, **options: Any) -> Handler:
    return Handler(function, schema=schema_of(type_), declared=Declarations("x"), **options)


# --- one message ----------------------------------------------------------------------------


async def test_the_payload_is_what_is_annotated_with_its_type(called: Called) -> None:
    given: list[Any] = []

    async def handle(message: Message, value: Order) -> None:
        given.extend((message.id, value))

    message = order()
    await called(handle, Order, [message])
    assert given == [message.id, Order("a")]


async def test_annotations_may_be_strings(called: Called) -> None:
    given: list[Any] = []

    async def handle(value: "Later", tx: "Transaction") -> None:
        given.extend((value, tx.scope[:9]))

    await called(handle, Later, [order()])
    assert given == [Later("a"), "memory://"]


@pytest.mark.parametrize(
    "annotation", [Any, object, Order | None, Order | Cancelled, msgspec.Struct, None]
)
async def test_the_payload_may_be_annotated_as_more_than_it_is(
    called: Called, annotation: Any
) -> None:
    given: list[Any] = []

    async def handle(value: Any) -> None:
        given.append(value)

    handle.__annotations__["value"] = annotation
    if annotation is None:
        del handle.__annotations__["value"]
    await called(handle, Order, [order()])
    assert given == [Order("a")]


async def test_all_that_a_handler_may_ask_for_is_given(called: Called, memory: Host) -> None:
    given: list[Any] = []

    async def handle(
        value: Order, tx: Transaction, message: Message, delivery: Delivery, host: Host
    ) -> None:
        await host.store.put("seen", [Put(value.id, b"")], tx=tx)
        given.extend((delivery.attempt, delivery.message is message, host is memory))

    await called(handle, Order, [order()], attempt=3)
    assert given == [3, True, True]
    assert await memory.store.get("seen", ["a"])


async def test_a_handler_need_not_take_the_payload_and_then_it_is_not_read(
    called: Called,
) -> None:
    given: list[Message] = []

    async def handle(message: Message) -> None:
        given.append(message)

    await called(handle, Order, [Message(body=b"no json")])
    assert given[0].body == b"no json"


async def test_a_body_that_cannot_be_read_is_a_schema_error(called: Called) -> None:
    async def handle(value: Order, message: Message, host: Host) -> None: ...

    with pytest.raises(SchemaError, match="Order"):
        await called(handle, Order, [Message(body=b"[]")])


async def test_methods_partials_and_callable_objects_are_handlers(called: Called) -> None:
    given: list[str] = []

    class Desk:
        async def handle(self, value: Order) -> None:
            given.append(f"method {value.id}")

        async def __call__(self, value: Order) -> None:
            given.append(f"object {value.id}")

    async def handle(prefix: str, value: Order) -> None:
        given.append(f"{prefix} {value.id}")

    for function in (Desk().handle, Desk(), partial(handle, "partial")):
        await called(function, Order, [order()])
    assert given == ["method a", "object a", "partial a"]


async def test_parameters_by_place_by_name_and_with_a_default_are_given(called: Called) -> None:
    given: list[Any] = []

    async def handle(value: Order, limit: int = 5, /, *, host: Host, text: str = "x") -> None:
        given.extend((value, limit, host.name, text))

    await called(handle, Order, [order()])
    assert given == [Order("a"), 5, "shop", "x"]


async def test_a_delivery_is_not_a_record(called: Called) -> None:
    async def handle(record: Record) -> None: ...

    with pytest.raises(ConfigError, match="queues give a Delivery"):
        await called(handle, Order, [order()])


def test_what_cannot_be_given_is_refused_by_name() -> None:
    async def handle(value: Order, other) -> None: ...

    with pytest.raises(ConfigError, match=r"handle\(\): parameter 'other' .* the payload: Order"):
        handler_of(handle)


def test_an_unknown_annotation_is_refused_by_name() -> None:
    async def handle(value: "Nowhere") -> None: ...  # noqa: F821 # pyright: ignore[reportUndefinedVariable]

    with pytest.raises(ConfigError, match="'Nowhere', which its module does not know"):
        handler_of(handle)


async def test_a_resource_that_nobody_gives_is_refused_with_the_way_out(memory: Host) -> None:
    async def handle(value: Order, user: User) -> None: ...

    with pytest.raises(ConfigError, match=r"'user' is of type User.*resource.*payload: Order"):
        handler_of(handle).bind(memory)


async def test_a_handler_of_another_payload_is_told_what_the_payload_is(memory: Host) -> None:
    async def handle(value: dict[str, str]) -> None: ...

    with pytest.raises(ConfigError, match=r"^the payload is Order, which no parameter takes; "):
        handler_of(handle).bind(memory)


def test_a_blocking_handler_cannot_await_its_transaction() -> None:
    def handle(value: Order, tx: Transaction) -> None: ...

    with pytest.raises(ConfigError, match="annotate it SyncTransaction"):
        handler_of(handle)


def test_an_async_handler_must_not_block() -> None:
    async def handle(value: Order, tx: SyncTransaction) -> None: ...

    with pytest.raises(ConfigError, match="would block the loop"):
        handler_of(handle)


# --- headers --------------------------------------------------------------------------------


async def test_a_header_is_given_by_name_and_converted(called: Called) -> None:
    given: list[Any] = []

    async def handle(
        tenant: Annotated[str, Header("x-tenant")],
        x_limit: Annotated[int, Header()],
        x_missing: Annotated[str, Header()] = "none",
    ) -> None:
        given.extend((tenant, x_limit, x_missing))

    await called(handle, Order, [order(**{"x-tenant": "acme", "x-limit": "7"})])
    assert given == ["acme", 7, "none"]


async def test_a_missing_header_makes_the_message_unreadable(called: Called) -> None:
    async def handle(tenant: Annotated[str, Header("x-tenant")]) -> None: ...

    with pytest.raises(SchemaError, match="'x-tenant' is missing"):
        await called(handle, Order, [order()])


async def test_a_header_of_another_type_makes_the_message_unreadable(called: Called) -> None:
    async def handle(limit: Annotated[int, Header("limit")]) -> None: ...

    with pytest.raises(SchemaError, match="header 'limit'"):
        await called(handle, Order, [order(limit="many")])


# --- dependencies ---------------------------------------------------------------------------


async def test_a_dependency_is_what_its_function_gives(called: Called) -> None:
    given: list[Any] = []

    async def user(message: Message, tenant: Annotated[str, Header("tenant")]) -> User:
        return User(f"{tenant}/{message.headers['user']}")

    def greeting(user: Annotated[User, Depends(user)]) -> str:
        return f"hello {user.name}"

    async def handle(value: Order, text: Annotated[str, Depends(greeting)]) -> None:
        given.extend((value.id, text))

    await called(handle, Order, [order(tenant="acme", user="ann")])
    assert given == ["a", "hello acme/ann"]


async def test_a_dependency_is_called_once_for_each_call(called: Called) -> None:
    calls: list[str] = []

    async def user(value: Order) -> User:
        calls.append(value.id)
        return User("ann")

    async def name(user: Annotated[User, Depends(user)]) -> str:
        return user.name

    async def handle(
        user: Annotated[User, Depends(user)], name: Annotated[str, Depends(name)]
    ) -> None:
        assert user.name == name

    await called(handle, Order, [order("a")])
    await called(handle, Order, [order("b")])
    assert calls == ["a", "b"]


async def test_what_a_dependency_opened_is_closed_last_first_before_the_commit(
    called: Called, memory: Host
) -> None:
    seen: list[str] = []

    async def outer(tx: Transaction) -> AsyncIterator[str]:
        seen.append("open outer")
        yield "outer"
        await memory.store.put("closed", [Put("outer", b"")], tx=tx)
        seen.append("close outer")

    def inner(outer: Annotated[str, Depends(outer)]) -> Iterator[str]:
        seen.append("open inner")
        yield f"{outer} inner"
        seen.append("close inner")

    @asynccontextmanager
    async def decorated() -> AsyncIterator[str]:
        yield "decorated"
        seen.append("close decorated")

    async def handle(
        both: Annotated[str, Depends(inner)], more: Annotated[str, Depends(decorated)]
    ) -> None:
        seen.append(f"{both} {more}")

    await called(handle, Order, [order()])
    assert seen == [
        "open outer",
        "open inner",
        "outer inner decorated",
        "close decorated",
        "close inner",
        "close outer",
    ]
    assert await memory.store.get("closed", ["outer"])


async def test_a_dependency_sees_the_handlers_error_but_cannot_hide_it(called: Called) -> None:
    seen: list[str] = []

    async def on_loop() -> AsyncIterator[int]:
        try:
            yield 1
        except ValueError as error:
            seen.append(f"loop {error}")

    def in_thread() -> Iterator[int]:
        try:
            yield 1
        except ValueError as error:
            seen.append(f"thread {error}")
            raise

    async def handle(
        one: Annotated[int, Depends(on_loop)], other: Annotated[int, Depends(in_thread)]
    ) -> None:
        raise ValueError("no such sku")

    with pytest.raises(ValueError, match="no such sku"):
        await called(handle, Order, [order()])
    assert seen == ["thread no such sku", "loop no such sku"]


def test_a_dependency_on_itself_is_refused() -> None:
    def one(value: Any) -> str:
        return ""

    one.__annotations__["value"] = Annotated[str, Depends(one)]

    async def handle(text: Annotated[str, Depends(one)]) -> None: ...

    with pytest.raises(ConfigError, match="depends on itself"):
        handler_of(handle)


def test_depends_without_a_function_is_refused() -> None:
    async def handle(user: Annotated[User, Depends]) -> None: ...

    with pytest.raises(ConfigError, match=r"'user' has Depends; write Depends\(\.\.\.\)"):
        handler_of(handle)


# --- batches --------------------------------------------------------------------------------


@pytest.mark.parametrize("annotation", [list[Order], Sequence[Order], list, Batch[Order], Any])
async def test_a_batch_is_given_in_order(called: Called, annotation: Any) -> None:
    given: list[list[Order]] = []

    async def handle(values: Any) -> None:
        given.append(list(values))

    handle.__annotations__["values"] = annotation
    assert await called(handle, Order, [order("a"), order("b")], batch=True) is None
    assert given == [[Order("a"), Order("b")]]


async def test_some_of_a_batch_may_fail(called: Called) -> None:
    async def handle(batch: Batch[Order]) -> None:
        batch.fail(batch[0], ValueError("first"))
        batch.fail(-1, "last")

    failed = await called(handle, Order, [order("a"), order("b"), order("c")], batch=True)
    assert failed is not None
    assert {index: str(error) for index, error in failed.items()} == {0: "first", 2: "last"}


async def test_what_cannot_be_read_fails_alone(called: Called) -> None:
    given: list[Any] = []

    async def handle(batch: Batch[Order], messages: list[Message]) -> None:
        given.extend((list(batch), [each.id for each in messages], list(batch.messages)))
        batch.fail(batch[1], "second")

    good, bad, other = order("a"), Message(body=b"[]"), order("b")
    failed = await called(handle, Order, [good, bad, other], batch=True)
    assert given == [[Order("a"), Order("b")], [good.id, other.id], [good, other]]
    assert failed is not None
    assert {index: type(error) for index, error in failed.items()} == {
        1: SchemaError,
        2: RuntimeError,
    }


async def test_a_batch_of_which_nothing_can_be_read_calls_nobody(called: Called) -> None:
    async def handle(batch: list[Order]) -> None:
        raise AssertionError

    failed = await called(handle, Order, [Message(body=b"[]")], batch=True)
    assert failed is not None
    assert list(failed) == [0]


async def test_an_item_of_another_batch_cannot_fail(called: Called) -> None:
    async def handle(batch: Batch[Order]) -> None:
        batch.fail(Order("a"), "equal, but not of this batch")

    with pytest.raises(ConfigError, match="no item"):
        await called(handle, Order, [order("a")], batch=True)


def test_a_batch_has_no_single_message() -> None:
    async def handle(batch: list[Order], message: Message) -> None: ...

    with pytest.raises(ConfigError, match=r"'message' is one Message.*list\[Message\]"):
        handler_of(handle, batch=True)


def test_a_batch_cannot_be_taken_as_one() -> None:
    async def handle(value: Order) -> None: ...

    with pytest.raises(ConfigError, match=r"'value' is one Order.*Batch\[Order\]"):
        handler_of(handle, batch=True)
