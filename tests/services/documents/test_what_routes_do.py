"""What a route asks for and gives by its types is in its document."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec

from isthmus.handling.declarations import Declarations
from isthmus.services import Form, Page, Paging, Preconditions, Upload, route
from isthmus.services.documents import openapi


class Item(msgspec.Struct):
    name: str


class Sheet(msgspec.Struct):
    title: str
    scan: Upload


def operation(declared: Declarations, method: str) -> dict[str, Any]:
    return openapi(declared.model)["paths"]["/items"][method]


def test_a_precondition_may_fail(declared: Declarations) -> None:
    @route(declared, "PUT", "/items")
    async def change(item: Item, preconditions: Preconditions) -> None: ...

    answers = operation(declared, "put")["responses"]
    assert {"412", "428"} <= set(answers)


def test_a_page_tells_of_its_link(declared: Declarations) -> None:
    @route(declared, "GET", "/items")
    async def browse(page: Paging[str]) -> Page[Item]:
        return page.of([], key=lambda item: item.name)

    told = operation(declared, "get")
    assert "Link" in told["responses"]["200"]["headers"]
    assert {"limit", "cursor"} <= {each.get("name") for each in told["parameters"]}


def test_a_form_is_of_the_media_types_of_forms(declared: Declarations) -> None:
    @route(declared, "POST", "/items")
    async def send(sheet: Annotated[Sheet, Form()]) -> None: ...

    body = operation(declared, "post")["requestBody"]["content"]
    assert set(body) == {"application/x-www-form-urlencoded", "multipart/form-data"}


def test_a_stream_is_of_its_media_type(declared: Declarations) -> None:
    @route(declared, "GET", "/items")
    async def export() -> AsyncIterator[Item]:
        yield Item("a")

    answer = operation(declared, "get")["responses"]["200"]
    assert set(answer["content"]) == {"application/jsonl"}
