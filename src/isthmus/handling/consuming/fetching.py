"""What a registry has to say about messages is asked for before their handler is called."""

from collections.abc import Sequence

from isthmus.errors import UnavailableError
from isthmus.handling.calling.handler import Bindable, Failed, Handler, Invoke
from isthmus.handling.consuming.verdicts import Postpone
from isthmus.handling.host import Host
from isthmus.message import Message

__all__ = ["fetching"]

LATER = 5.0
"""Seconds until a message comes back that cannot be read while the registry is out of reach."""


def fetching(handler: Handler) -> Bindable:
    """Return `handler`, given what it needs to read its messages."""
    return _Fetching(handler) if handler.wire.remote else handler


class _Fetching:
    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def bind(self, host: Host) -> Invoke:
        invoke, wire = self._handler.bind(host), self._handler.wire

        async def fetched(messages: Sequence[Message]) -> Failed | None:
            try:
                await wire.fetch(messages)
            except UnavailableError as error:
                raise Postpone(LATER, str(error)) from error
            return await invoke(messages)

        return fetched
