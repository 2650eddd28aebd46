"""An App with every kind of type in every place: what its documents say must hold."""

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar
from uuid import UUID

import msgspec
import pydantic
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from isthmus import App, Depends, Header, Problem, Transaction, schema
from isthmus.services.documents import ApiKey, Bearer

T = TypeVar("T")
app = App("torture", engine="memory://")


class Colour(enum.Enum):
    """What it looks like."""

    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Place(NamedTuple):
    """A point on the map."""

    x: float
    y: float = 0.0


class Extra(TypedDict):
    note: str
    weight: NotRequired[int]


@dataclasses.dataclass
class Item:
    """One of many."""

    sku: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}-[0-9]+$", examples=["AB-1"])]
    """As on the label."""
    count: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    parts: list["Item"] = dataclasses.field(default_factory=list)


class Page(msgspec.Struct, Generic[T]):
    items: list[T]
    next: str | None = None


class Cat(msgspec.Struct, tag="cat"):
    lives: Annotated[int, msgspec.Meta(ge=0, le=9)] = 9


class Dog(msgspec.Struct, tag="dog"):
    tricks: list[str] = []


@schema("torture.parcel", version=3)
class Parcel(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is sent.

    In a box, with a label on it.
    """

    parcel_id: UUID
    """Who asks for it gets it."""
    colour: Colour = Colour.RED
    level: Level = Level.LOW
    sent_on: date | None = None
    size: Literal["small", "large", 3] = "small"
    items: Annotated[list[Item], msgspec.Meta(max_length=10)] = []
    pet: Cat | Dog | None = None
    extra: Extra | None = None
    place: Place | None = None
    pair: tuple[int, str] = (0, "")
    tags: set[str] = set()
    counts: dict[str, int] = {}
    anything: Any = None
    ratio: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5
    inner: "Parcel | None" = None


class Moment(msgspec.Struct):
    at: datetime
    """When it was."""
    price: Decimal = Decimal(1)
    history: list[datetime] = []


class Wheel(pydantic.BaseModel):
    size: int = pydantic.Field(ge=10, le=29)


class Bicycle(pydantic.BaseModel):
    """Two wheels."""

    kind: Literal["bicycle"]
    wheels: list[Wheel] = pydantic.Field(max_length=2)
    frame_number: str = pydantic.Field("none", alias="frameNumber")
    """Under the saddle."""

    @pydantic.computed_field
    @property
    def rides(self) -> bool:
        return len(self.wheels) == 2


class Skates(pydantic.BaseModel):
    kind: Literal["skates"]
    size: float


class Ride(pydantic.BaseModel):
    vehicle: Bicycle | Skates = pydantic.Field(discriminator="kind")


class Outer:
    class Item(msgspec.Struct):
        """Another of that name."""

        name: str

    class Wheel(msgspec.Struct):
        """Another of that name, of another library."""

        of: str


def paging(limit: Annotated[int, Header("x-limit")] = 10, after: str | None = None) -> str:
    return f"{limit} {after}"


app.about(
    title="Torture",
    version="1.2.3",
    description="All *kinds* of types.",
    servers=["https://torture.example", "/"],
    security=[Bearer(format="JWT"), ApiKey(description="Ask us for it.")],
)


@app.post("/parcels/{parcel_id}", status=201, tags=["parcels"], errors={409: "It is there."})
async def put(parcel_id: UUID, parcel: Parcel, dry: bool = False) -> Parcel:
    """Put a parcel. It stays where it is
    put.

    Args:
        parcel_id: What it is called.
        dry: Whether to do as if only.

    Raises:
        Problem: It is there.
    """
    return parcel


@app.get("/parcels", tags=["parcels", "lists"], deprecated=True)
async def find(
    colour: Colour,
    since: date | None = None,
    level: Level = Level.LOW,
    sizes: list[int] = [],  # noqa: B006 - never changed
    page: Annotated[str, Depends(paging)] = "",
    authorization: Annotated[str, Header()] = "",
) -> Page[Parcel]:
    return Page([])


@app.put("/items/{number:int}")
async def change(number: int, item: Item, tx: Transaction) -> Outer.Item:
    return Outer.Item(item.sku)


@app.put("/pets")
async def tame(pet: Cat | Dog) -> Cat | Dog:
    return pet


@app.post("/moments")
async def stop(moments: Sequence[Moment]) -> Mapping[str, Moment]:
    return {str(place): moment for place, moment in enumerate(moments)}


@app.post("/rides")
async def ride(ride: Ride) -> Bicycle | Skates:
    return ride.vehicle


@app.post("/wheels")
async def wheels(wheels: list[Wheel]) -> list[Outer.Wheel]:
    return [Outer.Wheel(str(wheel.size)) for wheel in wheels]


@app.post("/optional")
async def optional(item: Item | None = None) -> Item | None:
    return item


@app.post("/files/{name:path}", body_limit=1000)
async def upload(name: str, content: bytes) -> bytes:
    return content


@app.post("/raw")
async def raw(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


@app.delete("/items/{number:int}", deadline=5)
async def remove(number: int) -> None: ...


@app.get("/secret", hidden=True)
async def secret() -> None: ...


@app.get("/old", errors={404: "There is no such thing."})
async def find_old(id: str):  # what it answers is not said
    raise Problem(404, f"there is no {id}")


parcels = app.queue("parcels", Parcel, ordered=True, retention=60)
pets = app.topic("pets", Cat, Dog)
moments = app.stream("moments", Moment, key=lambda moment: str(moment.at), partitions=3)
blobs = app.queue("blobs", bytes)
numbers = app.queue("numbers", list[int])
rides = app.topic("rides", Ride)


@parcels.handler(concurrency=4)
async def deliver(parcel: Parcel) -> None: ...


@pets.subscription("cats")
async def feed(cat: Cat) -> None: ...


@pets.subscription("all")
async def walk(pet: Cat | Dog) -> None: ...


@moments.group("album", start="latest", on_error="skip")
async def keep(moment: Moment) -> None: ...
