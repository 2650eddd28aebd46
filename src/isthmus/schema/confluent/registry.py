"""A client of Confluent's schema registry; others (Karapace, Redpanda, Apicurio) speak the same."""

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import msgspec

from isthmus.clock import Span, seconds
from isthmus.errors import ConfigError, ConflictError, SchemaError, UnavailableError
from isthmus.schema.confluent.client import Client

__all__ = ["Document", "Kind", "Reference", "Registered", "SchemaRegistry", "registry_at"]

Kind = Literal["AVRO", "JSON", "PROTOBUF"]
K = TypeVar("K")
V = TypeVar("V")


class Reference(msgspec.Struct, frozen=True):
    """Another subject's schema, by the name that a document has for it."""

    name: str
    subject: str
    version: int


class Document(msgspec.Struct, frozen=True):
    """A schema as the registry keeps it."""

    text: str
    kind: Kind = "AVRO"
    references: tuple[Reference, ...] = ()

    @property
    def body(self) -> dict[str, Any]:
        """What it is sent as."""
        said: dict[str, Any] = {"schema": self.text, "schemaType": self.kind}
        if self.references:
            said["references"] = [msgspec.to_builtins(each) for each in self.references]
        return said


class Registered(msgspec.Struct, frozen=True):
    """A document in a subject."""

    subject: str
    version: int
    id: int
    document: Document


class SchemaRegistry:
    """One registry, and what it said: ids and documents never change, so each is asked for once.

    Nothing is asked twice at a time. `auth` is (key, secret), also in the URL; `token` a bearer's.
    Neither is ever shown. Safe for several loops.
    """

    def __init__(
        self,
        url: str,
        *,
        auth: tuple[str, str] | None = None,
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
        timeout: Span = 5.0,
        most: int = 1000,
    ) -> None:
        """`tls`: what is trusted, and our certificate; None is the system's. `timeout`: seconds for
        one question. `most`: documents that are remembered, and as many ids.

        Raises:
            ConfigError: The URL is none, or a number is not above 0.
        """
        if seconds(timeout) <= 0 or most <= 0:
            raise ConfigError(f"timeout={timeout!r}, most={most!r}: both must be above 0")
        self._client = Client(url, auth=auth, token=token, tls=tls, timeout=seconds(timeout))
        self.url = self._client.url
        """Where it is, without secrets."""
        self._documents = _Kept[tuple[int, bool], Document](most)
        self._ids = _Kept[tuple[str, Document, bool], int](most)
        self._asking: dict[tuple[Any, ...], asyncio.Future[Any]] = {}

    def __repr__(self) -> str:
        return f"SchemaRegistry({self.url!r})"

    async def register(self, subject: str, document: Document) -> int:
        """Return the id of `document` in `subject`, registered if it is new.

        Raises:
            SchemaError: It is no schema, or incompatible with the subject's earlier ones.
            UnavailableError: The registry is out of reach.
        """
        path = f"/subjects/{_quoted(subject)}/versions"
        return await self._id(subject, document, path, register=True)

    async def lookup(self, subject: str, document: Document) -> int:
        """Return the id of `document`, which is in `subject` already.

        Raises:
            NotFoundError: It is not there.
        """
        path = f"/subjects/{_quoted(subject)}"
        return await self._id(subject, document, path, register=False)

    async def get(self, id: int, *, serialized: bool = False) -> Document:
        """Return the document of an id; of protobuf `serialized`, its file descriptor in base64.

        Raises:
            NotFoundError: The registry has no such id.
            UnavailableError: It is out of reach.
        """
        if (known := self.known(id, serialized=serialized)) is not None:
            return known
        return await self._once(("id", id, serialized), lambda: self._get(id, serialized))

    def known(self, id: int, *, serialized: bool = False) -> Document | None:
        """Return the document of an id if it was asked for before."""
        return self._documents.get((id, serialized))

    async def latest(self, subject: str) -> Registered:
        """Return the newest document of `subject`. Raises NotFoundError."""
        return await self.version(subject, "latest")

    async def version(self, subject: str, version: int | Literal["latest"]) -> Registered:
        """Return one version of `subject`. Raises NotFoundError."""
        told = await self._client.ask("GET", f"/subjects/{_quoted(subject)}/versions/{version}")
        return Registered(told["subject"], told["version"], told["id"], _document(told))

    async def incompatibilities(self, subject: str, document: Document) -> list[str]:
        """Return why `document` is not compatible with the newest one of `subject`, by the
        subject's own rule; empty if it is, or is the first.

        Raises:
            UnavailableError: The registry is out of reach.
        """
        from isthmus.errors import NotFoundError

        path = f"/compatibility/subjects/{_quoted(subject)}/versions/latest"
        try:
            told = await self._client.ask(
                "POST", path, query={"verbose": "true"}, body=document.body
            )
        except NotFoundError:
            return []
        if told["is_compatible"]:
            return []
        return [str(why) for why in told.get("messages") or ["the registry gives no reason"]]

    async def aclose(self) -> None:
        """Close the connections; what is remembered stays, and asking opens new ones."""
        await self._client.aclose()

    async def _id(self, subject: str, document: Document, path: str, *, register: bool) -> int:
        key = (subject, document, register)
        if (known := self._ids.get(key)) is not None:
            return known

        async def ask() -> int:
            try:
                told = await self._client.ask("POST", path, body=document.body)
            except ConflictError as error:
                raise SchemaError(f"subject {subject!r}: {error}") from error
            self._ids.keep(key, told["id"])
            return told["id"]

        return await self._once(key, ask)

    async def _get(self, id: int, serialized: bool) -> Document:  # noqa: FBT001
        query = {"format": "serialized"} if serialized else None
        told = await self._client.ask("GET", f"/schemas/ids/{id}", query=query)
        document = _document(told)
        self._documents.keep((id, serialized), document)
        return document

    async def _once(self, key: tuple[Any, ...], ask: Callable[[], Awaitable[V]]) -> V:
        """Ask, unless somebody on this loop does; the question outlives who is cancelled."""
        mine = (asyncio.get_running_loop(), *key)
        if mine not in self._asking:
            asking = asyncio.ensure_future(_awaited(ask))
            self._asking[mine] = asking
            asking.add_done_callback(lambda _: self._asking.pop(mine, None))
        return await asyncio.shield(self._asking[mine])


class _Kept(OrderedDict[K, V]):
    """The newest entries, at most so many."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def keep(self, key: K, value: V) -> None:
        self[key] = value
        while len(self) > self._most:
            self.popitem(last=False)


def registry_at(place: "SchemaRegistry | str") -> SchemaRegistry:
    """Return the registry at a URL; the same for the same URL."""
    if isinstance(place, SchemaRegistry):
        return place
    if place not in _at:
        _at[place] = SchemaRegistry(place)
    return _at[place]


_at: dict[str, SchemaRegistry] = {}


def _document(told: Any) -> Document:
    try:
        references = msgspec.convert(told.get("references") or [], tuple[Reference, ...])
        return Document(told["schema"], told.get("schemaType", "AVRO"), references)
    except (KeyError, AttributeError, msgspec.ValidationError) as error:
        raise UnavailableError(f"the registry gave no schema: {error!r}") from error


def _quoted(subject: str) -> str:
    return quote(subject, safe="")


async def _awaited(ask: Callable[[], Awaitable[V]]) -> V:
    return await ask()
