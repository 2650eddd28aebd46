"""An interface of the application's own, and the implementation that fulfils it now."""

import inspect
from collections.abc import AsyncIterator, Callable, Collection, Generator, Mapping
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import Any, cast

from isthmus.errors import ConfigError
from isthmus.handling.calling.inject import Call, Source
from isthmus.handling.calling.provider import Provider
from isthmus.handling.calling.resources import Resources, given_by
from isthmus.handling.calling.signature import Parameter, Signature
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.resilience import facts
from isthmus.resilience.policy import Policy
from isthmus.services.adapter.call import Way, as_called
from isthmus.services.adapter.choice import Choice, Chosen
from isthmus.services.adapter.declared import DeclaredAdapter
from isthmus.services.adapter.interface import Interface
from isthmus.services.adapter.living import clients_of, living
from isthmus.services.adapter.proxy import behind, proxy_of
from isthmus.services.adapter.translates import MARK
from isthmus.services.adapter.translation import Translation
from isthmus.services.client.client import Client
from isthmus.signals import Signals

__all__ = ["Adapter", "adapter_behind"]

Methods = Mapping[str, Callable[..., Any]]


class Adapter:
    """Opened with the App: the chosen implementation alone is made, with what it asks for."""

    def __init__(
        self,
        declared: Declarations,
        interface: type,
        implementations: Mapping[str, Callable[..., Any]],
        *,
        name: str,
        use: str,
        policy: Policy | None,
        raises: Collection[type[Exception]],
    ) -> None:
        """Raises ConfigError if one does not fit the interface, or `use` is none of them."""
        self.name, self.interface = name, Interface(interface)
        self._implementations, self._use, self._policy = dict(implementations), use, policy
        for provider, implementation in implementations.items():
            self._refuse(provider, implementation)
        self._raises = _all_raised(raises, implementations.values())
        self.choice = Choice(declared, name, implementations, use)
        self.proxy: Any = proxy_of(self.interface, self)
        """What callers hold."""
        self._methods: Methods | None = None
        self._stand_in: Any = None

    def attribute(self, name: str) -> Any:
        if self._methods is None:
            raise ConfigError(
                f"adapter {self.name!r} is not open: run the App, or use `async with app:`; in a "
                "test, `using` gives it another"
            )
        return self._methods[name]

    async def __call__(self, host: Host) -> AsyncIterator[Any]:
        """Give it to handlers, as a resource, open."""
        async with AsyncExitStack() as stack:
            provider, made = await self._made(host, stack)
            before, self._methods = self._methods, self._served(made, provider, host.signals)
            try:
                yield self.proxy
            finally:
                self._methods = before

    @contextmanager
    def using(self, implementation: object, *, signals: Signals | None = None) -> Generator[None]:
        """Have another fulfil it meanwhile, which is neither opened nor closed.

        Raises:
            ConfigError: It does not fit the interface.
        """
        self.interface.refuse(type(implementation))
        before = self._methods
        kind = type(implementation).__name__
        self._methods = self._served(implementation, kind, signals or facts.signals)
        try:
            yield
        finally:
            self._methods = before

    @contextmanager
    def standing_in(self, implementation: object) -> Generator[None]:
        """Have another be opened with the App in place of those that are declared, so that
        nothing is asked of the place.

        Raises:
            ConfigError: It does not fit the interface.
        """
        self.interface.refuse(type(implementation))
        before = self._stand_in
        self._stand_in, self.choice.stands_in = implementation, True
        try:
            yield
        finally:
            self._stand_in, self.choice.stands_in = before, before is not None

    def record(self) -> DeclaredAdapter:
        """Return what the model says of it."""
        strategies = self._policy.strategies if self._policy else ()
        return DeclaredAdapter(
            name=self.name,
            interface=self.interface.name,
            methods=tuple(self.interface.methods),
            implementations=tuple(self._implementations),
            use=self._use,
            policy=tuple(map(repr, strategies)),
        )

    async def _made(self, host: Host, stack: AsyncExitStack) -> tuple[str, Any]:
        """Return who fulfils it, open, and under which name."""
        if self._stand_in is not None:
            given = self._stand_in
            await _open_of_app(given, host)
            made = await stack.enter_async_context(living(given, signals=host.signals))
            return type(given).__name__, made
        chosen = self.choice.chosen
        assert chosen is not None, "settings are read before anything is opened"
        implementation = self._implementations[chosen.name]
        given = await _given(implementation, chosen, host, stack)
        await _open_of_app(given, host)
        made = await stack.enter_async_context(living(given, signals=host.signals))
        self.interface.refuse(made.__class__)
        return chosen.name, made

    def _served(self, implementation: object, provider: str, signals: Signals) -> Methods:
        found = getattr(type(implementation), MARK, None) or Translation()
        translation = found.also(self._raises)
        way = Way(self.name, provider, translation, self._policy, signals)
        return {
            name: as_called(getattr(implementation, name), name, way)
            for name in self.interface.methods
        }

    def _refuse(self, provider: str, implementation: Any) -> None:
        if not callable(implementation):
            raise ConfigError(
                f"adapter {self.name!r}: {provider!r} is a {type(implementation).__name__}; give "
                "its class, or a function that makes it"
            )
        kind = _kind_of(implementation)
        if kind is not None and kind is not self.interface.kind:
            self.interface.refuse(kind)


def adapter_behind(proxy: object) -> Adapter:
    """Return the adapter whose implementation a proxy leads to.

    Raises:
        ConfigError: It is no proxy.
    """
    found = behind(proxy)
    if not isinstance(found, Adapter):
        raise ConfigError(f"{proxy!r} is not what app.adapter(...) returned")
    return found


async def _given(
    implementation: Callable[..., Any], chosen: Chosen, host: Host, stack: AsyncExitStack
) -> Any:
    """Make an implementation of what it asks for: its settings, resources, Host."""

    def settings(_: Signature, parameter: Parameter) -> Source | None:
        kind = parameter.annotation
        found = chosen.settings.get(kind) if isinstance(kind, type) else None
        return None if found is None else Source(partial(_constant, found))

    signature = Signature(implementation)
    plan = cast("Resources", host.resources).plan(signature, settings)
    call = Call(host, {})
    if inspect.isclass(implementation):  # on the loop, which what it holds may ask for
        by_place, by_name = await plan.arguments(call)
        return implementation(*by_place, **by_name)
    return await Provider(implementation, signature, plan).open(call, stack)


async def _open_of_app(implementation: object, host: Host) -> None:
    """Have the App open those clients that are its own (`app.client`), if it did not yet."""
    for client in clients_of(implementation):
        if (Client, client.name) in cast("Resources", host.resources).declared:
            await cast("Resources", host.resources).give((Client, client.name), host)


def _kind_of(implementation: Any) -> type | None:
    """Return the class of what is made; None if that can be told only then."""
    if inspect.isclass(implementation):
        return implementation
    made = given_by(implementation)
    return made if inspect.isclass(made) else None


def _constant(value: Any, _: Call) -> Any:
    return value


def _all_raised(
    raises: Collection[type[Exception]], implementations: Collection[Any]
) -> tuple[type[Exception], ...]:
    """Return the application's own errors: those that are named, and those that any
    implementation's come to."""
    marks = [getattr(each, MARK, None) for each in implementations]
    found = [kind for mark in marks if isinstance(mark, Translation) for kind in mark.passes]
    return tuple(dict.fromkeys([*raises, *found]))
