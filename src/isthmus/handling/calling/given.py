"""What every handler may ask for: its transaction, the Host, a resource."""

import inspect
from operator import attrgetter
from typing import Any, get_args

from isthmus.contracts import Transaction
from isthmus.errors import ConfigError
from isthmus.handling.calling.inject import Call, Source
from isthmus.handling.calling.signature import NOTHING, Parameter, Signature
from isthmus.handling.calling.sync_transaction import SyncTransaction
from isthmus.handling.host import Host
from isthmus.handling.unit import Unit, current
from isthmus.schema.kinds import type_name
from isthmus.versions.version import Version
from isthmus.versions.version import current as current_version

__all__ = ["POSSIBLE", "host", "resource", "transaction", "unit", "version"]

POSSIBLE = (
    "Transaction (SyncTransaction in a `def`), Message, Delivery or Record, Host, a resource by "
    "its type, Annotated[..., Depends(f)], Annotated[str, Header('name')]"
)
"""What a message's handler may ask for beside its payload, for errors."""


def unit() -> Unit:
    """Return the unit of work that runs here.

    Raises:
        ConfigError: There is none.
    """
    if (found := current.get()) is None:
        raise ConfigError("there is no unit of work here: handlers are called by isthmus")
    return found


def transaction(signature: Signature, parameter: Parameter) -> Source | None:
    """Offer the handler's transaction: as it is on the loop, blocking in a thread."""
    awaits, blocks = parameter.annotation is Transaction, parameter.annotation is SyncTransaction
    if not (awaits or blocks):
        return None
    on_loop = signature.is_async or signature.is_async_generator
    if awaits and not on_loop:
        raise signature.error(
            parameter.name,
            "is a Transaction, which only `async def` can await; "
            "annotate it SyncTransaction, whose calls block",
        )
    if blocks and on_loop:
        raise signature.error(
            parameter.name, "is a SyncTransaction, which would block the loop; use Transaction"
        )
    return Source(_begin if on_loop else _begin_sync)


def host(_: Signature, parameter: Parameter) -> Source | None:
    """Offer the Host."""
    return Source(attrgetter("host")) if parameter.annotation is Host else None


def version(_: Signature, parameter: Parameter) -> Source | None:
    """Offer the API version that the request asked for."""
    return Source(_version) if parameter.annotation is Version else None


def resource(signature: Signature, parameter: Parameter) -> Source | None:
    """Offer a resource of the annotated type; it may be declared later than the handler."""
    type_, default = parameter.annotation, parameter.default
    if not _is_class(type_):
        return None

    def take(call: Call) -> Any:
        return call.host.resources.get(type_, default)

    if default is not NOTHING:
        return Source(take)

    def require(host: Host) -> None:
        if type_ not in host.resources:
            name, known = type_name(type_), ", ".join(map(type_name, host.resources))
            raise signature.error(
                parameter.name,
                f"is of type {name}, and no resource gives one (resources: {known or 'none'}); "
                f"declare it: @app.resource on a function that returns {name}",
            )

    return Source(take, require=require)


def _version(_: Call) -> Version:
    return current_version()


def _begin(_: Call) -> Transaction:
    return unit().begin()


def _begin_sync(_: Call) -> SyncTransaction:
    return SyncTransaction(unit().begin())


def _is_class(type_: Any) -> bool:
    if type_ is NOTHING or type_ is Any:
        return False
    return inspect.isclass(type_) or bool(get_args(type_))
