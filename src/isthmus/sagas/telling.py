"""A history, as it is told to a person."""

from collections.abc import Iterator
from typing import cast

from isthmus.sagas.course import Course
from isthmus.sagas.events import Done
from isthmus.sagas.status import SagaStatus, Status

__all__ = ["status_of"]


def status_of(name: str, id: str, course: Course) -> SagaStatus:
    """Return what a saga's history says of it."""
    going = course.status == "running"
    return SagaStatus(
        name=name,
        id=id,
        version=course.started.version,
        status=cast("Status", course.status),
        started_at=course.started.at,
        changed_at=course.events[-1].at,
        steps=sum(isinstance(each, Done) for each in course.outcomes.values()),
        waits_for=tuple(_waits(course)) if going else (),
        reason=course.stuck.reason if course.stuck else "",
        error=_error(course),
    )


def _error(course: Course) -> str:
    if course.stuck is not None and course.ended is None:
        return course.stuck.detail
    return "" if course.compensating is None else course.compensating.why


def _waits(course: Course) -> Iterator[str]:
    for position, asked in course.asked.items():
        if position in course.outcomes:
            continue
        if position in course.tries:
            tried = course.tries[position]
            yield f"attempt {tried.attempt + 1} at step {asked.name!r}, after: {tried.error}"
        else:
            yield str(asked)
