"""A service of somebody's, called as if it were an object here."""

from types import TracebackType
from typing import Any, Generic, TypedDict, TypeVar, cast

from isthmus.errors import ConfigError
from isthmus.resilience.policy import Policy
from isthmus.services.rpc.calling.channel import Link
from isthmus.services.rpc.calling.credentials import Tls
from isthmus.services.rpc.calling.defaults import connect_within, default_policy
from isthmus.services.rpc.calling.method import CalledMethod
from isthmus.services.rpc.calling.outgoing import Making, Sent, checked
from isthmus.services.rpc.contract.contract import contract_of
from isthmus.services.rpc.declared import DeclaredStub
from isthmus.services.rpc.service import interface_of

__all__ = ["Stub", "StubWords"]

S = TypeVar("S")

MEGABYTE = 1 << 20


class StubWords(TypedDict, total=False):
    """What may be said of a stub, beside its service and its address."""

    name: str
    """For errors, signals and logs. Default: the service's."""
    policy: Policy | None
    """Around every call. Default: `default_policy`; `Policy()` is none at all."""
    tls: Tls | bool
    """Whom it trusts, and its own certificate; True: the well-known authorities. Default: none,
    the calls are not encrypted."""
    metadata: Sent | Making
    """Sent with each call; or a function that makes it for each attempt."""
    limit: int
    """Most bytes of one message that is received. Default 4 MiB."""


class Stub(Generic[S]):
    """Calls the service that a class declares; only its interface is needed.

        async with Stub(Inventory, "inventory:50051") as inventory:
            await inventory.reserve(ReserveRequest(...))

    Unary calls are awaited, streams of answers iterated. Every call is guarded by `policy`; a
    stream until it is open. Those not marked `@idempotent` are repeated only if they never
    ran. They raise RpcError and what is below it, and what policies raise.
    """

    def __init__(
        self,
        service: type[S],
        address: str,
        *,
        name: str = "",
        policy: Policy | None = None,
        tls: Tls | bool = False,
        metadata: "Sent | Making | None" = None,
        limit: int = 4 * MEGABYTE,
    ) -> None:
        """`address`: "host:port", or as grpcio names one ("dns:///...", "unix:/...").

        Raises:
            ConfigError: It is no Service, or an option cannot be used.
        """
        self.service, self.name = service, name or interface_of(service).name
        self.address = _checked(address)
        if limit < 1:
            raise ConfigError(f"stub {self.name!r}: limit={limit}: expected bytes, 1 or more")
        self._policy = default_policy(self.name) if policy is None else policy
        trusted = Tls() if tls is True else tls or None
        self._link = Link(self.name, address, tls=trusted, limit=limit)
        self._own = checked(metadata) if metadata is not None and not callable(metadata) else ()
        self._making = metadata if callable(metadata) else None
        self._methods: list[CalledMethod] = []
        self._calls = Calls(self.name)

    @property
    def calls(self) -> S:
        """The methods of the service. Called before `open`, they raise ConfigError."""
        return cast("S", self._calls)

    async def open(self) -> None:
        """Make it ready; nothing is connected before the first call.

        Raises:
            ConfigError: The service's types cannot be carried, or a file of `tls` not be read.
        """
        self._declare()
        self._link.open(connect=connect_within(self._policy))
        for method in self._methods:
            method.open()

    async def aclose(self) -> None:
        """Close the connection; calls that still run end with CANCELLED."""
        await self._link.aclose()

    async def __aenter__(self) -> S:
        await self.open()
        return self.calls

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def record(self) -> DeclaredStub:
        return DeclaredStub(
            name=self.name,
            service=interface_of(self.service).name,
            address=self.address,
            policy=tuple(map(repr, self._policy.strategies)),
        )

    def _declare(self) -> None:
        """Read the contract, once: its lock may be written after the stub was declared."""
        if self._methods:
            return
        for wired in contract_of(self.service).methods:
            made = CalledMethod(wired, self._link, self._policy, own=self._own, making=self._making)
            self._methods.append(made)
            setattr(self._calls, wired.method.attribute, made.function())


class Calls:
    """The methods, as attributes; they are there once the stub was open."""

    def __init__(self, name: str) -> None:
        self.__name = name

    def __repr__(self) -> str:
        return f"<calls of {self.__name}>"

    def __getattr__(self, name: str) -> Any:
        known = [each for each in vars(self) if not each.startswith("_")]
        if name.startswith("_") or known:
            raise AttributeError(f"{self.__name} has no method {name!r}; it has {known}")
        raise ConfigError(
            f"stub {self.__name!r} is not open: it is while its App is, or use `async with "
            "Stub(...) as calls:`"
        )


def _checked(address: str) -> str:
    foreign = "://" in address and not address.startswith(("dns:", "xds:", "unix:"))
    if ":" not in address or foreign:
        raise ConfigError(
            f"address {address!r}: expected host and port, as 'inventory:50051'; TLS is said by "
            "tls="
        )
    return address
