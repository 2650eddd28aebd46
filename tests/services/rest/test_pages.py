"""What lists promise, a page at a time."""

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

import msgspec
import pydantic
import pytest

from isthmus.errors import ConfigError
from isthmus.handling.declarations import Declarations
from isthmus.services import Offset, Page, Pages, Paging, route

Serve = Callable[[Declarations], AbstractAsyncContextManager[Any]]


class Order(msgspec.Struct):
    id: int


class Modelled(pydantic.BaseModel):
    id: int


ORDERS = [Order(number) for number in range(45)]


def listed(declared: Declarations, path: str = "/orders", **pages: Any) -> None:
    @route(declared, "GET", path)
    async def orders(page: Annotated[Paging[int], Pages(**pages)], least: int = 0) -> Page[Order]:
        after = -1 if page.after is None else page.after
        rows = [order for order in ORDERS if order.id > after and order.id >= least]
        return page.of(rows[: page.wanted], key=lambda order: order.id)


def link(answer: Any, relation: str) -> str | None:
    found = re.search(rf'<([^>]*)>; rel="{relation}"', answer.headers.get("Link", ""))
    return found and found[1]


async def test_a_client_that_follows_the_links_sees_every_item_once(
    declared: Declarations, serve: Serve
) -> None:
    listed(declared)
    seen: list[int] = []
    where: str | None = "/orders?limit=10&least=3"
    async with serve(declared) as s:
        while where is not None:
            answer = await s.client.get(where)
            page = answer.json()
            seen += [order["id"] for order in page["items"]]
            assert (page["next"] is None) == (link(answer, "next") is None)
            assert link(answer, "first") in {None, "/orders?limit=10&least=3"}
            where = link(answer, "next")
    assert seen == list(range(3, 45))


async def test_the_limit_has_a_default_and_bounds(declared: Declarations, serve: Serve) -> None:
    listed(declared, limit=7, most=9)
    async with serve(declared) as s:
        assert len((await s.client.get("/orders")).json()["items"]) == 7
        assert len((await s.client.get("/orders?limit=9")).json()["items"]) == 9
        for wrong in ("10", "0", "-1", "many"):
            answer = await s.client.get(f"/orders?limit={wrong}")
            assert answer.status == 422
            assert answer.json()["errors"][0]["at"] == "limit"


async def test_a_cursor_that_was_made_up_or_is_of_another_list_is_refused(
    declared: Declarations, serve: Serve
) -> None:
    listed(declared)
    listed(declared, "/others")
    listed(declared, "/secret", secret=b"s")
    async with serve(declared) as s:
        cursor = (await s.client.get("/orders")).json()["next"]
        assert (await s.client.get(f"/orders?cursor={cursor}&limit=3")).status == 200
        for where in (
            f"/others?cursor={cursor}",
            f"/secret?cursor={cursor}",
            f"/orders?least=3&cursor={cursor}",
            f"/orders?cursor={cursor[:-2]}AA",
            "/orders?cursor=",
            "/orders?cursor=a",
            "/orders?cursor=%00%FF",
            f"/orders?cursor={'A' * 5000}",
        ):
            answer = await s.client.get(where)
            assert answer.status == 422, where
            assert answer.json()["errors"][0]["at"] == "cursor"


async def test_a_key_may_have_several_parts_and_models_may_be_pydantic_s(
    declared: Declarations, serve: Serve
) -> None:
    @route(declared, "GET", "/orders")
    async def orders(page: Paging[tuple[str, int]]) -> Page[Modelled]:
        assert page.after in {None, ("a", 19)}
        rows = [Modelled(id=number) for number in range(page.wanted)]
        return page.of(rows, key=lambda order: ("a", order.id))

    async with serve(declared) as s:
        answer = await s.client.get("/orders")
        assert answer.json()["items"][0] == {"id": 0}
        assert (await s.client.get(link(answer, "next"))).status == 200


async def test_pages_by_offset_lead_everywhere(declared: Declarations, serve: Serve) -> None:
    @route(declared, "GET", "/orders")
    async def orders(page: Offset) -> Page[Order]:
        rows = ORDERS[page.offset : page.offset + page.wanted]
        return page.of(rows, total=len(ORDERS))

    async with serve(declared) as s:
        answer = await s.client.get("/orders?offset=20")
        assert (answer.json()["total"], answer.json()["next"]) == (45, "40")
        places = {name: link(answer, name) for name in ("first", "prev", "next", "last")}
        assert places == {
            name: f"/orders?offset={n}"
            for name, n in {"first": 0, "prev": 0, "next": 40, "last": 40}.items()
        }
        last = await s.client.get(places["last"])
        assert (len(last.json()["items"]), last.json()["next"]) == (5, None)
        assert (await s.client.get(f"/orders?offset={1 << 63}")).status == 422


async def test_a_page_made_by_hand_is_sent_as_it_is(declared: Declarations, serve: Serve) -> None:
    @route(declared, "GET", "/orders")
    async def orders() -> Page[Order]:
        return Page(ORDERS[:1], next="x")

    async with serve(declared) as s:
        answer = await s.client.get("/orders")
        assert answer.json() == {"items": [{"id": 0}], "next": "x", "total": None}
        assert "Link" not in answer.headers


def test_bounds_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(ConfigError):
        Pages(limit=10, most=5)
