"""What a stub promises beside the call: when it repeats, what it refuses, whom it trusts."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from isthmus.deadline import deadline
from isthmus.errors import ConfigError, SchemaError, TimedOutError
from isthmus.handling.declarations import Declarations
from isthmus.handling.idempotency_key import StepKey, in_force
from isthmus.resilience import (
    BulkheadFullError,
    CircuitBreaker,
    CircuitOpenError,
    Policy,
    RetriesSpentError,
    Retry,
    Timeout,
)
from isthmus.resilience.bulkhead import Bulkhead
from isthmus.services.rpc import (
    Code,
    RpcError,
    RpcUnreachableError,
    Service,
    Stub,
    default_policy,
    given,
    idempotent,
    sending,
)
from isthmus.services.rpc.doors import serve as serve_service
from isthmus.services.rpc.serving.request import Metadata

Hold = Any
RETRY = Policy(Retry(3, delay=0))


class Text(msgspec.Struct):
    text: str


class Flaky(Service, name="shop.v1.FlakyService", idempotent=["also"]):
    """Fails so many times before it answers how often it was called."""

    def __init__(self, failures: int) -> None:
        self.failures, self.calls = failures, 0

    @idempotent
    async def read(self) -> Text:
        return self._answer()

    async def also(self) -> Text:
        return self._answer()

    async def write(self) -> Text:
        return self._answer()

    @idempotent
    async def watch(self) -> AsyncIterator[Text]:
        yield self._answer()
        if self.failures == -1:
            raise TimedOutError("late")

    async def load(self, items: AsyncIterator[Text]) -> Text:
        return Text("".join([item.text async for item in items]))

    async def talk(self, items: AsyncIterator[Text]) -> AsyncIterator[Text]:
        async for item in items:
            yield item

    def _answer(self) -> Text:
        self.calls += 1
        if self.calls <= self.failures:
            raise TimedOutError("a service behind was slow")
        return Text(str(self.calls))


# --- repeating --------------------------------------------------------------------------------


async def test_an_idempotent_method_is_repeated_though_it_perhaps_ran(
    declared: Declarations, hold: Hold
) -> None:
    flaky = Flaky(2)
    serve_service(declared, flaky)
    async with hold(declared) as s, Stub(Flaky, s.address, policy=RETRY) as calls:
        assert await calls.read() == Text("3")
        flaky.calls = 0
        assert await calls.also() == Text("3")
        flaky.calls = 0
        assert [each async for each in calls.watch()] == [Text("3")]


async def test_another_is_repeated_only_under_a_key(declared: Declarations, hold: Hold) -> None:
    flaky = Flaky(2)
    serve_service(declared, flaky)
    async with hold(declared) as s, Stub(Flaky, s.address, policy=RETRY) as calls:
        with pytest.raises(TimedOutError):
            await calls.write()
        assert flaky.calls == 1
        flaky.calls = 0
        with sending({"idempotency-key": "k-1"}):
            assert await calls.write() == Text("3")


class Keyed(Service, name="shop.v1.KeyedService"):
    """Remembers the keys that it was called under; the first call of `one` fails."""

    def __init__(self) -> None:
        self.keys: list[object] = []

    async def one(self, metadata: Metadata = given) -> Text:
        self.keys.append(metadata.get("idempotency-key"))
        if len(self.keys) == 1:
            raise TimedOutError("slow")
        return Text("")

    @idempotent
    async def read(self, metadata: Metadata = given) -> Text:
        self.keys.append(metadata.get("idempotency-key"))
        return Text("")

    async def many(self, texts: AsyncIterator[Text], metadata: Metadata = given) -> Text:
        self.keys.append(metadata.get("idempotency-key"))
        return Text("".join([each.text async for each in texts]))

    async def watch(self, metadata: Metadata = given) -> AsyncIterator[Text]:
        self.keys.append(metadata.get("idempotency-key"))
        yield Text("")


async def test_in_a_step_of_a_saga_every_attempt_has_the_steps_key(
    declared: Declarations, hold: Hold
) -> None:
    async def texts() -> AsyncIterator[Text]:
        yield Text("a")

    keyed = Keyed()
    serve_service(declared, keyed)
    async with hold(declared) as s, Stub(Keyed, s.address, policy=RETRY) as calls:
        token = in_force.set(StepKey("fulfil/A-1/1"))
        await calls.one()
        await calls.read()
        await calls.many(texts())
        assert [each async for each in calls.watch()] == [Text("")]
        with sending({"idempotency-key": "mine"}):
            await calls.one()
        in_force.reset(token)
        await calls.one()
    first = "fulfil/A-1/1"
    assert keyed.keys == [first, first, None, f"{first}/2", f"{first}/3", "mine", None]


async def test_a_stream_is_not_repeated_once_it_has_begun(
    declared: Declarations, hold: Hold
) -> None:
    flaky = Flaky(-1)
    serve_service(declared, flaky)
    async with hold(declared) as s, Stub(Flaky, s.address, policy=RETRY) as calls:
        watching = calls.watch()
        assert await anext(watching) == Text("1")
        with pytest.raises(TimedOutError):
            await anext(watching)
    assert flaky.calls == 1


async def test_whatever_never_ran_is_repeated(declared: Declarations, hold: Hold) -> None:
    """The server comes up between two attempts: nothing of a stream of requests is lost."""
    port = _free_port()
    starting = asyncio.Event()

    class Waiting(Retry):
        def delay_before(self, attempt: int, draw: float, *, last: float = 0.0) -> float:
            starting.set()
            return super().delay_before(attempt, draw, last=last)

    async def items() -> AsyncIterator[Text]:
        for text in "abc":
            yield Text(text)

    serve_service(declared, Flaky(0))
    policy = Policy(Waiting(200, delay=0.05, factor=1))
    async with Stub(Flaky, f"127.0.0.1:{port}", policy=policy) as calls:
        loading = asyncio.ensure_future(calls.load(items()))
        await starting.wait()
        async with hold(declared, grpc_port=port):
            assert await loading == Text("abc")
            assert await calls.write() == Text("1")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


# --- what is not there ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "told"),
    [("127.0.0.1:1", "refused"), ("nosuch.invalid:50051", "nosuch.invalid")],
)
async def test_a_service_out_of_reach_never_ran(address: str, told: str) -> None:
    async with Stub(Flaky, address, policy=Policy()) as calls:
        with pytest.raises(RpcUnreachableError, match=f"(?i){told}"):
            await calls.write()
        with pytest.raises(RpcUnreachableError):
            await anext(calls.watch())
        with pytest.raises(RpcUnreachableError):
            await calls.load(_nothing())
        with pytest.raises(RpcUnreachableError):
            await anext(calls.talk(_nothing()))


async def test_a_connection_that_hangs_is_given_up_in_its_own_time() -> None:
    with socket.socket() as silent:  # takes connections, and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        policy = Policy(Timeout(30, connect=0.1))
        async with Stub(Flaky, address, policy=policy) as calls:
            with pytest.raises(RpcUnreachableError, match="no connection to"):
                await calls.write()
        async with Stub(Flaky, address, policy=Policy(Timeout(0.2))) as calls:
            with pytest.raises(RpcUnreachableError):  # it never ran, and says so
                await calls.write()


async def _nothing() -> AsyncIterator[Text]:
    return
    yield


async def test_an_upstream_that_is_down_opens_its_circuit_and_no_other() -> None:
    def policy() -> Policy:
        return Policy(CircuitBreaker(consecutive=2))

    async with (
        Stub(Flaky, "127.0.0.1:1", policy=policy()) as down,
        Stub(Flaky, "127.0.0.1:2", policy=policy(), name="other") as other,
    ):
        for _ in range(2):
            with pytest.raises(RpcUnreachableError):
                await down.write()
        with pytest.raises(CircuitOpenError):
            await down.write()
        with pytest.raises(RpcUnreachableError):
            await other.write()


async def test_without_a_policy_it_has_the_documented_one() -> None:
    policy = default_policy("inventory")
    assert repr(policy) == (
        "Policy(Timeout(30, total=True), Retry(3, delay=0.1), CircuitBreaker(), "
        "Bulkhead(100, queue=100), Timeout(10), name='inventory')"
    )
    async with Stub(Flaky, "127.0.0.1:1") as calls:
        with pytest.raises(RpcUnreachableError) as caught:
            await calls.write()
    assert caught.value.__cause__ is not None or not isinstance(caught.value, RetriesSpentError)


async def test_a_bulkhead_bounds_the_calls_at_once(declared: Declarations, hold: Hold) -> None:
    class Slow(Service, name="shop.v1.SlowService"):
        async def wait(self) -> None:
            await go_on.wait()

    go_on = asyncio.Event()
    serve_service(declared, Slow())
    shelf = Bulkhead(1)
    async with hold(declared) as s, Stub(Slow, s.address, policy=Policy(shelf)) as slow:
        first = asyncio.ensure_future(slow.wait())
        while not shelf.running:
            await asyncio.wait([first], timeout=0)
        with pytest.raises(BulkheadFullError, match=r"shop\.v1\.SlowService/Wait"):
            await slow.wait()
        go_on.set()
        await first


# --- streams of requests ----------------------------------------------------------------------


async def test_an_error_of_who_sends_is_what_the_caller_gets(
    declared: Declarations, hold: Hold
) -> None:
    async def broken() -> AsyncIterator[Text]:
        yield Text("a")
        raise ZeroDivisionError

    async def unfit() -> AsyncIterator[Any]:
        yield Text("a")
        yield 7

    serve_service(declared, Flaky(0))
    async with hold(declared) as s, Stub(Flaky, s.address) as calls:
        with pytest.raises(ZeroDivisionError):
            await calls.load(broken())
        with pytest.raises(ZeroDivisionError):
            assert [each async for each in calls.talk(broken())] == []
        with pytest.raises(SchemaError, match="expected Text, got int"):
            await calls.load(unfit())
        assert await calls.write() == Text("1")


async def test_a_stream_may_be_left_early(declared: Declarations, hold: Hold) -> None:
    async def endless() -> AsyncIterator[Text]:
        while True:
            yield Text("a")

    serve_service(declared, Flaky(0))
    async with hold(declared) as s, Stub(Flaky, s.address) as calls:
        talking: Any = calls.talk(endless())
        assert await anext(talking) == Text("a")
        await talking.aclose()
        assert await calls.write() == Text("1")


# --- deadlines and ends -----------------------------------------------------------------------


async def test_no_call_outlives_its_policy(declared: Declarations, hold: Hold) -> None:
    class Slow(Service, name="shop.v1.SlowService"):
        async def wait(self) -> None:
            await asyncio.Event().wait()

        async def watch(self) -> AsyncIterator[Text]:
            yield Text("a")
            await asyncio.Event().wait()

    serve_service(declared, Slow())
    async with hold(declared) as s, Stub(Slow, s.address, policy=Policy(Timeout(0.1))) as slow:
        with pytest.raises(TimedOutError):
            await slow.wait()
        watching: Any = slow.watch()
        assert await anext(watching) == Text("a")
        later = asyncio.ensure_future(anext(watching))
        with pytest.raises(TimedOutError):
            await slow.wait()
        assert not later.done()  # once it is open, only the caller's own deadline bounds it
        later.cancel()
        await asyncio.wait([later])
        with deadline(0.2), pytest.raises(TimedOutError):
            async for _ in slow.watch():
                pass


async def test_a_call_that_is_cancelled_is_cancelled_at_the_server(
    declared: Declarations, hold: Hold
) -> None:
    class Slow(Service, name="shop.v1.SlowService"):
        async def wait(self) -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    began, ended = asyncio.Event(), asyncio.Event()
    serve_service(declared, Slow())
    async with hold(declared) as s, Stub(Slow, s.address) as slow:
        waiting = asyncio.ensure_future(slow.wait())
        await began.wait()
        waiting.cancel()
        await ended.wait()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_a_stub_that_is_closed_ends_its_calls_with_an_error(
    declared: Declarations, hold: Hold
) -> None:
    class Slow(Service, name="shop.v1.SlowService"):
        async def wait(self) -> None:
            began.set()
            await asyncio.Event().wait()

    began = asyncio.Event()
    serve_service(declared, Slow())
    async with hold(declared) as s:
        stub = Stub(Slow, s.address)
        await stub.open()
        waiting = asyncio.ensure_future(stub.calls.wait())
        await began.wait()
        await stub.aclose()
        with pytest.raises(RpcError, match="its stub was closed") as caught:
            await waiting
        assert caught.value.code() is Code.CANCELLED
        with pytest.raises(ConfigError, match="is not open"):
            await stub.calls.wait()


# --- metadata ---------------------------------------------------------------------------------


async def test_metadata_is_made_for_each_attempt(declared: Declarations, hold: Hold) -> None:
    class Tokens(Service, name="shop.v1.TokenService"):
        @idempotent
        async def ask(self, metadata: Metadata = given) -> Text:
            seen.append(str(metadata["authorization"]))
            if len(seen) < 2:
                raise TimedOutError("again")
            return Text(seen[-1])

    seen = list[str]()

    async def fresh() -> dict[str, str | bytes]:
        return {"authorization": f"Bearer {len(seen)}"}

    serve_service(declared, Tokens())
    async with hold(declared) as s:
        async with Stub(Tokens, s.address, policy=RETRY, metadata=fresh) as tokens:
            await tokens.ask()
        assert seen == ["Bearer 0", "Bearer 1"]
        async with Stub(Tokens, s.address, metadata={"authorization": "Basic x"}) as tokens:
            assert await tokens.ask() == Text("Basic x")


@pytest.mark.parametrize(
    "metadata", [{"X-Upper": "a"}, {"grpc-x": "a"}, {"a": "ü"}, {"a": "b\r\nc"}, {"a-bin": "text"}]
)
def test_metadata_that_cannot_be_sent_is_refused_without_its_value(metadata: Any) -> None:
    with pytest.raises(ConfigError, match="metadata") as caught:
        Stub(Flaky, "127.0.0.1:1", metadata=metadata)
    assert not any(repr(value) in str(caught.value) for value in metadata.values())
    with pytest.raises(ConfigError, match="metadata"), sending(metadata):
        pass


# --- what is refused where it is made ---------------------------------------------------------


async def test_what_cannot_be_called_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match="expected host and port"):
        Stub(Flaky, "inventory")
    with pytest.raises(ConfigError, match="expected host and port"):
        Stub(Flaky, "http://inventory:50051")
    with pytest.raises(ConfigError, match="expected bytes, 1 or more"):
        Stub(Flaky, "inventory:1", limit=0)
    with pytest.raises(ConfigError, match="derive it from"):
        Stub(Text, "inventory:1")
    calls: Any = Stub(Flaky, "inventory:1").calls
    with pytest.raises(ConfigError, match="is not open"):
        calls.read()
    async with Stub(Flaky, "127.0.0.1:1") as made:
        opened: Any = made
        with pytest.raises(AttributeError, match="it has"):
            opened.reed()
        assert repr(opened) == "<calls of shop.v1.FlakyService>"


async def test_a_request_that_does_not_fit_is_not_sent() -> None:
    class Asking(Service, name="shop.v1.AskingService"):
        async def ask(self, request: Text) -> Text: ...

    async with Stub(Asking, "127.0.0.1:1") as asking:
        wrong: Any = Text(7)  # pyright: ignore[reportArgumentType]
        with pytest.raises(SchemaError) as caught:
            await asking.ask(wrong)
        assert caught.value.problems[0].startswith("text: ")
        with pytest.raises(SchemaError, match="expected Text, got dict"):
            await asking.ask({"text": "a"})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", ["Stub", "from_proto"])
def test_who_imports_what_needs_an_extra_is_told_which(name: str) -> None:
    program = f"""
import sys
sys.modules["grpc"] = sys.modules["google"] = None
from isthmus.services.rpc import Service, RpcRefusedError
try:
    from isthmus.services.rpc import {name}
except ImportError as error:
    print(error)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert ran.stdout.startswith(f"{name} needs g")
    assert "pip install 'isthmus[grpc]'" in ran.stdout
