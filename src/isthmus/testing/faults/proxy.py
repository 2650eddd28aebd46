"""A TCP proxy on loopback, and what is wrong with its network.

Source: Toxiproxy (Shopify), whose toxics these faults resemble.
"""

import asyncio
import contextlib
import random
import socket
from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Self

from isthmus.clock import Clock, MonotonicClock
from isthmus.errors import ConfigError
from isthmus.testing.faults.connection import LINGER_NOT, Connection
from isthmus.testing.faults.fault import NetworkFault

__all__ = ["FaultProxy"]

HERE = "127.0.0.1"
BACKLOG = 1024
"""Connections that may wait to be accepted."""


class FaultProxy:
    """Stands between a client and the server at `host` and `port`, for any protocol over TCP.

        async with FaultProxy("127.0.0.1", 5432) as proxy:
            client = connect(port=proxy.port)
            with proxy.suffering(Latency(0.2)):
                ...

    Faults befall each connection in the order in which they were added, and can be changed
    at any time. What they draw depends on `seed`, on the number of the connection, and on
    its bytes. It holds half a MiB for each connection at most.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *faults: NetworkFault,
        seed: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self._upstream, self._seed, self._clock = (host, port), seed, clock or MonotonicClock()
        self._faults: dict[NetworkFault, _Share] = {}
        self._added = 0
        self._connections: dict[Connection, int] = {}
        self._tasks = set[asyncio.Task[None]]()
        self._listener: socket.socket | None = None
        self._listening = False
        self._stirred = asyncio.Event()
        self.connections = 0
        """How many were made, ever."""
        self.bytes = {"up": 0, "down": 0}
        """How many reached the server ("up") and the clients ("down"), ever."""
        self.add(*faults)

    async def __aenter__(self) -> Self:
        with _bound(0) as free:
            self._listener = _bound(free.getsockname()[1])
        self._settle()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every connection, by an RST."""
        assert self._listener is not None
        self._stop_listening(self._listener)
        for connection in self._connections:
            connection.reset()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._listener.close()
        self._listener = None

    # -- where it stands ----------------------------------------------------------------------

    @property
    def port(self) -> int:
        """Raises ConfigError before it was entered."""
        if self._listener is None:
            raise ConfigError("a FaultProxy has its port inside of `async with proxy:`")
        return self._listener.getsockname()[1]

    @property
    def address(self) -> str:
        """As "127.0.0.1:40001"."""
        return f"{HERE}:{self.port}"

    @property
    def url(self) -> str:
        """As "http://127.0.0.1:40001"."""
        return f"http://{self.address}"

    # -- what is wrong ------------------------------------------------------------------------

    @property
    def faults(self) -> Sequence[NetworkFault]:
        """Those in force, as they were added."""
        return list(self._faults)

    def add(self, *faults: NetworkFault) -> None:
        """Put them in force, for connections that are open, too, unless their number is given.

        Raises:
            ConfigError: One is in force already.
        """
        for fault in faults:
            if fault in self._faults:
                raise ConfigError(f"this {type(fault).__name__} is in force already; make another")
            self._added += 1
            self._faults[fault] = share = _Share(fault, f"{self._seed}/{self._added}")
            for connection, number in self._connections.items():
                if fault.connections is None and share.takes(number):
                    connection.suffer(fault)
        self._settle()

    def remove(self, *faults: NetworkFault) -> None:
        """End them; whoever is not in force is passed over."""
        for fault in faults:
            self._faults.pop(fault, None)
            for connection in self._connections:
                connection.heal(fault)
        self._settle()

    def clear(self) -> None:
        """End all of them."""
        self.remove(*self._faults)

    @contextlib.contextmanager
    def suffering(self, *faults: NetworkFault) -> Generator[None]:
        """Have them in force inside of the block."""
        self.add(*faults)
        try:
            yield
        finally:
            self.remove(*faults)

    # -- what happens -------------------------------------------------------------------------

    @property
    def open(self) -> int:
        """How many connections stand now."""
        return len(self._connections)

    async def until(
        self, condition: Callable[["FaultProxy"], bool], *, within: float = 5.0
    ) -> None:
        """Wait until `condition(proxy)` holds, as `lambda proxy: proxy.open == 0`.

        Raises:
            TimeoutError: It does not, `within` seconds.
        """
        async with asyncio.timeout(within):
            while not condition(self):
                self._stirred.clear()
                await self._stirred.wait()

    # -- inside -------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Listen, or do not: a socket that is bound and does not listen keeps its port, and
        refuses whoever knocks."""
        refuses = any(fault.refuses for fault in self._faults)
        if self._listener is None or refuses != self._listening:
            return
        if refuses:
            self._stop_listening(self._listener)
        else:
            self._listener.listen(BACKLOG)
            asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)
            self._listening = True

    def _stop_listening(self, listener: socket.socket) -> None:
        if self._listening:
            asyncio.get_running_loop().remove_reader(listener)
            listener.shutdown(socket.SHUT_RD)
            self._listening = False

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while True:
                client, _ = listener.accept()
                self.connections += 1
                task = asyncio.create_task(self._serve(client, self.connections))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: socket.socket, number: int) -> None:
        """Carry one connection; reset it if the server is not there."""
        with client, socket.socket(_family(self._upstream[0])) as server:
            for side in (client, server):
                side.setblocking(False)
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await asyncio.get_running_loop().sock_connect(server, self._upstream)
            except OSError:
                return client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
            seed = f"{self._seed}/{number}"
            await self._carry(
                Connection(client, server, seed=seed, clock=self._clock, note=self._note), number
            )

    async def _carry(self, connection: Connection, number: int) -> None:
        self._connections[connection] = number
        self._stirred.set()
        for fault, share in self._faults.items():
            if share.takes(number):
                connection.suffer(fault)
        try:
            await connection.run()
        finally:
            del self._connections[connection]
            self._stirred.set()

    def _note(self, way: str, size: int) -> None:
        self.bytes[way] += size
        self._stirred.set()


class _Share:
    """Which connections a fault befalls."""

    def __init__(self, fault: NetworkFault, seed: str) -> None:
        self._left, self._share, self._seed = fault.connections, fault.share, seed

    def takes(self, number: int) -> bool:
        """Decide for one connection, which is asked for once."""
        if self._left == 0 or random.Random(f"{self._seed}/{number}").random() >= self._share:
            return False
        if self._left is not None:
            self._left -= 1
        return True


def _bound(port: int) -> socket.socket:
    """Return a socket that keeps `port` also while it does not listen, unless that is 0."""
    listener = socket.socket()
    listener.setblocking(False)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HERE, port))
    return listener


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
