"""The runtime that all rooms share: a handler is a transaction."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus.handling.calling.batch import Batch
    from isthmus.handling.calling.dependencies import Depends, Header
    from isthmus.handling.calling.middleware import Incoming, Proceed
    from isthmus.handling.calling.sync_transaction import SyncTransaction
    from isthmus.handling.consuming.verdicts import Postpone, Reject
    from isthmus.handling.remote import Refusal, RemoteError
    from isthmus.handling.schedules import Tick
    from isthmus.handling.sync.sync_app import SyncApp
    from isthmus.handling.threads import wait

_HOME = {
    "Batch": "calling.batch",
    "Depends": "calling.dependencies",
    "Header": "calling.dependencies",
    "Incoming": "calling.middleware",
    "Postpone": "consuming.verdicts",
    "Proceed": "calling.middleware",
    "Refusal": "remote",
    "Reject": "consuming.verdicts",
    "RemoteError": "remote",
    "SyncApp": "sync.sync_app",
    "SyncTransaction": "calling.sync_transaction",
    "Tick": "schedules",
    "wait": "threads",
}

__all__ = [
    "Batch",
    "Depends",
    "Header",
    "Incoming",
    "Postpone",
    "Proceed",
    "Refusal",
    "Reject",
    "RemoteError",
    "SyncApp",
    "SyncTransaction",
    "Tick",
    "wait",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'isthmus.handling' has no attribute {name!r}")
    return getattr(import_module(f"isthmus.handling.{_HOME[name]}"), name)
