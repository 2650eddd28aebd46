"""Code written for httpx, with the policy and the pool of a client."""

import httpx
import pytest

from isthmus.errors import ConfigError
from isthmus.handling.idempotency_key import StepKey, in_force
from isthmus.resilience import CircuitBreaker, Policy, Retry, Timeout
from isthmus.resilience.classify import never_ran, transient
from isthmus.services.client import Client
from isthmus.services.client.httpx_transport import HttpxTransport

from .conftest import Upstream, answers, closes, stalls  # noqa: TID252


def http_of(upstream: Upstream, policy: Policy, **words: object) -> httpx.AsyncClient:
    client = Client("pay", upstream.url, policy=policy, **words)  # pyright: ignore[reportArgumentType]
    return httpx.AsyncClient(base_url=upstream.url, transport=HttpxTransport(client))


async def test_requests_and_answers_are_those_of_httpx(upstream: Upstream) -> None:
    upstream.does(answers({"number": "r1"}, 201, {"X-Thing": "yes"}))
    async with http_of(upstream, Policy()) as http:
        response = await http.post(
            "/charges", json={"a": 1}, params={"q": "1"}, headers={"X-A": "b"}
        )
    assert (response.status_code, response.json(), response.headers["x-thing"]) == (
        201, {"number": "r1"}, "yes",
    )  # fmt: skip
    [asked] = upstream.asked
    assert (asked.method, asked.target, asked.json()) == ("POST", "/charges?q=1", {"a": 1})
    assert asked.headers["x-a"] == "b"
    assert asked.headers["user-agent"].startswith("python-httpx")
    assert asked.headers["x-request-id"]


async def test_the_policy_repeats_what_may_be_repeated(upstream: Upstream) -> None:
    upstream.does(answers(status=503), closes, answers({"a": 1}))
    async with http_of(upstream, Policy(Retry(3, delay=0))) as http:
        assert (await http.get("/x")).json() == {"a": 1}
    upstream.asked.clear()
    upstream.does(answers(status=503), answers({"a": 1}))
    async with http_of(upstream, Policy(Retry(3, delay=0))) as http:
        assert (await http.post("/x")).status_code == 503
        upstream.asked.clear()
        assert (await http.post("/x", headers={"Idempotency-Key": "k"})).status_code == 200


async def test_in_a_step_of_a_saga_every_attempt_has_the_steps_key(upstream: Upstream) -> None:
    upstream.does(answers(status=503), answers(), answers(), answers(), answers())
    async with http_of(upstream, Policy(Retry(3, delay=0)), key_header="X-Key") as http:
        token = in_force.set(StepKey("fulfil/A-1/1"))
        await http.post("/charges")
        await http.get("/charges")
        await http.post("/notes")
        await http.post("/notes", headers={"X-Key": "mine"})
        in_force.reset(token)
    first = '"fulfil/A-1/1"'
    keys = [asked.headers.get("x-key") for asked in upstream.asked]
    assert keys == [first, first, None, '"fulfil/A-1/1/2"', "mine"]


async def test_a_status_is_a_response_in_the_end(upstream: Upstream) -> None:
    upstream.does(answers({"why": "no"}, 503), answers(b"gone", 404), answers({"why": "no"}, 500))
    async with http_of(upstream, Policy(Retry(2, delay=0))) as http:
        first = await http.post("/x")
        assert (first.status_code, first.json()) == (503, {"why": "no"})
        assert (await http.get("/x")).content == b"gone"
        last = await http.get("/x")
        assert (last.status_code, last.json()) == (500, {"why": "no"})
        with pytest.raises(httpx.HTTPStatusError):
            last.raise_for_status()


async def test_failures_are_errors_of_httpx(upstream: Upstream) -> None:
    upstream.does(stalls)
    policy = Policy(CircuitBreaker(consecutive=1, failure_rate=None), Timeout(0.02))
    async with http_of(upstream, policy) as http:
        with pytest.raises(httpx.ReadTimeout) as ran:
            await http.get("/x")
        with pytest.raises(httpx.PoolTimeout) as refused:
            await http.get("/x")
    assert (never_ran(ran.value), transient(ran.value)) == (False, True)
    assert (never_ran(refused.value), transient(refused.value)) == (True, True)
    upstream.does(closes)
    async with http_of(upstream, Policy()) as http:
        with pytest.raises(httpx.ReadError):
            await http.post("/x")
    nobody = httpx.AsyncClient(
        transport=HttpxTransport(Client("pay", "http://nowhere.invalid", policy=Policy()))
    )
    async with nobody:
        with pytest.raises(httpx.ConnectError) as unsent:
            await nobody.get("http://nowhere.invalid/x")
    assert never_ran(unsent.value)


async def test_another_host_is_refused(upstream: Upstream) -> None:
    async with http_of(upstream, Policy()) as http:
        with pytest.raises(httpx.UnsupportedProtocol, match="calls http://127"):
            await http.get("https://evil.example/x")
    assert upstream.asked == []


async def test_a_client_that_is_open_stays_open(upstream: Upstream) -> None:
    async with Client("pay", upstream.url, policy=Policy()) as client:
        async with httpx.AsyncClient(transport=HttpxTransport(client)) as http:
            await http.get(f"{upstream.url}/x")
        assert client.is_open
        http = httpx.AsyncClient(transport=HttpxTransport(client))
        await http.get(f"{upstream.url}/x")
        await http.aclose()
        await client.get("/x")
    with pytest.raises(ConfigError):
        await client.get("/x")
    assert upstream.connections == 1
