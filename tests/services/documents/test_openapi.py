"""What the OpenAPI document promises of what an App declares."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
import pydantic
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.requests import Request
from starlette.responses import Response
from tests.services.documents import torture

from isthmus.contracts import Transaction
from isthmus.errors import ConfigError
from isthmus.handling.calling.dependencies import Depends, Header
from isthmus.handling.declarations import Declarations
from isthmus.handling.model import Model
from isthmus.services import DeclaredRoute, route
from isthmus.services.documents import ApiKey, Basic, Bearer, about, openapi
from isthmus.services.documents.options import OPTIONS
from isthmus.services.documents.schemas import replaced
from isthmus.services.rest.options import RouteOptions


class Order(msgspec.Struct):
    """What is ordered."""

    id: str
    """As the customer calls it."""
    total: Annotated[int, msgspec.Meta(ge=1)] = 1


class Modelled(pydantic.BaseModel):
    when: str | None = None


@pytest.fixture
def declared() -> Declarations:
    return Declarations("shop")


def at(declared: Declarations, method: str, path: str, **options: Any) -> Any:
    return route(declared, method, path, **options)


def operation(declared: Declarations, method: str, path: str) -> dict[str, Any]:
    return openapi(declared.model)["paths"][path][method]


def own(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parameters of an operation that are not those of its options."""
    return [each for each in told.get("parameters", []) if "$ref" not in each]


def refs(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        for name, part in document.items():
            if name == "$ref":
                yield part
            yield from refs(part)
    elif isinstance(document, list):
        for part in document:
            yield from refs(part)


def resolved(document: dict[str, Any], ref: str) -> Any:
    found: Any = document
    for step in ref.removeprefix("#/").split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found


# --- the whole ------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [torture.app.describe(), Model()], ids=["torture", "nothing"])
def test_the_document_is_valid(model: Model) -> None:
    document = openapi(model)
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    assert json.loads(json.dumps(document)) == document


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    document = openapi(torture.app.describe())
    used = set(refs(document))
    for ref in used:
        assert resolved(document, ref)
    for kind in ("schemas", "responses", "headers"):
        for name in document["components"][kind]:
            assert f"#/components/{kind}/{name}" in used


def test_the_same_app_has_the_same_document() -> None:
    model = torture.app.describe()
    assert json.dumps(openapi(model)) == json.dumps(openapi(model))


def test_what_is_said_of_the_app_is_in_its_document(declared: Declarations) -> None:
    about(
        declared,
        title="Shop",
        version="2.1",
        description="All of it.",
        servers=["https://shop.example"],
        security=[Bearer(format="JWT"), ApiKey(key="k", location="query"), Basic()],
    )
    at(declared, "GET", "/")(nothing)
    document = openapi(declared.model)
    assert document["info"] == {"title": "Shop", "version": "2.1", "description": "All of it."}
    assert document["servers"] == [{"url": "https://shop.example"}]
    assert document["security"] == [{"bearer": []}, {"api-key": []}, {"basic": []}]
    assert document["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "api-key": {"type": "apiKey", "in": "query", "name": "k"},
        "basic": {"type": "http", "scheme": "basic"},
    }
    assert {"401", "403"} <= set(document["paths"]["/"]["get"]["responses"])


def test_what_is_asked_for_wins_over_what_was_said(declared: Declarations) -> None:
    about(declared, title="Shop", version="2.1")
    document = openapi(declared.model, title="Kiosk", servers=["/x"], description="Small.")
    assert document["info"] == {"title": "Kiosk", "version": "2.1", "description": "Small."}
    assert document["servers"] == [{"url": "/x"}]


def test_an_app_is_told_of_once(declared: Declarations) -> None:
    about(declared, title="Shop")
    with pytest.raises(ConfigError, match="declared twice"):
        about(declared, title="Kiosk")


def test_what_cannot_be_said_of_an_app_is_refused(declared: Declarations) -> None:
    with pytest.raises(ConfigError, match="two have one name"):
        about(declared, security=[Bearer(), Bearer()])
    with pytest.raises(ConfigError, match="expected a list of URLs"):
        about(declared, servers="https://shop.example")


def test_hidden_routes_are_left_out_and_tags_listed_once(declared: Declarations) -> None:
    at(declared, "GET", "/a", tags=["x", "y"], deprecated=True)(nothing)
    at(declared, "GET", "/b", tags=["y"])(nothing)
    at(declared, "GET", "/c", hidden=True)(nothing)
    document = openapi(declared.model)
    assert list(document["paths"]) == ["/a", "/b"]
    assert document["tags"] == [{"name": "x"}, {"name": "y"}]
    assert document["paths"]["/a"]["get"]["deprecated"] is True
    assert "deprecated" not in document["paths"]["/b"]["get"]


# --- names ----------------------------------------------------------------------------------


def test_operations_are_called_as_their_functions_and_keep_their_names(
    declared: Declarations,
) -> None:
    def ids() -> list[str]:
        paths = openapi(declared.model)["paths"].values()
        return [each["operationId"] for item in paths for each in item.values()]

    async def show() -> None: ...

    at(declared, "GET", "/a")(show)
    before = ids()
    at(declared, "GET", "/b-c/d")(show)
    at(declared, "GET", "/b_c/d")(show)
    assert before == ["show"]
    assert ids() == ["show", "show_get_b_c_d", "show_get_b_c_d_2"]


def test_converters_of_a_path_are_not_in_the_document(declared: Declarations) -> None:
    async def read(name: str, number: int) -> None: ...

    at(declared, "GET", "/files/{number:int}/{name:path}")(read)
    [path] = openapi(declared.model)["paths"]
    assert path == "/files/{number}/{name}"


def test_of_two_routes_that_look_the_same_the_one_that_answers_is_told(
    declared: Declarations,
) -> None:
    async def by_number(id: int) -> None: ...
    async def by_name(id: str) -> None: ...

    at(declared, "GET", "/{id:int}")(by_number)
    at(declared, "GET", "/{id}")(by_name)
    assert operation(declared, "get", "/{id}")["operationId"] == "by_number"


# --- what is taken --------------------------------------------------------------------------


def test_parameters_are_told_wherever_they_come_from(declared: Declarations) -> None:
    async def page(limit: int = 5, after: str | None = None) -> int:
        return limit

    @at(declared, "GET", "/{id}")
    async def find(
        id: int,
        tag: list[str],
        page: Annotated[int, Depends(page)],
        tenant: Annotated[str, Header("x-tenant")],
        deep: bool = False,
        authorization: Annotated[str, Header()] = "",
    ) -> None:
        """Find it.

        Args:
            id: The number
                of it.
            deep (bool): Whether to look everywhere.
        """

    parameters = own(operation(declared, "get", "/{id}"))
    assert {(each["name"], each["in"]): each for each in parameters} == {
        ("id", "path"): {
            "name": "id",
            "in": "path",
            "required": True,
            "description": "The number of it.",
            "schema": {"type": "integer"},
        },
        ("tag", "query"): {
            "name": "tag",
            "in": "query",
            "required": True,
            "schema": {"type": "array", "items": {"type": "string"}},
        },
        ("limit", "query"): {
            "name": "limit",
            "in": "query",
            "schema": {"type": "integer", "default": 5},
        },
        ("after", "query"): {"name": "after", "in": "query", "schema": {"type": "string"}},
        ("deep", "query"): {
            "name": "deep",
            "in": "query",
            "description": "Whether to look everywhere.",
            "schema": {"type": "boolean", "default": False},
        },
        ("x-tenant", "header"): {
            "name": "x-tenant",
            "in": "header",
            "required": True,
            "schema": {"type": "string"},
        },
    }


def test_what_several_functions_take_is_told_once_and_required_by_any(
    declared: Declarations,
) -> None:
    async def one(limit: int = 5) -> int:
        return limit

    async def other(limit: int) -> int:
        return limit

    @at(declared, "GET", "/")
    async def find(one: Annotated[int, Depends(one)], other: Annotated[int, Depends(other)]): ...

    [parameter] = own(operation(declared, "get", "/"))
    assert parameter["required"] is True


def test_a_body_is_told_with_whether_it_may_be_left_out(declared: Declarations) -> None:
    @at(declared, "POST", "/needed")
    async def needed(order: Order) -> None: ...

    @at(declared, "POST", "/optional")
    async def optional(order: Order | None = None) -> None: ...

    @at(declared, "POST", "/bytes")
    async def octets(content: bytes) -> bytes:
        return content

    body = operation(declared, "post", "/needed")["requestBody"]
    assert body["content"]["application/json"] == {"schema": {"$ref": "#/components/schemas/Order"}}
    assert body["required"] is True
    body = operation(declared, "post", "/optional")["requestBody"]
    assert "required" not in body
    assert body["content"]["application/json"]["schema"]["anyOf"][1] == {"type": "null"}
    told = operation(declared, "post", "/bytes")
    binary = {"type": "string", "format": "binary"}
    assert told["requestBody"]["content"] == {
        "application/octet-stream": {"schema": {**binary, "minLength": 1}}
    }
    assert told["responses"]["200"]["content"] == {"application/octet-stream": {"schema": binary}}


# --- what is answered -----------------------------------------------------------------------


def test_the_answers_are_those_that_can_come(declared: Declarations) -> None:
    @at(declared, "POST", "/{id}", status=201)
    async def create(id: str, order: Order, tx: Transaction) -> Order:
        return order

    @at(declared, "GET", "/text")
    async def text(note: str = "") -> str:
        return note

    @at(declared, "POST", "/raw")
    async def raw(request: Request) -> Response:
        return Response()

    @at(declared, "DELETE", "/all")
    async def drop() -> None: ...

    def statuses(method: str, path: str) -> list[str]:
        found = operation(declared, method, path)["responses"]
        return [status for status in found if status not in {"304", "406"}]  # those of options

    failures = ["500", "503", "504"]
    every = ["201", "400", "404", "409", "413", "415", "422", *failures]
    assert statuses("post", "/{id}") == every
    assert statuses("get", "/text") == ["200", *failures]
    assert statuses("post", "/raw") == ["200", "413", *failures]
    assert statuses("delete", "/all") == ["204", *failures]
    assert "content" not in operation(declared, "delete", "/all")["responses"]["204"]


def test_every_failure_is_a_problem_document_with_the_id_of_the_request(
    declared: Declarations,
) -> None:
    @at(declared, "POST", "/{id}", errors={409: "It is there.", 402: "It costs."})
    async def create(id: str, order: Order, tx: Transaction) -> None: ...

    document = openapi(declared.model)
    responses = document["paths"]["/{id}"]["post"]["responses"]
    assert responses["409"]["description"] == "It is there."
    assert responses["402"]["description"] == "It costs."
    for status, response in responses.items():
        told = resolved(document, response["$ref"]) if "$ref" in response else response
        assert "X-Request-ID" in told["headers"]
        if int(status) >= 400:
            assert list(told["content"]) == ["application/problem+json"]
    assert responses["503"] == {"$ref": "#/components/responses/Unavailable"}
    assert "Retry-After" in document["components"]["responses"]["Unavailable"]["headers"]


def test_headers_that_any_request_may_have_are_told_once(declared: Declarations) -> None:
    at(declared, "GET", "/")(nothing)
    document = openapi(declared.model)
    assert {"X-Request-ID", "isthmus-deadline"} <= set(document["components"]["parameters"])
    assert own(document["paths"]["/"]["get"]) == []


# --- options of routes ------------------------------------------------------------------------


class Format(msgspec.Struct):
    media_type: str


class More(RouteOptions, frozen=True, kw_only=True):
    """Options that change what clients see, whichever of them routes have by now."""

    formats: Any = (Format("application/json"),)
    idempotency: Any = None
    etag: bool = False


@pytest.mark.parametrize("required", [True, False])
def test_an_idempotent_route_tells_its_header(required: bool) -> None:
    class Idempotency(msgspec.Struct):
        required: bool

    document = openapi(with_options("POST", idempotency=Idempotency(required)))
    told = document["paths"]["/"]["post"]
    [key] = told["parameters"]
    if required:
        assert key["required"] is True
    else:
        key = resolved(document, key["$ref"])
        assert "required" not in key
    assert (key["name"], key["in"]) == ("Idempotency-Key", "header")
    assert {"400", "409", "422"} <= set(told["responses"])
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_a_route_with_etags_tells_them() -> None:
    document = openapi(with_options("GET", etag=True))
    told = document["paths"]["/"]["get"]
    assert told["parameters"] == [{"$ref": "#/components/parameters/If-None-Match"}]
    assert "ETag" in told["responses"]["200"]["headers"]
    assert "content" not in told["responses"]["304"]
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_a_route_of_several_formats_tells_them() -> None:
    formats = [Format("application/json"), Format("application/vnd.msgpack")]
    document = openapi(with_options("GET", formats=formats))
    responses = document["paths"]["/"]["get"]["responses"]
    assert list(responses["200"]["content"]) == ["application/json", "application/vnd.msgpack"]
    assert responses["406"] == {"$ref": "#/components/responses/NotAcceptable"}


def test_every_option_that_is_told_is_one_that_a_route_has_or_will_have() -> None:
    known = set(RouteOptions.__struct_fields__) | {"formats", "etag", "idempotency"}
    assert set(OPTIONS) <= known


def with_options(method: str, **options: Any) -> Model:
    declared = Declarations("shop")

    @at(declared, method, "/")
    async def show() -> Order:
        return Order("a")

    model = Model()
    for record in declared.model.of(DeclaredRoute):
        model.add(msgspec.structs.replace(record, options=More(**options)))
    return model


# --- words ------------------------------------------------------------------------------------


def test_docstrings_become_summaries_and_descriptions(declared: Declarations) -> None:
    @at(declared, "GET", "/")
    async def show() -> None:
        """Show v1.2 of it, e.g. a
        page. And more of that.

        *Much* more.

        Raises:
            Problem: Never told.

        Example:
            curl /
        """

    told = operation(declared, "get", "/")
    assert told["summary"] == "Show v1.2 of it, e.g. a page"
    assert told["description"] == "And more of that.\n\n*Much* more.\n\nExample:\n    curl /"


def test_docstrings_of_models_and_their_attributes_are_told() -> None:
    schemas = openapi(torture.app.describe())["components"]["schemas"]
    parcel = schemas["Parcel"]
    assert parcel["description"] == "What is sent.\n\nIn a box, with a label on it."
    assert parcel["properties"]["parcelId"]["description"] == "Who asks for it gets it."
    assert schemas["Bicycle-Input"]["properties"]["frameNumber"]["description"] == (
        "Under the saddle."
    )
    item = schemas["tests.services.documents.torture.Item"]
    assert item["properties"]["sku"]["description"] == "As on the label."


# --- types ------------------------------------------------------------------------------------


def test_constraints_enumerations_and_defaults_are_told() -> None:
    schemas = openapi(torture.app.describe())["components"]["schemas"]
    parcel = schemas["Parcel"]["properties"]
    assert parcel["ratio"] == {
        "type": "number",
        "exclusiveMinimum": 0,
        "exclusiveMaximum": 1,
        "default": 0.5,
    }
    assert parcel["colour"] == {"$ref": "#/components/schemas/Colour", "default": "red"}
    assert schemas["Colour"]["enum"] == ["green", "red"]
    assert parcel["sentOn"]["anyOf"] == [{"type": "string", "format": "date"}, {"type": "null"}]
    assert schemas["Parcel"]["additionalProperties"] is False
    moment = schemas["Moment"]["properties"]
    assert moment["at"]["format"] == moment["history"]["items"]["format"] == "date-time"


def test_classes_of_one_name_are_kept_apart() -> None:
    document = openapi(torture.app.describe())
    schemas = document["components"]["schemas"]
    assert "count" in schemas["tests.services.documents.torture.Item"]["properties"]
    assert "name" in schemas["tests.services.documents.torture.Outer.Item"]["properties"]
    wheels = document["paths"]["/wheels"]["post"]
    body = wheels["requestBody"]["content"]["application/json"]["schema"]
    answer = wheels["responses"]["200"]["content"]["application/json"]["schema"]
    assert "size" in resolved(document, body["items"]["$ref"])["properties"]
    assert "of" in resolved(document, answer["items"]["$ref"])["properties"]


def test_what_a_model_adds_on_its_way_out_is_in_answers_only() -> None:
    schemas = openapi(torture.app.describe())["components"]["schemas"]
    assert "rides" in schemas["Bicycle-Output"]["properties"]
    assert "rides" not in schemas["Bicycle-Input"]["properties"]


def test_a_choice_between_libraries_is_a_choice(declared: Declarations) -> None:
    @at(declared, "POST", "/")
    async def take(either: Order | Modelled) -> None: ...

    body = operation(declared, "post", "/")["requestBody"]["content"]["application/json"]
    assert body["schema"] == {
        "anyOf": [
            {"$ref": "#/components/schemas/Order"},
            {"$ref": "#/components/schemas/Modelled"},
        ]
    }


def test_a_document_may_show_other_types_in_place_of_those_of_now(declared: Declarations) -> None:
    @dataclasses.dataclass
    class OldOrder:
        name: str

    @at(declared, "POST", "/")
    async def take(orders: list[Order]) -> dict[str, Order | None]:
        return {}

    def as_of(type_: Any) -> Any:
        return OldOrder if type_ is Order else type_

    document = openapi(declared.model, as_of=as_of, version="v1")
    assert document["info"]["version"] == "v1"
    assert sorted(document["components"]["schemas"]) == ["Fault", "OldOrder", "Problem"]
    told = document["paths"]["/"]["post"]
    body = told["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"type": "array", "items": {"$ref": "#/components/schemas/OldOrder"}}


@pytest.mark.parametrize(
    ("now", "then"),
    [
        (int, str),
        (list[int], list[str]),
        (int | None, str | None),
        (dict[str, list[int]], dict[str, list[str]]),
        (tuple[int, ...], tuple[str, ...]),
        (Annotated[int, "as it is"], Annotated[str, "as it is"]),
        (Literal[1], Literal[1]),
        (torture.Page[int], torture.Page[str]),
        (bytes, bytes),
    ],
)
def test_a_type_is_replaced_wherever_it_is(now: Any, then: Any) -> None:
    assert replaced(now, lambda type_: str if type_ is int else type_) == then


async def nothing() -> None: ...
