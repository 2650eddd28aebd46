"""An app of its own for each test, its processes, and the command in this process."""

import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest
from click.testing import CliRunner, Result

from isthmus.cli import main

APP = """
    import msgspec
    from isthmus import App, Reject, Retry, Transaction

    app = App("shop", engine="sqlite:///shop.db")

    class Order(msgspec.Struct):
        id: str
        total: int

    orders = app.queue("orders", Order)
    accepted = app.topic("order-accepted", Order)
    ledger = app.stream("ledger", Order, key="id", partitions=2)

    @app.post("/orders", status=202)
    async def take(order: Order) -> None:
        await orders.send(order, id=order.id)

    @orders.handler(retry=Retry(attempts=2, delay=0.01), lease=1)
    async def accept(order: Order, tx: Transaction) -> None:
        if order.total < 0:
            raise ValueError("no such total")
        await accepted.publish(order)

    @accepted.subscription("mail")
    async def mail(order: Order) -> None:
        if order.total > 100:
            raise Reject("too much")

    @ledger.group("balances")
    async def post(order: Order) -> None:
        if order.total < 0:
            raise Reject("below zero")

    @app.schedule("nightly", cron="0 3 * * *")
    async def nightly() -> None: ...
"""


@dataclass
class Running:
    """A process of `isthmus`, and the lines that it logs."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list[str])

    def until(self, *wanted: str) -> str:
        """Return the first new line that has all of `wanted` in it."""
        stderr = self.process.stderr
        assert stderr is not None
        for line in iter(stderr.readline, ""):
            self.lines.append(line)
            if all(part in line for part in wanted):
                return line
        told = "".join(self.lines)
        raise AssertionError(f"{wanted} never came; the process said:\n{told}")

    def address(self) -> str:
        return self.until("listening on").split()[-1]

    def ready(self, workers: int = 1) -> None:
        for _ in range(workers):
            self.until("running ")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        stderr: IO[str] | None = self.process.stderr
        assert stderr is not None
        self.lines += stderr.readlines()
        return self.process.wait(timeout=30)

    def workers(self) -> list[int]:
        """Return the ids of its child processes."""
        pid = self.process.pid
        return [int(each) for each in _read(f"/proc/{pid}/task/{pid}/children").split()]


@dataclass
class Project:
    """A folder with an app in it, in which commands are run."""

    folder: Path
    processes: list[Running] = field(default_factory=list[Running])

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), "utf-8")

    def __call__(self, *arguments: str, input: str | None = None) -> Result:
        """Run a command to its end, in this process."""
        return CliRunner().invoke(main, arguments, input=input, catch_exceptions=False)

    def json(self, *arguments: str) -> Any:
        result = self(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def start(self, *arguments: str, piped: bool = False) -> Running:
        """Begin a process of the command; `piped`: its stdout is read by the test."""
        command = [sys.executable, "-m", "isthmus", *arguments]
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # what runs in a shell's background
            signal.signal(signal.SIGINT, signal.default_int_handler)  # would hand that on
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            stdout=subprocess.PIPE if piped else None,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self.processes.append(Running(process))
        return self.processes[-1]


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A folder with nothing in it; what it imports is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    project = Project(tmp_path)
    yield project
    for running in project.processes:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()
        for pipe in (running.process.stdout, running.process.stderr):
            if pipe is not None:
                pipe.close()
    for name, module in list(sys.modules.items()):
        if str(tmp_path) in str(getattr(module, "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def project(empty: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A folder with an app, which the environment names."""
    empty.write("shop.py", APP)
    monkeypatch.setenv("ISTHMUS_APP", "shop:app")
    return empty


Wait = Callable[[Callable[[], bool]], None]


def _read(path: str) -> str:
    return Path(path).read_text("ascii")
