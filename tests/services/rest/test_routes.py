"""What routes promise, over a real server."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime
from enum import Enum
from io import BytesIO
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pydantic
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from isthmus.contracts import Put, Transaction
from isthmus.errors import ConfigError, ConflictError, FullError, SchemaError, TimedOutError
from isthmus.handling.calling.dependencies import Depends, Header
from isthmus.handling.calling.middleware import Incoming, Proceed
from isthmus.handling.calling.sync_transaction import SyncTransaction
from isthmus.handling.carried import correlation_id
from isthmus.handling.declarations import Declarations
from isthmus.handling.threads import wait
from isthmus.handling.unit import current
from isthmus.message import Message
from isthmus.services import Problem, route

Served = Any
Serve = Callable[[Declarations], AbstractAsyncContextManager[Served]]


class Order(msgspec.Struct):
    id: str
    total: int


@dataclasses.dataclass
class Plain:
    id: str
    total: int


class Modelled(pydantic.BaseModel):
    id: str
    total: int


class Colour(Enum):
    RED = "red"


def post(declared: Declarations, path: str = "/orders", **options: Any) -> Any:
    return route(declared, "POST", path, **options)


def get(declared: Declarations, path: str = "/orders", **options: Any) -> Any:
    return route(declared, "GET", path, **options)


# --- in and out -----------------------------------------------------------------------------


@pytest.mark.parametrize("type_", [Order, Plain, Modelled])
async def test_every_kind_of_model_goes_in_and_out(
    declared: Declarations, serve: Serve, type_: Any
) -> None:
    async def echo(order: Any) -> Any:
        order.total += 1
        return order

    echo.__annotations__ = {"order": type_, "return": type_}
    post(declared)(echo)
    async with serve(declared) as s:
        answer = await s.client.post("/orders", json={"id": "a", "total": 1})
        assert (answer.status, answer.json()) == (200, {"id": "a", "total": 2})
        refused = await s.client.post("/orders", json={"total": "many"})
        problem = refused.json()
        assert refused.status == 422
        assert {fault["at"] for fault in problem["errors"]} == {"id", "total"}


async def test_path_and_query_are_converted_by_annotation(
    declared: Declarations, serve: Serve
) -> None:
    @get(declared, "/things/{key}/{day}")
    async def show(
        key: UUID,
        day: date,
        colour: Colour,
        limit: int = 10,
        tags: list[str] = [],  # noqa: B006 - never changed
        since: datetime | None = None,
    ) -> dict[str, str]:
        return {"all": f"{key.int} {day} {colour} {limit} {tags} {since}"}

    uuid = UUID(int=7)
    query = "colour=red&tags=a&tags=b&since=2026-01-01T00:00:00Z"
    async with serve(declared) as s:
        answer = await s.client.get(f"/things/{uuid}/2026-02-03?{query}")
        since = datetime(2026, 1, 1, tzinfo=UTC)
        said = f"7 2026-02-03 {Colour.RED} 10 ['a', 'b'] {since}"
        assert answer.json() == {"all": said}


async def test_every_fault_of_path_query_and_body_is_told_at_once(
    declared: Declarations, serve: Serve
) -> None:
    @post(declared, "/orders/{number}")
    async def change(number: int, order: Order, limit: int) -> None: ...

    async with serve(declared) as s:
        answer = await s.client.post("/orders/x?limit=y", json={"id": 3})
        problem = answer.json()
    faults = {(fault["location"], fault["at"]) for fault in problem["errors"]}
    assert faults == {("path", "number"), ("query", "limit"), ("body", "id"), ("body", "total")}


async def test_no_return_annotation_sends_what_is_returned(
    declared: Declarations, serve: Serve
) -> None:
    @get(declared, "/order")
    async def order():
        return Order("a", 1)

    @get(declared, "/nothing")
    async def nothing() -> None: ...

    @get(declared, "/text")
    async def text() -> PlainTextResponse:
        return PlainTextResponse("hello", status_code=203)

    async with serve(declared) as s:
        assert (await s.client.get("/order")).json() == {"id": "a", "total": 1}
        assert (await s.client.get("/nothing")).status == 204
        answer = await s.client.get("/text")
        assert (answer.status, answer.body.decode()) == (203, "hello")


async def test_an_answer_of_another_type_than_promised_is_an_error(
    declared: Declarations, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    @get(declared)
    async def order() -> Order:
        return "secret"  # pyright: ignore[reportReturnType]

    async with serve(declared) as s:
        answer = await s.client.get("/orders")
        assert answer.status == 500
        assert "secret" not in answer.body.decode()
    assert "secret" in caplog.text
    assert f"GET /orders answered 500 (request {answer.json()['request_id']})" in caplog.text


async def test_a_missing_body_is_its_default_or_a_fault(
    declared: Declarations, serve: Serve
) -> None:
    @post(declared, "/optional")
    async def optional(order: Order | None = None) -> str:
        return str(order)

    @post(declared, "/required")
    async def required(order: Order) -> None: ...

    async with serve(declared) as s:
        assert (await s.client.post("/optional")).json() == "None"
        assert (await s.client.post("/required")).status == 422


async def test_bytes_take_any_media_type(declared: Declarations, serve: Serve) -> None:
    @post(declared)
    async def size(body: bytes) -> int:
        return len(body)

    async with serve(declared) as s:
        assert (await s.client.post("/orders", data=b"abc")).json() == 3


async def test_head_is_answered_by_get(declared: Declarations, serve: Serve) -> None:
    @get(declared)
    async def order() -> Order:
        return Order("a", 1)

    async with serve(declared) as s:
        answer = await s.client.head("/orders")
        assert answer.status == 200
        assert answer.body == b""


# --- what handlers are given ----------------------------------------------------------------


async def test_headers_dependencies_resources_and_the_request_are_given(
    declared: Declarations, serve: Serve
) -> None:
    class Pool:
        name = "pool"

    async def pool() -> AsyncIterator[Pool]:
        yield Pool()

    declared.resources[Pool] = pool

    async def page(limit: int = 5, offset: int = 0) -> tuple[int, int]:
        return limit, offset

    @get(declared)
    async def show(
        request: Request,
        pool: Pool,
        page: Annotated[tuple[int, int], Depends(page)],
        tenant: Annotated[str, Header("x-tenant")],
    ) -> list[str]:
        return [request.method, pool.name, str(page), tenant]

    async with serve(declared) as s:
        answer = await s.client.get("/orders?limit=2", headers={"X-Tenant": "acme"})
        assert answer.json() == ["GET", "pool", "(2, 0)", "acme"]
        problem = (await s.client.get("/orders")).json()
        assert problem["errors"] == [{"location": "header", "at": "x-tenant", "detail": "missing"}]


async def test_a_def_handler_runs_in_a_thread_with_its_transaction(
    declared: Declarations, serve: Serve
) -> None:
    @post(declared)
    def save(order: Order, tx: SyncTransaction) -> str:
        unit = current.get()
        assert unit is not None
        assert unit.tx is not None
        return tx.scope

    @get(declared)
    def fetch() -> str:
        async def later() -> str:
            return "later"

        return wait(later())

    async with serve(declared) as s:
        answer = await s.client.post("/orders", json={"id": "a", "total": 1})
        assert answer.json() == s.host.store.capabilities.scope
        assert (await s.client.get("/orders")).json() == "later"


async def test_middleware_wraps_routes_and_may_refuse(declared: Declarations, serve: Serve) -> None:
    calls: list[str] = []

    async def guard(incoming: Incoming, proceed: Proceed) -> None:
        calls.append(incoming.handler)
        if not incoming.handler.endswith("closed"):
            await proceed()

    declared.middleware.append(guard)

    @get(declared, "/open")
    async def opened() -> str:
        return "come in"

    @get(declared, "/closed")
    async def closed() -> str:
        raise AssertionError

    async with serve(declared) as s:
        assert (await s.client.get("/open")).json() == "come in"
        assert (await s.client.get("/closed")).status == 403
    assert [call.rpartition(".")[2] for call in calls] == ["opened", "closed"]


async def test_a_resource_that_nobody_gives_is_refused_when_the_app_opens(
    declared: Declarations, serve: Serve
) -> None:
    class Pool: ...

    @get(declared)
    async def show(pool: Pool) -> None: ...

    with pytest.raises(ConfigError, match=r"parameter 'pool' .* no resource gives one"):
        async with serve(declared):
            pass


async def test_a_model_that_a_get_takes_is_told_how_to_come_from_the_query(
    declared: Declarations, serve: Serve
) -> None:
    @get(declared)
    async def show(order: Order) -> None: ...

    with pytest.raises(ConfigError, match=r"no body, .*: Annotated\[Order, Depends\(Order\)\]"):
        async with serve(declared):
            pass


class Filter(msgspec.Struct):
    least: Annotated[int, msgspec.Meta(ge=0)] = 0
    tags: list[str] = []


class Shown(pydantic.BaseModel):
    least: int = 0
    tags: list[str] = []


@pytest.mark.parametrize("kind", [Filter, Shown])
async def test_a_model_whose_fields_are_parameters_is_checked_and_keeps_its_defaults(
    declared: Declarations, serve: Serve, kind: Any
) -> None:
    made = list[Any]()

    @get(declared)
    async def find(wanted: Annotated[Any, Depends(kind)]) -> None:
        made.append(wanted)

    async with serve(declared) as s:
        assert (await s.client.get("/orders?least=3&tags=a&tags=b")).status == 204
        for _ in range(2):
            assert (await s.client.get("/orders")).status == 204
        answer = await s.client.get("/orders?least=few")
        assert answer.json()["errors"] == [
            {"location": "query", "at": "least", "detail": "Expected `int`, got 'few'"}
        ]
    assert made == [kind(least=3, tags=["a", "b"]), kind(), kind()]
    assert made[1].tags is not made[2].tags


def test_a_path_parameter_that_no_one_takes_is_refused(declared: Declarations) -> None:
    async def show() -> None: ...

    with pytest.raises(ConfigError, match=r"show\(\) has no parameter 'id'"):
        get(declared, "/orders/{id}")(show)


def test_a_route_is_declared_once(declared: Declarations) -> None:
    async def show() -> None: ...

    get(declared)(show)
    with pytest.raises(ConfigError, match="route 'GET /orders' is declared twice"):
        get(declared)(show)


def test_a_malformed_path_is_refused(declared: Declarations) -> None:
    for path in ("orders", "/orders/{id:what}", "/{id}/{id}"):
        with pytest.raises(ConfigError, match="path"):
            get(declared, path)(lambda: None)


# --- a request is a unit of work --------------------------------------------------------------


async def test_a_transaction_is_committed_before_the_answer(
    declared: Declarations, serve: Serve
) -> None:
    served: list[Served] = []

    @post(declared, status=201)
    async def save(order: Order, tx: Transaction) -> None:
        store = served[0].host.store
        await store.put("orders", [Put(order.id, b"x")], tx=tx)
        assert not await store.get("orders", [order.id])

    async with serve(declared) as s:
        served.append(s)
        answer = await s.client.post("/orders", json={"id": "a", "total": 1})
        assert answer.status == 201
        assert await s.host.store.get("orders", ["a"])


async def test_a_handler_that_raises_writes_nothing(declared: Declarations, serve: Serve) -> None:
    served: list[Served] = []

    @post(declared)
    async def save(order: Order, tx: Transaction) -> None:
        await served[0].host.store.put("orders", [Put(order.id, b"x")], tx=tx)
        raise Problem(409, "no such sku", type="https://shop.example/no-sku", sku="s-1")

    async with serve(declared) as s:
        served.append(s)
        answer = await s.client.post("/orders", json={"id": "a", "total": 1})
        problem = answer.json()
        assert not await s.host.store.get("orders", ["a"])
    assert answer.kind == "application/problem+json"
    assert problem == {
        "type": "https://shop.example/no-sku",
        "title": "Conflict",
        "status": 409,
        "detail": "no such sku",
        "sku": "s-1",
        "request_id": answer.headers["X-Request-ID"],
    }


async def test_a_conflict_runs_the_handler_again(declared: Declarations, serve: Serve) -> None:
    served: list[Served] = []
    runs: list[int] = []

    @post(declared)
    async def save(order: Order, tx: Transaction) -> int:
        store = served[0].host.store
        found = (await store.get("totals", ["all"], tx=tx)).get("all")
        runs.append(len(runs))
        if len(runs) == 1:
            await store.put("totals", [Put("all", b"other's")])
        await store.put("totals", [Put("all", b"mine", found.version if found else 0)], tx=tx)
        return len(runs)

    async with serve(declared) as s:
        served.append(s)
        answer = await s.client.post("/orders", json={"id": "a", "total": 1})
        assert answer.json() == 2
        assert (await s.host.store.get("totals", ["all"]))["all"].value == b"mine"


async def test_what_is_sent_in_a_unit_leaves_with_its_commit(
    declared: Declarations, serve: Serve
) -> None:
    served: list[Served] = []

    @post(declared)
    async def save(order: Order, tx: Transaction, fail: bool = False) -> None:
        await served[0].host.queue.send("q", [Message(body=b"{}")], tx=tx)
        if fail:
            raise ValueError

    async with serve(declared) as s:
        served.append(s)
        await s.host.queue.declare("q", "q")
        await s.client.post("/orders?fail=true", json={"id": "a", "total": 1})
        assert (await s.host.queue.stats("q", "q")).ready == 0
        await s.client.post("/orders", json={"id": "a", "total": 1})
        assert (await s.host.queue.stats("q", "q")).ready == 1


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (FullError("disk /secret is full"), 503),
        (TimedOutError("secret"), 504),
        (ConflictError("secret", subject="secret"), 409),
        (SchemaError("secret"), 500),
        (ValueError("secret"), 500),
    ],
)
async def test_errors_are_problems_that_tell_nothing_of_the_inside(
    declared: Declarations, serve: Serve, error: Exception, status: int
) -> None:
    @get(declared)
    async def fail() -> None:
        raise error

    async with serve(declared) as s:
        answer = await s.client.get("/orders")
        text = answer.body.decode()
    assert answer.status == status
    assert answer.kind == "application/problem+json"
    assert "secret" not in text
    assert ("Retry-After" in answer.headers) == (status == 503)


async def test_an_unknown_path_and_method_are_told(declared: Declarations, serve: Serve) -> None:
    @get(declared)
    async def show() -> None: ...

    @post(declared)
    async def take() -> None: ...

    async with serve(declared) as s:
        missing = await s.client.get("/nothing")
        wrong = await s.client.delete("/orders")
        assert (missing.status, wrong.status) == (404, 405)
        assert wrong.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
        assert "/nothing" in missing.json()["detail"]


async def test_json_is_asked_for(declared: Declarations, serve: Serve) -> None:
    @post(declared)
    async def take(order: Order) -> None: ...

    body = b'{"id": "a", "total": 1}'
    async with serve(declared) as s:
        for kind, status in {
            "application/json; charset=utf-8": 204,
            "application/vnd.shop+json": 204,
            "text/plain": 415,
            "application/x-www-form-urlencoded": 415,
        }.items():
            headers = {"content-type": kind}
            answer = await s.client.post("/orders", data=body, headers=headers)
            assert (kind, answer.status) == (kind, status)
        json = {"content-type": "application/json"}
        assert (await s.client.post("/orders", data=b"{", headers=json)).status == 400


async def test_a_body_beyond_the_limit_is_refused_and_the_answer_is_read(
    declared: Declarations, serve: Serve
) -> None:
    @post(declared, body_limit=1000)
    async def take(body: bytes) -> int:
        return len(body)

    async def dripping(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"x" * 100

    async with serve(declared) as s:
        assert (await s.client.post("/orders", data=b"x" * 1000)).json() == 1000
        assert (await s.client.post("/orders", data=dripping(10))).json() == 1000
        for body in (b"x" * 1001, BytesIO(b"x" * 5_000_000), dripping(11), dripping(5000)):
            answer = await s.client.post("/orders", data=body)
            assert (answer.status, answer.json()["limit"]) == (413, 1000)


async def test_a_handler_that_reads_the_request_reads_what_came_within_the_limit(
    declared: Declarations, serve: Serve
) -> None:
    @post(declared, "/both", body_limit=100)
    async def both(order: Order, request: Request) -> bool:
        return msgspec.json.decode(await request.body(), type=Order) == order

    @post(declared, "/alone", body_limit=100)
    async def alone(request: Request) -> int:
        return len(await request.body())

    async with serve(declared) as s:
        assert (await s.client.post("/both", json={"id": "a", "total": 1})).json() is True
        assert (await s.client.post("/alone", data=b"x" * 100)).json() == 100
        assert (await s.client.post("/alone", data=b"x" * 101)).status == 413


async def test_the_client_s_request_id_is_kept_if_it_is_sane(
    declared: Declarations, serve: Serve
) -> None:
    async with serve_nothing(declared, serve) as s:
        for given, kept in {"req-1": True, "a b": False, "x" * 200: False}.items():
            answer = await s.client.get("/healthz", headers={"X-Request-ID": given})
            assert (answer.headers["X-Request-ID"] == given) is kept
            assert answer.headers["X-Request-ID"]


async def test_trace_context_is_carried_into_messages(declared: Declarations, serve: Serve) -> None:
    from isthmus.clock import SystemClock
    from isthmus.handling.envelope import Envelope
    from isthmus.schema import schema_of
    from isthmus.schema.wire import Wire

    wire = Wire(schema_of(Order), place="orders")
    envelope = Envelope(wire, of="queue 'orders'", source="shop", clock=SystemClock())

    @post(declared)
    async def take(order: Order) -> str:
        return envelope.message(order).headers["traceparent"]

    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with serve(declared) as s:
        answer = await s.client.post(
            "/orders", json={"id": "a", "total": 1}, headers={"traceparent": parent}
        )
        assert answer.json() == parent


async def test_what_a_request_belongs_to_is_carried_into_messages(
    declared: Declarations, serve: Serve
) -> None:
    from isthmus.clock import SystemClock
    from isthmus.handling.envelope import Envelope
    from isthmus.schema import schema_of

    envelope = Envelope(schema_of(Order), of="queue 'orders'", source="shop", clock=SystemClock())

    @post(declared)
    async def take(order: Order) -> list[str]:
        message = envelope.message(order)
        return [message.correlation_id, message.causation_id]

    async with serve(declared) as s:
        for given, expected in (
            ({"X-Request-ID": "r-1"}, ["r-1", "r-1"]),
            ({"X-Request-ID": "r-2", "X-Correlation-ID": "order-7"}, ["order-7", "r-2"]),
            ({"X-Request-ID": "r-3", "X-Correlation-ID": "no sane id"}, ["r-3", "r-3"]),
        ):
            answer = await s.client.post("/orders", json={"id": "a", "total": 1}, headers=given)
            assert answer.json() == expected


async def test_requests_do_not_share_their_ids(declared: Declarations, serve: Serve) -> None:
    async with serve_nothing(declared, serve) as s:
        answers = await asyncio.gather(*(s.client.get("/healthz") for _ in range(20)))
        assert len({answer.headers["X-Request-ID"] for answer in answers}) == 20


def serve_nothing(declared: Declarations, serve: Serve) -> Any:
    @get(declared, "/nothing")
    async def nothing() -> None: ...

    return serve(declared)


async def test_tasks_of_a_request_each_carry_on_what_it_belongs_to(
    declared: Declarations, serve: Serve
) -> None:
    @route(declared, "GET", "/")
    async def look() -> list[str]:
        async def told() -> str:
            return correlation_id()

        return [*await asyncio.gather(told(), told()), correlation_id()]

    async with serve(declared) as s:
        answer = await s.client.get("/", headers={"X-Correlation-Id": "order-7"})
    assert answer.json() == ["order-7"] * 3
