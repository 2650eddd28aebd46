"""Whether a saga's function still goes the way that a history went."""

from collections.abc import Sequence

from isthmus.sagas.attempt import is_answer
from isthmus.sagas.course import Course
from isthmus.sagas.errors import NotDeterministicError, SagaCompensatedError
from isthmus.sagas.events import Event
from isthmus.sagas.playback import Playback
from isthmus.sagas.recipe import Recipe

__all__ = ["check"]


def check(recipe: Recipe, key: str, events: Sequence[Event]) -> None:
    """Play `events` against the function; nothing is done.

    Raises:
        NotDeterministicError: It asks for something else than is recorded.
        SchemaError: Something recorded cannot be read any more.
        Exception: What the function raises that the saga did not end by.
    """
    course = Course(events)
    _, playback = recipe.played(key, course)
    try:
        playback.advance()
        if playback.fault is not None:
            raise playback.fault
        _require_same_end(recipe, course, playback)
    finally:
        playback.close()


def _require_same_end(recipe: Recipe, course: Course, playback: Playback) -> None:
    completed = course.ended is not None and course.ended.status == "completed"
    error = playback.main.error
    if error is not None:
        expected = is_answer(error, recipe.options.compensate_on)
        if completed or not (expected or isinstance(error, SagaCompensatedError) or course.stuck):
            raise error
    elif completed and not playback.ended:
        for operation in playback.frontier():
            found = f"{operation.kind} {operation.name!r}"
            raise NotDeterministicError(operation.position, expected="its end", found=found)
