"""The policy of an upstream: there by default, its own, and amended from outside."""

import asyncio
from collections.abc import Iterator

import pytest

from isthmus.errors import ConfigError, TimedOutError
from isthmus.resilience import (
    Bulkhead,
    BulkheadFullError,
    Cache,
    CircuitBreaker,
    CircuitOpenError,
    Fallback,
    Hedge,
    LocalState,
    Policies,
    Policy,
    Retry,
    RetryBudget,
    Timeout,
    policies,
)
from isthmus.services.client import Client, ConnectTimedOutError, FailedError, Response
from isthmus.services.client.defaults import default_policy, own_policy
from isthmus.testing.http import FakeTransport

from .conftest import Upstream, answers, stalls  # noqa: TID252

DEFAULT = """\
  1. timeout: Timeout(30, total=True)
  2. retry: Retry(3, delay=0.1)
  3. circuit breaker is closed: CircuitBreaker()
  4. bulkhead: Bulkhead(100, queue=100)
  5. timeout: Timeout(10)"""


@pytest.fixture
def unloaded() -> Iterator[Policies]:
    """The policies of the process, with nothing loaded afterwards."""
    yield policies
    policies.load({}, environ={})


def test_a_client_that_is_told_nothing_is_guarded(name: str) -> None:
    assert Client(name, "http://x").policy.describe() == f"{name}\n{DEFAULT}"


def test_clients_of_one_name_have_one_policy_and_others_another(name: str) -> None:
    one, same, other = (Client(n, "http://x") for n in (name, name, f"{name} too"))
    assert one.policy is same.policy
    assert one.policy is policies.get(name)
    assert other.policy is not one.policy


def test_an_empty_policy_is_none(name: str) -> None:
    assert Client(name, "http://x", policy=Policy()).policy.strategies == ()


def test_a_policy_that_code_defined_by_the_name_stands(name: str) -> None:
    defined = policies.define(name, Timeout(1))
    assert Client(name, "http://x").policy is defined


def test_configuration_amends_the_default_before_and_after_the_client_is_made(
    name: str, unloaded: Policies
) -> None:
    unloaded.load({name: {"timeout": 3, "retry": False}}, environ={})
    client = Client(name, "http://x")
    assert [repr(one) for one in client.policy.strategies] == [
        "Timeout(30, total=True)", "CircuitBreaker()", "Bulkhead(100, queue=100)", "Timeout(3)",
    ]  # fmt: skip
    unloaded.load({name: {"bulkhead": 7}}, environ={})
    assert client.policy.describe() == (
        f"{name}\n{DEFAULT}".replace("Bulkhead(100, queue=100)", "Bulkhead(7, queue=100)")
    )


def test_the_environment_amends_it(unloaded: Policies) -> None:
    client = Client("pay-env", "http://x")
    unloaded.load(environ={"ISTHMUS_RESILIENCE__PAY_ENV__TOTAL": "5"})
    assert repr(client.policy.strategies[0]) == "Timeout(5, total=True)"


def test_what_configuration_alone_knew_is_kept_by_who_asked_for_it() -> None:
    own = Policies()
    own.load({"pay": {"timeout": 3}}, environ={})
    asked = own.get("pay")
    assert default_policy("pay", own) is asked
    assert len(asked.strategies) == 5
    assert default_policy("pay", own) is asked


def test_a_configuration_that_cannot_work_with_the_default_is_told() -> None:
    own = Policies()
    own.load({"pay": {"fallback": "x"}}, environ={})
    own.load({"pay": {"retry": {"attempts": 2}}}, environ={})
    policy = own.default("pay", Timeout(1))
    assert [one.kind for one in policy.strategies] == ["retry", "timeout"]
    with pytest.raises(ConfigError, match="total timeout is inside"):
        own.default("new", *reversed(default_policy("x", Policies()).strategies))
    assert own.default("new", Timeout(2)).strategies[0].kind == "timeout"


def test_a_policy_of_its_own_has_the_options_and_none_of_the_state() -> None:
    shared = Policies()
    default = default_policy("pay", shared)
    own = own_policy("pay", shared)
    assert own.describe() == default.describe()
    breaker = default.strategies[2]
    assert isinstance(breaker, CircuitBreaker)
    breaker.isolate()
    assert "is isolated" in default.describe()
    assert "is closed" in own.describe()


def test_what_a_fake_does_is_nothing_to_other_processes() -> None:
    shared = Policies()
    budget = RetryBudget(0.5, minimum=2, window=7)
    breaker = CircuitBreaker(name="pay", shared=LocalState())
    shared.define("pay", Retry(2, budget=budget), breaker)
    retry, own = own_policy("pay", shared).strategies
    assert isinstance(retry, Retry)
    assert isinstance(own, CircuitBreaker)
    assert own.options()["shared"] is None
    assert retry.budget is not budget
    assert repr(retry.budget) == repr(budget)


# -- what it does -----------------------------------------------------------------------------


async def test_a_hung_upstream_is_given_up_and_harms_no_other(
    upstream: Upstream, name: str
) -> None:
    upstream.does(stalls)
    policy = Policy(Bulkhead(2), Timeout(0.1))
    healthy = FakeTransport()
    healthy.on("GET", "/x").answer(1)
    async with (
        Client("hung", upstream.url, policy=policy) as hung,
        Client(name, "http://x", transport=healthy) as other,
    ):
        calls = [asyncio.create_task(hung.get("/x")) for _ in range(5)]
        assert [await other.get("/x", result=int) for _ in range(10)] == [1] * 10
        ends = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(end) for end in ends] == [TimedOutError] * 2 + [BulkheadFullError] * 3
    assert "hung" not in str(ends[0])
    assert "GET did not answer within 0.1 s" in str(ends[0])


async def test_a_circuit_that_opens_refuses_calls(upstream: Upstream) -> None:
    upstream.does(answers(status=500))
    policy = Policy(CircuitBreaker(minimum=3), name="pay")
    async with Client("pay", upstream.url, policy=policy) as client:
        for _ in range(3):
            with pytest.raises(FailedError):
                await client.post("/x")
        with pytest.raises(CircuitOpenError):
            await client.get("/y")
    assert len(upstream.asked) == 3


async def test_what_the_request_is_to_blame_for_opens_no_circuit(upstream: Upstream) -> None:
    upstream.does(answers(status=404))
    policy = Policy(CircuitBreaker(minimum=1, failure_rate=0.1))
    async with Client("pay", upstream.url, policy=policy) as client:
        for _ in range(3):
            assert isinstance(await client.get("/x", allow={404}), Response)
            with pytest.raises(Exception, match="404"):
                await client.get("/x")
    assert len(upstream.asked) == 6


async def test_an_operation_or_a_kind_of_operations_has_a_timeout_of_its_own(
    upstream: Upstream,
) -> None:
    upstream.does(stalls)
    timeout = Timeout(20, of={"POST /charges/{id}": 0.02, "read": 0.03})
    async with Client("pay", upstream.url, policy=Policy(timeout)) as client:
        with pytest.raises(TimedOutError, match=r"POST /charges/\{id\} did not .* 0.02 s"):
            await client.post("/charges/{id}", path_params={"id": 7})
        with pytest.raises(TimedOutError, match=r"GET did not answer within 0.03 s"):
            await client.get("/charges")


async def test_what_is_loaded_later_holds_for_the_next_call(
    upstream: Upstream, name: str, unloaded: Policies
) -> None:
    upstream.does(answers(), stalls)
    async with Client(name, upstream.url) as client:
        await client.get("/x")
        of = {"request": 20, "of": {"POST /x": 0.02}}
        unloaded.load({name: {"retry": False, "timeout": of}}, environ={})
        with pytest.raises(TimedOutError, match=r"0\.02 s"):
            await client.post("/x")


async def test_the_timeout_of_connecting_follows_what_is_loaded(
    name: str, unloaded: Policies
) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        ended.set()

    ended = asyncio.Event()
    unloaded.load({name: {"retry": False, "timeout": {"connect": 0.02}}}, environ={})
    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Client(name, f"https://127.0.0.1:{port}") as client:
            with pytest.raises(ConnectTimedOutError, match=r"within 0\.02 s"):
                await client.get("/x")
        await ended.wait()


async def test_a_fallback_gives_what_it_has(upstream: Upstream) -> None:
    upstream.does(answers(status=500))
    policy = Policy(Fallback(42))
    async with Client("pay", upstream.url, policy=policy) as client:
        assert await client.get("/x", result=int) == 42


async def test_a_cache_keeps_what_is_read_and_nothing_that_is_written(upstream: Upstream) -> None:
    upstream.does(*(answers(n) for n in range(9)))
    async with Client("pay", upstream.url, policy=Policy(Cache(60))) as client:
        assert [await client.get("/x", result=int) for _ in range(3)] == [0, 0, 0]
        assert await client.get("/x", result=int, params={"a": 1}) == 1
        assert await client.get("/x", result=int, headers={"a": "1"}) == 2
        assert [await client.post("/x", {"same": 1}, result=int) for _ in range(2)] == [3, 4]


async def test_a_hedge_sends_a_second_and_takes_the_first_to_answer(upstream: Upstream) -> None:
    upstream.does(stalls, answers(1))
    async with Client("pay", upstream.url, policy=Policy(Hedge(0.01))) as client:
        assert await client.get("/x", result=int) == 1
    assert len(upstream.asked) == 2


async def test_cancelling_a_call_closes_its_connection(upstream: Upstream) -> None:
    upstream.does(stalls)
    async with Client("pay", upstream.url, policy=Policy(Bulkhead(1))) as client:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.03):
                    await client.get("/x")
    assert upstream.connections == 2
