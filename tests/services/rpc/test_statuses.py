"""How calls end that failed: the status, and what of it the caller is told."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import msgspec
import pytest

from isthmus import Problem
from isthmus.errors import ConflictError, NotFoundError, TimedOutError, UnavailableError
from isthmus.handling.declarations import Declarations
from isthmus.resilience import CircuitOpenError, Policy, RetriesSpentError, blames, transient
from isthmus.resilience.classify import never_ran
from isthmus.resilience.errors import DeadlinePassedError
from isthmus.services.problem import Fault
from isthmus.services.rpc import (
    Code,
    RpcAbortedError,
    RpcError,
    RpcRefusedError,
    RpcTimedOutError,
    RpcUnavailableError,
    Service,
    Stub,
    given,
)
from isthmus.services.rpc.details import Violation, packed, unpacked
from isthmus.services.rpc.doors import serve as serve_service
from isthmus.services.rpc.status import code_of_http

Hold = Any


class Ask(msgspec.Struct):
    text: str
    count: int = 0


class Failing(Service, name="shop.v1.FailingService"):
    def __init__(self, error: BaseException) -> None:
        self._error = error

    async def fail(self, request: Ask) -> Ask:
        raise self._error

    async def stream(self, request: Ask) -> AsyncIterator[Ask]:
        yield request
        raise self._error


@pytest.mark.parametrize(
    ("raised", "code", "kind"),
    [
        (Problem(404, "no order 7"), Code.NOT_FOUND, RpcRefusedError),
        (Problem(409), Code.ABORTED, RpcAbortedError),
        (Problem(429, headers={"Retry-After": "7"}), Code.RESOURCE_EXHAUSTED, RpcUnavailableError),
        (ConflictError("x"), Code.ABORTED, RpcAbortedError),
        (UnavailableError("secret"), Code.UNAVAILABLE, RpcUnavailableError),
        (CircuitOpenError("secret", retry_after=7), Code.UNAVAILABLE, RpcUnavailableError),
        (RetriesSpentError("secret"), Code.UNAVAILABLE, RpcUnavailableError),
        (TimedOutError("secret"), Code.DEADLINE_EXCEEDED, RpcTimedOutError),
        (DeadlinePassedError("secret"), Code.DEADLINE_EXCEEDED, RpcTimedOutError),
        (NotFoundError("secret"), Code.INTERNAL, RpcError),
        (NotImplementedError("secret"), Code.UNIMPLEMENTED, RpcError),
        (ValueError("secret"), Code.INTERNAL, RpcError),
    ],
    ids=repr,
)
async def test_an_error_becomes_a_status_and_an_error_again(
    declared: Declarations,
    hold: Hold,
    raised: Exception,
    code: Code,
    kind: type[RpcError],
) -> None:
    serve_service(declared, Failing(raised))
    async with hold(declared) as s, Stub(Failing, s.address, policy=Policy()) as failing:
        with pytest.raises(RpcError) as caught:
            await failing.fail(Ask("a"))
        answers = failing.stream(Ask("a"))
        assert await anext(answers) == Ask("a")
        with pytest.raises(RpcError) as late:
            await anext(answers)
    for error in (caught.value, late.value):
        assert (error.code(), type(error)) == (code, kind)
        assert "secret" not in str(error)
        assert error.request_id
        assert not never_ran(error)
    if "7" in repr(raised) and code is not Code.NOT_FOUND:
        assert caught.value.retry_after == 7


async def test_what_nobody_expected_is_in_the_log_with_the_request_id(
    declared: Declarations, hold: Hold, caplog: pytest.LogCaptureFixture
) -> None:
    serve_service(declared, Failing(ValueError("secret")))
    async with hold(declared) as s, Stub(Failing, s.address) as failing:
        with pytest.raises(RpcError, match="the fault is ours") as caught:
            await failing.fail(Ask("a"))
    [line] = [record for record in caplog.records if record.name == "isthmus.grpc"]
    assert caught.value.request_id in line.getMessage()
    assert line.exc_info is not None
    assert "secret" in caplog.text


async def test_every_fault_of_a_request_is_told(declared: Declarations, hold: Hold) -> None:
    serve_service(declared, Failing(Problem(422, "bad", faults=[Fault("body", "a.b", "odd")])))
    async with hold(declared) as s, Stub(Failing, s.address) as failing:
        with pytest.raises(RpcRefusedError) as caught:
            await failing.fail(Ask("a"))
        assert caught.value.problems == ("a.b: odd",)
        async with grpc.aio.insecure_channel(s.address) as channel:
            call = channel.unary_unary("/shop.v1.FailingService/Fail")
            with pytest.raises(grpc.aio.AioRpcError) as raw:
                await call(b"\xff\xff")
    assert raw.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert raw.value.details() == "body: it is no Protobuf message of this type"


async def test_a_method_that_is_not_there_is_unimplemented(
    declared: Declarations, hold: Hold
) -> None:
    serve_service(declared, Failing(ValueError()))

    class Newer(Service, name="shop.v1.FailingService"):
        async def later(self, request: Ask) -> Ask: ...

    async with hold(declared) as s, Stub(Newer, s.address) as newer:
        with pytest.raises(RpcError) as caught:
            await newer.later(Ask("a"))
    assert caught.value.code() is Code.UNIMPLEMENTED


async def test_a_message_that_is_too_large_is_refused(declared: Declarations, hold: Hold) -> None:
    serve_service(declared, Failing(Problem(404)))
    async with hold(declared, grpc_limit=1_024) as s, Stub(Failing, s.address) as failing:
        with pytest.raises(RpcRefusedError):
            await failing.fail(Ask("a"))
        with pytest.raises(RpcError) as caught:
            await failing.fail(Ask("x" * 2_000))
    assert caught.value.code() is Code.RESOURCE_EXHAUSTED


async def test_an_answer_that_does_not_fit_is_the_fault_of_the_server(
    declared: Declarations, hold: Hold, caplog: pytest.LogCaptureFixture
) -> None:
    class Wrong(Service, name="shop.v1.WrongService"):
        async def ask(self) -> Ask:
            wrong: Any = Ask("a", 1 << 70)
            return wrong

    serve_service(declared, Wrong())
    async with hold(declared) as s, Stub(Wrong, s.address) as wrong:
        with pytest.raises(RpcError) as caught:
            await wrong.ask()
    assert caught.value.code() is Code.INTERNAL
    assert "count: Value out of range" in caplog.text


async def test_a_handler_may_end_the_call_as_grpcio_does(
    declared: Declarations, hold: Hold
) -> None:
    class Own(Service, name="shop.v1.OwnService"):
        async def ask(self, context: grpc.aio.ServicerContext = given) -> None:
            await context.abort(grpc.StatusCode.DATA_LOSS, "gone")

    serve_service(declared, Own())
    async with hold(declared) as s, Stub(Own, s.address) as own:
        with pytest.raises(RpcError, match="gone") as caught:
            await own.ask()
    assert caught.value.code() is Code.DATA_LOSS


def test_policies_judge_the_errors_rightly() -> None:
    def judged(kind: type[RpcError], code: Code) -> tuple[bool, bool, bool]:
        error = kind("shop.v1.S/M", code)
        return transient(error), never_ran(error), blames(error)

    from isthmus.services.rpc import RpcUnreachableError

    assert judged(RpcUnreachableError, Code.UNAVAILABLE) == (True, True, True)
    assert judged(RpcUnavailableError, Code.UNAVAILABLE) == (True, False, True)
    assert judged(RpcTimedOutError, Code.DEADLINE_EXCEEDED) == (True, False, True)
    assert judged(RpcAbortedError, Code.ABORTED) == (True, False, True)
    assert judged(RpcRefusedError, Code.NOT_FOUND) == (False, False, False)
    assert judged(RpcError, Code.CANCELLED) == (False, False, False)
    assert judged(RpcError, Code.INTERNAL) == (False, False, True)


def test_errors_survive_the_way_to_another_process() -> None:
    import pickle

    error = RpcRefusedError(
        "shop.v1.S/M", Code.NOT_FOUND, "gone", problems=["a: b"], metadata={"x-request-id": "1"}
    )
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.problems) == (type(error), str(error), ("a: b",))
    assert (again.code(), again.request_id) == (Code.NOT_FOUND, "1")


def test_details_are_read_as_they_were_written_and_bounded() -> None:
    violations = [Violation("a.b", "bad"), Violation("", "worse")]
    assert unpacked(packed(3, "x", violations=violations, retry_after=1.5)) == (violations, 1.5)
    assert unpacked(b"\xff") == ((), None)
    many = packed(3, "x", violations=[Violation("field", "x" * 100)] * 1_000)
    assert len(many) < 6_000
    assert len(unpacked(many)[0]) > 30


def test_every_status_of_http_has_a_code() -> None:
    assert code_of_http(418) is Code.FAILED_PRECONDITION
    assert code_of_http(599) is Code.INTERNAL
    assert code_of_http(504) is Code.DEADLINE_EXCEEDED


async def test_what_is_cut_by_the_end_of_the_server_is_told_so(
    declared: Declarations, hold: Hold
) -> None:
    class Slow(Service, name="shop.v1.SlowService"):
        async def wait(self) -> None:
            began.set()
            await asyncio.Event().wait()

    began = asyncio.Event()
    serve_service(declared, Slow())
    async with hold(declared) as s, Stub(Slow, s.address, policy=Policy()) as slow:
        waiting = asyncio.ensure_future(slow.wait())
        await began.wait()
        s.running.cancel()
        with pytest.raises(RpcUnavailableError, match="cut off by a shutdown"):
            await waiting
