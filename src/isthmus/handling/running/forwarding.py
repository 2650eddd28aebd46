"""What policies tell, heard by the listeners of an App while it is open."""

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager

from isthmus.resilience import facts
from isthmus.signals import Signal, Signals

__all__ = ["forwarded"]

_leave: dict[Signals, Callable[[], None]] = {}
_open = Counter[Signals]()


@contextmanager
def forwarded(to: Signals) -> Generator[None]:
    """Have what policies of the process tell heard by `to`, each fact once, however many times
    it is open. What was given `to` itself, or another hub, tells it there and nowhere else."""
    if to is facts.signals:
        yield
        return
    if not _open[to]:
        _leave[to] = facts.signals.listen(Signal, to.emit)
    _open[to] += 1
    try:
        yield
    finally:
        _open[to] -= 1
        if not _open[to]:
            del _open[to]
            _leave.pop(to)()
