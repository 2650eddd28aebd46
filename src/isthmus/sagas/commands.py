"""What a saga is told: the messages of its queue, which it heeds one after the other."""

import msgspec

from isthmus.message import Message

__all__ = [
    "Advance",
    "Cancel",
    "Command",
    "Compensate",
    "Deliver",
    "Report",
    "Resume",
    "Start",
    "message",
    "read",
]


class _Command(msgspec.Struct, frozen=True, array_like=True, gc=False):
    pass


class Advance(_Command, frozen=True, tag="advance"):
    """Go on: it was started, or something is due."""


class Start(_Command, frozen=True, tag="start"):
    """Begin, for a saga that waits for it."""

    version: int
    input: bytes
    timeout: float | None
    parent: str
    position: str
    trace: dict[str, str] = {}


class Deliver(_Command, frozen=True, tag="deliver"):
    """An event came."""

    name: str
    key: str
    body: bytes
    id: str


class Report(_Command, frozen=True, tag="report"):
    """A child has ended."""

    position: str
    status: str
    result: bytes
    error: str


class Cancel(_Command, frozen=True, tag="cancel"):
    """Compensate, unless it has ended."""

    why: str


class Compensate(_Command, frozen=True, tag="compensate"):
    """Compensate, even if it is completed; tell `parent`, if one asks."""

    why: str
    parent: str = ""
    position: str = ""


class Resume(_Command, frozen=True, tag="resume"):
    """Try again what it is stuck at."""


Command = Advance | Start | Deliver | Report | Cancel | Compensate | Resume

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Command).decode
ADVANCE = Advance()
_ADVANCE = _encode(ADVANCE)


def message(key: str, command: Command, *, at: float) -> Message:
    """Return a command to the saga called `key`."""
    return Message(
        body=_ADVANCE if isinstance(command, Advance) else _encode(command),
        type=f"isthmus.saga.{type(command).__name__.lower()}",
        datacontenttype="application/msgpack",
        key=key,
        time=at,
    )


def read(told: Message) -> Command:
    return ADVANCE if told.body == _ADVANCE else _decode(told.body)
