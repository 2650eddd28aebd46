"""Connections that stay in the thread of who holds them."""

import sys
import threading
from functools import partial
from typing import Any

from isthmus.contracts import Lent
from isthmus.errors import ConfigError
from isthmus.handling.sync.blocking import in_thread

__all__ = ["is_begun", "lent"]


def lent(connection: object) -> Lent:
    """Return `connection` as an engine in another thread may use it; of Django, the
    connection inside.

    Raises:
        ConfigError: It is Django's, and outside of `transaction.atomic()`.
    """
    return Lent(_inside(connection), partial(in_thread, threading.get_ident()))


def is_begun(connection: Any) -> bool:
    """Whether its transaction has begun, as far as that can be told."""
    if _is_django(connection):
        return True
    begun = getattr(connection, "in_transaction", False)
    return bool(begun() if callable(begun) else begun)


def _inside(connection: Any) -> object:
    if not _is_django(connection):
        return connection
    if not connection.in_atomic_block:
        raise ConfigError(
            "Django commits every statement by itself here; "
            "join its connection inside `with transaction.atomic():`"
        )
    connection.ensure_connection()
    return connection.connection


def _is_django(connection: object) -> bool:
    """Django is never imported here: who passes something of it has done so."""
    places = (
        ("django.db.backends.base.base", "BaseDatabaseWrapper"),
        ("django.utils.connection", "ConnectionProxy"),
    )
    kinds = (getattr(sys.modules.get(module), name, ()) for module, name in places)
    return any(isinstance(connection, kind) for kind in kinds)
