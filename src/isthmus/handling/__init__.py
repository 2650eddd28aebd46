"""The runtime that all rooms share: a handler is a transaction."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus.handling.batch import Batch
    from isthmus.handling.dependencies import Depends, Header
    from isthmus.handling.middleware import Incoming
    from isthmus.handling.schedules import Tick
    from isthmus.handling.sync_transaction import SyncTransaction
    from isthmus.handling.threads import wait
    from isthmus.handling.verdicts import Postpone, Reject

_HOME = {
    "Batch": "batch",
    "Depends": "dependencies",
    "Header": "dependencies",
    "Incoming": "middleware",
    "Postpone": "verdicts",
    "Reject": "verdicts",
    "SyncTransaction": "sync_transaction",
    "Tick": "schedules",
    "wait": "threads",
}

__all__ = [
    "Batch",
    "Depends",
    "Header",
    "Incoming",
    "Postpone",
    "Reject",
    "SyncTransaction",
    "Tick",
    "wait",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'isthmus.handling' has no attribute {name!r}")
    return getattr(import_module(f"isthmus.handling.{_HOME[name]}"), name)
