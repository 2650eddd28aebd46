"""A transaction of ours: a script, played by the writer when it must be."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from isthmus.contracts import Transaction
from isthmus.engines.sqlite.database.connection import Work
from isthmus.engines.sqlite.database.script import DEFERRED, Answer, MergedWork, Script
from isthmus.engines.sqlite.database.statements import Statements
from isthmus.errors import ConfigError, StatementError

__all__ = ["DONE", "Player", "ScriptTransaction"]


class Player(Protocol):
    """Who plays scripts."""

    @property
    def path(self) -> Path: ...

    @property
    def scope(self) -> str: ...

    @property
    def closed(self) -> bool: ...

    def require_open(self) -> None:
        """Raises: UnavailableError: It was closed."""

    def ask(self, script: Script, work: Work[Any], *, reads: bool) -> asyncio.Future[Answer]:
        """Play what was answered, and one line more; leave no trace."""
        ...

    def commit(self, script: Script) -> Awaitable[None]:
        """Play all of it, do what is staged, and keep it."""
        ...

    def forget(self, script: Script) -> None:
        """It ended, and nothing of it is to be kept."""


class ScriptTransaction(Statements):
    """See `isthmus.contracts.store.Transaction` for what, and `Script` for how."""

    def __init__(self, player: Player, *, patient: bool) -> None:
        super().__init__(player.path)
        self.player = player
        """Whose it is."""
        self._script = Script(patient=patient)
        self._then: list[Callable[[], None]] = []
        self._meanwhile: list[Callable[[], None]] = []
        self._asking: asyncio.Future[Answer] | None = None  # a line at a time, whoever asks

    @property
    def scope(self) -> str:
        return self.player.scope

    def stage(self, work: Work[Any]) -> Awaitable[Any]:
        """Do `work` when this commits."""
        return self.stage_merged(lambda at, _: [work(at)], None)

    def stage_merged(self, work: MergedWork, item: Any) -> Awaitable[Any]:
        """Do `item`, together with others', when this commits."""
        script = self._script
        if script.ended or self.player.closed:
            self._open()  # which says so
        script.staged.append((work, item))
        return DONE

    def then(self, call: Callable[[], None]) -> None:
        """Call once this has committed."""
        self._open()
        self._then.append(call)

    def meanwhile(self, call: Callable[[], None]) -> None:
        """Call once its commit was asked for, whatever becomes of it."""
        self._meanwhile.append(call)

    async def ask(self, work: Work[Any], *, reads: bool, ours: bool) -> Any:
        """Answer `work` now, and again, alike, when this commits."""
        if self._asking is not None:
            await self._turn()
        script = self._open()
        self._asking = asking = self.player.ask(script, work, reads=reads)
        try:
            told = await asking
            script.lines.append((work, told))
            script.wrote = script.wrote or not reads
            script.sees_ours = script.sees_ours or ours
        finally:
            self._asking = None
        result, refusal = told
        if refusal is not None:
            raise StatementError(refusal) from refusal.cause
        return result

    async def put_off(self, work: Work[Any], *, ours: bool) -> None:
        if self._asking is not None:
            await self._turn()
        script = self._open()
        script.lines.append((work, DEFERRED))
        script.wrote = True
        script.sees_ours = script.sees_ours or ours

    async def commit(self) -> None:
        if self._asking is not None:
            await self._turn()  # a line that is asked belongs to it
        script = self._open()
        script.ended = True
        if script.changes:
            committing = self.player.commit(script)
            for call in self._meanwhile:
                call()
            await committing
        else:
            self.player.forget(script)
        for call in self._then:
            call()

    async def rollback(self) -> None:
        self._script.ended = True
        self.player.forget(self._script)

    async def _turn(self) -> None:
        """Return once no line is asked."""
        while self._asking is not None:
            await asyncio.wait((self._asking,))
            await asyncio.sleep(0)  # who asked it has the answer first

    def _open(self) -> Script:
        script = self._script
        if script.ended:
            raise ConfigError("the transaction has ended; a task outlived its handler?")
        if self.player.closed:
            self.player.require_open()
        return script

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._script.ended:
            await (self.commit() if kind is None else self.rollback())


class _Done:
    """Awaited, it is None at once."""

    def __await__(self) -> Generator[Any, Any, None]:
        ended: Any = iter(())  # a third of what a generator costs
        return ended


DONE = _Done()

_: type[Transaction] = ScriptTransaction
