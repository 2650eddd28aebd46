"""The user's own tables: forward-only .sql files, each applied once."""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from isthmus.contracts import Transaction
from isthmus.errors import ConfigError, StatementError, UnsupportedError
from isthmus.handling.host import Host
from isthmus.handling.statements import Statement, statements
from isthmus.handling.unit import repeat
from isthmus.signals import Signal

__all__ = ["MigrationApplied", "Migrations"]

_log = logging.getLogger("isthmus.migrations")

TABLE = """create table if not exists isthmus_migrations
    (name text primary key, checksum text not null, applied_at double precision not null)"""

LOCKS = {"postgresql": "select pg_advisory_xact_lock(360120323)"}
"""What lets one process at a time migrate, where a database has many writers."""

OURS = frozenset({"begin", "commit", "end", "rollback", "savepoint", "release"})
"""First words of statements that would break the transaction a migration runs in."""


class MigrationApplied(Signal, frozen=True, kw_only=True):
    """A migration was applied, and that is committed."""

    name: str


class _Migration(NamedTuple):
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self) -> Iterator[Statement]:
        try:
            yield from statements(self.text)
        except ConfigError as error:
            raise ConfigError(f"{self.name}: {error}") from error


class Migrations:
    """The .sql files of one folder, in the order of their names, as 001_orders.sql.

    Each is one transaction with the row that records it in `isthmus_migrations`: all of it
    is applied, or nothing. Many processes may start at once. A file whose row is there but
    which is not in the folder (an older release runs) is passed over.
    """

    def __init__(self, folder: Path | str) -> None:
        self._folder = Path(folder)

    async def apply(self, host: Host) -> None:
        """Apply what is not applied yet.

        Raises:
            ConfigError: An applied file was changed, or a new one comes before it; nothing
                of the folder was applied by this call.
            StatementError: The database refused a statement; the files before are applied.
            UnsupportedError: The store runs no SQL.
        """
        self._require_sql(host)
        files = self._read()

        async def step(tx: Transaction) -> str | None:
            if (lock := LOCKS.get(host.store.capabilities.sql)) is not None:
                await tx.fetch(lock)
            return await self._apply_next(files, tx, now=host.clock.now())

        while (name := await repeat(host.store, step)) is not None:
            _log.info("applied migration %s", name)
            host.signals.emit(MigrationApplied(name=name))

    def _require_sql(self, host: Host) -> None:
        if not host.store.capabilities.sql:
            scope = host.store.capabilities.scope.partition(":")[0]
            raise UnsupportedError(
                f"{self._folder} has migrations, and {scope}:// runs no SQL; "
                "use a store that does: sqlite:///file.db"
            )

    def _read(self) -> Sequence[_Migration]:
        if not self._folder.is_dir():
            raise ConfigError(f"migrations: there is no folder {self._folder}; create it")
        paths = sorted(self._folder.glob("*.sql"), key=lambda path: path.name)
        return [_Migration(path.name, path.read_text("utf-8")) for path in paths]

    async def _apply_next(
        self, files: Sequence[_Migration], tx: Transaction, *, now: float
    ) -> str | None:
        applied = await _applied(tx)
        _refuse_changed(files, applied)
        _refuse_gap(files, applied)
        for file in files:
            if file.name not in applied:
                await _run(file, tx)
                await _record(file, tx, now=now)
                return file.name
        return None


async def _applied(tx: Transaction) -> Mapping[str, str]:
    await tx.execute(TABLE)
    return dict(await tx.fetch("select name, checksum from isthmus_migrations"))


async def _run(file: _Migration, tx: Transaction) -> None:
    for statement in file.statements():
        where = f"{file.name}, line {statement.line}"
        if statement.text.split(None, 1)[0].lower() in OURS:
            raise ConfigError(
                f"{where}: a migration is one transaction already; take out {statement.text[:40]!r}"
            )
        try:
            await tx.execute(statement.text)
        except StatementError as error:
            raise StatementError(f"{where}: {error}, in: {statement.text[:200]}") from error


async def _record(file: _Migration, tx: Transaction, *, now: float) -> None:
    await tx.execute(
        "insert into isthmus_migrations values (:name, :checksum, :now)",
        name=file.name,
        checksum=file.checksum,
        now=now,
    )


def _refuse_changed(files: Sequence[_Migration], applied: Mapping[str, str]) -> None:
    for file in files:
        if applied.get(file.name, file.checksum) != file.checksum:
            raise ConfigError(
                f"{file.name} was applied and has changed since; put it back as it was (or give "
                "it another name, if a second folder has one of this name), and write what is "
                "to change into a new file"
            )


def _refuse_gap(files: Sequence[_Migration], applied: Mapping[str, str]) -> None:
    newest = max((file.name for file in files if file.name in applied), default="")
    for file in files:
        if file.name < newest and file.name not in applied:
            raise ConfigError(
                f"{file.name} is new, but comes before {newest}, which is applied; "
                f"rename it so that it comes after {files[-1].name}"
            )
