"""A transaction is a list of steps; each, once done, says how it is undone."""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn, Self

from isthmus.errors import ConfigError, UnsupportedError

__all__ = ["MemoryTransaction", "Step", "Undo", "nothing", "undo_all"]

Undo = Callable[[], None]
Step = Callable[[], Undo]


def nothing() -> None:
    """Undo what changed nothing."""


def undo_all(done: Sequence[Undo]) -> None:
    """Undo, the last first."""
    for undo in reversed(done):
        undo()


class MemoryTransaction:
    def __init__(self, scope: str, *, require_open: Callable[[], None]) -> None:
        self._scope = scope
        self._require_engine = require_open
        self._ended = False
        self._checks: list[Callable[[], None]] = []
        self._steps: list[Step] = []

    @property
    def scope(self) -> str:
        return self._scope

    def stage(self, step: Step) -> None:
        self._steps.append(step)

    def check(self, check: Callable[[], None]) -> None:
        """Run `check` before all steps: what was read knew nothing of them."""
        self._checks.append(check)

    def require_unchanged(self) -> None:
        """Raises: ConflictError: What was read is so no longer."""
        for check in self._checks:
            check()

    def require_open(self) -> None:
        if self._ended:
            raise ConfigError("the transaction has ended; does a task outlive its handler?")
        self._require_engine()

    async def execute(self, sql: str, /, **_: Any) -> int:
        self._refuse(sql)

    async def execute_many(self, sql: str, _: Sequence[Mapping[str, Any]], /) -> int:
        self._refuse(sql)

    async def defer(self, sql: str, /, **_: Any) -> None:
        self._refuse(sql)

    async def fetch(self, sql: str, /, **_: Any) -> Sequence[Any]:
        self._refuse(sql)

    def _refuse(self, sql: str) -> NoReturn:
        self.require_open()
        raise UnsupportedError(f"memory:// runs no SQL ({sql[:40]!r}); sqlite:///file.db does")

    async def commit(self) -> None:
        self.require_open()
        self._ended = True
        if self._steps:  # what only read was true when it read
            self.require_unchanged()
            self._apply()

    def _apply(self) -> None:
        done: list[Undo] = []
        try:
            for step in self._steps:
                done.append(step())  # noqa: PERF401  # what is done is undone if the next one raises
        except BaseException:
            undo_all(done)
            raise

    async def rollback(self) -> None:
        self._ended = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._ended:
            return
        await (self.commit() if kind is None else self.rollback())
