"""A step's function, and how it is called: with the saga's arguments, and what else it asks for."""

import functools
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any

from isthmus.contracts import Transaction
from isthmus.handling.calling import given
from isthmus.handling.calling.dependencies import depends
from isthmus.handling.calling.inject import Call, Offer, Plan, Source
from isthmus.handling.calling.signature import Parameter, Signature
from isthmus.handling.calling.sync_transaction import SyncTransaction
from isthmus.handling.host import Host
from isthmus.handling.idempotency_key import IdempotencyKey
from isthmus.sagas.heartbeat import Heartbeat
from isthmus.sagas.kept import Kept

__all__ = ["Action", "Performing", "action_of", "step_name"]

POSSIBLE = (
    "a step's function takes the arguments that saga.step is given, then Transaction "
    "(SyncTransaction in a `def`), IdempotencyKey, Heartbeat, Host, a resource by its type, "
    "Annotated[..., Depends(f)]"
)
_OURS = (Transaction, SyncTransaction, IdempotencyKey, Heartbeat, Host)


class Performing(Call):
    """One call of a step's function."""

    def __init__(self, host: Host, key: IdempotencyKey, heartbeat: Heartbeat) -> None:
        super().__init__(host, {})
        self.key, self.heartbeat = key, heartbeat


class Action:
    """One function, called with a number of arguments."""

    def __init__(self, function: Callable[..., Any], count: int) -> None:
        """Raises ConfigError if it asks for what cannot be given, or returns what can't be kept."""
        self.function = function
        signature = Signature(function)
        taken, left = _parted(signature, count)
        self.title = signature.title
        self.takes = len(taken)
        """How many of the arguments it takes."""
        self.is_async = signature.is_async
        self.joins = any(each.annotation in (Transaction, SyncTransaction) for each in left)
        """Whether its effects are in the transaction that records it."""
        self.beats = any(each.annotation is Heartbeat for each in left)
        """Whether it takes a Heartbeat."""
        self.result = Kept(signature.returns, what=f"what {signature.title}() returns")
        self._names = [each.name for each in taken]
        self._leads = taken == signature.parameters[: len(taken)]
        self.is_bare = signature.is_async and not left and len(taken) == count
        """Whether it takes the saga's arguments, and nothing else."""
        self._takes_no_more = not left
        signature.parameters = left
        offers = (given.transaction, _key, _heartbeat, given.host, given.resource)
        self._plan = Plan(signature, (_dependency(offers), *offers), possible=POSSIBLE)

    async def call(self, args: tuple[Any, ...], call: Performing) -> Any:
        """Call the function, once."""
        function = self._awaited(call.host)
        args = args[: self.takes]
        if self._takes_no_more:
            return await function(*args)
        self._plan.require(call.host)
        async with call:
            by_place, by_name = await self._plan.arguments(call)
            if self._leads:
                return await function(*args, *by_place, **by_name)
            named = dict(zip(self._names, args, strict=True))
            return await function(*by_place, **named, **by_name)

    def _awaited(self, host: Host) -> Callable[..., Awaitable[Any]]:
        return self.function if self.is_async else partial(host.threads.run, self.function)


@lru_cache(maxsize=1024)
def action_of(function: Callable[..., Any], count: int) -> Action:
    """Return `function` as an Action, read once."""
    return Action(function, count)


def step_name(function: Any) -> str:
    """Return what a step of `function` is called."""
    while isinstance(function, functools.partial):
        function = function.func  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return getattr(function, "__name__", type(function).__name__)  # pyright: ignore[reportUnknownArgumentType]


def _parted(signature: Signature, count: int) -> tuple[list[Parameter], list[Parameter]]:
    """Return the parameters that take the saga's arguments, and the others."""
    taken, left = list[Parameter](), list[Parameter]()
    for each in signature.parameters:
        ours = each.annotation in _OURS or each.marks or each.by_name
        (left if ours or len(taken) == count else taken).append(each)
    return taken, left


def _key(_: Signature, parameter: Parameter) -> Source | None:
    return Source(attrgetter("key")) if parameter.annotation is IdempotencyKey else None


def _heartbeat(_: Signature, parameter: Parameter) -> Source | None:
    return Source(attrgetter("heartbeat")) if parameter.annotation is Heartbeat else None


def _dependency(offers: tuple[Offer, ...]) -> Offer:
    return depends(offers, possible=POSSIBLE)
