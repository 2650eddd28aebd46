"""What Confluent's own serializers write is read here, and they read what is written here."""

import importlib.util
import json
import warnings
from collections.abc import Generator
from importlib import import_module
from typing import Any

import msgspec
import pytest

from isthmus import Message
from isthmus.schema import schema, schema_of
from isthmus.schema.formats import Avro, Json, Protobuf
from isthmus.schema.wire import Wire

AVAILABLE = importlib.util.find_spec("confluent_kafka") is not None


@schema("shop.counted", version=1)
class Counted(msgspec.Struct):
    sku: str
    count: int = 1
    note: str | None = None


@pytest.fixture
def peer(server: Any, require: Any) -> Generator[Any]:
    """The client, and the place of a message's value."""
    require(AVAILABLE, "pip install 'confluent-kafka[avro,json,protobuf,schemaregistry]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.serialization import MessageField, SerializationContext

    with SchemaRegistryClient({"url": server.url}) as client:
        yield client, SerializationContext("orders", MessageField.VALUE)


async def written(wire: Wire[Any], value: Any) -> bytes:
    await wire.prepare()
    return wire.write(wire.schema.member(value), value)[0]


async def read(wire: Wire[Any], body: bytes, media: str) -> Any:
    message = Message(body=body, datacontenttype=media)
    await wire.fetch([message])
    return wire.read(message)


async def test_avro_is_read_by_both(server: Any, peer: Any) -> None:
    peers: Any = import_module("confluent_kafka.schema_registry.avro")
    client, place = peer
    wire = Wire(schema_of(Counted), place="orders", format=Avro(registry=server.registry()))
    ours = await written(wire, Counted("a", 3))
    assert peers.AvroDeserializer(client)(ours, place) == {"sku": "a", "count": 3, "note": None}
    theirs = {
        "type": "record",
        "name": "counted",
        "namespace": "shop",
        "fields": [
            {"name": "sku", "type": "string"},
            {"name": "colour", "type": "string", "default": "red"},
            {"name": "count", "type": "long"},
        ],
    }
    serializer = peers.AvroSerializer(client, json.dumps(theirs))
    body = serializer({"sku": "b", "colour": "blue", "count": 7}, place)
    assert body is not None
    assert await read(wire, body, "application/vnd.confluent.avro") == Counted("b", 7)


async def test_json_is_read_by_both(server: Any, peer: Any) -> None:
    peers: Any = import_module("confluent_kafka.schema_registry.json_schema")
    client, place = peer
    wire = Wire(schema_of(Counted), place="orders", format=Json(registry=server.registry()))
    ours = await written(wire, Counted("a", 3, "n"))
    document = server.schemas[0]["schema"]
    found = peers.JSONDeserializer(document, schema_registry_client=client)(ours, place)
    assert found == {"sku": "a", "count": 3, "note": "n"}
    body = peers.JSONSerializer(document, client)({"sku": "b", "count": 7}, place)
    assert body is not None
    assert await read(wire, body, "application/vnd.confluent.json") == Counted("b", 7)


async def test_protobuf_is_read_by_both(server: Any, peer: Any, protos: Any) -> None:
    peers: Any = import_module("confluent_kafka.schema_registry.protobuf")
    client, place = peer
    options = {"use.deprecated.format": False}
    order = protos.Order(id="1", lines=[protos.Order.Line(sku="a", count=2)])
    order.total.cents = 7
    for value in (order, protos.Order.Line(sku="x"), protos.Other(name="y")):
        form = Protobuf(registry=server.registry(), subject="record")
        wire = Wire[Any](schema_of(type(value)), place="orders", format=form)
        ours = await written(wire, value)
        assert peers.ProtobufDeserializer(type(value), options)(ours, place) == value
        body = peers.ProtobufSerializer(type(value), client, options)(value, place)
        assert body is not None
        assert await read(wire, body, "application/vnd.confluent.protobuf") == value
        assert body[5:] == ours[5:]
