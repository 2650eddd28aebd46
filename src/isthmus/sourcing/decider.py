"""A frozen type whose `decide` and `evolve` are an aggregate, read once from their annotations.

Source: "Functional event sourcing decider", Chassaing (2021).
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar, cast, get_args

from isthmus.errors import ConfigError, SchemaError
from isthmus.handling.calling.signature import NOTHING, Signature
from isthmus.schema import Schema, UnionSchema, schema_of
from isthmus.schema.kinds import is_model, is_struct, members_of, type_name
from isthmus.schema.named import described

__all__ = ["Decider"]

S = TypeVar("S")


class Decider(Generic[S]):
    """What an aggregate's type says of itself: its commands, its events, how it begins."""

    def __init__(self, state: type[S], *, initial: S | None = None) -> None:
        """Raises:
        ConfigError: It is not frozen, lacks `decide` or `evolve`, their annotations do not
            say which commands and events there are, or nothing begins it.
        """
        self.type = state
        _require_frozen(state)
        decide, evolve = _method(state, "decide"), _method(state, "evolve")
        self.commands: Schema[Any] = _models(decide.taken, of=f"{decide.title}()'s command")
        self.events: Schema[Any] = _models(evolve.taken, of=f"{evolve.title}()'s event")
        self._require_evolved(decide)
        self._initial = initial
        if not isinstance(self.begun(), state):
            raise ConfigError(f"initial={initial!r}: expected a {type_name(state)}")
        self._decide: Callable[[Any, Any], object] = _unbound(state, "decide")
        self.evolve: Callable[[Any, Any], S] = _unbound(state, "evolve")

    def begun(self) -> S:
        """Return the state of an aggregate of which nothing has happened: its own, as a list in
        it may be one that somebody changes in place."""
        return _begun(self.type) if self._initial is None else self._initial

    def checked(self, command: Any) -> tuple[Any, bytes]:
        """Return `command` as it is read back, with its parts checked too; and as bytes that
        no other command has.

        Raises:
            SchemaError: It is no command of this aggregate, or a part does not fit its type.
        """
        schema = self.commands.member(command)
        body = schema.encode_member(command)
        return schema.read(body), b"%s %s" % (schema.name.encode(), body)

    def decide(self, state: S, command: Any) -> Sequence[Any]:
        """Return what happens; raises whatever the type's own `decide` does."""
        decided = self._decide(state, command)
        if isinstance(decided, Iterable):
            return list(decided)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        raise SchemaError(
            f"{type_name(self.type)}.decide() returned {described(decided)}; "
            "it returns a sequence of events, an empty one if nothing happens"
        )

    def evolved(self, state: S, events: Iterable[Any]) -> S:
        """Return what `events` make of a state.

        Raises:
            SchemaError: `evolve` returned something else than a state, as a branch of it that
                forgets to return.
        """
        evolve = self.evolve
        for event in events:
            state = evolve(state, event)
            if state.__class__ is not self.type:
                self._require_state(state, event)
        return state

    def _require_state(self, state: object, event: object) -> None:
        if not isinstance(state, self.type):
            name = type_name(self.type)
            raise SchemaError(
                f"{name}.evolve() of {type_name(type(event))}: expected a {name}, got "
                f"{type_name(type(state))}; every branch of it returns the next state, or `self`"
            )

    def _require_evolved(self, decide: "_Method") -> None:
        """What is decided has to be evolved; events of the past may be evolved beside."""
        produced = get_args(decide.returns)[:1]
        if not produced:
            raise ConfigError(
                f"{decide.title}() does not say which events it returns; write "
                "`-> Sequence[Deposited | Withdrawn]`"
            )
        known = {each.type for each in _members(self.events)}
        for event in members_of(produced[0]) or produced:
            if event not in known:
                raise ConfigError(
                    f"{decide.title}() returns {type_name(event)}, which evolve() does not take; "
                    "add it to its annotation"
                )


class _Method:
    """One of the two methods, and its one parameter."""

    def __init__(self, state: type[Any], name: str) -> None:
        function = getattr(state, name, None)
        if not callable(function):
            raise ConfigError(
                f"{type_name(state)} has no {name}(); an aggregate has `decide(command)`, which "
                "returns events, and `evolve(event)`, which returns the next state"
            )
        signature = Signature(function)
        self.title, self.returns = signature.title, signature.returns
        if signature.is_async or signature.is_async_generator:
            raise ConfigError(f"{self.title}() is async; it is pure, and waits for nothing")
        parameters = signature.parameters[1:]
        if len(parameters) != 1 or parameters[0].annotation is NOTHING:
            raise ConfigError(
                f"{self.title}() takes itself and one thing, whose annotation says what there "
                "is: `def decide(self, command: Deposit | Withdraw) -> ...`"
            )
        self.taken = parameters[0].annotation


def _method(state: type[Any], name: str) -> _Method:
    return _Method(state, name)


def _unbound(state: type[Any], name: str) -> Any:
    """Return the function of a method, to be called with the state first."""
    return getattr(state, name)


def _models(type_: Any, *, of: str) -> Schema[Any]:
    for member in members_of(type_) or (type_,):
        if not is_model(member):
            raise ConfigError(
                f"{of} is {type_name(member)}; it is a class with fields, whose name says what "
                "it is: a msgspec.Struct, a dataclass or a pydantic model"
            )
    return schema_of(type_)


def _members(schema: Schema[Any]) -> Sequence[Schema[Any]]:
    return schema.members if isinstance(schema, UnionSchema) else (schema,)


def _begun(state: type[S]) -> S:
    try:
        return state()
    except TypeError as error:
        raise ConfigError(
            f"{type_name(state)}() cannot be made of nothing ({error}); give its fields defaults, "
            "or say how an aggregate begins: initial="
        ) from error


def _require_frozen(state: type[Any]) -> None:
    if not _is_frozen(state):
        raise ConfigError(
            f"{type_name(state)} can be changed in place, and states are shared; freeze it: "
            "`class Account(msgspec.Struct, frozen=True)`, or @dataclass(frozen=True)"
        )


def _is_frozen(state: type[Any]) -> bool:
    if is_struct(state):
        return cast("Any", state).__struct_config__.frozen
    if dataclasses.is_dataclass(state):
        return cast("Any", state).__dataclass_params__.frozen
    model: Any = getattr(state, "model_config", None)
    if isinstance(model, dict):
        return cast("dict[str, Any]", model).get("frozen") is True
    return issubclass(state, tuple)
