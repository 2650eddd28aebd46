"""Connect services, systems and external APIs, losing nothing between them.

What crosses a boundary is never lost, and its effect in your database happens
once. Rooms are imported when a name of theirs is first used.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus.app import App, Module
    from isthmus.contracts import Delivery, Record, Transaction
    from isthmus.errors import (
        ConfigError,
        ConflictError,
        CorruptedError,
        FullError,
        IsthmusError,
        LeaseLostError,
        LockedError,
        NotFoundError,
        SchemaError,
        StatementError,
        TimedOutError,
        UnavailableError,
        UnsupportedError,
    )
    from isthmus.handling import (
        Batch,
        Depends,
        Header,
        Incoming,
        Postpone,
        Proceed,
        Refusal,
        Reject,
        RemoteError,
        SyncTransaction,
        Tick,
        wait,
    )
    from isthmus.handling.carried import correlated, correlation_id
    from isthmus.message import Message
    from isthmus.messaging import Keeping, Queue, Topic
    from isthmus.resilience import (
        Bulkhead,
        Cache,
        CircuitBreaker,
        Fallback,
        Feature,
        Hedge,
        Policy,
        RateLimit,
        Retry,
        Timeout,
    )
    from isthmus.sagas import Compensate, Saga
    from isthmus.schema import schema, upcaster
    from isthmus.services import Problem
    from isthmus.services.client import Client
    from isthmus.services.rpc import Service
    from isthmus.services.versioning import MediaType, Uri
    from isthmus.settings import HttpUrl, Secret, Url
    from isthmus.streams import Stream
    from isthmus.versions import Version, Versions

__version__ = "0.1.0"

_HOMES = {
    "isthmus.app": ("App", "Module"),
    "isthmus.contracts": ("Delivery", "Record", "Transaction"),
    "isthmus.errors": (
        "ConfigError",
        "ConflictError",
        "CorruptedError",
        "FullError",
        "IsthmusError",
        "LeaseLostError",
        "LockedError",
        "NotFoundError",
        "SchemaError",
        "StatementError",
        "TimedOutError",
        "UnavailableError",
        "UnsupportedError",
    ),
    "isthmus.handling": (
        "Batch",
        "Depends",
        "Header",
        "Incoming",
        "Postpone",
        "Proceed",
        "Refusal",
        "Reject",
        "RemoteError",
        "SyncTransaction",
        "Tick",
        "wait",
    ),
    "isthmus.handling.carried": ("correlated", "correlation_id"),
    "isthmus.message": ("Message",),
    "isthmus.messaging": ("Keeping", "Queue", "Topic"),
    "isthmus.resilience": (
        "Bulkhead",
        "Cache",
        "CircuitBreaker",
        "Fallback",
        "Feature",
        "Hedge",
        "Policy",
        "RateLimit",
        "Retry",
        "Timeout",
    ),
    "isthmus.sagas": ("Compensate", "Saga"),
    "isthmus.schema": ("schema", "upcaster"),
    "isthmus.services": ("Problem",),
    "isthmus.services.versioning": ("MediaType", "Uri"),
    "isthmus.services.client": ("Client",),
    "isthmus.settings": ("HttpUrl", "Secret", "Url"),
    "isthmus.services.rpc": ("Service",),
    "isthmus.streams": ("Stream",),
    "isthmus.versions": ("Version", "Versions"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "App",
    "Batch",
    "Bulkhead",
    "Cache",
    "CircuitBreaker",
    "Client",
    "Compensate",
    "ConfigError",
    "ConflictError",
    "CorruptedError",
    "Delivery",
    "Depends",
    "Fallback",
    "Feature",
    "FullError",
    "Header",
    "Hedge",
    "HttpUrl",
    "Incoming",
    "IsthmusError",
    "Keeping",
    "LeaseLostError",
    "LockedError",
    "MediaType",
    "Message",
    "Module",
    "NotFoundError",
    "Policy",
    "Postpone",
    "Problem",
    "Proceed",
    "Queue",
    "RateLimit",
    "Record",
    "Refusal",
    "Reject",
    "RemoteError",
    "Retry",
    "Saga",
    "SchemaError",
    "Secret",
    "Service",
    "StatementError",
    "Stream",
    "SyncTransaction",
    "Tick",
    "TimedOutError",
    "Timeout",
    "Topic",
    "Transaction",
    "UnavailableError",
    "UnsupportedError",
    "Uri",
    "Url",
    "Version",
    "Versions",
    "correlated",
    "correlation_id",
    "schema",
    "upcaster",
    "wait",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'isthmus' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOME[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


class _Isthmus(ModuleType):
    """Keeps `isthmus.schema` the decorator: who imports the room of that name would bind it."""

    def __setattr__(self, name: str, value: object) -> None:
        if name != "schema" or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Isthmus
