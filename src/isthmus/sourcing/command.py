"""Commands that are more than one aggregate's: a function, run once for one id."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from isthmus.clock import Span, seconds
from isthmus.contracts import Transaction
from isthmus.errors import ConfigError
from isthmus.handling.address import checked
from isthmus.handling.calling import given
from isthmus.handling.calling.dependencies import depends
from isthmus.handling.calling.inject import Call, Plan, Source
from isthmus.handling.calling.signature import NOTHING, Parameter, Signature
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.unit import current, repeat
from isthmus.schema import Schema, schema_of
from isthmus.schema.kinds import is_model, members_of
from isthmus.sourcing.declared import DeclaredCommand
from isthmus.sourcing.done import Done, refuse_reuse
from isthmus.sourcing.metadata import acting

__all__ = ["Command"]

R = TypeVar("R")

POSSIBLE = "Transaction, Host, a resource by its type, Annotated[..., Depends(f)]"


class _CommandCall(Call):
    def __init__(self, host: Host, command: Any) -> None:
        super().__init__(host, {})
        self.command = command


class Command(Generic[R]):
    """One function that handles commands of the type of its first parameter that is a model;
    all that it does is one transaction. Made by `app.command`."""

    def __init__(
        self, name: str, function: Callable[..., Any], declared: Declarations, *, keep_ids: Span
    ) -> None:
        """Raises:
        ConfigError: The function takes no command, or what cannot be given.
        """
        self.name, self.function, self._declared = checked(name, what="command"), function, declared
        self._keep = seconds(keep_ids)
        if self._keep < 1:
            raise ConfigError(f"keep_ids={keep_ids!r} is out of range: 1 second or more")
        signature = Signature(function)
        if not signature.is_async:
            raise ConfigError(f"{signature.title}() handles commands; make it `async def`")
        taken = _command_of(signature)
        self._name, self._schema = taken.name, schema_of(taken.annotation)
        offers = (given.transaction, given.host, self._command, given.resource)
        self._plan = Plan(
            signature,
            (depends(offers, possible=POSSIBLE), *offers),
            possible=f"it may take its command, {POSSIBLE}",
        )
        self._result: Schema[Any] | None = None
        if signature.returns not in (NOTHING, None, type(None), Any):
            self._result = schema_of(signature.returns)
        declared.declare(
            DeclaredCommand(
                name=name,
                command=self._schema,
                result=self._result,
                function=f"{function.__module__}:{function.__qualname__}",
                keep_ids=self._keep,
            )
        )
        declared.open_with(self._bind)
        self._opened: _Opened | None = None

    async def __call__(self, command: Any, *, id: str | None = None) -> R:
        """Handle a command, and return what the function returns; it is run again on conflict.

        Under an `id` that was handled before, the function is not called, and what it returned
        then is returned. In a transaction it is part of that.

        Raises:
            SchemaError: It is no such command, or a part does not fit its type.
            IdReusedError: The id was another command's.
            ConflictError: 50 times it met a conflict; nothing was done.
            Exception: What the function raised; nothing was done, and the id is free.
        """
        opened, schema = self._open, self._schema.member(command)
        body = schema.encode_member(command)
        asked = _Asked(schema.read(body), b"%s %s" % (schema.name.encode(), body), id)
        if current.get() is not None:
            return await self._once(opened, asked)

        async def work(_: Transaction) -> Any:
            return await self._once(opened, asked)

        return await repeat(opened.host.store, work)

    async def _once(self, opened: "_Opened", asked: "_Asked") -> Any:
        if asked.id is None:
            return await self._called(opened.host, asked.command)
        tx = given.unit().begin()
        staged = opened.staged.setdefault(tx, {})
        if asked.id in staged:
            body, result = staged[asked.id]
            return result if body == asked.body else refuse_reuse(asked.id)
        if (kept := await opened.done.find(asked.id, asked.body)) is not None:
            return self._read(kept)
        with acting(correlation=asked.id, causation=asked.id):
            result = await self._called(opened.host, asked.command)
        kept = b"" if self._result is None else self._result.encode(result)
        await opened.done.note(asked.id, asked.body, kept, tx=tx)
        staged[asked.id] = asked.body, result
        return result

    async def _called(self, host: Host, command: Any) -> Any:
        call = _CommandCall(host, command)
        async with call:
            by_place, by_name = await self._plan.arguments(call)
            return await self.function(*by_place, **by_name)

    def _read(self, kept: bytes) -> Any:
        return None if self._result is None else self._result.read(kept)

    def _command(self, _: Signature, parameter: Parameter) -> Source | None:
        return Source(attrgetter("command")) if parameter.name == self._name else None

    # --- opening ----------------------------------------------------------------------------

    async def _bind(self, host: Host) -> None:
        self._plan.require(host)
        done = Done(host.store, f"command/{self.name}", bytes, retention=self._keep)
        self._opened = _Opened(host, done, WeakKeyDictionary())

    @property
    def _open(self) -> "_Opened":
        if self._opened is None or self._declared.opened is None:
            self._declared.host  # noqa: B018 - raises, saying how to open
            raise ConfigError(f"command {self.name!r} was declared after the App opened")
        return self._opened


class _Asked(NamedTuple):
    command: Any
    body: bytes
    id: str | None


class _Opened(NamedTuple):
    host: Host
    done: Done[bytes]
    staged: WeakKeyDictionary[Transaction, dict[str, tuple[bytes, Any]]]
    """What commands of a transaction that is not committed returned, by id, and they themselves."""


def _command_of(signature: Signature) -> Parameter:
    for parameter in signature.parameters:
        kinds = members_of(parameter.annotation) or (parameter.annotation,)
        if not parameter.marks and all(map(is_model, kinds)):
            return parameter
    raise ConfigError(
        f"{signature.title}() takes no command: give it a parameter of a class with fields, "
        "as `command: Transfer`"
    )
