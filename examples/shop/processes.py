"""The processes of the demonstrations, on loopback, ended by their own ids."""

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
from diary import Diary

HERE = Path(__file__).parent
WORKERS = 3
PATIENCE = 600
"""How often a process is asked whether it is ready, 0.1 s apart."""


class Processes:
    """Some processes, of which the last is the supervisor of workers."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "processes.log"
        self._processes: list[asyncio.subprocess.Process] = []
        self._draw = random.Random(3)
        self.killed: list[int] = []

    @property
    def environment(self) -> dict[str, str]:
        """What the place says."""
        raise NotImplementedError

    async def _start_all(self) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        try:
            await self._start_all()
        except BaseException:
            await self._end_all()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end_all()

    async def _end_all(self) -> None:
        for process in reversed(self._processes):
            if process.returncode is None:
                process.terminate()
                await process.wait()

    async def ended(self) -> None:
        """Wait until the supervisor ends."""
        await self._processes[-1].wait()

    def kill_a_worker(self) -> int:
        """Kill one of the worker processes with SIGKILL; return its pid. The
        supervisor starts another in its place."""
        pid = self._draw.choice(self.workers())
        self._kill(pid)
        return pid

    def kill_all_workers(self) -> list[int]:
        """Kill them all, as a power cut would."""
        workers = self.workers()
        for pid in workers:
            self._kill(pid)
        return workers

    def _kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self.killed.append(pid)

    def workers(self) -> list[int]:
        """Return the pids of the worker processes."""
        supervisor = self._processes[-1].pid
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text("ascii")
        return [int(pid) for pid in children.split() if _is_worker(int(pid))]

    async def _start(self, *arguments: str) -> None:
        environment = os.environ | self.environment
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, cwd=HERE, env=environment, stdout=log, stderr=log
            )
        self._processes.append(process)

    async def _until_it_answers(self, url: str) -> None:
        async with aiohttp.ClientSession() as http:
            for _ in range(PATIENCE):
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


class Shop(Processes):
    """The shop in three worker processes, and the services outside: payment, mail, courier."""

    def __init__(self, folder: Path, *, provider: str = "stripelike") -> None:
        """`provider`: who charges the cards, "stripelike" or "adyenlike"."""
        super().__init__(folder)
        self.provider = provider
        *outside, shop = self._ports = free_ports(4)
        self.payments, self.mail, self.courier = (f"http://127.0.0.1:{port}" for port in outside)
        self.url = f"http://127.0.0.1:{shop}/v1/orders"
        self.engine = f"sqlite:///{folder / 'shop.db'}"
        self.diary = Diary(folder / "diary.jsonl")

    async def _start_all(self) -> None:
        *outside, shop = self._ports
        for port, service in zip(outside, (self.provider, "provider", "provider"), strict=True):
            await self._start(f"{service}.py", f"{port}")
        await self._start(
            "-m", "isthmus", "run", "watched:app", "--workers", f"{WORKERS}", "--port", f"{shop}"
        )
        ready = f"http://127.0.0.1:{shop}/readyz"
        for url in (self.payments, self.mail, self.courier, ready):
            await self._until_it_answers(url)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "ISTHMUS_ENGINE": self.engine,
            "ISTHMUS_ADAPTER_PAYMENTS": self.provider,
            f"SHOP_{self.provider.upper()}_URL": self.payments,
            f"SHOP_{self.provider.upper()}_KEY": "sk_test_of_the_demonstration",
            "SHOP_MAIL": self.mail,
            "SHOP_COURIER": self.courier,
            "SHOP_DIARY": str(self.diary.path),
        }


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
