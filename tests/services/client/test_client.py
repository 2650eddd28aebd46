"""What a call sends, and what its user gets."""

import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pydantic
import pytest

from isthmus.deadline import HEADER as DEADLINE
from isthmus.deadline import deadline
from isthmus.errors import ConfigError, SchemaError
from isthmus.handling.carried import correlated, trace
from isthmus.resilience import Policy, degrading
from isthmus.services.client import (
    AnswerError,
    AnswerTooLargeError,
    Basic,
    Bearer,
    Client,
    FailedError,
    Form,
    MismatchError,
    RedirectedError,
    RefusedError,
)
from isthmus.services.layers.request_id import request_id

from .conftest import Upstream, Wire, answers  # noqa: TID252

NOTHING = Policy()


class Charge(msgspec.Struct):
    id: str
    total: int


class Receipt(msgspec.Struct):
    number: str


@pytest.fixture
async def payments(upstream: Upstream) -> AsyncIterator[Client]:
    async with Client("payments", upstream.url, policy=NOTHING) as client:
        yield client


async def test_a_model_goes_out_as_json_and_a_typed_one_comes_back(
    upstream: Upstream, payments: Client
) -> None:
    upstream.does(answers({"number": "r1"}, 201))
    assert await payments.post("/charges", Charge("1", 100), result=Receipt) == Receipt("r1")
    [asked] = upstream.asked
    assert (asked.method, asked.target, asked.json()) == (
        "POST",
        "/charges",
        {"id": "1", "total": 100},
    )
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["host"] == f"127.0.0.1:{upstream.port}"


async def test_dataclasses_pydantic_models_dicts_lists_text_bytes_and_forms_are_sent(
    upstream: Upstream, payments: Client
) -> None:
    @dataclasses.dataclass
    class Plain:
        a: int

    class Model(pydantic.BaseModel):
        a: int

    for body in (Plain(1), Model(a=1), {"a": 1}):
        await payments.put("/x", body)
        assert upstream.asked[-1].json() == {"a": 1}
    await payments.put("/x", [Charge("1", 2)])
    assert upstream.asked[-1].json() == [{"id": "1", "total": 2}]
    for body, kind, sent in (
        ("é", "text/plain; charset=utf-8", "é".encode()),
        (b"\x00", "application/octet-stream", b"\x00"),
        (
            Form({"line[0]": "a b"}, on=True),
            "application/x-www-form-urlencoded",
            b"line%5B0%5D=a+b&on=true",
        ),
    ):
        await payments.put("/x", body)
        assert (upstream.asked[-1].headers["content-type"], upstream.asked[-1].body) == (kind, sent)


async def test_a_body_that_json_cannot_carry_is_refused_and_nothing_is_sent(
    upstream: Upstream, payments: Client
) -> None:
    with pytest.raises(SchemaError, match="dict cannot be sent"):
        await payments.post("/x", {"a": object()})
    with pytest.raises(ConfigError, match="cannot be a payload"):
        await payments.post("/x", object())
    with pytest.raises(ConfigError, match="blocks the loop"), Path(__file__).open("rb") as file:
        await payments.post("/x", file)
    assert upstream.asked == []


async def test_each_method_is_sent_as_itself(upstream: Upstream, payments: Client) -> None:
    for call in (
        payments.get,
        payments.head,
        payments.post,
        payments.put,
        payments.patch,
        payments.delete,
    ):
        await call("/x")
    await payments.request("OPTIONS", "/x")
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    assert [asked.method for asked in upstream.asked] == methods
    assert upstream.connections == 1


async def test_without_a_result_the_answer_is_a_response(
    upstream: Upstream, payments: Client
) -> None:
    upstream.does(answers({"number": "r1"}, 202, {"X-Thing": "yes"}))
    response = await payments.get("/x")
    assert (response.status, response.ok, response.headers["x-thing"]) == (202, True, "yes")
    assert response.json() == {"number": "r1"}
    assert response.json(Receipt) == Receipt("r1")
    assert response.text == '{"number": "r1"}'


async def test_results_are_bytes_text_nothing_or_lists_as_asked(
    upstream: Upstream, payments: Client
) -> None:
    upstream.does(
        answers(b"\xff\x00", headers={"content-type": "image/png"}),
        answers("é".encode("latin-1"), headers={"content-type": "text/plain; charset=latin-1"}),
        answers(b"", 204),
        answers([{"number": "r1"}]),
    )
    assert await payments.get("/x", result=bytes) == b"\xff\x00"
    assert await payments.get("/x", result=str) == "é"
    assert await payments.get("/x", result=Receipt | None) is None
    assert await payments.get("/x", result=list[Receipt]) == [Receipt("r1")]


async def test_an_answer_of_another_type_names_every_fault(
    upstream: Upstream, payments: Client
) -> None:
    upstream.does(answers({"id": 1, "total": "x"}))
    with pytest.raises(MismatchError, match="what GET /x gave is not a Charge") as caught:
        await payments.get("/x", result=Charge)
    assert len(caught.value.problems) == 2
    assert not caught.value.retryable


async def test_an_answer_that_is_no_json_at_all_is_a_mismatch(
    upstream: Upstream, payments: Client
) -> None:
    upstream.does(answers(b"<html>"), answers(b""))
    for _ in range(2):
        with pytest.raises(MismatchError):
            await payments.get("/x", result=Charge)


async def test_parameters_make_the_query(upstream: Upstream, payments: Client) -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    params = {"q": "a&b", "tag": ["x", "y"], "on": True, "off": None, "at": at, "n": 1.5}
    await payments.get("/x?fixed=1", params=params)
    assert upstream.asked[0].target == (
        "/x?fixed=1&q=a%26b&tag=x&tag=y&on=true&at=2026-01-02T00%3A00%3A00%2B00%3A00&n=1.5"
    )


async def test_headers_of_the_client_and_of_the_call_are_sent(upstream: Upstream) -> None:
    async with Client(
        "p", upstream.url, policy=NOTHING, headers={"X-A": "1", "Accept": "text/csv"}
    ) as client:
        await client.get("/x", headers={"x-a": "2", "X-B": "3"})
    headers = upstream.asked[0].headers
    assert (headers["x-a"], headers["x-b"], headers["accept"]) == ("2", "3", "text/csv")


async def test_a_content_type_that_is_said_stands(upstream: Upstream, payments: Client) -> None:
    await payments.patch("/x", {"a": 1}, headers={"content-type": "application/merge-patch+json"})
    assert upstream.asked[0].headers["content-type"] == "application/merge-patch+json"


@pytest.mark.parametrize("headers", [{"X-A": "a\r\nB: c"}, {"X A": "a"}, {"X-A": 1}])
async def test_a_header_that_cannot_be_sent_is_refused(payments: Client, headers: dict) -> None:
    with pytest.raises(ConfigError, match="header"):
        await payments.get("/x", headers=headers)
    with pytest.raises(ConfigError, match="header"):
        Client("p", "http://x", headers=headers)


async def test_an_unknown_word_is_refused(payments: Client) -> None:
    with pytest.raises(ConfigError, match="there is no timeout=; a call has result, allow"):
        await payments.get("/x", timeout=3)  # pyright: ignore[reportCallIssue]
    with pytest.raises(ConfigError, match="'get' is no method"):
        await payments.request("get", "/x")


# -- what travels along -----------------------------------------------------------------------


async def test_trace_context_deadline_and_request_id_travel_along(
    upstream: Upstream, payments: Client
) -> None:
    trace.set({"traceparent": "00-1-2-01", "tracestate": "a=b", "other": "no"})
    request_id.set("req-1")
    with deadline(5) as until:
        await payments.get("/x")
    headers = upstream.asked[0].headers
    assert headers["traceparent"] == "00-1-2-01"
    assert headers["tracestate"] == "a=b"
    assert headers["x-request-id"] == "req-1"
    assert float(headers[DEADLINE]) == pytest.approx(until.at, abs=0.01)
    assert "other" not in headers


async def test_strangers_are_told_neither_trace_nor_deadline(upstream: Upstream) -> None:
    trace.set({"traceparent": "00-1-2-01"})
    async with Client("p", upstream.url, policy=NOTHING, carries=False) as client:
        with deadline(5):
            await client.get("/x")
    assert not {"traceparent", DEADLINE} & upstream.asked[0].headers.keys()


@pytest.mark.parametrize(("named", "told"), [("order-7", "order-7"), ("a\r\nb: c", None)])
async def test_what_a_request_belongs_to_is_told_if_it_is_a_sane_id(
    upstream: Upstream, payments: Client, named: str, told: str | None
) -> None:
    with correlated(named):
        await payments.get("/x")
    assert upstream.asked[0].headers.get("x-correlation-id") == told


async def test_each_call_outside_of_a_request_has_an_id_of_its_own(
    upstream: Upstream, payments: Client
) -> None:
    await payments.get("/x")
    await payments.get("/x")
    one, other = (asked.headers["x-request-id"] for asked in upstream.asked)
    assert one != other


async def test_an_idempotency_key_is_sent_as_a_quoted_string(
    upstream: Upstream, payments: Client
) -> None:
    await payments.post("/x", idempotency_key='order "1"')
    assert upstream.asked[0].headers["idempotency-key"] == r'"order \"1\""'
    for wrong in ("", "é", "a\n"):
        with pytest.raises(ConfigError, match="idempotency_key"):
            await payments.post("/x", idempotency_key=wrong)


async def test_a_key_may_be_made_and_its_header_may_have_another_name(upstream: Upstream) -> None:
    async with Client("p", upstream.url, policy=NOTHING, key_header="PayPal-Request-Id") as client:
        await client.post("/x", idempotency_key=True)
        await client.post("/x", idempotency_key=True)
        await client.post("/x", idempotency_key=False)
    keys = [asked.headers.get("paypal-request-id") for asked in upstream.asked]
    assert len(set(keys)) == 3
    assert keys[2] is None


async def test_what_the_other_side_calls_degraded_is_noted(
    upstream: Upstream, payments: Client
) -> None:
    upstream.does(answers(headers={"isthmus-degraded": "offers, reviews"}))
    with degrading() as parts:
        await payments.get("/x")
    assert list(parts) == ["payments.offers", "payments.reviews"]


# -- who is asking ----------------------------------------------------------------------------


async def test_a_bearer_says_its_token_or_asks_for_it(upstream: Upstream) -> None:
    tokens = iter(["t2", "t3"])

    async def renewed() -> str:
        return next(tokens)

    for auth in (Bearer("t1"), Bearer(renewed), Bearer(lambda: next(tokens))):
        async with Client("p", upstream.url, policy=NOTHING, auth=auth) as client:
            await client.get("/x")
    told = [asked.headers["authorization"] for asked in upstream.asked]
    assert told == ["Bearer t1", "Bearer t2", "Bearer t3"]


async def test_basic_says_user_and_password(upstream: Upstream) -> None:
    async with Client("p", upstream.url, policy=NOTHING, auth=Basic("me", "pass:wörd")) as client:
        await client.get("/x")
        await client.get("/x", headers={"Authorization": "mine"})
    told = [asked.headers["authorization"] for asked in upstream.asked]
    assert told == ["Basic bWU6cGFzczp3w7ZyZA==", "mine"]


@pytest.mark.parametrize("wrong", ["", " ", "a\nb", "é", None])
def test_a_token_that_cannot_be_sent_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="Bearer"):
        Bearer(wrong)


async def test_a_token_function_that_gives_none_is_refused(upstream: Upstream) -> None:
    auth = Bearer(lambda: "")
    async with Client("p", upstream.url, policy=NOTHING, auth=auth) as client:
        with pytest.raises(ConfigError, match="Bearer"):
            await client.get("/x")
    assert upstream.asked == []


async def test_an_auth_of_the_users_cannot_tear_the_request_apart(upstream: Upstream) -> None:
    class Torn:
        async def header(self) -> tuple[str, str]:
            return "Authorization", "a\r\nX-Evil: 1"

    async with Client("p", upstream.url, policy=NOTHING, auth=Torn()) as client:
        with pytest.raises(ConfigError, match="holds the end of a line"):
            await client.get("/x")
    assert upstream.asked == []


def test_no_secret_is_shown() -> None:
    auth = Bearer("secret")
    client = Client("p", "http://x", auth=auth, headers={"X-Api-Key": "secret"}, policy=NOTHING)
    shown = f"{auth!r} {Basic('me', 'secret')!r} {client!r} {client.record()!r}"
    assert "secret" not in shown


# -- answers that are errors ------------------------------------------------------------------


async def test_an_error_tells_the_problem_document(upstream: Upstream, payments: Client) -> None:
    problem = {"type": "https://pay.example/no-money", "title": "No money", "detail": "You lack 3."}
    headers = {"Content-Type": "application/problem+json", "X-Request-Id": "theirs"}
    upstream.does(answers(problem, 402, headers))
    with pytest.raises(RefusedError, match="POST /charges was answered 402: You lack 3") as caught:
        await payments.post("/charges", Charge("1", 2), result=Receipt)
    error = caught.value
    assert (error.status, error.problem, error.request_id) == (402, problem, "theirs")
    assert (error.client, error.operation, error.retry_after) == ("payments", "POST /charges", None)


@pytest.mark.parametrize("body", [b"[1]", b"{", b""])
async def test_a_problem_document_that_is_none_is_empty(
    upstream: Upstream, payments: Client, body: bytes
) -> None:
    upstream.does(answers(body, 400, {"content-type": "application/problem+json"}))
    with pytest.raises(RefusedError) as caught:
        await payments.get("/x")
    assert caught.value.problem == {}
    assert caught.value.excerpt == body.decode()


async def test_an_error_keeps_an_excerpt_and_no_more(upstream: Upstream, payments: Client) -> None:
    upstream.does(answers(b"x" * 1_000_000, 500))
    with pytest.raises(FailedError) as caught:
        await payments.get("/x")
    assert caught.value.excerpt == "x" * 2048
    assert len(str(caught.value)) < 300
    assert len(caught.value.body) == 65536


async def test_an_allowed_status_is_an_answer(upstream: Upstream, payments: Client) -> None:
    upstream.does(answers({"why": "gone"}, 404))
    assert (await payments.get("/x", allow={404})).json() == {"why": "gone"}
    with pytest.raises(ConfigError, match="leave out result="):
        await payments.get("/x", allow={404}, result=Receipt)


async def test_an_error_survives_pickling(upstream: Upstream, payments: Client) -> None:
    import pickle

    upstream.does(answers({"a": 1}, 503, {"Retry-After": "3"}))
    with pytest.raises(FailedError) as caught:
        await payments.get("/x")
    again = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(again, FailedError)
    assert (str(again), again.status, again.retry_after, again.retryable, again.body) == (
        str(caught.value),
        503,
        3.0,
        True,
        b'{"a": 1}',
    )
    big = pickle.loads(pickle.dumps(AnswerTooLargeError(7)))
    assert big.limit == 7


# -- redirects --------------------------------------------------------------------------------


async def test_a_read_follows_redirects_within_the_upstream(
    upstream: Upstream, payments: Client
) -> None:
    upstream.does(
        answers(status=302, headers={"Location": "/b?c=1"}),
        answers(status=307, headers={"Location": f"{upstream.url}/d#e"}),
        answers({"number": "r1"}),
    )
    assert await payments.get("/a", result=Receipt) == Receipt("r1")
    assert [asked.target for asked in upstream.asked] == ["/a", "/b?c=1", "/d"]


async def test_a_read_does_not_follow_redirects_to_another_host(
    upstream: Upstream, payments: Client
) -> None:
    upstream.does(answers(status=301, headers={"Location": "https://evil.example/"}))
    with pytest.raises(RedirectedError, match="it is at 'https://evil"):
        await payments.get("/a", result=Receipt)
    assert (await payments.get("/a")).status == 301


async def test_a_read_follows_redirects_only_so_long(upstream: Upstream, payments: Client) -> None:
    upstream.does(answers(status=302, headers={"Location": "/a"}))
    assert (await payments.get("/a")).status == 302
    assert len(upstream.asked) == 6


async def test_a_write_follows_no_redirect(upstream: Upstream, payments: Client) -> None:
    upstream.does(answers(status=307, headers={"Location": "/b"}))
    with pytest.raises(AnswerError, match="where this client does not go") as caught:
        await payments.post("/a", result=Receipt)
    assert isinstance(caught.value, RedirectedError)
    assert len(upstream.asked) == 1


# -- bounds -----------------------------------------------------------------------------------


async def test_an_answer_that_says_it_is_too_large_is_not_read(upstream: Upstream) -> None:
    async def huge(wire: Wire, _: object) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\nxxx")
        await wire.gone()

    async with Client("p", upstream.does(huge).url, policy=NOTHING, limit=1000) as client:
        with pytest.raises(AnswerTooLargeError, match="larger than 1000 bytes"):
            await client.get("/x")


@pytest.mark.parametrize("packed", [False, True])
async def test_an_answer_that_proves_too_large_is_given_up(
    upstream: Upstream, packed: bool
) -> None:
    import zlib

    plain = zlib.compress(b"x" * 50_000_000) if packed else b"x" * 3000
    encoding = b"content-encoding: deflate\r\n" if packed else b""

    async def endless(wire: Wire, _: object) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n" + encoding + b"\r\n")
        await wire.send(b"%x\r\n" % len(plain) + plain + b"\r\n")
        await wire.gone()

    async with Client("p", upstream.does(endless).url, policy=NOTHING, limit=1000) as client:
        with pytest.raises(AnswerTooLargeError):
            await client.get("/x")


async def test_a_packed_answer_is_unpacked(upstream: Upstream, payments: Client) -> None:
    import gzip

    upstream.does(answers(gzip.compress(b'{"number":"r1"}'), headers={"Content-Encoding": "gzip"}))
    assert await payments.get("/x", result=Receipt) == Receipt("r1")
    assert "gzip" in upstream.asked[0].headers["accept-encoding"]


async def test_a_large_body_is_sent_whole(upstream: Upstream, payments: Client) -> None:
    body = bytes(range(256)) * 20_000
    await payments.put("/x", body)
    assert upstream.asked[0].body == body


# -- life -------------------------------------------------------------------------------------


async def test_a_client_that_is_not_open_says_how_to_open_it(upstream: Upstream) -> None:
    client = Client("p", upstream.url, policy=NOTHING)
    with pytest.raises(ConfigError, match="'p' is not open: use `async with`"):
        await client.get("/x")
    with pytest.raises(ConfigError, match="not open"):
        async with client.stream("GET", "/x"):
            pass
    async with client:
        await client.get("/x")
        with pytest.raises(ConfigError, match="open already"):
            await client.open()
    async with client:
        await client.get("/x")
    await client.aclose()
    assert len(upstream.asked) == 2


async def test_interim_answers_are_passed_over(upstream: Upstream, payments: Client) -> None:
    async def hinting(wire: Wire, _: object) -> None:
        await wire.send(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
        await wire.answer({"number": "r1"})

    upstream.does(hinting)
    assert await payments.get("/x", result=Receipt) == Receipt("r1")


async def test_the_answer_to_head_has_no_body_whatever_it_says(
    upstream: Upstream, payments: Client
) -> None:
    async def headed(wire: Wire, _: object) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n")

    upstream.does(headed)
    for _ in range(2):
        response = await payments.head("/x")
        assert (response.body, response.headers["content-length"]) == (b"", "99")
    assert upstream.connections == 1


async def test_calls_at_once_have_connections_of_their_own_and_keep_them(
    upstream: Upstream, payments: Client
) -> None:
    import asyncio

    for _ in range(2):
        await asyncio.gather(*(payments.get("/x") for _ in range(5)))
    assert upstream.connections == 5


@pytest.mark.parametrize("word", ["policy", "auth", "headers", "tls"])
def test_what_is_no_option_of_a_client_is_refused_where_it_is_made_and_not_shown(word: str) -> None:
    with pytest.raises(ConfigError, match=f"client 'pay': {word}= was given str; expected") as told:
        Client("pay", "https://pay.example", **{word: "s3cret"})  # pyright: ignore[reportArgumentType]
    assert "s3cret" not in str(told.value)
