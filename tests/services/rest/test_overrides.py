"""An App under test, with other hands in place of its own, and without a socket."""

from collections.abc import AsyncIterator
from typing import Annotated

import httpx
import pytest

from isthmus import App, ConfigError, Depends


class Clock:
    name = "real"


class Fake(Clock):
    name = "fake"


app = App("shop")


@app.resource
async def clock() -> AsyncIterator[Clock]:
    yield Clock()


async def user(name: str) -> str:
    return name


@app.get("/me")
async def me(user: Annotated[str, Depends(user)], clock: Clock) -> list[str]:
    return [user, clock.name]


async def asked(path: str) -> httpx.Response:
    async with app.test(), app.served() as application:
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.get(path)


async def test_dependencies_and_resources_are_given_by_others_in_a_test() -> None:
    async def tester(clock: Clock) -> str:
        return f"tester of {clock.name}"

    def fake() -> Clock:
        return Fake()

    with app.override(user, tester), app.override(clock, fake):
        assert (await asked("/me?name=a")).json() == ["tester of fake", "fake"]
    assert (await asked("/me?name=a")).json() == ["a", "real"]
    assert (await asked("/me")).status_code == 422


async def test_what_is_called_instead_takes_nothing_from_the_request() -> None:
    async def other(name: str) -> str:
        return name

    with app.override(user, other), pytest.raises(ConfigError, match="'name'"):
        await asked("/me")
