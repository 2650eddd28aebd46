"""What a provider raises becomes the application's error, or a ProviderError that keeps it."""

import pickle
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from isthmus import (
    Client,
    ConfigError,
    ConflictError,
    Policy,
    Retry,
    SchemaError,
    TimedOutError,
    UnavailableError,
)
from isthmus.resilience import CircuitOpenError, RetriesSpentError
from isthmus.services.adapter import ProviderError, ProviderUnavailableError, code_of, translates
from isthmus.services.client import ConnectionBrokenError, ConnectRefusedError, NotHttpError
from isthmus.testing.http import FakeTransport, UnexpectedCallError


class DeclinedError(Exception):
    pass


class UnknownError(Exception):
    pass


class LimitError(Exception):
    def __init__(self, retry_after: float | None):
        super().__init__(f"again after {retry_after} s")
        self.retry_after = retry_after


class SdkError(Exception):
    """As libraries of providers raise them."""

    def __init__(self, message: str = "", *, code: str = "", http_status: int | None = None):
        super().__init__(message)
        self.code, self.status_code = code, http_status


class SdkCardError(SdkError):
    pass


@translates(
    {
        "card_declined": DeclinedError,
        (400, "resource_missing"): UnknownError,
        404: UnknownError,
        429: lambda error: LimitError(error.retry_after),
        SdkCardError: DeclinedError,
    }
)
class Provider:
    def __init__(self, *, policy: Policy | None = None) -> None:
        self.http = Client("provider", "http://pay.example", policy=policy or Policy())

    async def charge(self) -> Any:
        return (await self.http.post("/charges", idempotency_key="1")).json()

    async def fail(self, error: Exception) -> None:
        raise error

    async def each(self, error: Exception | None) -> AsyncIterator[int]:
        yield 1
        if error:
            raise error

    def plain(self, error: Exception) -> None:
        raise error


async def answered(status: int, content: Any, *, headers: Any = None, **words: Any) -> Exception:
    """Return what is raised when that is answered."""
    provider, fake = Provider(**words), FakeTransport()
    fake.on("POST", "/charges").answer(content, status=status, headers=headers)
    with provider.http.using(fake), pytest.raises(Exception) as raised:
        await provider.charge()
    return raised.value


async def test_what_goes_well_is_given_as_it_is():
    provider, fake = Provider(), FakeTransport()
    fake.on("POST", "/charges").answer({"id": "ch_1"})
    with provider.http.using(fake):
        assert await provider.charge() == {"id": "ch_1"}
    assert [each async for each in provider.each(None)] == [1]


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (402, {"error": {"type": "card_error", "code": "card_declined"}}, DeclinedError),
        (402, {"errorCode": "card_declined"}, DeclinedError),
        (500, {"code": "card_declined"}, DeclinedError),
        (400, {"error": {"code": "resource_missing"}}, UnknownError),
        (404, {"error": {"code": "anything"}}, UnknownError),
        (404, "not even JSON", UnknownError),
        (404, None, UnknownError),
        (429, {}, LimitError),
        (402, {"error": {"code": "resource_missing"}}, ProviderError),
        (402, "card_declined", ProviderError),
        (500, {"error": "out of order"}, ProviderUnavailableError),
    ],
)
async def test_an_answer_is_translated_by_status_and_code(status: int, content: Any, kind: type):
    error = await answered(status, content)
    assert type(error) is kind
    assert error.__cause__ is not None


async def test_what_is_more_special_counts():
    @translates({400: UnknownError, "x": DeclinedError, (400, "x"): LimitError, SdkError: OSError})
    class Special:
        async def fail(self, error: Exception) -> None:
            raise error

    for error, kind in (
        (SaidError(400, "other"), UnknownError),
        (SaidError(401, "x"), DeclinedError),
        (SaidError(400, "x"), LimitError),
        (SdkError(code="x", http_status=400), OSError),
    ):
        with pytest.raises(kind):
            await Special().fail(error)


class SaidError(Exception):
    def __init__(self, status: int, code: str):
        super().__init__()
        self.status, self.code = status, code


async def test_a_function_makes_the_error_of_the_providers():
    error = await answered(429, {}, headers={"Retry-After": "7"})
    assert isinstance(error, LimitError)
    assert error.retry_after == 7


async def test_a_class_of_errors_is_translated_with_those_below_it():
    with pytest.raises(DeclinedError, match=r"^Provider: fail: SdkCardError$"):
        await Provider().fail(SdkCardError("the card of Ann, 4242..., was declined"))


async def test_our_error_repeats_nothing_that_the_provider_said():
    content = {"error": {"code": "card_declined", "message": "the card of Ann was declined"}}
    error = await answered(402, content)
    assert str(error) == "Provider: charge: 402 card_declined"


async def test_all_else_is_a_provider_error_that_keeps_the_cause():
    error = await answered(422, {"error": {"code": "odd", "message": "x" * 5_000}})
    assert type(error) is ProviderError
    assert (error.provider, error.operation) == ("Provider", "charge")
    assert (error.status, error.code) == (422, "odd")
    assert not error.retryable
    assert not error.never_ran
    assert str(error).startswith("Provider: charge failed: RefusedError: provider: POST /charges")
    assert len(str(error)) < 300
    assert getattr(error.__cause__, "status", None) == 422


async def test_one_that_may_pass_is_unavailable():
    error = await answered(503, "not today", headers={"Retry-After": "3"})
    assert type(error) is ProviderUnavailableError
    assert isinstance(error, UnavailableError)
    assert (error.retryable, error.retry_after, error.never_ran) == (True, 3, False)


@pytest.mark.parametrize(
    ("error", "never_ran"),
    [
        (ConnectRefusedError("nobody listens"), True),
        (ConnectionBrokenError("broken"), False),
        (ConnectionResetError("reset"), False),
        (TimeoutError("late"), False),
    ],
)
async def test_whether_it_ran_is_kept(error: Exception, never_ran: bool):
    with pytest.raises(ProviderUnavailableError) as raised:
        await Provider().fail(error)
    assert raised.value.never_ran is never_ran
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("error", [KeyError("id"), TypeError("odd"), NotHttpError("gibberish")])
async def test_an_answer_that_nobody_foresaw_is_a_provider_error(error: Exception):
    with pytest.raises(ProviderError) as raised:
        await Provider().fail(error)
    assert not isinstance(raised.value, UnavailableError)


@pytest.mark.parametrize(
    "error",
    [
        DeclinedError("of our own"),
        CircuitOpenError("open"),
        TimedOutError("late"),
        ConfigError("wrong"),
        ConflictError("again"),
        SchemaError("not ours"),
        AssertionError("of a test"),
        UnexpectedCallError("of a fake"),
        ProviderError("translated already", provider="x", operation="y"),
    ],
)
async def test_what_does_not_tell_of_the_provider_passes_as_it_is(error: Exception):
    with pytest.raises(type(error)) as raised:
        await Provider().fail(error)
    assert raised.value is error
    assert error.__cause__ is None


async def test_spent_retries_are_translated_by_the_last_failure():
    policy = Policy(Retry(2, delay=0))
    error = await answered(429, {}, policy=policy)
    assert type(error) is LimitError
    error = await answered(503, {}, policy=policy)
    assert type(error) is ProviderUnavailableError
    assert isinstance(error.__cause__, RetriesSpentError)
    assert error.status == 503
    assert not error.retryable, "who waits outside shall not multiply the attempts"


async def test_an_error_of_our_own_that_was_retried_is_raised_without_a_circle_of_causes():
    ours, spent = DeclinedError("of our own"), RetriesSpentError("spent")
    spent.__cause__ = ours
    with pytest.raises(DeclinedError) as raised:
        await Provider().fail(spent)
    assert raised.value is ours
    assert ours.__cause__ is None


async def test_spent_retries_at_an_open_circuit_pass_so_that_consumers_pause():
    spent = RetriesSpentError("spent")
    spent.__cause__ = CircuitOpenError("open")
    with pytest.raises(RetriesSpentError) as raised:
        await Provider().fail(spent)
    assert raised.value is spent


async def test_generators_and_functions_are_translated_too():
    provider, seen = Provider(), list[int]()
    with pytest.raises(DeclinedError):
        async for each in provider.each(SdkCardError()):
            seen.append(each)
    assert seen == [1]
    with pytest.raises(DeclinedError):
        provider.plain(SdkCardError())


async def test_a_function_alone_can_be_translated():
    @translates({404: UnknownError})
    async def find() -> None:
        raise SdkError(http_status=404)

    with pytest.raises(UnknownError):
        await find()


@pytest.mark.parametrize("code", ["fault.name", lambda error: error.problem["fault"]["name"]])
async def test_a_provider_may_say_its_code_elsewhere(code: str | Callable[[Any], str]):
    @translates({"declined": DeclinedError}, code=code)
    class Elsewhere:
        async def fail(self, error: Exception) -> None:
            raise error

    error = SdkError(code="other")
    error.body = b'{"fault": {"name": "declined"}}'  # pyright: ignore[reportAttributeAccessIssue]
    error.problem = {"fault": {"name": "declined"}}  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(DeclinedError):
        await Elsewhere().fail(error)


def of(**said: Any) -> Exception:
    error = Exception()
    vars(error).update(said)
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (of(code="a"), "a"),
        (of(body=b'{"error": {"code": "a", "type": "b"}}'), "a"),
        (of(body=b'{"error": {"type": "b"}}'), "b"),
        (of(body=b'{"error": "a"}'), "a"),
        (of(body=b'{"errorCode": 167}'), "167"),
        (of(body=b'{"type": "https://pay.example/declined"}'), "https://pay.example/declined"),
        (of(response=of(content=b'{"code": "a"}')), "a"),
        (of(body={"code": "a"}), "a"),
        (of(body=b'["a"]'), ""),
        (of(body=b"<html>"), ""),
        (of(body=b'{"code": true}'), ""),
        (of(body=b'{"code": "' + b"a" * 70_000 + b'"}'), ""),
        (of(), ""),
    ],
)
def test_a_code_is_found_where_providers_say_it(error: Exception, code: str):
    assert code_of(error) == code


def test_an_error_survives_the_way_to_another_process():
    error = ProviderUnavailableError(
        "late", provider="x", operation="y", status=503, code="c", never_ran=True, retry_after=1
    )
    again = pickle.loads(pickle.dumps(error))
    assert vars(again) == vars(error)
    assert str(again) == "late"


class TwoError(Exception):
    def __init__(self, one: int, two: int):
        super().__init__(one, two)


@pytest.mark.parametrize(
    ("mapping", "why"),
    [
        ({None: DeclinedError}, "expected a status"),
        ({("x", 1): DeclinedError}, "expected a status"),
        ({(400,): DeclinedError}, "expected a status"),
        ({int: DeclinedError}, "expected a status"),
        ({404: "unknown"}, "expected an error of your own"),
        ({404: int}, "expected an error of your own"),
        (
            {404: TwoError},
            r"of a text alone; give a function .* lambda error: TwoError\(",
        ),
    ],
)
def test_what_cannot_be_translated_is_refused(mapping: Any, why: str):
    with pytest.raises(ConfigError, match=why):
        translates(mapping)
