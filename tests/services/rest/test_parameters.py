"""Which part of a request each parameter is."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, TypedDict

import aiohttp
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from isthmus.errors import ConfigError
from isthmus.handling.calling.dependencies import Depends, Header
from isthmus.handling.declarations import Declarations
from isthmus.services import Body, Cookie, Form, Query, Upload, route
from isthmus.services.rest.forms import _fields  # pyright: ignore[reportPrivateUsage]

Serve = Callable[[Declarations], AbstractAsyncContextManager[Any]]


class Item(msgspec.Struct):
    sku: str
    count: Annotated[int, Meta(ge=1)]


class Card(msgspec.Struct, tag="card"):
    number: str


class Cash(msgspec.Struct, tag="cash"):
    given: int


class Place(TypedDict):
    street: str
    number: int


class Product(pydantic.BaseModel):
    name: str
    prices: list[int]


def post(declared: Declarations, path: str = "/", **options: Any) -> Any:
    return route(declared, "POST", path, **options)


def faults(answer: Any) -> set[tuple[str, str]]:
    assert answer.status == 422
    return {(fault["location"], fault["at"]) for fault in answer.json()["errors"]}


async def test_lists_unions_typed_dicts_and_pydantic_models_are_bodies(
    declared: Declarations, serve: Serve
) -> None:
    @post(declared, "/items")
    async def items(items: list[Item]) -> int:
        return sum(item.count for item in items)

    @post(declared, "/payments")
    async def pay(payment: Card | Cash) -> str:
        return type(payment).__name__

    @post(declared, "/places")
    async def place(place: Place) -> int:
        return place["number"]

    @post(declared, "/products")
    async def product(product: Product) -> Product:
        return product

    @post(declared, "/words")
    async def words(words: Annotated[list[str], Body()]) -> list[str]:
        return words

    async with serve(declared) as s:
        ask = s.client.post
        two = [{"sku": "a", "count": 1}, {"sku": "b", "count": 2}]
        assert (await ask("/items", json=two)).json() == 3
        assert (await ask("/payments", json={"type": "cash", "given": 1})).json() == "Cash"
        assert (await ask("/places", json={"street": "s", "number": 7})).json() == 7
        assert (await ask("/words", json=["a", "b"])).json() == ["a", "b"]
        wrong = [{"sku": "a", "count": 0}, {"count": "x"}, {"sku": "c", "count": 1}]
        told = faults(await ask("/items", json=wrong))
        assert told == {("body", "[0].count"), ("body", "[1].sku"), ("body", "[1].count")}
        told = faults(await ask("/products", json={"prices": [1, "x", 2, "y"]}))
        assert told == {("body", "name"), ("body", "prices[1]"), ("body", "prices[3]")}


async def test_the_faults_of_every_part_are_told_at_once(
    declared: Declarations, serve: Serve
) -> None:
    async def page(offset: int) -> int:
        return offset

    @post(declared, "/{number}")
    async def all_of_it(
        number: int,
        item: Item,
        limit: Annotated[int, Meta(ge=1, le=100)],
        sort: Annotated[str, Query("sort-by")],
        tenant: Annotated[int, Header("x-tenant")],
        session: Annotated[str, Cookie()],
        offset: Annotated[int, Depends(page)],
    ) -> str:
        return f"{number} {item.sku} {limit} {sort} {tenant} {session} {offset}"

    async with serve(declared) as s:
        wrong = await s.client.post("/x?limit=101", json={"sku": 1, "count": 1})
        assert faults(wrong) == {
            ("path", "number"),
            ("query", "limit"),
            ("query", "sort-by"),
            ("header", "x-tenant"),
            ("cookie", "session"),
            ("query", "offset"),
            ("body", "sku"),
        }
        answer = await s.client.post(
            "/1?limit=9&sort-by=name&offset=4",
            json={"sku": "a", "count": 1},
            headers={"X-Tenant": "5", "Cookie": "session=abc; other=1"},
        )
        assert answer.json() == "1 a 9 name 5 abc 4"


def test_a_bound_that_would_not_be_kept_is_refused(declared: Declarations) -> None:
    async def show(limit: Annotated[int, "what it is", pydantic.Field(ge=1)]) -> None: ...

    with pytest.raises(ConfigError, match=r"'limit' .* msgspec.Meta"):
        route(declared, "GET", "/")(show)


async def test_what_others_say_of_a_parameter_is_let_be(
    declared: Declarations, serve: Serve
) -> None:
    @route(declared, "GET", "/")
    async def show(limit: Annotated[int, "what it is"]) -> int:
        return limit

    async with serve(declared) as s:
        assert (await s.client.get("/?limit=3")).json() == 3


class Untagged(msgspec.Struct):
    given: int


async def test_of_a_union_without_tags_a_body_is_the_first_that_it_fits(
    declared: Declarations, serve: Serve
) -> None:
    @post(declared)
    async def pay(payment: Untagged | Item) -> str:
        return type(payment).__name__

    async with serve(declared) as s:
        assert (await s.client.post("/", json={"given": 1})).json() == "Untagged"


# --- dependencies ---------------------------------------------------------------------------------


async def test_dependencies_may_be_classes_depend_on_others_and_are_called_once(
    declared: Declarations, serve: Serve
) -> None:
    told: list[str] = []

    async def session() -> AsyncIterator[str]:
        told.append("open")
        try:
            yield "session"
        except ValueError:
            told.append("failed")
            raise
        finally:
            told.append("closed")

    class Search:
        def __init__(self, session: Annotated[str, Depends(session)], words: str = "all") -> None:
            self.told = f"{session} {words}"

    def user(session: Annotated[str, Depends(session)]) -> str:
        return f"user of {session}"

    @route(declared, "GET", "/")
    async def show(
        search: Annotated[Search, Depends(Search)],
        user: Annotated[str, Depends(user)],
        fail: bool = False,
    ) -> list[str]:
        if fail:
            raise ValueError
        return [search.told, user]

    async with serve(declared) as s:
        answer = await s.client.get("/?words=red")
        assert answer.json() == ["session red", "user of session"]
        assert told == ["open", "closed"]
        told.clear()
        assert (await s.client.get("/?fail=true")).status == 500
        assert told == ["open", "failed", "closed"]


# --- forms ----------------------------------------------------------------------------------------


class Login(msgspec.Struct):
    name: str
    age: int = 0
    roles: list[str] = []


class Photo(msgspec.Struct):
    title: str
    image: Upload
    more: list[Upload] = []


async def test_a_form_fills_a_model(declared: Declarations, serve: Serve) -> None:
    @post(declared)
    async def login(form: Annotated[Login, Form()]) -> Login:
        return form

    async with serve(declared) as s:
        sent = [("name", "é&="), ("age", "7"), ("roles", "a"), ("roles", "b")]
        answer = await s.client.post("/", data=sent)
        assert answer.json() == {"name": "é&=", "age": 7, "roles": ["a", "b"]}
        assert faults(await s.client.post("/", data={"age": "x"})) == {
            ("body", "name"),
            ("body", "age"),
        }
        refused = await s.client.post("/", json={})
        assert (refused.status, refused.json()["supported"][1]) == (415, "multipart/form-data")
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (await s.client.post("/", data=b"a=\xff", headers=kind)).status == 400
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        for torn in (b"nothing", b"--x\r\n\r\nno name\r\n--x--", b"--x\r\n"):
            assert (await s.client.post("/", data=torn, headers=kind)).status == 400


async def test_files_are_uploaded_within_the_body_limit(
    declared: Declarations, serve: Serve
) -> None:
    @post(declared, body_limit=5000)
    async def photo(form: Annotated[Photo, Form()]) -> list[Any]:
        image = form.image
        return [form.title, image.filename, image.content_type, len(image.content), len(form.more)]

    def sent(size: int) -> aiohttp.FormData:
        form = aiohttp.FormData()
        form.add_field("title", "é")
        form.add_field("image", b"\r\n" * (size // 2), filename="a.png", content_type="image/png")
        form.add_field("more", b"1", filename="1")
        form.add_field("more", b"2", filename="2")
        return form

    async with serve(declared) as s:
        answer = await s.client.post("/", data=sent(1000))
        assert answer.json() == ["é", "a.png", "image/png", 1000, 2]
        assert (await s.client.post("/", data=sent(6000))).status == 413


@given(st.binary(), st.binary())
def test_a_file_arrives_as_it_was_sent(one: bytes, other: bytes) -> None:
    edge = b"edge-that-no-file-has"
    head = b'--%b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n%b\r\n'
    body = head % (edge, one) + head % (edge, other) + b"--%b--\r\n" % edge
    found = _fields(body, b"multipart/form-data; boundary=" + edge)
    assert [value.content for _, value in found] == [one, other]


def test_a_form_is_of_a_model(declared: Declarations) -> None:
    async def take(form: Annotated[int, Form()]) -> None: ...

    with pytest.raises(ConfigError, match="of a model"):
        post(declared)(take)
