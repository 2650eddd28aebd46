"""What breaks between two revisions of an API, and what does not."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from isthmus.errors import ConfigError
from isthmus.services.versioning.revisions import Break, breaks

ORDER = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "total": {"type": "integer"},
        "note": {"type": "string"},
        "state": {"enum": ["open", "paid"]},
        "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
        "parent": {"anyOf": [{"$ref": "#/components/schemas/Order"}, {"type": "null"}]},
    },
    "required": ["id", "total"],
}
LINE = {
    "type": "object",
    "properties": {"sku": {"type": "string"}, "colour": {"type": "string"}},
    "required": ["sku"],
}
JSON = {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}
OLD: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "shop", "version": "1"},
    "paths": {
        "/orders/{id}": {
            "parameters": [{"$ref": "#/components/parameters/Id"}],
            "get": {
                "parameters": [
                    {"in": "query", "name": "limit", "schema": {"type": "integer", "maximum": 99}}
                ],
                "responses": {
                    "200": {"content": {**JSON, "text/csv": {}}, "headers": {"ETag": {}}},
                    "404": {"description": "none"},
                },
            },
        },
        "/orders": {
            "post": {
                "requestBody": {"content": {**JSON, "application/cbor": {}}},
                "responses": {"201": {"$ref": "#/components/responses/Made"}},
            }
        },
    },
    "webhooks": {"shipped": {"post": {"requestBody": {"content": JSON}}}},
    "components": {
        "schemas": {"Order": ORDER, "Line": LINE},
        "parameters": {
            "Id": {"in": "path", "name": "id", "required": True, "schema": {"type": "string"}}
        },
        "responses": {"Made": {"content": JSON}},
    },
}

LEFT_OUT = "total: the new version may leave it out, the old version requires it"
NARROWER = "state: the old version writes 'paid' too, the new version takes only 'open'"
WIDER = "state: the new version writes 'lost' too, the old version takes only 'open', 'paid'"
SMALLER = "payload: the old version has maximum 99, the new version wants 9"
OTHER = "payload: the old version writes string, the new version takes integer"
NEEDED = "note: the old version may leave it out, the new version requires it"
GET, POST, HOOK = "GET /orders/{id}", "POST /orders", "POST shipped"
Edit = Callable[[dict[str, Any]], object]


def edited(edit: Edit) -> dict[str, Any]:
    new = copy.deepcopy(OLD)
    edit(new)
    return new


def get(new: dict[str, Any]) -> dict[str, Any]:
    return new["paths"]["/orders/{id}"]["get"]


def post(new: dict[str, Any]) -> dict[str, Any]:
    return new["paths"]["/orders"]["post"]


def order(new: dict[str, Any]) -> dict[str, Any]:
    return new["components"]["schemas"]["Order"]


def line(new: dict[str, Any]) -> dict[str, Any]:
    return new["components"]["schemas"]["Line"]


def renamed(new: dict[str, Any]) -> None:
    new["paths"]["/orders/{order_id}"] = new["paths"].pop("/orders/{id}")
    new["components"]["parameters"]["Id"]["name"] = "order_id"


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda n: n["paths"].pop("/orders"), {(POST, "operation", "it is gone")}),
        (
            lambda n: n["paths"]["/orders/{id}"].pop("get"),
            {(GET, "operation", "it is gone")},
        ),
        (lambda n: n["webhooks"].clear(), {(HOOK, "webhook", "it is gone")}),
        (lambda n: n.update(security=[{"key": []}]), {
            (GET, "security", "it needs credentials now"),
            (POST, "security", "it needs credentials now"),
        }),
        (
            lambda n: get(n)["parameters"].append({"in": "query", "name": "x", "required": True}),
            {(GET, "query x", "it is new, and required")},
        ),
        (
            lambda n: get(n)["parameters"].append({"in": "header", "name": "X", "required": True}),
            {(GET, "header X", "it is new, and required")},
        ),
        (
            lambda n: get(n)["parameters"][0].update(required=True),
            {(GET, "query limit", "it is required now")},
        ),
        (
            lambda n: get(n)["parameters"][0]["schema"].update(maximum=9),
            {(GET, "query limit", SMALLER)},
        ),
        (
            lambda n: get(n)["parameters"].clear(),
            {(GET, "query limit", "it is gone, and would be ignored")},
        ),
        (
            lambda n: n["components"]["parameters"]["Id"].update(schema={"type": "integer"}),
            {(GET, "path id", OTHER)},
        ),
        (
            lambda n: post(n)["requestBody"].update(required=True),
            {(POST, "request", "a body is required now")},
        ),
        (lambda n: post(n).pop("requestBody"), {(POST, "request", "it takes no body any more")}),
        (
            lambda n: post(n)["requestBody"]["content"].pop("application/cbor"),
            {(POST, "request", "it does not take application/cbor any more")},
        ),
        (lambda n: get(n)["responses"].pop("200"), {(GET, "response 200", "it is gone")}),
        (
            lambda n: get(n)["responses"]["200"]["content"].pop("text/csv"),
            {(GET, "response 200", "it is not given as text/csv any more")},
        ),
        (
            lambda n: get(n)["responses"]["200"]["headers"].clear(),
            {(GET, "response 200", "the header ETag is gone")},
        ),
        (
            lambda n: order(n)["required"].append("note"),
            {(POST, "request", NEEDED)},
        ),
        (
            lambda n: order(n)["required"].remove("total"),
            {
                (GET, "response 200", LEFT_OUT),
                (POST, "response 201", LEFT_OUT),
                (HOOK, "webhook", LEFT_OUT),
            },
        ),
        (
            lambda n: order(n)["properties"].pop("note"),
            {
                (POST, "request", "note: it is gone, and would be ignored"),
                (GET, "response 200", "note: it is gone"),
                (POST, "response 201", "note: it is gone"),
                (HOOK, "webhook", "note: it is gone"),
            },
        ),
        (
            lambda n: line(n)["properties"].pop("colour"),
            {
                (POST, "request", "lines[].colour: it is gone, and would be ignored"),
                (GET, "response 200", "lines[].colour: it is gone"),
                (POST, "response 201", "lines[].colour: it is gone"),
                (HOOK, "webhook", "lines[].colour: it is gone"),
            },
        ),
        (
            lambda n: order(n)["properties"]["state"]["enum"].remove("paid"),
            {(POST, "request", NARROWER)},
        ),
        (
            lambda n: order(n)["properties"]["state"]["enum"].append("lost"),
            {
                (GET, "response 200", WIDER),
                (POST, "response 201", WIDER),
                (HOOK, "webhook", WIDER),
            },
        ),
    ],
)  # fmt: skip
def test_it_breaks(edit: Edit, told: set[tuple[str, str, str]]) -> None:
    found = breaks(OLD, edited(edit))
    assert {(each.operation, each.where, each.told) for each in found} == told


@pytest.mark.parametrize(
    "edit",
    [
        lambda _: None,
        lambda n: n["paths"].update({"/refunds": {"post": {"responses": {"200": {}}}}}),
        lambda n: get(n)["parameters"].append({"in": "query", "name": "after"}),
        lambda n: get(n)["parameters"][0]["schema"].update(maximum=1000),
        lambda n: get(n)["responses"].pop("404"),
        lambda n: get(n)["responses"].update({"206": {}}),
        lambda n: get(n)["responses"]["200"]["content"].update({"text/html": {}}),
        lambda n: order(n)["properties"].update(placed_at={"type": "string"}),
        lambda n: n.update(security=[{"key": []}, {}]),
        renamed,
    ],
)
def test_it_does_not_break(edit: Edit) -> None:
    assert breaks(OLD, edited(edit)) == []


def test_a_type_that_widens_breaks_answers_and_one_that_narrows_requests() -> None:
    wide = edited(lambda n: order(n)["properties"].update(total={"type": ["integer", "string"]}))
    assert {each.where for each in breaks(OLD, wide)} == {"response 200", "response 201", "webhook"}
    assert {each.where for each in breaks(wide, OLD)} == {"request"}


def test_what_nothing_guarded_before_may_be_guarded_where_it_was() -> None:
    guarded = edited(lambda n: n.update(security=[{"key": []}]))
    assert breaks(guarded, guarded) == []
    assert breaks(guarded, OLD) == []


def test_a_break_reads_as_a_sentence() -> None:
    assert str(Break(POST, "request", "a body is required now")) == (
        "POST /orders: request: a body is required now"
    )


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ([], "old revision is no OpenAPI document"),
        ({"openapi": "3.0.3"}, "is OpenAPI 3.0.3; expected OpenAPI 3.1"),
        ({"swagger": "2.0"}, "is no OpenAPI document"),
        (
            {"openapi": "3.1.0", "paths": {"/x": {"get": {"requestBody": {"$ref": "#/no"}}}}},
            "refers to '#/no', which it lacks",
        ),
        (
            {"openapi": "3.1.0", "paths": {"/x": {"$ref": "other.json#/x"}}},
            "another document",
        ),
        ({"openapi": "3.1.0", "paths": {"$ref": "#/paths"}}, "leads in a circle"),
    ],
)
def test_what_is_no_such_document_is_refused(document: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        breaks(document, {"openapi": "3.1.0", "paths": {"/x": {"get": {}}}})


def test_the_document_of_a_fastapi_application_is_read() -> None:
    before, after = FastAPI(), FastAPI()

    @before.get("/orders")
    async def some(limit: int = 10) -> list[str]:
        return []

    @after.get("/orders")
    async def as_said(limit: int) -> list[str]:
        return []

    old, new = before.openapi(), after.openapi()
    assert breaks(old, old) == breaks(new, old) == []
    told = "GET /orders: query limit: it is required now"
    assert [str(each) for each in breaks(old, new)] == [told]
