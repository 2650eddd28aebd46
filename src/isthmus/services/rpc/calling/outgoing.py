"""What travels along with every call: trace, correlation, request id, and what the program adds."""

import re
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from isthmus.errors import ConfigError
from isthmus.handling import carried as here
from isthmus.handling.idempotency_key import in_force as step_key
from isthmus.message import CORRELATION, TRACEPARENT, TRACESTATE
from isthmus.services.layers.request_id import CORRELATION_ID, request_id, sane_id

__all__ = ["KEY", "Making", "Pairs", "Sent", "carried", "checked", "key_here", "sending"]

Sent = Mapping[str, str | bytes]
Pairs = tuple[tuple[str, str | bytes], ...]
Making = Callable[[], Sent | Awaitable[Sent]]
"""Makes metadata anew for each attempt, as a token that expires."""

KEY = "idempotency-key"
"""Metadata that makes a call one that may be repeated."""

_NAME = re.compile(r"[0-9a-z_.-]+", re.ASCII)
_added: ContextVar[Pairs] = ContextVar("isthmus-rpc-metadata", default=())


@contextmanager
def sending(metadata: Sent) -> Generator[None]:
    """Have the calls inside send `metadata` along: names in small letters, values of those
    that end in -bin as bytes. An `idempotency-key` makes them calls that may be repeated.

    Raises:
        ConfigError: A name or a value cannot be sent.
    """
    token = _added.set((*_added.get(), *checked(metadata)))
    try:
        yield
    finally:
        _added.reset(token)


def key_here(*, idempotent: bool) -> Pairs:
    """Return the idempotency key of a call that is made here, as it is sent: the program's own;
    else, if the call is not `idempotent` by itself, the next of the saga's step that runs here."""
    added = _added.get()
    if added and (own := dict(added).get(KEY)):
        return ((KEY, own),)
    step = None if idempotent else step_key.get()
    return () if step is None else checked({KEY: step.next()})


def carried(own: Pairs) -> Pairs | None:
    """Return what is sent: what a stub always sends, what the program adds here, and what runs
    here carries."""
    context, called, added = here.carried(), request_id.get(), _added.get()
    if not (context or called or added):
        return own or None
    found = dict(own)
    if called:
        found["x-request-id"] = called
    for name in (TRACEPARENT, TRACESTATE):
        if (value := context.get(name)) and value.isascii() and value.isprintable():
            found[name] = value
    if correlation := sane_id(context.get(CORRELATION, "")):
        found[CORRELATION_ID] = correlation
    found.update(added)
    return tuple(found.items())


def checked(metadata: Sent) -> Pairs:
    """Return `metadata` as grpcio takes it; raises ConfigError, which never tells a value."""
    for name, value in metadata.items():
        if not _NAME.fullmatch(name) or name.startswith("grpc-"):
            raise ConfigError(
                f"metadata {name!r}: names have small letters, digits, _ - and ., and do not "
                "begin with grpc-"
            )
        if name.endswith("-bin"):
            if not isinstance(value, bytes):
                raise ConfigError(f"metadata {name!r}: names that end in -bin carry bytes")
        elif not isinstance(value, str) or not (value.isascii() and value.isprintable()):
            raise ConfigError(
                f"metadata {name!r}: its value is no printable ASCII; name it {name}-bin, and "
                "send bytes"
            )
    return tuple(metadata.items())
