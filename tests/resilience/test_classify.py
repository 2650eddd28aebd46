import email.message
import enum
import math
import socket
import urllib.error
from typing import Any

import aiohttp
import pytest

from isthmus.errors import SchemaError, UnavailableError
from isthmus.resilience import CircuitOpenError
from isthmus.resilience.classify import blames, never_ran, retry_after, status_of, transient


class Code(enum.Enum):
    UNAVAILABLE = 14
    INVALID_ARGUMENT = 3
    ABORTED = 10


class RpcError(Exception):
    def __init__(self, code: Code):
        self._code = code

    def code(self) -> Code:
        return self._code


class ResponseError(Exception):
    """As httpx and requests have it: the status is the response's."""

    def __init__(self, status: int):
        self.response = type("Response", (), {"status_code": status})()


class BrokenError(Exception):
    def code(self) -> int:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "passes", "blamed"),
    [
        (ResponseError(503), True, True),
        (ResponseError(429), True, True),
        (ResponseError(404), False, False),
        (ResponseError(501), False, True),
        (RpcError(Code.UNAVAILABLE), True, True),
        (RpcError(Code.ABORTED), True, True),
        (RpcError(Code.INVALID_ARGUMENT), False, False),
        (BrokenError(), False, True),
        (ConnectionResetError(), True, True),
        (TimeoutError(), True, True),
        (ValueError(), False, True),
        (UnavailableError(), True, True),
        (SchemaError("x"), False, True),
        (CircuitOpenError("x"), True, False),
    ],
    ids=repr,
)
def test_errors_are_judged_by_what_they_are_and_say(error: Exception, passes: bool, blamed: bool):
    assert (transient(error), blames(error)) == (passes, blamed)


def test_only_a_refusal_is_certain_not_to_have_run():
    assert never_ran(ConnectionRefusedError())
    assert never_ran(CircuitOpenError("x"))
    assert never_ran(ResponseError(429))
    assert not never_ran(ResponseError(503))
    assert not never_ran(ConnectionResetError())


def test_a_status_is_read_by_attribute():
    assert status_of(ResponseError(503)) == 503
    assert status_of(RpcError(Code.ABORTED)) == "ABORTED"
    assert status_of(type("E", (), {"code": 404})()) == 404
    assert status_of(type("E", (), {"status": True})()) is None
    assert status_of(None) is None


@pytest.mark.parametrize(("code", "status"), [(99, None), (100, 100), (599, 599), (600, None)])
def test_a_code_is_a_status_if_http_has_such(code: int, status: int | None):
    class Answer:
        pass

    answer = Answer()
    answer.code = code  # type: ignore[attr-defined]
    assert status_of(answer) == status


def test_a_date_to_come_back_at_is_compared_with_now():
    class Answer:
        headers = {"Retry-After": "Thu, 01 Jan 1970 00:01:40 GMT"}  # noqa: RUF012

    assert [retry_after(Answer(), now=now) for now in (0, 40, 200)] == [100, 60, 0]


@pytest.mark.parametrize("told", [True, "soon", math.nan, math.inf, None])
def test_what_is_no_span_asks_for_nothing(told: object):
    class Answer:
        retry_after = told

    assert retry_after(Answer()) is None


def derived(library: str, *names: str) -> BaseException:
    """An error as `library` has it, of a class of the last name, derived from the others'."""
    kind: Any = Exception
    for name in names:
        kind = type(name, (kind,), {"__module__": f"{library}.errors"})
    return kind("the line is gone")


@pytest.mark.parametrize(
    ("library", "names", "never"),
    [
        ("httpx", ["TransportError", "NetworkError", "ReadError"], False),
        ("httpx", ["TransportError", "NetworkError", "ConnectError"], True),
        ("httpx", ["TransportError", "TimeoutException", "ReadTimeout"], False),
        ("requests", ["ConnectionError"], False),
        ("requests", ["Timeout", "ConnectTimeout"], True),
        ("urllib3", ["HTTPError", "NewConnectionError", "ConnectTimeoutError"], True),
        ("asyncpg", ["PostgresConnectionError", "ConnectionDoesNotExistError"], False),
    ],
)
def test_a_connection_that_a_library_lost_is_worth_another_try(
    library: str, names: list[str], never: bool
) -> None:
    error = derived(library, *names)
    assert transient(error)
    assert never_ran(error) is never
    assert not transient(derived(f"my{library}", *names))


def test_a_connection_that_aiohttp_lost_is_worth_another_try() -> None:
    assert transient(aiohttp.ServerDisconnectedError())
    assert not never_ran(aiohttp.ServerDisconnectedError())
    assert not transient(aiohttp.InvalidURL("shop"))


async def test_a_connection_that_aiohttp_never_made_ran_nothing() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await session.get(f"http://127.0.0.1:{port}/")
    assert transient(caught.value)
    assert never_ran(caught.value)


def test_headers_are_read_of_whatever_has_them_by_name() -> None:
    headers = email.message.Message()
    headers["Retry-After"] = "7"
    assert retry_after(urllib.error.HTTPError("http://shop", 503, "busy", headers, None)) == 7
    assert retry_after(type("Answer", (), {"headers": [("Retry-After", "7")]})()) is None


PASSING = {408, 425, 429, 500, 502, 503, 504}


@pytest.mark.parametrize("status", range(400, 600))
def test_every_status_is_judged(status: int) -> None:
    error = ResponseError(status)
    assert transient(error) == (status in PASSING)
    assert blames(error) == (status >= 500 or status in PASSING)
    assert never_ran(error) == (status in {425, 429})


@pytest.mark.parametrize("told", [True, False])
def test_an_error_may_say_itself_whether_it_never_ran(told: bool) -> None:
    class UnsentError(ConnectionRefusedError):
        never_ran = told

    assert never_ran(UnsentError()) is told


def test_a_word_of_another_kind_says_nothing() -> None:
    class OddError(ConnectionRefusedError):
        never_ran = "perhaps"

    assert never_ran(OddError())
