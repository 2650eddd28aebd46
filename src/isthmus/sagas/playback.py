"""A saga's function, played against its history up to what is not recorded yet.

It is driven by hand, without a loop: whatever it awaits is an Operation of ours. What is recorded
is answered at once; the rest is the frontier. Nothing here has an effect, so that it serves to go
on with a saga, to answer a query, to compensate, and to check a history against changed code.
"""

from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import suppress
from functools import cached_property
from random import Random
from typing import Any

from isthmus.errors import ConfigError
from isthmus.sagas.course import Asked, Course, Outcome
from isthmus.sagas.errors import Compensate, NotDeterministicError, SagaCompensatedError
from isthmus.sagas.events import Event, Patched
from isthmus.sagas.operation import Gather, Operation, Step

__all__ = ["Branch", "Playback"]

Function = Callable[[], Coroutine[Any, Any, Any]]


_MEANT = (Compensate, SagaCompensatedError)
"""Errors by which a saga ends; any other is a fault that tells more than where it happened."""


class _AstrayError(BaseException):
    """Ends a function that left the way that its history went; it must not be caught."""


class Branch:
    """One line of the function: the main one, or one of several that are gathered."""

    def __init__(
        self, path: str, coroutine: Coroutine[Any, Any, Any], at: float, within: Gather | None
    ) -> None:
        self.path, self.coroutine, self.at, self.within = path, coroutine, at, within
        self.count = 0
        self.waits: Operation | None = None
        self.begun = self.ended = self.closed = False
        self.value: Any = None
        self.error: BaseException | None = None
        self.chance: Random | None = None


class Playback:
    """One playing of a function."""

    def __init__(self, key: str, course: Course, function: Function) -> None:
        self.key, self.course = key, course
        self.steps: dict[str, Operation] = {}
        """Every step and child that was asked for, by position."""
        self.marks: list[Event] = []
        """What the function did that has to be recorded with the next commit."""
        self.busy: set[str] = set()
        """Positions that are being worked on: their outcome is awaited before a branch beside
        them fails the others."""
        self.fault: Exception | None = None
        """Why it cannot be played."""
        self.main = Branch("", function(), course.started.at, None)
        self._branches = [self.main]
        self._within: dict[Gather, list[Branch]] = {}
        self._now: Branch | None = None
        self._patches: dict[str, bool] = {}
        self._asked: set[str] = set()
        self._recorded = tuple(course.asked)
        self._closing = False

    @cached_property
    def _last(self) -> dict[str, int]:
        """The highest number that each branch has a record of, by its path."""
        return _last_recorded(self._recorded)

    @property
    def ended(self) -> bool:
        return self.main.ended

    @property
    def branch(self) -> Branch:
        """The one that runs now.

        Raises:
            ConfigError: None does.
        """
        if self._now is None:
            raise ConfigError("saga.step and its like are awaited in the saga's own function only")
        return self._now

    # --- playing ----------------------------------------------------------------------------

    def advance(self) -> None:
        """Play as far as outcomes are known."""
        while self.fault is None and self._advance_once():
            pass
        meant = self.main.error is None or isinstance(self.main.error, _MEANT)
        if self.fault is None and self.ended and meant:
            self._require_whole()

    def frontier(self) -> Iterator[Operation]:
        """What is asked for and has no outcome yet; nothing new beside a branch that failed."""
        for branch in self._branches:
            operation = branch.waits
            if operation is None or isinstance(operation, Gather):
                continue
            alone = branch.within is None
            if alone or operation.position in self.busy or not self._is_failing(branch):
                yield operation

    def _is_failing(self, branch: Branch) -> bool:
        """Whether a branch beside this one, or beside one that it is part of, has failed."""
        gather = branch.within
        while gather is not None:
            if any(each.error is not None for each in self._within[gather]):
                return True
            outer = next((each for each in self._branches if each.waits is gather), None)
            gather = None if outer is None else outer.within
        return False

    def close(self) -> None:
        """End the function where it is; nothing that it still asks for is heeded."""
        self._closing = True
        for branch in reversed(self._branches):
            self._close(branch)

    def _advance_once(self) -> bool:
        moved = False
        for branch in list(self._branches):
            if branch.ended or branch.closed:
                continue
            if not branch.begun:
                branch.begun = moved = True
                self._resume(branch, None)
            elif isinstance(branch.waits, Gather):
                moved = self._gathered(branch, branch.waits) or moved
            elif branch.waits is not None:
                outcome = self.course.outcomes.get(branch.waits.position)
                if outcome is not None:
                    moved = True
                    self._resume(branch, outcome)
            if self.fault is not None:
                return False
        return moved or self._give_up()

    def _resume(self, branch: Branch, answer: Any, *, error: BaseException | None = None) -> None:
        if isinstance(answer, Outcome):
            branch.at = max(branch.at, answer.at)
        before, self._now, branch.waits = self._now, branch, None
        try:
            if error is None:
                asked = branch.coroutine.send(answer)
            else:
                asked = branch.coroutine.throw(error)
        except StopIteration as end:
            branch.ended, branch.value = True, end.value
        except _AstrayError:
            branch.ended = True
        except Exception as failure:  # noqa: BLE001 - who plays judges it
            branch.ended, branch.error = True, failure
        else:
            self._park(branch, asked)
        finally:
            self._now = before

    def _park(self, branch: Branch, asked: object) -> None:
        if not isinstance(asked, Operation) or asked.playback is not self:
            self.fault = ConfigError(
                f"saga {self.key!r} awaits {asked!r}, which no history can tell; do it in a step: "
                "await saga.step(...), and sleep by saga.sleep(...)"
            )
            return
        branch.waits = asked
        if isinstance(asked, Gather):
            self._within[asked] = [
                Branch(f"{asked.position}.{index}.", coroutine, branch.at, asked)
                for index, coroutine in enumerate(asked.coroutines)
            ]
            self._branches += self._within[asked]

    def _gathered(self, branch: Branch, gather: Gather) -> bool:
        """Go on once all of its branches have ended well."""
        if any(not each.ended or each.error is not None for each in self._within[gather]):
            return False
        branch.at = max([branch.at, *(each.at for each in self._within[gather])])
        self._drop(gather)
        self._resume(branch, [each.value for each in self._within[gather]])
        return True

    def _give_up(self) -> bool:
        """Where nothing moves: fail a gathering of which one branch failed, the innermost first."""
        for branch in reversed(self._branches):
            gather = branch.waits
            if not isinstance(gather, Gather):
                continue
            failed = [each for each in self._within[gather] if each.error is not None]
            if failed and not self._is_busy(gather):
                branch.at = max([branch.at, *(each.at for each in self._within[gather])])
                self._drop(gather)
                self._resume(branch, None, error=failed[0].error)
                return True
        return False

    def _is_busy(self, gather: Gather) -> bool:
        return any(each.startswith(f"{gather.position}.") for each in self.busy)

    def _drop(self, gather: Gather) -> None:
        prefix = f"{gather.position}."
        for each in [each for each in self._branches if each.path.startswith(prefix)]:
            self._branches.remove(each)
            self._close(each)

    def _close(self, branch: Branch) -> None:
        if branch.ended:
            return
        branch.closed = True
        before, self._closing = self._closing, True
        with suppress(BaseException):
            branch.coroutine.close()
        self._closing = before

    def _require_whole(self) -> None:
        left = self.course.asked.keys() - self._asked
        if left:
            position = min(left)
            self.fault = NotDeterministicError(
                position, expected=str(self.course.asked[position]), found="its end"
            )

    # --- what the function asks -------------------------------------------------------------

    def position(self, kind: str, name: str) -> str:
        """Return where the running branch is, one further than before, and look whether the
        history has there what is asked for."""
        if self._closing:
            raise GeneratorExit
        branch = self.branch
        branch.count += 1
        position = f"{branch.path}{branch.count}"
        self._asked.add(position)
        asked, recorded = Asked(kind, name), self.course.asked.get(position)
        if recorded is not None and recorded != asked:
            self.fault = NotDeterministicError(position, expected=str(recorded), found=str(asked))
            raise _AstrayError
        return position

    def outcome_of(self, operation: Operation) -> Outcome | None:
        """Return what is recorded of it; None if nothing is."""
        if isinstance(operation, Step) or operation.kind == "child":
            self.steps[operation.position] = operation
        outcome = self.course.outcomes.get(operation.position)
        if outcome is not None:
            self.branch.at = max(self.branch.at, outcome.at)
        return outcome

    def patched(self, name: str) -> bool:
        """Return whether the function, here, goes the new way; it is recorded if it does."""
        if name not in self._patches:
            branch = self.branch
            new = name in self.course.patches or branch.count >= self._last.get(branch.path, 0)
            self._patches[name] = new
            if new and name not in self.course.patches:
                self.marks.append(Patched(branch.at, name))
        return self._patches[name]

    def chance(self) -> Random:
        """Return randomness that is the same whenever this is played."""
        branch = self.branch
        if branch.chance is None:
            branch.chance = Random(f"{self.key}/{branch.path}")
        return branch.chance


def _last_recorded(positions: Collection[str]) -> dict[str, int]:
    """Return the highest number that each branch has a record of, by its path."""
    last = dict[str, int]()
    for position in positions:
        parts = position.split(".")
        for index in range(0, len(parts), 2):
            path = "".join(f"{part}." for part in parts[:index])
            last[path] = max(last.get(path, 0), int(parts[index]))
    return last
