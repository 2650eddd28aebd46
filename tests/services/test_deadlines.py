"""Deadlines of requests, and what an answer says of its parts."""

import time
from typing import Any

import pytest
from starlette.responses import JSONResponse

from isthmus.deadline import HEADER, remaining
from isthmus.errors import ConfigError, TimedOutError
from isthmus.handling.declarations import Declarations
from isthmus.resilience import (
    CircuitBreaker,
    CircuitOpenError,
    Fallback,
    Policy,
    RetriesSpentError,
    Timeout,
    degraded_in,
    note_degraded,
)
from isthmus.services import DeclaredRoute, mount, route


def by(seconds: float) -> dict[str, str]:
    return {HEADER: f"{time.time() + seconds:.3f}"}


async def test_the_deadline_of_the_client_is_in_force_for_the_endpoint(
    serve: Any, declared: Declarations
) -> None:
    @route(declared, "GET", "/left")
    async def left() -> float | None:
        return remaining()

    @route(declared, "GET", "/left/def")
    def left_in_a_thread() -> float | None:
        return remaining()

    async with serve(declared) as served:
        for path in ("/left", "/left/def"):
            answer = await served.client.get(path, headers=by(100))
            assert 90 < answer.json() < 101
            assert (await served.client.get(path)).json() is None


async def test_a_mounted_application_has_the_deadline_too(
    serve: Any, declared: Declarations
) -> None:
    async def legacy(scope: Any, receive: Any, send: Any) -> None:
        await JSONResponse(remaining())(scope, receive, send)

    mount(declared, "/legacy", legacy)

    async with serve(declared) as served:
        answer = await served.client.get("/legacy/", headers=by(100))
        assert 90 < answer.json() < 101


async def test_what_arrives_too_late_is_not_begun(serve: Any, declared: Declarations) -> None:
    called = False

    @route(declared, "GET", "/late")
    async def late() -> None:
        nonlocal called
        called = True

    async with serve(declared) as served:
        answer = await served.client.get("/late", headers={**by(-1), "X-Request-Id": "r1"})
    assert (answer.status, answer.kind) == (504, "application/problem+json")
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "r1"
    assert not called


async def test_a_route_may_have_a_deadline_and_the_nearer_is_in_force(
    serve: Any, declared: Declarations
) -> None:
    @route(declared, "GET", "/left", deadline=50)
    async def left() -> float | None:
        return remaining()

    async with serve(declared) as served:
        assert 40 < (await served.client.get("/left")).json() < 51
        assert (await served.client.get("/left", headers=by(20))).json() < 21
        assert 40 < (await served.client.get("/left", headers=by(100))).json() < 51
    [record] = declared.model.of(DeclaredRoute)
    assert record.deadline == 50


@pytest.mark.parametrize("deadline", [0, -1, float("inf"), float("nan")])
def test_a_deadline_out_of_range_is_refused(declared: Declarations, deadline: float) -> None:
    with pytest.raises(ConfigError, match="GET /left: deadline="):
        route(declared, "GET", "/left", deadline=deadline)(lambda: None)


async def test_a_header_that_is_no_moment_is_none(serve: Any, declared: Declarations) -> None:
    @route(declared, "GET", "/left")
    async def left() -> float | None:
        return remaining()

    async with serve(declared) as served:
        answer = await served.client.get("/left", headers={HEADER: "soon"})
        assert (answer.status, answer.json()) == (200, None)


async def test_what_a_policy_refused_is_a_problem_with_a_status_of_its_own(
    serve: Any, declared: Declarations
) -> None:
    circuit = CircuitBreaker(None, consecutive=1, open_for=7, name="pay")

    @Policy(circuit, name="pay")
    async def pay() -> None:
        raise ConnectionError("down")

    @route(declared, "GET", "/open")
    async def open_() -> None:
        raise CircuitOpenError("open", retry_after=6.2)

    @route(declared, "GET", "/spent")
    async def spent() -> None:
        raise RetriesSpentError("3 attempts")

    @route(declared, "GET", "/slow")
    async def slow() -> None:
        raise TimedOutError("slow")

    @route(declared, "GET", "/over", deadline=0.000001)
    async def over() -> None:
        await Policy(Timeout(5)).call(pay)

    async with serve(declared) as served:
        answers = [await served.client.get(path) for path in ("/open", "/spent", "/slow", "/over")]
    assert [answer.status for answer in answers] == [503, 503, 504, 504]
    assert [answer.headers.get("Retry-After") for answer in answers] == ["7", "1", None, None]
    assert circuit.state == "closed"


# --- degraded answers -----------------------------------------------------------------------


async def test_an_answer_names_the_parts_that_are_degraded(
    serve: Any, declared: Declarations
) -> None:
    @Policy(Fallback([], name="offers"))
    async def offers() -> list[str]:
        raise ConnectionError("down")

    @route(declared, "GET", "/home")
    async def home() -> dict[str, list[str]]:
        note_degraded("stock, old\r\nX-Evil: 1", "StaleError")
        return {"offers": await offers()}

    @route(declared, "GET", "/def")
    def in_a_thread() -> dict[str, str]:
        note_degraded("offers")
        return {}

    async with serve(declared) as served:
        answer = await served.client.get("/home")
        assert (answer.status, answer.json()) == (200, {"offers": []})
        assert len(degraded_in(answer.headers)) == 2
        assert "offers" in degraded_in(answer.headers)
        assert "X-Evil" not in answer.headers
        assert degraded_in((await served.client.get("/def")).headers) == ("offers",)


async def test_a_whole_answer_says_nothing_of_the_kind(serve: Any, declared: Declarations) -> None:
    degraded = True

    @route(declared, "GET", "/home")
    async def home() -> dict[str, str]:
        if degraded:
            note_degraded("offers")
        return {}

    async with serve(declared) as served:
        await served.client.get("/home")
        degraded = False
        answer = await served.client.get("/home")
        assert "isthmus-degraded" not in answer.headers
