"""The processes of the demonstration, on loopback, ended by their own ids."""

import asyncio
import os
import random
import signal
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

HERE = Path(__file__).parent
WORKERS = 3


class Shop:
    """The shop in three worker processes, and the payment and mail services."""

    def __init__(self, folder: Path) -> None:
        payments, mail, shop = free_ports(3)
        self.payments, self.mail = (f"http://127.0.0.1:{port}/" for port in (payments, mail))
        self.url = f"http://127.0.0.1:{shop}/v1/orders"
        self.engine = f"sqlite:///{folder / 'shop.db'}"
        self.log = folder / "shop.log"
        self._ports = (payments, mail, shop)
        self._processes: list[asyncio.subprocess.Process] = []
        self._draw = random.Random(3)
        self.killed: list[int] = []

    async def __aenter__(self) -> Self:
        payments, mail, shop = self._ports
        await self._start("recorder.py", str(payments))
        await self._start("recorder.py", str(mail))
        await self._start(
            "-m", "isthmus", "run", "shop:app", "--workers", str(WORKERS), "--port", str(shop)
        )
        for url in (self.payments, self.mail, f"http://127.0.0.1:{shop}/readyz"):
            await self._until_it_answers(url)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in reversed(self._processes):
            if process.returncode is None:
                process.terminate()
                await process.wait()

    async def ended(self) -> None:
        """Wait until the shop's process ends."""
        await self._processes[-1].wait()

    def kill_a_worker(self) -> int:
        """Kill one of the worker processes with SIGKILL; return its pid. The
        supervisor starts another in its place."""
        pid = self._draw.choice(self.workers())
        os.kill(pid, signal.SIGKILL)
        self.killed.append(pid)
        return pid

    def workers(self) -> list[int]:
        """Return the pids of the worker processes."""
        supervisor = self._processes[-1].pid
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text("ascii")
        return [int(pid) for pid in children.split() if _is_worker(int(pid))]

    async def _start(self, *arguments: str) -> None:
        environment = os.environ | {
            "ISTHMUS_ENGINE": self.engine,
            "SHOP_PAYMENTS": self.payments,
            "SHOP_MAIL": self.mail,
        }
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, cwd=HERE, env=environment, stdout=log, stderr=log
            )
        self._processes.append(process)

    async def _until_it_answers(self, url: str) -> None:
        async with aiohttp.ClientSession() as http:
            for _ in range(200):
                if any(process.returncode is not None for process in self._processes):
                    raise RuntimeError(f"a process ended early:\n{self.log.read_text()}")
                try:
                    async with http.get(url) as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.1)
        raise RuntimeError(f"{url} does not answer:\n{self.log.read_text()}")


def _is_worker(pid: int) -> bool:
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    return b"resource_tracker" not in command


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
