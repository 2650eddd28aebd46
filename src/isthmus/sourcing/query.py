"""Queries: functions that read what projections wrote, once it shows what the caller wrote."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from isthmus.clock import Span, seconds
from isthmus.errors import ConfigError
from isthmus.handling.address import checked
from isthmus.handling.calling import given
from isthmus.handling.calling.dependencies import depends
from isthmus.handling.calling.inject import Call, Plan, Source
from isthmus.handling.calling.signature import NOTHING, Parameter, Signature
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.unit import current, repeat
from isthmus.sourcing.catching_up import Goal
from isthmus.sourcing.declared import DeclaredQuery
from isthmus.sourcing.projection import Projection

__all__ = ["Query"]

R = TypeVar("R")

POSSIBLE = "it may take what its caller gives, Transaction, Host, Annotated[..., Depends(f)]"


class _QueryCall(Call):
    def __init__(self, host: Host, asked: dict[str, Any]) -> None:
        super().__init__(host, {})
        self.asked = asked


class Query(Generic[R]):
    """One question. What is no Transaction, Host or dependency of its parameters is given by the
    caller. Made by `app.query`."""

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        declared: Declarations,
        *,
        of: Sequence[Projection],
        timeout: Span,
    ) -> None:
        """Raises:
        ConfigError: The function is no async one, or an annotation names something unknown.
        """
        self.name, self.function, self._declared = checked(name, what="query"), function, declared
        self._of, self._timeout = tuple(of), seconds(timeout)
        signature = self._signature = Signature(function)
        if not signature.is_async:
            raise ConfigError(f"{signature.title}() is a query; make it `async def`")
        offers = (given.transaction, given.host)
        self._given: list[Parameter] = []
        self._plan = Plan(
            signature,
            (depends(offers, possible=POSSIBLE), *offers, self._asked),
            possible=POSSIBLE,
        )
        declared.declare(
            DeclaredQuery(
                name=name,
                function=f"{function.__module__}:{function.__qualname__}",
                reads=[projection.name for projection in self._of],
            )
        )

    async def __call__(
        self,
        *args: Any,
        after: Goal = None,
        timeout: Span | None = None,  # noqa: ASYNC109
        **kwargs: Any,
    ) -> R:
        """Ask. With `after`, a position that `handle` returned, or its text, wait until all that is
        read shows it, for `timeout` seconds (those of the query) at most.

        Raises:
            TimedOutError: It is not shown yet.
            ConfigError: The arguments are not those of the function, or the text is no position.
        """
        asked = self._bound(args, kwargs)
        if after is not None:
            within = self._timeout if timeout is None else timeout
            for projection in self._of:
                await projection.caught_up(after, timeout=within)
        host = self._declared.host
        if current.get() is not None:
            return await self._called(host, asked)
        return await repeat(host.store, lambda _: self._called(host, asked))

    async def _called(self, host: Host, asked: dict[str, Any]) -> Any:
        call = _QueryCall(host, asked)
        async with call:
            by_place, by_name = await self._plan.arguments(call)
            return await self.function(*by_place, **by_name)

    def _bound(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the caller's arguments by the names of their parameters."""
        names = [parameter.name for parameter in self._given]
        asked = dict(zip(names, args, strict=False)) | kwargs
        wanted = {each.name for each in self._given if each.default is NOTHING}
        if len(args) > len(names) or not wanted <= asked.keys() <= set(names):
            raise ConfigError(
                f"query {self.name!r} is asked with ({', '.join(names)}), "
                f"not with {len(args)} and ({', '.join(kwargs)})"
            )
        return {each.name: each.default for each in self._given} | asked

    def _asked(self, signature: Signature, parameter: Parameter) -> Source | None:
        if signature is not self._signature:
            return None
        self._given.append(parameter)
        return Source(partial(_argument, parameter.name))


def _argument(name: str, call: _QueryCall) -> Any:
    return call.asked[name]
