"""A fake answers what a test says, and nothing else."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from isthmus.errors import ConfigError
from isthmus.services.client import Client, ConnectRefusedError, Form, RefusedError
from isthmus.testing.http import Canned, FakeTransport, Received, UnexpectedCallError


class Charge(msgspec.Struct):
    id: str
    total: int


class Receipt(msgspec.Struct):
    number: str


@pytest.fixture
def payments() -> Client:
    return Client("payments", "https://pay.example/v1")


async def test_a_model_is_answered_as_json(payments: Client) -> None:
    fake = FakeTransport("https://pay.example/v1")
    fake.on("POST", "/charges").answer(Receipt("r1"), status=201)
    with payments.using(fake):
        assert await payments.post("/charges", Charge("1", 100), result=Receipt) == Receipt("r1")
    assert fake.calls[0].json(Charge) == Charge("1", 100)


async def test_several_answers_come_in_turn_and_the_last_goes_on(payments: Client) -> None:
    fake = FakeTransport()
    fake.on("GET", "/v1/stock").fail(ConnectRefusedError("restarting")).answer(1).answer(2)
    with payments.using(fake):
        assert [await payments.get("/stock", result=int) for _ in range(3)] == [1, 2, 2]


async def test_a_function_answers_what_it_makes_of_the_request(payments: Client) -> None:
    def answer(request: Received) -> Canned:
        return Canned({"echo": request.path_params["id"]}, status=404)

    fake = FakeTransport("https://pay.example/v1")
    fake.on("GET", "/charges/{id}").by(answer)
    with payments.using(fake), pytest.raises(RefusedError, match="404") as caught:
        await payments.get("/charges/{id}", path_params={"id": "a/b"})
    assert caught.value.excerpt == '{"echo":"a/b"}'


async def test_what_is_not_expected_fails_and_says_what_is(payments: Client) -> None:
    fake = FakeTransport("https://pay.example/v1")
    fake.on("POST", "/charges")
    with payments.using(fake), pytest.raises(UnexpectedCallError, match="expected is: POST /charg"):
        await payments.post("/refunds")
    assert [call.path for call in fake.calls] == ["/v1/refunds"]


async def test_an_async_function_may_answer_in_pieces(payments: Client) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    async def answer(request: Received) -> AsyncIterator[bytes]:
        assert request.form == {"a": ["1", "2"]}
        assert request.query == {"q": ["x"]}
        return pieces()

    fake = FakeTransport()
    fake.on("POST", "/v1/x").by(answer)
    with payments.using(fake):
        async with payments.stream("POST", "/x", Form(a=[1, 2]), params={"q": "x"}) as got:
            assert [chunk async for chunk in got.chunks()] == [b"one ", b"two"]
        assert (await payments.post("/x", Form(a=[1, 2]), params={"q": "x"})).text == "one two"


async def test_what_is_below_another_base_is_not_expected(payments: Client) -> None:
    for base in ("https://other.example/v1", "https://pay.example/v2"):
        fake = FakeTransport(base)
        fake.on("GET", "/x")
        with payments.using(fake), pytest.raises(UnexpectedCallError):
            await payments.get("/x")


async def test_several_that_fit_are_met_in_turn_by_their_times(payments: Client) -> None:
    fake = FakeTransport()
    fake.on("GET", "/v1/{what}", times=1).answer(1)
    fake.on("GET", "/v1/x").answer(2)
    with payments.using(fake):
        assert [await payments.get("/x", result=int) for _ in range(3)] == [1, 2, 2]
    with pytest.raises(ConfigError, match="has to begin with '/'"):
        fake.on("GET", "x")


async def test_verify_names_what_did_not_come(payments: Client) -> None:
    fake = FakeTransport()
    fake.on("POST", "/v1/charges", times=2)
    with payments.using(fake):
        await payments.post("/charges")
    with pytest.raises(AssertionError, match=r"did not come: POST /v1/charges; came: POST /v1/c"):
        fake.verify()
    with payments.using(fake):
        await payments.post("/charges")
    fake.verify()
