"""What was seen of a flow, as the functions are given it that make compensation events."""

from collections.abc import Mapping
from typing import Any, TypeVar, overload

from isthmus.errors import NotFoundError
from isthmus.flows.followed import Event, followed
from isthmus.flows.status import FlowStatus
from isthmus.message import Message
from isthmus.messaging import Topic

__all__ = ["Course"]

T = TypeVar("T")


class Course:
    """One flow at the moment when something is missing. Of an event that came several times, it
    has the first."""

    def __init__(
        self, key: str, missing: str, status: FlowStatus, messages: Mapping[str, Message]
    ) -> None:
        self.key = key
        self.missing = missing
        """What did not come in time."""
        self.status = status
        """How it stood then."""
        self.messages = messages
        """The first message of each event that was seen."""

    @overload
    def get(self, event: Topic[T]) -> T | None: ...
    @overload
    def get(self, event: tuple[Topic[Any], type[T]]) -> T | None: ...
    def get(self, event: Event[Any]) -> Any:
        """Return what an event carried; None if it was not seen.

        Raises:
            SchemaError: It cannot be read.
        """
        found = followed(event)
        message = self.messages.get(found.name)
        return None if message is None else found.topic.wire.read(message)

    @overload
    def __getitem__(self, event: Topic[T]) -> T: ...
    @overload
    def __getitem__(self, event: tuple[Topic[Any], type[T]]) -> T: ...
    def __getitem__(self, event: Event[Any]) -> Any:
        """Raises NotFoundError if it was not seen."""
        if event not in self:
            seen = ", ".join(self.messages) or "nothing"
            raise NotFoundError(
                f"{followed(event).name!r} was not seen of {self.key!r}, only {seen}; "
                "ask course.get(...), which returns None then"
            )
        return self.get(event)

    def __contains__(self, event: Event[Any]) -> bool:
        return followed(event).name in self.messages
