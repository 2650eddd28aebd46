"""The policy of an upstream around the sending of its calls."""

from collections.abc import Callable

from isthmus.resilience.policy import Policy
from isthmus.resilience.timeout import Timeout
from isthmus.services.client.call import SAFE, Call
from isthmus.services.client.exchange import Send

__all__ = ["Guard"]

MARGIN = 0.95
"""Most of an attempt's seconds that connecting may take, so that a connection that does not come
about is told as such, and not as a call that may have run."""


class Guard:
    """Binds a policy once for each kind of call: by method, idempotence, and the operations that
    its timeouts know by name."""

    def __init__(self, policy: Policy, sending: Callable[[str], Send]) -> None:
        """`sending` returns what sends a call, under the name that errors tell it by."""
        self.policy = policy
        self._sending = sending
        self._parts: object = None
        self._operations = frozenset[str]()
        self._bound: dict[tuple[str, str, bool], tuple[Send, float | None]] = {}

    def around(self, call: Call) -> Send:
        """Return what sends `call`, guarded; and tell it how long it may take to connect."""
        if self.policy.parts is not self._parts:
            self._look()
        operation = call.operation
        if operation not in self._operations:
            operation = ""
        key = (call.method, operation, call.idempotent)
        found = self._bound.get(key)
        if found is None:
            found = self._bound[key] = self._bind(*key)
        send, call.connect = found
        return send

    def _look(self) -> None:
        """Look at the policy anew: it is another now."""
        self._parts = self.policy.parts
        timeouts = [one for one in self.policy.strategies if isinstance(one, Timeout)]
        self._operations = frozenset(name for one in timeouts for name in one.of)
        self._bound.clear()

    def _bind(self, method: str, operation: str, idempotent: bool) -> tuple[Send, float | None]:  # noqa: FBT001
        kind = "read" if method in SAFE else "write"
        policy = self.policy.with_(idempotent=idempotent).for_(operation, kind)
        sent = self._sending(operation or method)
        return policy(sent), _connect_within(policy)


def _connect_within(policy: Policy) -> float | None:
    """Return the seconds to get a connection, as the innermost of its timeouts says."""
    for strategy in reversed(policy.strategies):
        if isinstance(strategy, Timeout):
            return min(strategy.connect, strategy.request * MARGIN)
    return None
