"""What a history is made of: one frozen record for each thing that happened to a saga.

They are kept as they are encoded here: a new field goes to the end, with a default.
"""

from typing import Literal

import msgspec

__all__ = [
    "Begun",
    "Came",
    "Cause",
    "ChildEnded",
    "ChildStarted",
    "Compensating",
    "Done",
    "Ended",
    "Event",
    "Expired",
    "Failed",
    "Patched",
    "Received",
    "Resumed",
    "Started",
    "Stuck",
    "Tried",
    "UndoAsked",
    "UndoTried",
    "Undone",
    "Until",
    "Waiting",
    "Woken",
    "decode",
    "encode",
]

Cause = Literal["declared", "timeout", "cancelled"]
"""Why a saga compensates: it said so or a step failed, its time was over, somebody asked."""


class _Event(msgspec.Struct, frozen=True, array_like=True, tag=str.lower, gc=False):
    at: float
    """The moment, by the clock of the process that recorded it."""


class Started(_Event, frozen=True, tag="started"):
    version: int
    input: bytes
    timeout_at: float = 0.0
    """When it has to have ended; 0 is never."""
    parent: str = ""
    """The saga that waits for it, as "fulfil/A-1"; "" if none does."""
    position: str = ""
    """Where that waits."""
    trace: dict[str, str] = {}
    """Headers that go on to what it sends: the trace, correlation and id of what started it."""


class _Step(_Event, frozen=True):
    position: str
    name: str


class Begun(_Step, frozen=True, tag="begun"):
    """A step with an undo is about to run where no transaction covers it."""


class Done(_Step, frozen=True, tag="done"):
    result: bytes


class Tried(_Step, frozen=True, tag="tried"):
    """An attempt failed; another follows."""

    attempt: int
    error: str
    again_at: float
    ran: bool = True
    """Whether this one, or one before, may have had its effect."""


class Failed(_Step, frozen=True, tag="failed"):
    """The step failed for good."""

    kind: str
    error: str
    happened: bool
    """Whether it may have had its effect all the same."""


class Until(_Step, frozen=True, tag="until"):
    """The saga sleeps."""

    until: float


class Woken(_Step, frozen=True, tag="woken"):
    pass


class Waiting(_Step, frozen=True, tag="waiting"):
    """The saga waits for an event, called `name`."""

    key: str
    until: float
    """0 is for ever."""


class Received(_Step, frozen=True, tag="received"):
    """What it waited for came: the event of this id."""

    body: bytes
    id: str


class Expired(_Step, frozen=True, tag="expired"):
    """It did not come in time."""


class ChildStarted(_Step, frozen=True, tag="child"):
    """Another saga was started, called `name`, and is waited for."""

    id: str


class ChildEnded(_Step, frozen=True, tag="child-ended"):
    status: str
    result: bytes
    error: str


class Came(_Event, frozen=True, tag="came"):
    """An event came; whether anybody waits for it is another question."""

    name: str
    key: str
    body: bytes
    id: str


class Patched(_Event, frozen=True, tag="patched"):
    name: str


class Compensating(_Event, frozen=True, tag="compensating"):
    cause: Cause
    why: str


class Undone(_Step, frozen=True, tag="undone"):
    pass


class UndoAsked(_Step, frozen=True, tag="undo-asked"):
    """A child was told to compensate, and is waited for."""


class UndoTried(_Step, frozen=True, tag="undo-tried"):
    attempt: int
    error: str
    again_at: float


class Stuck(_Event, frozen=True, tag="stuck"):
    reason: str
    detail: str


class Resumed(_Event, frozen=True, tag="resumed"):
    pass


class Ended(_Event, frozen=True, tag="ended"):
    status: str
    """ "completed" or "compensated"."""
    result: bytes
    error: str


Event = (
    Started
    | Begun
    | Done
    | Tried
    | Failed
    | Until
    | Woken
    | Waiting
    | Received
    | Expired
    | ChildStarted
    | ChildEnded
    | Came
    | Patched
    | Compensating
    | Undone
    | UndoAsked
    | UndoTried
    | Stuck
    | Resumed
    | Ended
)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Event]).decode


def encode(events: list[Event]) -> bytes:
    """Return what one commit recorded, as one frame."""
    body = _encode(events)
    return len(body).to_bytes(4, "big") + body


def decode(frames: bytes) -> list[Event]:
    """Return the events of all frames, in their order."""
    events, at = list[Event](), 0
    while at < len(frames):
        size = int.from_bytes(frames[at : at + 4], "big")
        events += _decode(frames[at + 4 : at + 4 + size])
        at += 4 + size
    return events
