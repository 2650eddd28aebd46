"""What may be said of a client, and of one of its calls."""

import ssl
from collections.abc import Collection, Mapping
from typing import TypedDict

from isthmus.clock import Span
from isthmus.errors import ConfigError
from isthmus.resilience.policy import Policy
from isthmus.services.client.auth import Auth
from isthmus.services.client.query import Params
from isthmus.services.client.tls import Tls
from isthmus.services.client.transport import Transport
from isthmus.signals import Signals

__all__ = ["CallWords", "ClientWords", "refuse_misfits"]

MEGABYTE = 1 << 20


class ClientWords(TypedDict, total=False):
    """Beside its name and its base URL."""

    policy: Policy | None
    """Around every call. Default: the one of its name in `isthmus.resilience.policies`, which
    is the default of clients as amended by configuration. `Policy()` is none at all."""
    auth: Auth | None
    """Who it says it is: Bearer, Basic, or an object of yours. Default: nobody."""
    headers: Mapping[str, str]
    """Sent with each request."""
    tls: Tls | ssl.SSLContext | None
    """Whom it trusts, and its own certificate. Default: the authorities of the system."""
    limit: int
    """Most bytes of an answer that is read at once. Default 16 MiB."""
    streams: int
    """Most streamed answers that are open at once. Default 100."""
    wait: Span
    """Seconds in which the next piece of a streamed answer has to come. Default 30."""
    keep_alive: Span
    """Seconds that an idle connection is kept. Default 15."""
    carries: bool
    """Whether trace context and deadline travel along. Default True; False for strangers."""
    key_header: str
    """The header that an idempotency key travels in. Default "Idempotency-Key"."""
    transport: Transport | None
    """What carries the requests. Default: aiohttp."""
    signals: Signals | None
    """Whom to tell. Default: the App's listeners, or `isthmus.resilience.signals`."""


class CallWords(TypedDict, total=False):
    """What may be said of one call."""

    params: Params | None
    """What follows the question mark."""
    path_params: Mapping[str, object] | None
    """What is put in {braces} of the path, quoted, so that it can't lead elsewhere."""
    headers: Mapping[str, str] | None
    idempotency_key: str | bool | None
    """Makes a POST or PATCH one that may be repeated: sent along, the same with each attempt.
    True: a new one, made once for all attempts. Default, in a step of a saga: the step's; False
    for none."""
    allow: Collection[int]
    """Statuses of 400 and more that are answers, too, not errors."""


def refuse_misfits(
    client: str, *, policy: object, auth: object, headers: object, tls: object
) -> None:
    """Raises ConfigError for what would be missed only when a call is made."""
    is_policy, is_tls = isinstance(policy, Policy), isinstance(tls, Tls | ssl.SSLContext)
    authorizes = callable(getattr(auth, "header", None))
    _refuse_unless(is_policy, client, policy=policy, expected="a Policy, as Policy(Timeout(2))")
    _refuse_unless(authorizes, client, auth=auth, expected="Bearer(token) or Basic(user, password)")
    _refuse_unless(isinstance(headers, Mapping), client, headers=headers, expected="a dict of str")
    _refuse_unless(is_tls, client, tls=tls, expected="a Tls or an ssl.SSLContext")


def _refuse_unless(fits: object, client: str, *, expected: str, **said: object) -> None:
    """Names the type only: what was said may be a secret."""
    [(word, value)] = said.items()
    if value is not None and not fits:
        kind = type(value).__name__
        raise ConfigError(f"client {client!r}: {word}= was given {kind}; expected {expected}")
