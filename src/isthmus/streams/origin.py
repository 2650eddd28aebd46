"""A parked record remembers where it stood, so that its handler sees it as it was."""

from collections.abc import Sequence

from isthmus.contracts import Delivery, Record
from isthmus.deadline import HEADER as DEADLINE
from isthmus.handling.calling.handler import Bindable, Failed, Invoke
from isthmus.handling.host import Host
from isthmus.handling.unit import current
from isthmus.message import Message

__all__ = ["AtOrigin", "with_origin"]

ORIGIN = "isthmus-origin"
"""Header of a record beside its stream: partition, offset, moment, version."""


def with_origin(record: Record) -> Message:
    """Return the record's message, labelled with its place; without a deadline, as what is in
    a log is read at any time."""
    place = f"{record.partition} {record.offset} {record.at!r} {record.version}"
    message = record.message
    if DEADLINE in message.headers:
        message = message.without_headers((DEADLINE,))
    return message.with_headers({ORIGIN: place})


class AtOrigin:
    """A handler of records that is called with deliveries of them."""

    def __init__(self, handler: Bindable) -> None:
        self._handler = handler

    def bind(self, host: Host) -> Invoke:
        invoke = self._handler.bind(host)

        async def invoke_at_origin(messages: Sequence[Message]) -> Failed | None:
            if unit := current.get():
                unit.batch = [_at_origin(each) for each in unit.batch]
            return await invoke(messages)

        return invoke_at_origin


def _at_origin(each: Delivery | Record) -> Delivery | Record:
    place = each.message.headers.get(ORIGIN)
    if place is None:
        return each  # sent here from elsewhere: it never stood in the stream
    partition, offset, at, version = place.split()
    return Record(each.message, int(partition), int(offset), float(at), int(version))
