"""What crosses a boundary: bytes, with the attributes of CloudEvents 1.0.

Source: CloudEvents 1.0.2 (required: id, source, type, specversion; optional:
time, subject, dataschema, datacontenttype; extensions: partitioning as `key`,
expirytime as `expires_at`, distributed tracing and correlation as headers).
"""

import itertools
import os
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

import msgspec

__all__ = ["CAUSATION", "CORRELATION", "TRACEPARENT", "TRACESTATE", "Message", "new_id"]

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
"""Headers of W3C Trace Context; carried on, never changed."""
CORRELATION, CAUSATION = "correlationid", "causationid"
"""Headers by which one message follows from another; carried on from what is handled."""


class _Ids:
    """Ids nobody else makes: a random prefix of this process, and a counter."""

    def __init__(self) -> None:
        self.renew()
        os.register_at_fork(after_in_child=self.renew)

    def renew(self, prefix: str = "") -> None:
        """Begin anew: after a fork; or with a `prefix` that makes the ids foreseeable."""
        self._prefix, self._count = prefix or os.urandom(10).hex(), itertools.count()

    def __call__(self) -> str:
        return f"{self._prefix}{next(self._count):08x}"


new_id = _Ids()
"""Return a new message id: 28 or more hex digits, ascending within a process."""


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """One message, immutable. Equal ids are one message, however often sent.

    Encoded by msgspec it is an array in this order, as engines keep it: a new field
    goes to the end, with a default.
    """

    body: bytes = b""
    id: str = msgspec.field(default_factory=new_id)
    type: str = ""
    """What happened or is asked for, as "shop.order"; the schema's name if it has one."""
    source: str = ""
    """Who says so: the App's name, or the URI of a foreign producer."""
    subject: str = ""
    time: float = 0.0
    """When it was made, Unix seconds; 0 if unknown."""
    dataschema: str = ""
    """Name and version of the payload, "schema:shop.order/2"; "" if it has none."""
    datacontenttype: str = "application/json"
    key: str = ""
    """What keeps its order with others of the same key; "" has none."""
    priority: int = 0
    """-9 to 9, higher is handed out first; where the engine has priorities."""
    expires_at: float = 0.0
    """Worthless after this moment; 0 is never. Judged by the consumer, not the engine."""
    headers: Mapping[str, str] = {}

    @property
    def correlation_id(self) -> str:
        """What it belongs to, with all that followed from one beginning: the id of that, which
        is its own if nothing came before."""
        return self.headers.get(CORRELATION) or self.id

    @property
    def causation_id(self) -> str:
        """The id of the message or request in whose handling it was made; "" if in none."""
        return self.headers.get(CAUSATION, "")

    def with_headers(self, headers: Mapping[str, str]) -> "Message":
        """Return a copy with `headers` merged over the ones it has."""
        return msgspec.structs.replace(self, headers={**self.headers, **headers})

    def without_headers(self, names: Collection[str]) -> "Message":
        """Return a copy that lacks the headers called `names`."""
        kept = {name: value for name, value in self.headers.items() if name not in names}
        return msgspec.structs.replace(self, headers=kept)

    def cloudevent(self) -> dict[str, str]:
        """Return the context attributes by their CloudEvents names, without the data.

        A header that is named as an attribute gives way to it.
        """
        named = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source or "/",
            "type": self.type or "message",
            "subject": self.subject,
            "time": _rfc3339(self.time),
            "dataschema": self.dataschema,
            "datacontenttype": self.datacontenttype,
            "partitionkey": self.key,
            "expirytime": _rfc3339(self.expires_at),
        }
        return {**self.headers, **{name: value for name, value in named.items() if value}}


def _rfc3339(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z") if moment else ""
