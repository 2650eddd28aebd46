"""What a client sees while something behind is away: an answer of less worth, and which part."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from isthmus.resilience.cache import Cache
from isthmus.resilience.degraded import HEADER, degraded_headers, degraded_in, degrading
from isthmus.resilience.fallback import Fallback, LastKnownGood
from isthmus.resilience.feature import Feature
from isthmus.resilience.parts import compose, optional
from isthmus.resilience.policy import Policy


class Prices:
    """An API of somebody else's, which can be made to fail."""

    def __init__(self) -> None:
        self.failing, self.asked = False, 0

    async def answer(self, request: Request) -> JSONResponse:
        self.asked += 1
        if self.failing:
            return JSONResponse({"title": "down"}, status_code=503)
        return JSONResponse({"sku": request.path_params["sku"], "price": 100})


@asynccontextmanager
async def serving(*routes: Route) -> AsyncGenerator[str]:
    """Serve on loopback, and give the address."""
    app = Starlette(routes=list(routes))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    running = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.wait([running], timeout=0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running


@pytest.fixture
async def client() -> AsyncGenerator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def get(client: aiohttp.ClientSession, url: str) -> Any:
    async with client.get(url) as answer:
        answer.raise_for_status()
        return await answer.json()


# --- cached data when an API fails ----------------------------------------------------------


async def test_a_cached_answer_is_given_while_an_api_fails(client: aiohttp.ClientSession):
    prices = Prices()
    async with serving(Route("/{sku}", prices.answer)) as api:

        @Policy(Cache(ttl=0, stale_if_error=600), name="prices")
        async def price(sku: str) -> Any:
            return await get(client, f"{api}/{sku}")

        with degrading() as parts:
            assert await price("tea") == {"sku": "tea", "price": 100}
        assert parts == {}
        prices.failing = True
        with degrading() as parts:
            assert await price("tea") == {"sku": "tea", "price": 100}
        assert parts == {"prices": "ClientResponseError"}
        with pytest.raises(aiohttp.ClientResponseError):
            await price("never asked")
        prices.failing = False
        with degrading() as parts:
            await price("tea")
        assert parts == {}
        assert prices.asked == 4


async def test_an_api_that_is_gone_altogether_is_answered_for_too(client: aiohttp.ClientSession):
    prices = Prices()
    async with serving(Route("/{sku}", prices.answer)) as api:

        @Policy(Fallback(LastKnownGood(max_age=600)), name="prices")
        async def price(sku: str) -> Any:
            return await get(client, f"{api}/{sku}")

        await price("tea")
    with degrading() as parts:
        assert await price("tea") == {"sku": "tea", "price": 100}
    assert parts == {"prices": "ClientConnectorError"}


# --- static content when the database is down -----------------------------------------------


def catalogue(path: Path) -> list[str]:
    connection = sqlite3.connect(path, timeout=0)
    try:
        return [sku for (sku,) in connection.execute("select sku from items order by sku")]
    finally:
        connection.close()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("create table items (sku text)")
    connection.execute("insert into items values ('tea'), ('coffee')")
    connection.close()
    return path


def test_static_content_is_given_while_the_database_is_locked(database: Path):
    items = Policy(Fallback(["(closed)"], on=sqlite3.Error), name="catalogue")(catalogue)
    assert items(database) == ["coffee", "tea"]
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("begin exclusive")
    with degrading() as parts:
        assert items(database) == ["(closed)"]
    assert parts == {"catalogue": "OperationalError"}
    other.execute("rollback")
    other.close()
    with degrading() as parts:
        assert items(database) == ["coffee", "tea"]
    assert parts == {}


def test_static_content_is_given_while_the_database_is_damaged(database: Path):
    items = Policy(Fallback(["(closed)"], on=sqlite3.Error), name="catalogue")(catalogue)
    database.write_bytes(b"no database at all, but something else" * 100)
    with degrading() as parts:
        assert items(database) == ["(closed)"]
    assert parts == {"catalogue": "DatabaseError"}


# --- an optional feature disabled, seen by who gets the answer ------------------------------


@dataclass
class Home:
    user: str
    items: list[str]
    offers: list[str] = field(default_factory=list)
    price: int | None = None


async def test_a_client_sees_which_parts_of_an_answer_are_missing(
    client: aiohttp.ClientSession, database: Path
):
    prices, recommendations = Prices(), Feature("recommendations")

    @recommendations
    async def recommended(user: str) -> list[str]:
        return [f"for {user}"]

    async def profile(user: str) -> str:
        if user == "nobody":
            raise LookupError(user)
        return user

    items = Policy(Fallback([], on=sqlite3.Error), name="catalogue")(catalogue)

    async def home(request: Request) -> JSONResponse:
        user = request.path_params["user"]
        with degrading():
            page = await compose(
                Home,
                user=profile(user),
                items=asyncio.to_thread(items, database),
                offers=optional(recommended(user), name="offers"),
                price=optional(price("tea")),
            )
            return JSONResponse(asdict(page), headers=degraded_headers())

    async with (
        serving(Route("/{sku}", prices.answer)) as api,
        serving(Route("/home/{user}", home)) as shop,
    ):

        @Policy(Cache(ttl=0), name="prices")
        async def price(sku: str) -> Any:
            return (await get(client, f"{api}/{sku}"))["price"]

        async def ask(user: str = "ann") -> tuple[int, Any, set[str]]:
            async with client.get(f"{shop}/home/{user}") as answer:
                body = await answer.json() if answer.status == 200 else None
                return answer.status, body, set(degraded_in(answer.headers))

        whole = {"user": "ann", "items": ["coffee", "tea"], "offers": ["for ann"], "price": 100}
        assert await ask() == (200, whole, set())

        recommendations.off("too slow today")
        assert await ask() == (200, whole | {"offers": []}, {"offers"})

        prices.failing = True
        assert await ask() == (200, whole | {"offers": [], "price": None}, {"offers", "price"})

        database.write_bytes(b"damaged" * 1000)
        bare = {"user": "ann", "items": [], "offers": [], "price": None}
        assert await ask() == (200, bare, {"offers", "price", "catalogue"})

        assert await ask("nobody") == (500, None, set())  # what is critical is not left out

        recommendations.on()
        prices.failing = False
        assert (await ask())[2] == {"catalogue"}
        assert HEADER == "isthmus-degraded"
