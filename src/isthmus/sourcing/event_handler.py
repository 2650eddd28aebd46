"""A projection's function, called with events at their places."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, get_args, get_origin

from isthmus.contracts import Record, Transaction
from isthmus.errors import ConfigError, IsthmusError, SchemaError
from isthmus.handling.calling import given
from isthmus.handling.calling.dependencies import depends, header
from isthmus.handling.calling.handler import Guard, Invoke
from isthmus.handling.calling.inject import Call, Plan, Source
from isthmus.handling.calling.middleware import wrapped
from isthmus.handling.calling.signature import NOTHING, Parameter, Signature
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.message import Message
from isthmus.schema import Schema
from isthmus.schema.kinds import members_of, type_name
from isthmus.sourcing.events import Events
from isthmus.sourcing.generation import Writing, writing
from isthmus.sourcing.recorded import Recorded

__all__ = ["EventHandler", "UnreadableEventError"]

Function = Callable[..., Awaitable[Any]]


class UnreadableEventError(IsthmusError):
    """An event does not fit its type; it waits, parked, for an upcaster that leads it there."""


class _EventCall(Call):
    """One call, with one event, or with a list of them."""

    def __init__(self, host: Host, given: Any, first: Recorded[Any]) -> None:
        super().__init__(host, first.headers)
        self.given = given


class EventHandler:
    """What a projection does with each event; or with a batch of them."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        schema: Schema[Any],
        declared: Declarations,
        batch: bool,
        guard: Guard | None,
    ) -> None:
        """Raises:
        ConfigError: The signature asks for what cannot be given, or for no event.
        """
        self.signature = Signature(function)
        self._function, self._declared = function, declared
        self._batch, self._guard = batch, guard
        self._wanted = f"{'list[' * batch}Recorded[{type_name(schema.type)}]{']' * batch}"
        self._types = set(members_of(schema.type) or (schema.type,))
        self._name, self._plainly = self._event_parameter()
        possible = f"a projection may take the event: {self._wanted}, {given.POSSIBLE}"
        offers = (header, given.transaction, given.host, self._event, given.resource)
        self._plan = Plan(
            self.signature, (depends(offers, possible=possible), *offers), possible=possible
        )

    def bind(self, host: Host, events: Events, *, of: Writing) -> Invoke:
        """Return what calls the function for one generation, with the resources of a Host."""
        self._plan.require(host)
        call = self._direct(host) or partial(self._planned, host, self._called(host))

        async def invoke(messages: Sequence[Message]) -> None:  # noqa: ARG001 - the unit has more
            records = [each for each in given.unit().batch if isinstance(each, Record)]
            recorded = [_recorded(events, each) for each in await events.opened(records)]
            token = writing.set(of)
            try:
                await call(recorded)
            finally:
                writing.reset(token)

        return wrapped(invoke, self._declared.root.middleware, self.signature.title)

    # --- calling ----------------------------------------------------------------------------

    def _direct(self, host: Host) -> Callable[[list[Recorded[Any]]], Awaitable[None]] | None:
        """The shape that most have - an event and a transaction - needs no plan."""
        kinds = [self._kind(each) for each in self.signature.parameters]
        if self._batch or not self.signature.is_async or kinds != ["event", "transaction"]:
            return None
        function, plainly = self._called(host), self._plainly

        async def call(recorded: list[Recorded[Any]]) -> None:
            event = recorded[0]
            await function(event.value if plainly else event, given.unit().begin())

        return call

    def _kind(self, parameter: Parameter) -> str:
        if parameter.by_name or parameter.marks:
            return "other"
        if parameter.name == self._name:
            return "event"
        return "transaction" if parameter.annotation is Transaction else "other"

    async def _planned(self, host: Host, function: Function, recorded: list[Any]) -> None:
        shown = [each.value for each in recorded] if self._plainly else recorded
        call = _EventCall(host, shown if self._batch else shown[0], recorded[0])
        async with call:
            by_place, by_name = await self._plan.arguments(call)
            await function(*by_place, **by_name)

    def _called(self, host: Host) -> Function:
        function: Function = self._function
        if not self.signature.is_async:
            function = partial(host.threads.run, self._function)
        return function if self._guard is None else self._guard(function, self.signature.title)

    # --- the event's parameter ----------------------------------------------------------------

    def _event(self, signature: Signature, parameter: Parameter) -> Source | None:
        own = signature is self.signature and parameter.name == self._name
        return Source(attrgetter("given")) if own else None

    def _event_parameter(self) -> tuple[str, bool]:
        """Return the parameter that takes the event, and whether it wants its value alone."""
        for parameter in self.signature.parameters:
            if not parameter.marks and (plainly := self._takes(parameter.annotation)) is not None:
                return parameter.name, plainly
        raise ConfigError(
            f"{self.signature.title}() takes no event: give it a parameter `event: {self._wanted}`"
        )

    def _takes(self, annotation: Any) -> bool | None:
        """Return whether a parameter takes values (True), or recorded events; None if neither."""
        if self._batch:
            if get_origin(annotation) not in (list, Sequence):
                return None
            annotation = get_args(annotation)[0]
        if annotation is NOTHING:
            return None
        if (get_origin(annotation) or annotation) is Recorded:
            inner = get_args(annotation)
            if inner and inner[0] is not Any:
                self._require_all(inner[0])
            return False
        taken = set(members_of(annotation) or (annotation,))
        if not taken & self._types:
            return None
        self._require_all(annotation)
        return True

    def _require_all(self, annotation: Any) -> None:
        missing = self._types - set(members_of(annotation) or (annotation,))
        if missing:
            names = ", ".join(sorted(map(type_name, missing)))
            raise ConfigError(
                f"{self.signature.title}() takes {type_name(annotation)}, but {names} may come "
                f"too; annotate it {self._wanted}, and pass over those that mean nothing here"
            )


def _recorded(events: Events, record: Record) -> Recorded[Any]:
    try:
        return events.recorded(record)
    except SchemaError as error:  # which would make it a dead letter, and let others overtake it
        raise UnreadableEventError(str(error)) from error
