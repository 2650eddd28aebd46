"""A saga's history, a line for each thing that happened."""

from collections.abc import Iterator, Sequence
from typing import Any

from isthmus.cli.wording import excerpt, moment
from isthmus.sagas import events
from isthmus.sagas.events import Event

__all__ = ["timeline"]


def timeline(history: Sequence[Event]) -> Iterator[str]:
    """Return the lines, oldest first."""
    for event in history:
        yield f"{moment(event.at)}  {_told(event)}".rstrip()


def _told(event: Any) -> str:
    kind = type(event).__name__
    match event:
        case events.Started():
            return f"started     {excerpt(event.input)}"
        case events.Done():
            return f"{event.position:10}  {event.name} -> {excerpt(event.result)}"
        case events.Begun():
            return f"{event.position:10}  {event.name} begins"
        case events.Tried() | events.UndoTried():
            what = "undo of " if isinstance(event, events.UndoTried) else ""
            tried = f"attempt {event.attempt} at {what}{event.name}: {event.error}"
            return f"{event.position:10}  {tried}; again at {moment(event.again_at)}"
        case events.Failed():
            return f"{event.position:10}  {event.name} failed: {event.error}"
        case events.Undone():
            return f"{event.position:10}  {event.name} is undone"
        case events.UndoAsked():
            return f"{event.position:10}  {event.name} is told to compensate"
        case events.Until():
            return f"{event.position:10}  sleeps until {moment(event.until)}"
        case events.Woken():
            return f"{event.position:10}  wakes"
        case events.Waiting():
            key = f" of {event.key!r}" if event.key else ""
            return f"{event.position:10}  waits for {event.name}{key}"
        case events.Received():
            return f"{event.position:10}  received {event.name} {excerpt(event.body)}"
        case events.Expired():
            return f"{event.position:10}  {event.name} did not come in time"
        case events.ChildStarted():
            return f"{event.position:10}  started {event.name}/{event.id}"
        case events.ChildEnded():
            return f"{event.position:10}  {event.name} {event.status} {event.error}"
        case events.Came():
            return f"{'event':10}  {event.name} {excerpt(event.body)}"
        case events.Compensating():
            return f"{'turns back':10}  {event.cause}: {event.why}"
        case events.Stuck():
            return f"{'stuck':10}  {event.reason}: {event.detail}"
        case events.Ended():
            return f"{event.status:10}  {event.error or excerpt(event.result)}"
        case _:
            return f"{kind.lower():10}  {getattr(event, 'name', '')}"
