"""A function that makes the event which compensates, and where that is published."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from isthmus.errors import ConfigError
from isthmus.flows.followed import Followed

if TYPE_CHECKING:
    from isthmus.flows.course import Course

__all__ = ["Compensation"]

T = TypeVar("T")


class Compensation(Generic[T]):
    """Made by `flow.compensation(cancelled)`; still the function, if it is called."""

    def __init__(self, function: "Callable[[Course], T | None]", into: Followed) -> None:
        if inspect.iscoroutinefunction(function):
            raise ConfigError(
                f"{function.__qualname__} is async: what makes a compensation event is a plain "
                "function of what was seen; do the work in a handler of that event"
            )
        self.function, self.topic = function, into.topic
        self.event = into.name
        self.name: str = getattr(function, "__name__", "compensation")

    def __call__(self, course: "Course") -> T | None:
        return self.function(course)

    def __repr__(self) -> str:
        return f"Compensation({self.name} -> {self.event})"
