"""A fake answers what a test says, and nothing else."""

import msgspec
import pytest

from isthmus.services.client import Client, ConnectRefusedError, RefusedError
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
