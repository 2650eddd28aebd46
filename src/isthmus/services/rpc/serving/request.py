"""What a call brings along, and who it comes from."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from isthmus.clock import Clock
from isthmus.deadline import in_force
from isthmus.handling.calling.inject import Call
from isthmus.handling.carried import trace
from isthmus.handling.host import Host
from isthmus.message import CAUSATION, CORRELATION, TRACEPARENT, TRACESTATE, new_id
from isthmus.resilience.errors import DeadlinePassedError
from isthmus.services.layers.request_id import CORRELATION_ID, request_id, sane_id

__all__ = ["REQUEST_ID", "Metadata", "Peer", "RpcCall", "begin"]

REQUEST_ID = "x-request-id"
_WANTED = frozenset((REQUEST_ID, CORRELATION_ID, TRACEPARENT, TRACESTATE))


class Metadata(dict[str, str | bytes]):
    """What a call brought along, by name in small letters; bytes where a name ends in -bin."""


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls."""

    address: str
    """As gRPC tells it: "ipv4:10.0.0.7:52812"."""
    names: Sequence[str] = ()
    """Of its certificate: alternative names, else the common name. Empty without mTLS."""
    certificate: bytes = b""
    """In PEM; empty without mTLS."""


class RpcCall(Call):
    """One call of a method, from which arguments are taken."""

    def __init__(self, host: Host, context: Any, request: Any) -> None:
        self.context, self.request = context, request
        self.metadata = Metadata(context.invocation_metadata() or ())
        texts = {name: each for name, each in self.metadata.items() if isinstance(each, str)}
        super().__init__(host, texts)

    @property
    def peer(self) -> Peer:
        proven: Mapping[str, Any] = self.context.auth_context()
        names = proven.get("x509_subject_alternative_name") or proven.get("x509_common_name") or ()
        return Peer(
            address=self.context.peer(),
            names=tuple(each.decode() for each in names),
            certificate=next(iter(proven.get("x509_pem_cert", ())), b""),
        )


def begin(context: Any, clock: Clock) -> None:
    """Put in force what a call brings along, for the task that serves it: its id, trace,
    correlation and deadline.

    Raises:
        DeadlinePassedError: The answer would be worth nothing any more.
    """
    told = {name: value for name, value in context.invocation_metadata() if name in _WANTED}
    chosen = sane_id(told.pop(REQUEST_ID)) if REQUEST_ID in told else ""
    chosen = chosen or new_id()
    request_id.set(chosen)
    trace.set(partial(_brought, chosen, told))
    left = context.time_remaining()
    if left is not None:
        if left <= 0:
            raise DeadlinePassedError("the deadline was over when the call came")
        now = clock.now
        in_force.set((now() + left, now, True))


def _brought(chosen: str, told: dict[str, str]) -> Mapping[str, str]:
    context = dict(told)
    correlation = sane_id(context.pop(CORRELATION_ID, "")) or chosen
    return {**context, CORRELATION: correlation, CAUSATION: chosen}
