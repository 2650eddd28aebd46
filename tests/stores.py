"""Where what is tested lies: in memory, in a file, on a server."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path

from tests.outages import Outages
from tests.postgres import Server

__all__ = ["Stores"]

_numbers = count()


class Stores:
    """Gives out the URLs of stores of one kind, each with nothing in it.

    Of one name there is one store, as there is one file.
    """

    def __init__(self, kind: str, folder: Path, server: Server | None = None) -> None:
        self.kind = kind
        self._folder, self._server = folder, server
        self._urls = dict[str, str]()
        self._databases = list[str]()

    def __call__(self, name: str) -> str:
        """Return the URL of the store of that name."""
        if name not in self._urls:
            self._urls[name] = self._made(name)
        return self._urls[name]

    def alone(self, name: str) -> str:
        """Return the URL of one that only one App opens, as which memory is quicker."""
        return "memory://" if self.kind == "memory" else self(name)

    def another(self) -> str:
        """Return the URL of a store that nobody was given before."""
        return self(f"store-{next(_numbers)}")

    @property
    def forgiven(self) -> tuple[int, ...]:
        """How a process may end here: one that begins while its server is away, with 1."""
        return () if self._server is None else (1,)

    @asynccontextmanager
    async def suffering(self, times: int) -> AsyncIterator[Outages]:
        """Kill the server so often while the block lasts, if there is one."""
        async with Outages(self._server, times if self._server else 0) as outages:
            yield outages

    @contextmanager
    def dropped(self) -> Iterator["Stores"]:
        """Drop the databases of a server at the end of the block; folders are the giver's."""
        yield self
        for each in self._databases:
            assert self._server is not None
            self._server.drop(each)

    def _made(self, name: str) -> str:
        if self.kind == "memory":
            return f"memory://{name}-{next(_numbers)}"
        if self.kind == "sqlite":
            return f"sqlite:///{self._folder}/{name}.db?durability=normal"
        assert self._server is not None
        self._databases.append(self._server.create())
        return f"{self._server.url(self._databases[-1])}?pool_size=4"
