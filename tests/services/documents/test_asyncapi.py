"""What the AsyncAPI document promises of what an App declares."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from tests.javascript import Javascript, javascript
from tests.services.documents import torture

from isthmus import App
from isthmus.handling.model import Model
from isthmus.services.documents import asyncapi, openapi
from isthmus.services.documents.draft07 import as_draft_07

SHOP = Path(__file__).parents[3] / "examples" / "shop"
WARNING = 1
"""The least severe that is a fault, as the validator counts; above are hints."""


@pytest.fixture(scope="module")
def validator(require: Any) -> Javascript:
    return javascript(Path(__file__).parent / "javascript", require)


def validated(validator: Javascript, document: dict[str, Any]) -> dict[str, Any]:
    told = json.loads(validator.run("asyncapi.mjs", input=json.dumps(document)))
    assert [each for each in told["told"] if each["severity"] <= WARNING] == []
    return told["seen"]


@pytest.mark.timeout(400)
def test_the_document_is_valid(validator: Javascript) -> None:
    document = asyncapi(torture.app.describe(), engine="kafka://a:9092/x")
    seen = validated(validator, document)
    assert seen["channels"] == ["parcels", "pets", "moments", "blobs", "numbers", "rides"]
    assert "receive.pets.cats" in seen["operations"]
    assert {"torture.parcel", "Cat", "Dog", "Moment"} <= set(seen["messages"])


@pytest.mark.timeout(400)
def test_the_shop_s_documents_are_valid(validator: Javascript) -> None:
    told = list[dict[str, Any]]()
    for command in ("asyncapi", "openapi"):
        argv = [sys.executable, "-m", "isthmus", command, "shop:app"]
        done = subprocess.run(argv, cwd=SHOP, check=True, capture_output=True, timeout=60)
        told.append(json.loads(done.stdout))
    assert validated(validator, told[0])["channels"] == ["orders", "order-accepted", "ledger"]
    assert list(OpenAPIV31SpecValidator(told[1]).iter_errors()) == []


@pytest.mark.timeout(400)
def test_a_document_that_is_wrong_is_found_out(validator: Javascript) -> None:
    document = asyncapi(torture.app.describe())
    del document["channels"]["pets"]["messages"]["Cat"]
    told = json.loads(validator.run("asyncapi.mjs", input=json.dumps(document)))
    assert [each for each in told["told"] if each["severity"] <= WARNING]


@pytest.mark.timeout(400)
def test_an_app_without_messages_has_a_valid_document(validator: Javascript) -> None:
    validated(validator, asyncapi(Model(), title="empty"))


def test_queues_topics_and_streams_are_channels_with_what_is_declared_of_them() -> None:
    channels = asyncapi(torture.app.describe())["channels"]
    assert channels["parcels"]["x-isthmus-kind"] == "queue"
    assert channels["parcels"]["x-isthmus-ordered"] is True
    assert channels["parcels"]["x-isthmus-retention"] == 60
    assert channels["moments"]["x-isthmus-partitions"] == 3
    assert list(channels["pets"]["messages"]) == ["Cat", "Dog"]


def test_handlers_are_operations_with_their_retries_and_dead_letters() -> None:
    operations = asyncapi(torture.app.describe())["operations"]
    deliver = operations["receive.parcels"]
    assert deliver["action"] == "receive"
    assert deliver["channel"] == {"$ref": "#/channels/parcels"}
    assert deliver["x-isthmus-retry"]["attempts"] == 5
    assert deliver["x-isthmus-dead-letter"] == {"address": "parcels.dead"}
    assert deliver["x-isthmus-concurrency"] == 4
    album = operations["receive.moments.album"]
    assert (album["x-isthmus-start"], album["x-isthmus-on-error"]) == ("latest", "skip")
    assert album["x-isthmus-dead-letter"] == {"address": "moments/album.dead"}


def test_a_dead_letter_is_where_the_document_says() -> None:
    assert torture.parcels.subscription.dead == "parcels.dead"


def test_a_handler_receives_the_types_that_it_takes() -> None:
    operations = asyncapi(torture.app.describe())["operations"]
    cats = operations["receive.pets.cats"]
    assert cats["messages"] == [{"$ref": "#/channels/pets/messages/Cat"}]
    assert len(operations["receive.pets.all"]["messages"]) == 2


def test_a_message_is_a_cloudevent_of_a_named_schema() -> None:
    document = asyncapi(torture.app.describe())
    parcel = document["components"]["messages"]["torture.parcel"]
    assert parcel["headers"]["properties"] == {
        "type": {"const": "torture.parcel"},
        "dataschema": {"const": "schema:torture.parcel/3"},
    }
    assert parcel["contentType"] == "application/json"
    assert parcel["traits"] == [{"$ref": "#/components/messageTraits/CloudEvent"}]
    headers = document["components"]["messageTraits"]["CloudEvent"]["headers"]
    assert {"id", "source", "specversion", "type"} == set(headers["required"])
    blob = document["components"]["messages"]["bytes"]
    assert blob["contentType"] == "application/octet-stream"
    assert "payload" not in blob


def test_payloads_are_of_the_schemas_that_routes_have() -> None:
    model = torture.app.describe()
    ours = asyncapi(model)["components"]["schemas"]
    theirs = openapi(model)["components"]["schemas"]
    assert ours["Moment"] == theirs["Moment"]
    assert ours["Parcel"]["properties"]["ratio"] == theirs["Parcel"]["properties"]["ratio"]


def test_what_draft_07_writes_otherwise_is_translated() -> None:
    now = {
        "properties": {"items": {"$ref": "#/x", "default": {"$ref": 1}}, "prefixItems": {}},
        "prefixItems": [{"type": "integer"}],
        "items": False,
        "discriminator": {"propertyName": "type"},
    }
    assert as_draft_07(now) == {
        "properties": {
            "items": {"allOf": [{"$ref": "#/x"}], "default": {"$ref": 1}},
            "prefixItems": {},
        },
        "items": [{"type": "integer"}],
        "additionalItems": False,
    }


@pytest.mark.parametrize(
    ("engine", "server"),
    [
        (
            "kafka://bob:secret@a:1,b:2/x?password=secret",
            {"host": "a:1,b:2", "protocol": "kafka", "pathname": "/x"},
        ),
        ("sqlite:///shop.db", {"host": "localhost", "protocol": "sqlite", "pathname": "/shop.db"}),
        ("memory://", {"host": "localhost", "protocol": "memory"}),
        ("", None),
        ("kafka://[", None),
    ],
)
def test_the_engine_is_a_server_without_its_secrets(engine: str, server: Any) -> None:
    document = asyncapi(Model(), engine=engine)
    assert document.get("servers", {}).get("engine") == server
    assert "secret" not in json.dumps(document)


def test_classes_and_channels_of_one_name_are_kept_apart() -> None:
    class Order(msgspec.Struct):
        id: str

    class Home:
        class Order(msgspec.Struct):
            total: int

    app = App("shop", engine="memory://")
    app.queue("orders", Order)
    app.topic("more", Home.Order)
    app.stream("orders", Order)
    document = asyncapi(app.describe())
    assert list(document["channels"]) == ["orders", "more", "stream.orders"]
    assert list(document["components"]["messages"]) == ["Order", "Order_2"]


class Ask(msgspec.Struct):
    sku: str


class Quote(msgspec.Struct):
    cents: int


class Sold(msgspec.Struct):
    sku: str


@pytest.fixture
def priced() -> App:
    app = App("prices", engine="memory://")
    prices = app.queue("prices", Ask, format="msgpack")
    app.queue("plain", Ask)
    app.stream("asked", Ask, format="avro")
    news = app.topic("news", Ask, Sold, format="msgpack")

    @prices.handler()
    async def quote(ask: Ask) -> Quote:
        return Quote(len(ask.sku))

    @news.subscription("sold")
    async def sold(sold: Sold) -> Quote:
        return Quote(0)

    return app


@pytest.mark.timeout(400)
def test_what_a_handler_returns_is_the_reply(priced: App, validator: Javascript) -> None:
    document = asyncapi(priced.describe())
    validated(validator, document)
    reply = document["operations"]["receive.prices"]["reply"]
    assert reply["channel"] == {"$ref": "#/channels/prices.reply"}
    assert reply["messages"] == [{"$ref": "#/channels/prices.reply/messages/Quote"}]
    assert document["channels"]["prices.reply"]["address"] is None
    assert "reply" not in document["operations"]["receive.news.sold"]


def test_a_message_is_of_the_format_that_its_channel_writes(priced: App) -> None:
    document = asyncapi(priced.describe())
    told = document["components"]["messages"]
    assert {name: each["contentType"] for name, each in told.items()} == {
        "Ask.msgpack": "application/msgpack",
        "Ask": "application/json",
        "Ask.avro": "application/avro",
        "Sold.msgpack": "application/msgpack",
        "Quote": "application/json",
    }
    assert list(document["channels"]["prices"]["messages"]) == ["Ask.msgpack"]
    assert list(document["channels"]["asked"]["messages"]) == ["Ask.avro"]
    received = document["operations"]["receive.news.sold"]["messages"]
    assert received == [{"$ref": "#/channels/news/messages/Sold.msgpack"}]
