"""Connect services, systems and external APIs, losing nothing between them.

What crosses a boundary is never lost, and its effect in your database happens
once. Rooms are imported when a name of theirs is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# At once, not when first used: the decorator must win over the module of its name.
from isthmus.schema import schema, upcaster

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
        Reject,
        SyncTransaction,
        Tick,
        wait,
    )
    from isthmus.message import Message
    from isthmus.messaging import Keeping, Queue, Topic
    from isthmus.resilience import Retry
    from isthmus.services import Problem
    from isthmus.streams import Stream

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
        "Reject",
        "SyncTransaction",
        "Tick",
        "wait",
    ),
    "isthmus.message": ("Message",),
    "isthmus.messaging": ("Keeping", "Queue", "Topic"),
    "isthmus.resilience": ("Retry",),
    "isthmus.services": ("Problem",),
    "isthmus.streams": ("Stream",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "App",
    "Batch",
    "ConfigError",
    "ConflictError",
    "CorruptedError",
    "Delivery",
    "Depends",
    "FullError",
    "Header",
    "Incoming",
    "IsthmusError",
    "Keeping",
    "LeaseLostError",
    "LockedError",
    "Message",
    "Module",
    "NotFoundError",
    "Postpone",
    "Problem",
    "Proceed",
    "Queue",
    "Record",
    "Reject",
    "Retry",
    "SchemaError",
    "StatementError",
    "Stream",
    "SyncTransaction",
    "Tick",
    "TimedOutError",
    "Topic",
    "Transaction",
    "UnavailableError",
    "UnsupportedError",
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
