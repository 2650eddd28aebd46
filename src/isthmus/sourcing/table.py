"""A table that a projection writes; readers find it under its name, whichever is live."""

from collections.abc import Sequence

from isthmus.contracts import Transaction
from isthmus.errors import ConfigError
from isthmus.handling.host import Host
from isthmus.handling.unit import repeat
from isthmus.sourcing.bound import Bound, require_sql
from isthmus.sourcing.read_model import ReadModel, identifier

__all__ = ["Table"]


class Table:
    """A read model in SQL.

        balances = Table("balances", "account text primary key, amount integer not null")

        await tx.execute(f"insert into {balances} values (:account, :amount)", ...)

    In the projection's handler it reads as the table of the generation that is built; anywhere
    else as its name, which is a view of the live one: no other program need know of generations.
    """

    def __init__(self, name: str, columns: str, *, indexes: Sequence[str] = ()) -> None:
        """`columns`: what stands in the brackets of CREATE TABLE. `indexes`: the columns of
        each, as ["amount", "city, amount"].

        Raises:
            ConfigError: The name cannot stand in SQL, or there are no columns.
        """
        self.name = identifier(name, what="table")
        if not columns.strip():
            raise ConfigError(f"table {name!r} has no columns; write them as in CREATE TABLE")
        self._columns, self._indexes = columns, tuple(indexes)
        self._bound = Bound(f"table {name!r}")

    def __str__(self) -> str:
        number = self._bound.written
        return self._of(number) if number else self.name

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    @property
    def definition(self) -> str:
        return f"table {self.name} ({' '.join(self._columns.split())}) {self._indexes}"

    def bind(self, host: Host, projection: str) -> None:
        require_sql(host, f"table {self.name!r}", among=("sqlite", "postgresql"))
        self._bound.to(host, projection)

    async def create(self, generation: int, *, tx: Transaction) -> None:
        table = self._of(generation)
        await tx.execute(f"create table {table} ({self._columns})")
        for number, columns in enumerate(self._indexes):
            await tx.execute(f"create index {table}_{number} on {table} ({columns})")

    async def switch(self, generation: int, *, tx: Transaction) -> None:
        await tx.execute(f"drop view if exists {self.name}")
        await tx.execute(f"create view {self.name} as select * from {self._of(generation)}")

    async def clear(self, generation: int, *, host: Host) -> None:
        async def drop(tx: Transaction) -> None:
            await tx.execute(f"drop table if exists {self._of(generation)}")

        await repeat(host.store, drop)

    def _of(self, generation: int) -> str:
        return f"{self.name}_g{generation}"


_: type[ReadModel] = Table
