"""A schema registry on loopback, which keeps to Confluent's REST API as it is documented, and
classes that protoc generates."""

import base64
import importlib.util
import json
import sys
import threading
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import ModuleType
from typing import Any, Self
from urllib.parse import unquote

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from isthmus.schema.confluent.registry import SchemaRegistry

KEY, SECRET = "key", "of the test"


class RegistryServer:
    """Subjects, versions, global ids, and backward compatibility of Avro records.

    Source: https://docs.confluent.io/platform/current/schema-registry/develop/api.html
    """

    def __init__(self, **tls: Any) -> None:
        """`tls`: `ssl_certfile` and `ssl_keyfile`."""
        self._scheme = "https" if tls else "http"
        self.schemas: list[dict[str, Any]] = []
        self.subjects: dict[str, list[int]] = {}
        self.asked: list[str] = []
        self.down = self.guarded = False
        self.clients = list[SchemaRegistry]()
        app = Starlette(routes=[Route("/{path:path}", self.answer, methods=["GET", "POST"])])
        config = uvicorn.Config(app, port=0, log_level="error", lifespan="off", **tls)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)

    @property
    def url(self) -> str:
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"{self._scheme}://127.0.0.1:{port}"

    def registry(self, **options: Any) -> SchemaRegistry:
        """Return a new client, closed with the test."""
        self.clients.append(SchemaRegistry(self.url, **options))
        return self.clients[-1]

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)

    async def answer(self, request: Request) -> JSONResponse:
        path = request.scope["raw_path"].decode()
        self.asked.append(f"{request.method} {path}")
        said = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
        if self.guarded and request.headers.get("authorization") != f"Basic {said}":
            return fault(401, 401, "Unauthorized")
        if self.down:
            return fault(503, 50301, "out of order")
        body = await request.json() if request.method == "POST" else {}
        match request.method, [unquote(part) for part in path.strip("/").split("/")]:
            case "POST", ["subjects", subject, "versions"]:
                return self.register(subject, body)
            case "POST", ["subjects", subject]:
                return self.lookup(subject, body)
            case "GET", ["subjects", subject, "versions", version]:
                return self.version(subject, version)
            case "GET", ["schemas", "ids", number]:
                return self.by_id(int(number), request.query_params.get("format", ""))
            case "POST", ["compatibility", "subjects", subject, "versions", "latest"]:
                return self.compatibility(subject, body)
            case _:
                return fault(404, 404, "HTTP 404 Not Found")

    def register(self, subject: str, body: dict[str, Any]) -> JSONResponse:
        schema = kept(body)
        if not readable(schema):
            return fault(422, 42201, f"Invalid schema {schema}")
        versions = self.subjects.get(subject, [])
        if schema in self.schemas and self.schemas.index(schema) + 1 in versions:
            return JSONResponse({"id": self.schemas.index(schema) + 1})
        if versions and (why := breaks(self.schemas[versions[-1] - 1], schema)):
            return fault(409, 409, f"Schema being registered is incompatible: {why}")
        if schema not in self.schemas:
            self.schemas.append(schema)
        number = self.schemas.index(schema) + 1
        self.subjects.setdefault(subject, []).append(number)
        return JSONResponse({"id": number})

    def lookup(self, subject: str, body: dict[str, Any]) -> JSONResponse:
        if subject not in self.subjects:
            return fault(404, 40401, f"Subject '{subject}' not found.")
        schema = kept(body)
        if (
            schema not in self.schemas
            or self.schemas.index(schema) + 1 not in self.subjects[subject]
        ):
            return fault(404, 40403, "Schema not found")
        number = self.schemas.index(schema) + 1
        return self.version(subject, str(self.subjects[subject].index(number) + 1))

    def version(self, subject: str, version: str) -> JSONResponse:
        versions = self.subjects.get(subject)
        if versions is None:
            return fault(404, 40401, f"Subject '{subject}' not found.")
        which = len(versions) if version == "latest" else int(version)
        if not 0 < which <= len(versions):
            return fault(404, 40402, f"Version {version} not found.")
        number = versions[which - 1]
        told = {"subject": subject, "version": which, "id": number}
        return JSONResponse(told | shown(self.schemas[number - 1]))

    def by_id(self, number: int, format: str) -> JSONResponse:
        if not 0 < number <= len(self.schemas):
            return fault(404, 40403, f"Schema {number} not found")
        return JSONResponse(shown(self.schemas[number - 1]))

    def compatibility(self, subject: str, body: dict[str, Any]) -> JSONResponse:
        versions = self.subjects.get(subject)
        if versions is None:
            return fault(404, 40401, f"Subject '{subject}' not found.")
        why = breaks(self.schemas[versions[-1] - 1], kept(body))
        return JSONResponse({"is_compatible": not why, "messages": [why] if why else []})


def fault(status: int, code: int, message: str) -> JSONResponse:
    return JSONResponse({"error_code": code, "message": message}, status_code=status)


def kept(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema": body["schema"],
        "schemaType": body.get("schemaType", "AVRO"),
        "references": body.get("references", []),
    }


def shown(schema: dict[str, Any]) -> dict[str, Any]:
    """As the real one does: AVRO and no references are not said."""
    told = {"schema": schema["schema"]}
    if schema["schemaType"] != "AVRO":
        told["schemaType"] = schema["schemaType"]
    return told | ({"references": schema["references"]} if schema["references"] else {})


def readable(schema: dict[str, Any]) -> bool:
    if schema["schemaType"] == "PROTOBUF":
        return True
    try:
        json.loads(schema["schema"])
    except ValueError:
        return False
    return True


def breaks(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Whether programs of the new schema cannot read what the old one wrote."""
    if old["schemaType"] != new["schemaType"]:
        return "another type of schema"
    if new["schemaType"] != "AVRO":
        return ""
    was = {each["name"]: each["type"] for each in json.loads(old["schema"])["fields"]}
    for field in json.loads(new["schema"])["fields"]:
        if field["name"] not in was and "default" not in field:
            return f"READER_FIELD_MISSING_DEFAULT_VALUE: {field['name']}"
        if field["name"] in was and was[field["name"]] != field["type"]:
            return f"TYPE_MISMATCH: {field['name']}"
    return ""


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of its own for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "registry")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .issuer_name(name)
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    crt, pem = tmp_path / "registry.crt", tmp_path / "registry.key"
    crt.write_bytes(signed.public_bytes(Encoding.PEM))
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return crt, pem


@pytest.fixture
async def secure(certificate: tuple[Path, Path]) -> AsyncGenerator[RegistryServer]:
    crt, pem = certificate
    with RegistryServer(ssl_certfile=crt, ssl_keyfile=pem) as server:
        yield server
        for registry in server.clients:
            await registry.aclose()


@pytest.fixture
async def server() -> AsyncGenerator[RegistryServer]:
    with RegistryServer() as server:
        yield server
        for registry in server.clients:
            await registry.aclose()


PROTOS = {
    "common.proto": """
syntax = "proto3";
package shop;
message Money { int64 cents = 1; string currency = 2; }
""",
    "order.proto": """
syntax = "proto3";
package shop;
import "common.proto";
import "google/protobuf/timestamp.proto";
message Other { string name = 1; }
message Order {
  message Line { string sku = 1; int32 count = 2; }
  enum State { NEW = 0; PAID = 1; }
  string id = 1;
  Money total = 2;
  repeated Line lines = 3;
  map<string, string> notes = 4;
  State state = 5;
  google.protobuf.Timestamp at = 6;
  bytes raw = 7;
}
""",
}


@pytest.fixture(scope="session")
def protos(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The classes of order.proto."""
    from grpc_tools import protoc

    folder = tmp_path_factory.mktemp("protos")
    for name, text in PROTOS.items():
        (folder / name).write_text(text)
    include = Path(protoc.__file__).parent / "_proto"
    argv = ["protoc", f"-I{folder}", f"-I{include}", f"--python_out={folder}", *PROTOS]
    assert protoc.main(argv) == 0
    return [loaded(folder / f"{name}_pb2.py") for name in ("common", "order")][-1]


def loaded(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[file.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
