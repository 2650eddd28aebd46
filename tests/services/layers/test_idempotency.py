"""What an Idempotency-Key promises, over a real server and around any application."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

import fastapi
import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from isthmus.clock import ManualClock
from isthmus.contracts import Put, Transaction
from isthmus.errors import ConfigError, UnavailableError
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.running.opening import opened
from isthmus.message import Message
from isthmus.services import Problem, add_middleware, mount, route
from isthmus.services.layers.idempotency import Idempotency, Idempotent
from isthmus.services.layers.idempotency.idempotent import TRANSACTION
from isthmus.services.layers.idempotency.key import key_in
from isthmus.settings import Settings
from isthmus.signals import Signals

Serve = Callable[[Declarations], AbstractAsyncContextManager[Any]]

CHARGE = {"order": "o-1", "total": 100}


class Charge(msgspec.Struct):
    order: str
    total: int


def keyed(key: str = "k-1", **headers: str) -> Mapping[str, str]:
    return {"Idempotency-Key": f'"{key}"', **headers}


def charges(declared: Declarations, **options: Any) -> list[str]:
    """Declare POST /charges, which writes each charge; return the list of its runs."""
    runs: list[str] = []

    said: dict[str, Any] = {"idempotency": True, "status": 201, **options}

    @route(declared, "POST", "/charges", **said)
    async def charge(charge: Charge, tx: Transaction, host: Host) -> dict[str, int]:
        runs.append(charge.order)
        await host.store.put("charges", [Put(f"{charge.order}/{len(runs)}", b"")], tx=tx)
        return {"run": len(runs)}

    return runs


async def written(host: Host) -> int:
    return len(await host.store.scan("charges"))


# --- the wire ---------------------------------------------------------------------------------


async def test_a_request_without_a_key_is_refused(declared: Declarations, serve: Serve) -> None:
    runs = charges(declared)
    async with serve(declared) as s:
        answer = await s.client.post("/charges", json=CHARGE)
        assert (answer.status, answer.kind) == (400, "application/problem+json")
        assert "Idempotency-Key" in answer.json()["detail"]
    assert runs == []


async def test_where_it_is_optional_a_request_without_a_key_is_as_any_other(
    declared: Declarations, serve: Serve
) -> None:
    runs = charges(declared, idempotency="optional")
    async with serve(declared) as s:
        for _ in range(2):
            assert (await s.client.post("/charges", json=CHARGE)).status == 201
        for _ in range(2):
            assert (await s.client.post("/charges", json=CHARGE, headers=keyed())).status == 201
    assert len(runs) == 3


async def test_the_second_request_gets_the_answer_of_the_first(
    declared: Declarations, serve: Serve
) -> None:
    runs = charges(declared)
    async with serve(declared) as s:
        first = await s.client.post("/charges", json=CHARGE, headers=keyed())
        again = await s.client.post("/charges", json=CHARGE, headers=keyed())
        assert (first.status, again.status) == (201, 201)
        assert first.body == again.body
        assert first.headers["Content-Type"] == again.headers["Content-Type"]
        assert "Idempotency-Replayed" not in first.headers
        assert again.headers["Idempotency-Replayed"] == "true"
        assert await written(s.host) == 1
    assert len(runs) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"json": {**CHARGE, "total": 101}},
        {"json": CHARGE, "path": "/charges?fast=1"},
        {"json": CHARGE, "path": "/refunds"},
        {"json": CHARGE, "headers": {"Content-Type": "application/vnd.shop+json"}},
    ],
)
async def test_the_key_of_another_request_is_refused(
    declared: Declarations, serve: Serve, other: dict[str, Any]
) -> None:
    runs = charges(declared)

    @route(declared, "POST", "/refunds", idempotency=True)
    async def refund(charge: Charge) -> None: ...

    async with serve(declared) as s:
        await s.client.post("/charges", json=CHARGE, headers=keyed())
        path = other.pop("path", "/charges")
        headers = {**keyed(), **other.pop("headers", {})}
        answer = await s.client.post(path, headers=headers, **other)
        assert answer.status == 422
        assert "was used" in answer.json()["detail"]
    assert len(runs) == 1


async def test_keys_of_two_callers_never_meet(declared: Declarations, serve: Serve) -> None:
    runs = charges(declared)
    async with serve(declared) as s:
        for who in ("Bearer a", "Bearer b", "Bearer a"):
            await s.client.post("/charges", json=CHARGE, headers=keyed(Authorization=who))
    assert len(runs) == 2


async def test_whose_key_it_is_may_be_said(declared: Declarations, serve: Serve) -> None:
    by_tenant = Idempotency(identity=lambda request: request.headers["x-tenant"])
    runs = charges(declared, idempotency=by_tenant)
    async with serve(declared) as s:
        for tenant, who in (("a", "1"), ("b", "1"), ("a", "2")):
            headers = keyed(**{"X-Tenant": tenant, "Authorization": who})
            await s.client.post("/charges", json=CHARGE, headers=headers)
    assert len(runs) == 2


async def test_while_the_first_runs_the_second_is_told_to_come_back(
    declared: Declarations, serve: Serve
) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    @route(declared, "POST", "/slow", idempotency=True)
    async def slow() -> str:
        began.set()
        await go_on.wait()
        return "done"

    async with serve(declared) as s:
        first = asyncio.create_task(s.client.post("/slow", headers=keyed()))
        await began.wait()
        second = await s.client.post("/slow", headers=keyed())
        assert (second.status, second.headers["Retry-After"]) == (409, "1")
        go_on.set()
        assert (await first).json() == "done"
        third = await s.client.post("/slow", headers=keyed())
        assert (third.json(), third.headers["Idempotency-Replayed"]) == ("done", "true")


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        (b'"8e03978e"', "8e03978e"),
        (b"8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        (b'"with \\" and \\\\ and space"', 'with " and \\ and space'),
        (b'"' + b"x" * 255 + b'"', "x" * 255),
        (b"a+/=:_.~", "a+/=:_.~"),
    ],
)
def test_a_key_is_a_quoted_string_or_a_bare_one(sent: bytes, key: str) -> None:
    assert key_in({"headers": [(b"idempotency-key", sent)]}) == key


@pytest.mark.parametrize(
    "sent",
    [b"", b'""', b"x" * 256, b'"open', b"a b", b'"a\x7f"', b'"\xff"', b"a,b", b"a;b", b'"\\n"'],
)
def test_a_malformed_key_is_refused(sent: bytes) -> None:
    with pytest.raises(Problem) as raised:
        key_in({"headers": [(b"idempotency-key", sent)]})
    assert raised.value.status == 400


def test_several_keys_are_refused() -> None:
    with pytest.raises(Problem, match="several"):
        key_in({"headers": [(b"idempotency-key", b"a"), (b"idempotency-key", b"a")]})


async def test_a_body_beyond_the_limit_is_refused(declared: Declarations, serve: Serve) -> None:
    charges(declared, body_limit=20)
    async with serve(declared) as s:
        answer = await s.client.post("/charges", json=CHARGE, headers=keyed())
        assert (answer.status, answer.json()["limit"]) == (413, 20)


# --- what is kept, and what is undone ---------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "kept"),
    [
        (Problem(402, "the card was declined"), True),
        (Problem(404), True),
        (Problem(409), False),
        (Problem(429), False),
        (Problem(500), False),
        (UnavailableError("gone"), False),
        (ValueError("a bug"), False),
    ],
)
async def test_a_failure_writes_nothing_and_only_a_lasting_refusal_is_kept(
    declared: Declarations, serve: Serve, raised: Exception, kept: bool
) -> None:
    fails = [raised]

    @route(declared, "POST", "/charges", idempotency=True)
    async def charge(charge: Charge, tx: Transaction, host: Host) -> str:
        await host.store.put("charges", [Put("c", b"")], tx=tx)
        if fails:
            raise fails.pop()
        return "charged"

    async with serve(declared) as s:
        first = await s.client.post("/charges", json=CHARGE, headers=keyed())
        assert first.status >= 400
        assert await written(s.host) == 0
        second = await s.client.post("/charges", json=CHARGE, headers=keyed())
        assert (second.status == first.status) is kept
        assert (second.body == first.body) is kept
        assert await written(s.host) == (not kept)


async def test_what_is_answered_with_an_error_of_ours_is_undone(
    declared: Declarations, serve: Serve
) -> None:
    statuses = [503, 201]

    @route(declared, "POST", "/charges", idempotency=True)
    async def charge(tx: Transaction, host: Host) -> JSONResponse:
        status = statuses.pop(0)
        await host.store.put("charges", [Put(str(status), b"")], tx=tx)
        return JSONResponse({}, status_code=status)

    async with serve(declared) as s:
        assert (await s.client.post("/charges", headers=keyed())).status == 503
        assert await written(s.host) == 0
        assert (await s.client.post("/charges", headers=keyed())).status == 201
        assert [key for key, _ in await s.host.store.scan("charges")] == ["201"]


async def test_messages_leave_with_the_answer_that_is_kept(
    declared: Declarations, serve: Serve
) -> None:
    attempts: list[int] = []

    @route(declared, "POST", "/charges", idempotency=True)
    async def charge(charge: Charge, tx: Transaction, host: Host) -> int:
        found = (await host.store.get("total", ["all"], tx=tx)).get("all")
        attempts.append(len(attempts))
        if len(attempts) == 1:
            await host.store.put("total", [Put("all", b"another's")])
        await host.store.put("total", [Put("all", b"", found.version if found else 0)], tx=tx)
        await host.queue.send("q", [Message(body=b"{}")], tx=tx)
        return len(attempts)

    async with serve(declared) as s:
        await s.host.queue.declare("q", "q")
        first = await s.client.post("/charges", json=CHARGE, headers=keyed())
        again = await s.client.post("/charges", json=CHARGE, headers=keyed())
        assert (first.json(), again.json()) == (2, 2)  # run again, with the body it had
        assert (await s.host.queue.stats("q", "q")).ready == 1


async def test_an_answer_too_large_to_be_kept_is_undone_and_told(
    declared: Declarations, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    @route(declared, "POST", "/charges", idempotency=Idempotency(answer_limit=10))
    async def charge(tx: Transaction, host: Host) -> str:
        await host.store.put("charges", [Put("c", b"")], tx=tx)
        return "x" * 20

    async with serve(declared) as s:
        assert (await s.client.post("/charges", headers=keyed())).status == 500
        assert await written(s.host) == 0
    assert "raise answer_limit of its Idempotency" in caplog.text


async def test_nobody_reads_whose_key_it_was_in_the_store(
    declared: Declarations, serve: Serve
) -> None:
    charges(declared)
    async with serve(declared) as s:
        headers = keyed("my-key", Authorization="Bearer secret")
        await s.client.post("/charges", json=CHARGE, headers=headers)
        for key, entry in await s.host.store.scan("idempotency"):
            assert "my-key" not in key
            assert "secret" not in key
            assert b"secret" not in entry.value


@pytest.mark.parametrize(
    "words", [{"lease": 0.5}, {"lease": 100.0, "retention": 50.0}, {"body_limit": 0}]
)
def test_what_cannot_be_meant_is_refused(words: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Idempotency(**words)


# --- around other applications ----------------------------------------------------------------


async def test_a_mounted_fastapi_application_gets_it_too(
    declared: Declarations, serve: Serve
) -> None:
    legacy = fastapi.FastAPI()
    hosts: list[Host] = []
    runs: list[int] = []

    async def charge(request: Request) -> dict[str, int]:
        runs.append(len(runs))
        tx: Transaction = request.scope[TRANSACTION]
        await hosts[0].store.put("charges", [Put(str(len(runs)), b"")], tx=tx)
        if len(runs) == 1:
            raise fastapi.HTTPException(503)
        return {"run": len(runs)}

    charge.__annotations__ = {"request": Request}
    legacy.post("/charges")(charge)
    mount(declared, "/legacy", legacy, idempotency=Idempotency())
    async with serve(declared) as s:
        hosts.append(s.host)
        assert (await s.client.post("/legacy/charges")).status == 400
        assert (await s.client.post("/legacy/charges", headers=keyed())).status == 503
        assert await written(s.host) == 0
        first = await s.client.post("/legacy/charges", headers=keyed())
        again = await s.client.post("/legacy/charges", headers=keyed())
        assert (first.json(), again.json()) == ({"run": 2}, {"run": 2})
        assert await written(s.host) == 1
        assert (await s.client.get("/legacy/docs")).status == 200


async def test_it_may_be_around_everything(declared: Declarations, serve: Serve) -> None:
    runs: list[int] = []

    @route(declared, "POST", "/charges", status=201)
    async def charge(tx: Transaction, host: Host) -> int:
        runs.append(1)
        await host.store.put("charges", [Put("c", b"")], tx=tx)
        return len(runs)

    add_middleware(declared, Idempotent, options=Idempotency(required=False))
    async with serve(declared) as s:
        for _ in range(2):
            answer = await s.client.post("/charges", headers=keyed())
            assert (answer.status, answer.json()) == (201, 1)
        assert (await s.client.post("/charges")).json() == 2


# --- stalls and crashes, in virtual time ------------------------------------------------------


class Called:
    """An answer of an application that was called without a server."""

    status = 0
    headers: Mapping[bytes, bytes] = {}
    body = b""

    async def __call__(self, event: Any) -> None:
        if event["type"] == "http.response.start":
            self.status, self.headers = event["status"], dict(event["headers"])
        self.body += event.get("body", b"")


async def ask(application: ASGIApp, body: bytes = b"{}") -> Called:
    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    called = Called()
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/charges",
        "query_string": b"",
        "headers": [(b"idempotency-key", b"k")],
    }
    try:
        await application(scope, receive, called)
    except Problem as problem:
        called.status, called.body = problem.status, problem.detail.encode()
    return called


class Stalling:
    """An application that writes, then waits until it is told to go on."""

    def __init__(self) -> None:
        self.running: list[asyncio.Event] = []
        self.began = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        go_on, number = asyncio.Event(), len(self.running)
        self.running.append(go_on)
        await HOSTS[0].store.put("charges", [Put(str(number), b"")], tx=scope[TRANSACTION])
        self.began.set()
        await go_on.wait()
        await PlainTextResponse(f"run {number}")(scope, receive, send)


HOSTS: list[Host] = []


@pytest.fixture
async def host() -> AsyncGenerator[Host]:
    async with _opened(ManualClock()) as host:
        HOSTS[:] = [host]
        yield host


@asynccontextmanager
async def _opened(clock: ManualClock) -> AsyncGenerator[Host]:
    settings = Settings(engine="memory://")
    async with opened("shop", Declarations("shop"), settings, clock, Signals()) as host:
        yield host


async def test_a_lease_is_extended_while_the_request_runs(host: Host) -> None:
    application = Stalling()
    layer = Idempotent(application, host=host, options=Idempotency(lease=30))
    first = asyncio.create_task(ask(layer))
    await application.began.wait()
    assert isinstance(host.clock, ManualClock)
    for _ in range(20):
        await host.clock.advance(20)
        assert (await ask(layer)).status == 409
    application.running[0].set()
    assert (await first).body == b"run 0"
    assert (await ask(layer)).body == b"run 0"


async def test_a_stalled_first_cannot_commit_once_a_second_took_over(host: Host) -> None:
    application = Stalling()
    stalled = Idempotent(application, host=host, options=Idempotency(lease=30))
    others = Idempotent(application, host=host, options=Idempotency(lease=30))
    first = asyncio.create_task(ask(stalled))
    await application.began.wait()
    assert isinstance(host.clock, ManualClock)
    host.clock._now += 31  # pyright: ignore[reportPrivateUsage] - a process that stood still
    application.began.clear()
    second = asyncio.create_task(ask(others))
    await application.began.wait()
    application.running[0].set()
    assert (await first).status == 409
    application.running[1].set()
    assert (await second).body == b"run 1"
    assert [key for key, _ in await host.store.scan("charges")] == ["1"]
    assert (await ask(stalled)).body == b"run 1"


async def test_the_key_of_a_request_that_was_cut_off_is_free_at_once(host: Host) -> None:
    application = Stalling()
    layer = Idempotent(application, host=host)
    first = asyncio.create_task(ask(layer))
    await application.began.wait()
    first.cancel()
    await asyncio.wait([first])
    application.began.clear()
    second = asyncio.create_task(ask(layer))
    await application.began.wait()
    application.running[1].set()
    assert (await second).body == b"run 1"
    assert [key for key, _ in await host.store.scan("charges")] == ["1"]


async def test_an_answer_is_kept_for_the_retention(host: Host) -> None:
    runs: list[int] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        runs.append(1)
        await PlainTextResponse("done")(scope, receive, send)

    layer = Idempotent(application, host=host, options=Idempotency(retention=timedelta(hours=1)))
    assert isinstance(host.clock, ManualClock)
    await ask(layer)
    await host.clock.advance(3599)
    await ask(layer)
    assert len(runs) == 1
    await host.clock.advance(2)
    await ask(layer)
    assert len(runs) == 2
