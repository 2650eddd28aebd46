"""What a call brings along, and who it comes from."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from isthmus.clock import Clock
from isthmus.deadline import in_force
from isthmus.handling.calling.inject import Call
from isthmus.handling.envelope import trace
from isthmus.handling.host import Host
from isthmus.message import TRACEPARENT, TRACESTATE, new_id
from isthmus.resilience.errors import DeadlinePassedError
from isthmus.services.layers.request_id import request_id

__all__ = ["REQUEST_ID", "Metadata", "Peer", "RpcCall", "begin"]

REQUEST_ID = "x-request-id"
_SANE = re.compile(r"[\w.:/+=@-]{1,128}", re.ASCII)
_WANTED = frozenset((REQUEST_ID, TRACEPARENT, TRACESTATE))


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
    """Put in force what a call brings along, for the task that serves it: its id, trace and
    deadline.

    Raises:
        DeadlinePassedError: The answer would be worth nothing any more.
    """
    chosen = ""
    for name, value in context.invocation_metadata():
        if name in _WANTED:
            if name == REQUEST_ID:
                chosen = value if _SANE.fullmatch(value) else ""
            else:
                trace.set({**trace.get(), name: value})
    request_id.set(chosen or new_id())
    left = context.time_remaining()
    if left is not None:
        if left <= 0:
            raise DeadlinePassedError("the deadline was over when the call came")
        now = clock.now
        in_force.set((now() + left, now, True))
