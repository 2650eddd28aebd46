"""How far a saga is: its history, folded."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from msgspec.structs import replace

from isthmus.errors import CorruptedError
from isthmus.sagas.events import (
    Begun,
    Came,
    ChildEnded,
    ChildStarted,
    Compensating,
    Done,
    Ended,
    Event,
    Expired,
    Failed,
    Patched,
    Received,
    Resumed,
    Started,
    Stuck,
    Tried,
    UndoAsked,
    Undone,
    UndoTried,
    Until,
    Waiting,
    Woken,
)

__all__ = ["Asked", "Course", "Outcome"]

Outcome = Done | Failed | Woken | Received | Expired | ChildEnded
"""How something that a saga asked for came out."""


class Asked(NamedTuple):
    """What the function asked for at one position."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}" if self.name else self.kind


class Course:
    """What a history says."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.events: list[Event] = []
        self._started: Started | None = None
        self.asked: dict[str, Asked] = {}
        """By position."""
        self.outcomes: dict[str, Outcome] = {}
        self.tries: dict[str, Tried] = {}
        self.begun: set[str] = set()
        self.effects: list[str] = []
        """Positions of steps that had an effect, or may have had one, in their order."""
        self.until: dict[str, Until] = {}
        self.waiting: dict[str, Waiting] = {}
        self.children: dict[str, ChildStarted] = {}
        self.came: list[Came] = []
        """Events that nobody has received yet."""
        self.patches: set[str] = set()
        self.compensating: Compensating | None = None
        self.undone: set[str] = set()
        self.undo_asked: set[str] = set()
        self.undo_tries: dict[str, UndoTried] = {}
        self.stuck: Stuck | None = None
        self.ended: Ended | None = None
        for event in events:
            self.add(event)

    @property
    def started(self) -> Started:
        """Raises CorruptedError if the history has no beginning."""
        if self._started is None:
            raise CorruptedError("a saga's history has no beginning")
        return self._started

    @property
    def status(self) -> str:
        """One of Status."""
        if self.ended is not None:
            return self.ended.status
        if self.stuck is not None:
            return "stuck"
        return "running" if self.compensating is None else "compensating"

    @property
    def rests(self) -> bool:
        """Whether it goes on only if somebody says so."""
        return self.ended is not None or self.stuck is not None

    def add(self, event: Event) -> None:
        self.events.append(event)
        getattr(self, _SAYS[type(event)])(event)

    # --- what each says ---------------------------------------------------------------------

    def _start(self, event: Started) -> None:
        self._started = event

    def _begin(self, event: Begun) -> None:
        self._ask("step", event)
        self.begun.add(event.position)
        self._affect(event.position)

    def _done(self, event: Done) -> None:
        position = event.position
        self.asked[position] = Asked("step", event.name)
        if position not in self.effects:
            self.effects.append(position)
        self.outcomes[position] = event

    def _try(self, event: Tried) -> None:
        self._ask("step", event)
        self.tries[event.position] = event

    def _fail(self, event: Failed) -> None:
        self._ask("step", event)
        self.outcomes[event.position] = event
        if event.happened:
            self._affect(event.position)
        elif event.position in self.effects:
            self.effects.remove(event.position)

    def _sleep(self, event: Until) -> None:
        self._ask("sleep", event)
        self.until[event.position] = event

    def _wait(self, event: Waiting) -> None:
        self._ask("wait_for", event)
        self.waiting[event.position] = event

    def _receive(self, event: Received) -> None:
        self._settle("wait_for", event)
        self.came = [each for each in self.came if each.id != event.id]

    def _wake(self, event: Woken) -> None:
        self._settle("sleep", event)

    def _expire(self, event: Expired) -> None:
        self._settle("wait_for", event)

    def _bear(self, event: ChildStarted) -> None:
        self._ask("child", event)
        self.children[event.position] = event
        self._affect(event.position)

    def _child_ended(self, event: ChildEnded) -> None:
        self._settle("child", event)

    def _come(self, event: Came) -> None:
        self.came.append(event)

    def _patch(self, event: Patched) -> None:
        self.patches.add(event.name)

    def _compensate(self, event: Compensating) -> None:
        self.compensating, self.ended = event, None

    def _undo(self, event: Undone) -> None:
        self.undone.add(event.position)

    def _undo_ask(self, event: UndoAsked) -> None:
        self.undo_asked.add(event.position)

    def _undo_try(self, event: UndoTried) -> None:
        self.undo_tries[event.position] = event

    def _stick(self, event: Stuck) -> None:
        self.stuck = event

    def _resume(self, event: Resumed) -> None:
        self.stuck, self.undo_tries = None, {}
        for position, tried in self.tries.items():
            self.tries[position] = replace(tried, again_at=event.at)
        self.undo_asked.clear()

    def _end(self, event: Ended) -> None:
        self.ended = event

    def _ask(self, kind: str, event: Any) -> None:
        self.asked[event.position] = Asked(kind, event.name)

    def _settle(self, kind: str, event: Any) -> None:
        self._ask(kind, event)
        self.outcomes[event.position] = event

    def _affect(self, position: str) -> None:
        if position not in self.effects:
            self.effects.append(position)


_SAYS: dict[type[Event], str] = {
    Started: "_start",
    Begun: "_begin",
    Done: "_done",
    Tried: "_try",
    Failed: "_fail",
    Until: "_sleep",
    Woken: "_wake",
    Waiting: "_wait",
    Received: "_receive",
    Expired: "_expire",
    ChildStarted: "_bear",
    ChildEnded: "_child_ended",
    Came: "_come",
    Patched: "_patch",
    Compensating: "_compensate",
    Undone: "_undo",
    UndoAsked: "_undo_ask",
    UndoTried: "_undo_try",
    Stuck: "_stick",
    Resumed: "_resume",
    Ended: "_end",
}
