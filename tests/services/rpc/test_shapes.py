"""The four shapes of a call, and what a method may ask for."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

import grpc.aio
import msgspec
import pytest

from isthmus import App, Depends, Header, Incoming, Problem, Proceed, Transaction
from isthmus.deadline import deadline, remaining
from isthmus.errors import ConfigError, ConflictError, TimedOutError
from isthmus.handling.carried import carried, trace
from isthmus.handling.declarations import Declarations
from isthmus.resilience import Policy, Timeout, note_degraded
from isthmus.services.layers.request_id import request_id
from isthmus.services.rpc import (
    Code,
    DeclaredService,
    DeclaredStub,
    Metadata,
    Peer,
    RpcError,
    RpcRefusedError,
    Service,
    Stub,
    given,
    sending,
)
from isthmus.services.rpc.doors import serve as serve_service
from isthmus.services.rpc.serving import answering

Hold = Any


class Order(msgspec.Struct):
    sku: str
    quantity: int = 1


class Taken(msgspec.Struct):
    left: int


class Word(msgspec.Struct):
    text: str


class Inventory(Service, name="shop.v1.InventoryService"):
    """Declared only: who calls needs no more."""

    async def reserve(self, request: Order) -> Taken: ...
    def watch(self, request: Order) -> AsyncIterator[Taken]: ...
    async def load(self, items: AsyncIterator[Order]) -> Taken: ...
    def talk(self, words: AsyncIterator[Word]) -> AsyncIterator[Word]: ...


class Shelf(Inventory):
    async def reserve(self, request: Order) -> Taken:
        return Taken(10 - request.quantity)

    async def watch(self, request: Order) -> AsyncIterator[Taken]:
        for left in range(request.quantity):
            yield Taken(left)

    async def load(self, items: AsyncIterator[Order]) -> Taken:
        return Taken(sum([item.quantity async for item in items]))

    async def talk(self, words: AsyncIterator[Word]) -> AsyncIterator[Word]:
        async for word in words:
            yield Word(word.text.upper())


async def orders(*quantities: int) -> AsyncIterator[Order]:
    for quantity in quantities:
        yield Order("a", quantity)


async def words(*texts: str) -> AsyncIterator[Word]:
    for text in texts:
        yield Word(text)


# --- the four shapes --------------------------------------------------------------------------


async def test_a_request_is_answered(declared: Declarations, hold: Hold) -> None:
    serve_service(declared, Shelf())
    async with hold(declared) as s, Stub(Inventory, s.address) as inventory:
        assert await inventory.reserve(Order("a", 3)) == Taken(7)


async def test_answers_stream(declared: Declarations, hold: Hold) -> None:
    serve_service(declared, Shelf())
    async with hold(declared) as s, Stub(Inventory, s.address) as inventory:
        assert [each.left async for each in inventory.watch(Order("a", 3))] == [0, 1, 2]
        assert [each async for each in inventory.watch(Order("a", 0))] == []


async def test_requests_stream(declared: Declarations, hold: Hold) -> None:
    serve_service(declared, Shelf())
    async with hold(declared) as s, Stub(Inventory, s.address) as inventory:
        assert await inventory.load(orders(1, 2, 3)) == Taken(6)
        assert await inventory.load(orders()) == Taken(0)


async def test_both_stream_each_at_its_own_pace(declared: Declarations, hold: Hold) -> None:
    serve_service(declared, Shelf())
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def asking() -> AsyncIterator[Word]:
        yield Word("a")
        yield Word(await heard.get())  # what is said depends on the answer

    async with hold(declared) as s, Stub(Inventory, s.address) as inventory:
        answers = list[str]()
        async for answer in inventory.talk(asking()):
            answers.append(answer.text)
            heard.put_nowait(answer.text + "b")
    assert answers == ["A", "AB"]


async def test_a_def_method_runs_in_a_thread(declared: Declarations, hold: Hold) -> None:
    class Blocking(Service, name="shop.v1.BlockingService"):
        def ask(self, request: Word) -> Word:
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            return Word(request.text + request_id.get())

    serve_service(declared, Blocking())
    async with hold(declared) as s, Stub(Blocking, s.address) as blocking:
        calls: Any = blocking
        with sending({"x-request-id": "7"}):
            assert await calls.ask(Word("a")) == Word("a7")


async def test_nothing_is_an_empty_message(declared: Declarations, hold: Hold) -> None:
    class Quiet(Service, name="shop.v1.QuietService"):
        async def ping(self) -> None: ...
        async def names(self) -> AsyncIterator[Word]:
            yield Word("a")

    serve_service(declared, Quiet())
    async with hold(declared) as s, Stub(Quiet, s.address) as quiet:
        assert await quiet.ping() is None
        assert [each async for each in quiet.names()] == [Word("a")]


async def test_models_may_be_of_any_library(declared: Declarations, hold: Hold) -> None:
    pydantic = pytest.importorskip("pydantic")

    @dataclass
    class Plain:
        name: str

    class Checked(pydantic.BaseModel):
        age: Annotated[int, pydantic.Field(ge=0)]

    class Mixed(Service, name="shop.v1.MixedService"):
        async def swap(self, request: Plain) -> Checked:
            return Checked(age=len(request.name))

        async def back(self, request: Checked) -> Plain:
            return Plain("a" * request.age)

    serve_service(declared, Mixed())
    async with hold(declared) as s, Stub(Mixed, s.address) as mixed:
        assert await mixed.swap(Plain("abc")) == Checked(age=3)
        assert await mixed.back(Checked(age=2)) == Plain("aa")
        with pytest.raises(RpcRefusedError) as caught:
            await mixed.back(Checked.model_construct(age=-1))
        assert caught.value.problems == ("age: Input should be greater than or equal to 0",)


# --- what a method may ask for ----------------------------------------------------------------


async def test_a_method_is_given_what_it_asks_for(declared: Declarations, hold: Hold) -> None:
    class Prices:
        pass

    def tenant(name: Annotated[str, Header("x-tenant")]) -> str:
        return name.upper()

    told = list[Any]()

    class Asking(Inventory):
        async def reserve(
            self,
            order: Order,
            metadata: Metadata = given,
            peer: Peer = given,
            prices: Prices = given,
            tenant: Annotated[str, Depends(tenant)] = given,
            context: grpc.aio.ServicerContext = given,
        ) -> Taken:
            told.extend((metadata["x-tenant"], metadata["raw-bin"], peer.address, peer.names))
            told.extend((type(prices), tenant, context.code()))
            return Taken(order.quantity)

        watch, load, talk = Shelf.watch, Shelf.load, Shelf.talk

    declared.provide(Prices, _given_by(Prices))
    serve_service(declared, Asking())
    async with (
        hold(declared) as s,
        Stub(Inventory, s.address, metadata={"x-tenant": "acme"}) as inventory,
    ):
        with sending({"raw-bin": b"\x00\xff"}):
            assert await inventory.reserve(Order("a", 2)) == Taken(2)
    address = told.pop(2)
    assert address.startswith("ipv4:127.0.0.1:")
    assert told == ["acme", b"\x00\xff", (), Prices, "ACME", None]


def _given_by(kind: type) -> Any:
    def give() -> Any:
        return kind()

    return give


async def test_metadata_that_is_missing_is_a_fault_of_the_request(
    declared: Declarations, hold: Hold
) -> None:
    class Tenants(Service, name="shop.v1.TenantService"):
        async def ask(self, tenant: Annotated[str, Header("x-tenant")] = given) -> None: ...

    serve_service(declared, Tenants())
    async with hold(declared) as s, Stub(Tenants, s.address) as tenants:
        with pytest.raises(RpcRefusedError) as caught:
            await tenants.ask()
    assert caught.value.code() is Code.INVALID_ARGUMENT
    assert caught.value.problems == ("x-tenant: missing",)


async def test_a_transaction_is_committed_before_the_answer_and_run_again_on_conflict(
    declared: Declarations, hold: Hold, tmp_path: Any
) -> None:
    runs = 0

    class Books(Service, name="shop.v1.BookService"):
        async def keep(self, request: Word, tx: Transaction = given) -> Taken:
            nonlocal runs
            runs += 1
            await tx.execute("create table if not exists words (word text)")
            await tx.execute("insert into words values (:word)", word=request.text)
            if runs == 1:
                raise ConflictError("somebody was first")
            if request.text == "bad":
                raise Problem(409, "no such word")
            return Taken(runs)

    serve_service(declared, Books())
    async with (
        hold(declared, engine=f"sqlite:///{tmp_path}/books.db") as s,
        Stub(Books, s.address) as books,
    ):
        assert await books.keep(Word("good")) == Taken(2)
        with pytest.raises(RpcError, match="no such word"):
            await books.keep(Word("bad"))
        tx = s.host.store.begin()
        assert [row[0] for row in await tx.fetch("select word from words")] == ["good"]
        await tx.rollback()


def test_a_stream_has_no_transaction() -> None:
    app = App("shop", engine="memory://")

    class Streaming(Service, name="shop.v1.StreamService"):
        async def watch(self, request: Word, tx: Transaction = given) -> AsyncIterator[Word]:
            yield request

    app.serve(Streaming())
    with pytest.raises(ConfigError, match="would be open as long as the stream"):
        asyncio.run(_opened(app))


async def _opened(app: App) -> None:
    async with app:
        pass


async def test_middleware_wraps_calls_and_streams(declared: Declarations, hold: Hold) -> None:
    events = list[str]()

    async def watch(incoming: Incoming, proceed: Proceed) -> None:
        events.append(f"before {incoming.handler.rpartition('.')[2]}")
        await proceed()
        events.append("after")

    async def guard(incoming: Incoming, proceed: Proceed) -> None:
        if incoming.handler.endswith("load"):
            return
        await proceed()

    declared.wrap(watch)
    declared.wrap(guard)
    serve_service(declared, Shelf())
    async with hold(declared) as s, Stub(Inventory, s.address) as inventory:
        await inventory.reserve(Order("a"))
        assert [each.left async for each in inventory.watch(Order("a", 2))] == [0, 1]
        with pytest.raises(RpcRefusedError) as caught:
            await inventory.load(orders(1))
        assert caught.value.code() is Code.PERMISSION_DENIED
    assert events == [
        "before reserve", "after", "before watch", "after", "before load", "after",
    ]  # fmt: skip


# --- what travels with a call -----------------------------------------------------------------


async def test_deadline_trace_correlation_and_request_id_travel_with_the_call(
    declared: Declarations, hold: Hold
) -> None:
    told = list[Any]()

    class Travelling(Inventory):
        async def reserve(self, request: Order) -> Taken:
            told.extend((remaining(), dict(carried()), request_id.get()))
            return Taken(0)

        async def watch(self, request: Order) -> AsyncIterator[Taken]:
            told.append(remaining())
            yield Taken(0)

        load, talk = Shelf.load, Shelf.talk

    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    serve_service(declared, Travelling())
    async with hold(declared) as s, Stub(Inventory, s.address, policy=Policy()) as inventory:
        trace.set({"traceparent": parent, "tracestate": "a=b", "correlationid": "order-7"})
        request_id.set("r-1")
        with deadline(5):
            await inventory.reserve(Order("a"))
            [_] = [each async for each in inventory.watch(Order("a"))]
        await inventory.reserve(Order("a"))
    left, traced, named, streamed, none, *_ = told
    assert 4 < left <= 5
    assert 4 < streamed <= 5
    assert traced == {
        "traceparent": parent,
        "tracestate": "a=b",
        "correlationid": "order-7",
        "causationid": "r-1",
    }
    assert (named, none) == ("r-1", None)


async def test_a_call_whose_deadline_is_over_is_cancelled_at_the_server(
    declared: Declarations, hold: Hold
) -> None:
    cancelled = asyncio.Event()

    class Slow(Service, name="shop.v1.SlowService"):
        async def wait(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

    serve_service(declared, Slow())
    async with hold(declared) as s, Stub(Slow, s.address, policy=Policy()) as slow:
        with deadline(0.1), pytest.raises(RpcError) as caught:
            await slow.wait()
        assert caught.value.code() is Code.DEADLINE_EXCEEDED
        await cancelled.wait()


async def test_a_caller_that_goes_away_ends_the_stream(declared: Declarations, hold: Hold) -> None:
    ended = asyncio.Event()

    class Endless(Service, name="shop.v1.EndlessService"):
        async def count(self) -> AsyncIterator[Taken]:
            try:
                number = 0
                while True:
                    yield Taken(number)
                    number += 1
            finally:
                ended.set()

    serve_service(declared, Endless())
    async with hold(declared) as s, Stub(Endless, s.address) as endless:
        counting = endless.count()
        async for each in counting:
            if each.left == 5:
                break
        closing: Any = counting
        await closing.aclose()
        await ended.wait()


async def test_a_reader_that_is_slow_holds_its_writer_back(
    declared: Declarations, hold: Hold
) -> None:
    sent = 0

    class Flood(Service, name="shop.v1.FloodService"):
        async def flood(self) -> AsyncIterator[Word]:
            nonlocal sent
            while True:
                sent += 1
                yield Word("x" * 100_000)

        async def ping(self) -> None: ...

    serve_service(declared, Flood())
    async with hold(declared) as s, Stub(Flood, s.address) as flood:
        async for _ in flood.flood():
            before = -1
            while before != sent:  # until nothing more is taken from the handler
                before = sent
                for _ in range(20):
                    await flood.ping()
            break
    assert sent < 200  # 20 MB, of which a window's worth was sent


async def test_a_stream_with_nothing_to_say_is_open_all_the_same(
    declared: Declarations, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Rare(Service, name="shop.v1.RareService"):
        async def watch(self) -> AsyncIterator[Word]:
            await say.wait()
            yield Word("at last")

        async def hang(self) -> None:
            await say.wait()

    say = asyncio.Event()
    monkeypatch.setattr(answering, "SILENCE", 0.01)
    serve_service(declared, Rare())
    async with hold(declared) as s, Stub(Rare, s.address, policy=Policy(Timeout(0.4))) as rare:
        stub: Any = rare
        watching = stub.watch()
        first = asyncio.create_task(anext(watching))
        with pytest.raises(TimedOutError):  # its time to open is over then, too
            await stub.hang()
        assert not first.done()
        say.set()
        assert await first == Word("at last")
        await watching.aclose()


async def test_degraded_parts_are_named_in_the_trailers(declared: Declarations, hold: Hold) -> None:
    class Pages(Service, name="shop.v1.PageService"):
        async def show(self) -> Word:
            note_degraded("offers")
            return Word("page")

    serve_service(declared, Pages())
    async with hold(declared) as s, grpc.aio.insecure_channel(s.address) as channel:
        call = channel.unary_unary("/shop.v1.PageService/Show")(b"")
        await call
        assert dict(await call.trailing_metadata())["isthmus-degraded"] == "offers"


# --- what is refused where it is declared -----------------------------------------------------


def test_an_app_tells_its_services_and_stubs() -> None:
    app = App("shop", engine="memory://")
    app.serve(Shelf())
    app.stub(Inventory, "inventory:50051", name="other")
    [service] = app.describe().of(DeclaredService)
    [stub] = app.describe().of(DeclaredStub)
    assert service.name == "shop.v1.InventoryService"
    assert service.methods[1] == "Watch(shop.v1.Order) returns (stream shop.v1.Taken)"
    assert service.interface.endswith(":Inventory")
    assert service.implementation.endswith(":Shelf")
    assert (stub.service, stub.address) == ("shop.v1.InventoryService", "inventory:50051")
    assert stub.policy[0] == "Timeout(30, total=True)"


async def test_a_stub_of_an_app_is_open_while_the_app_is(
    declared: Declarations, hold: Hold
) -> None:
    serve_service(declared, Shelf())
    async with hold(declared) as s:
        app = App("other", engine="memory://")
        inventory = app.stub(Inventory, s.address)
        with pytest.raises(ConfigError, match="is not open"):
            await inventory.reserve(Order("a"))
        async with app:
            assert await inventory.reserve(Order("a", 1)) == Taken(9)
        with pytest.raises(ConfigError, match="is not open"):
            await inventory.reserve(Order("a"))


def refused(app: App, service: Any, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        app.serve(service)
        asyncio.run(_opened(app))


def test_what_cannot_be_served_is_refused_with_the_way_out() -> None:
    class NoRequest(Service, name="shop.v1.A"):
        async def ask(self, name: str) -> Word: ...

    class NoAnswer(Service, name="shop.v1.B"):
        async def ask(self, request: Word): ...

    class LateStream(Service, name="shop.v1.C"):
        async def watch(self, request: Word) -> AsyncIterator[Word]: ...

    class Nothing(Service, name="shop.v1.D"): ...

    class Another(Shelf):
        async def reserve(self, request: Order) -> Word:  # pyright: ignore[reportIncompatibleMethodOverride]
            return Word("")

    class Strange(Shelf):
        async def reserve(self, request: Order, when: int = given) -> Taken:
            return Taken(0)

    app = App("shop", engine="memory://")
    refused(app, NoRequest(), "a request is one message")
    refused(app, NoAnswer(), "does not say what it gives")
    refused(app, LateStream(), "yield in it, or write `def`")
    refused(app, Nothing(), "has no method")
    refused(App("shop", engine="memory://"), Inventory(), "is declared only: implement it")
    refused(App("shop", engine="memory://"), Another(), "gives Word, and shop.v1.InventoryService")
    refused(App("shop", engine="memory://"), Strange(), "'when' is of type int")
    refused(app, Shelf, r"write Shelf\(\)")
    refused(app, object(), "derive it from isthmus.Service")
    with pytest.raises(ConfigError, match="expected package and service"):
        type("Bad", (Service,), {}, name="Inventory")
    with pytest.raises(ConfigError, match="it has no name"):
        type("Bad", (Service,), {})


class Written(Service, name="shop.v1.WrittenService"):
    async def reserve(self, request: Word) -> Word: ...
    def watch(self, request: Word) -> AsyncIterator[Word]: ...

    async def forget(self, request: Word) -> None: ...


def test_what_an_implementation_leaves_out_is_refused_where_it_is_served() -> None:
    class Misspelt(Written):
        async def reserv(self, request: Word) -> Word:
            return request

        async def watch(self, request: Word) -> AsyncIterator[Word]:
            yield request

    class Halved(Written):
        async def reserve(self, request: Word) -> Word:
            raise NotImplementedError

    class Whole(Misspelt):
        async def reserve(self, request: Word) -> Word:
            return await self.reserv(request)

    app = App("shop", engine="memory://")
    with pytest.raises(ConfigError, match="not implement reserve; is reserv meant to be it"):
        app.serve(Misspelt())
    with pytest.raises(ConfigError, match=r"Halved does not implement watch$"):
        app.serve(Halved())
    app.serve(Whole())
