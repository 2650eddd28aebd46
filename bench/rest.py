"""A small POST, JSON in and out: requests a second of one process, beside peers."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import cast

from bench.contest import Benchmark, Measures, Results
from bench.figure import Figure, figure
from bench.serving import BODY, SERVERS

CONNECTIONS, WARM_UP, SPAN = 32, 1.0, 3.0

REQUEST = (
    b"POST /v1/orders HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)
)


class Caller(asyncio.Protocol):
    """One connection: the next request leaves when the answer to the last is whole.

    Answers are all alike, so that only the first is read; of the others, bytes are counted.
    """

    def __init__(self) -> None:
        self.answers = 0
        self.length = self.missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        if not self.length:
            self.length = self.missing = _length(data)
        self.missing -= len(data)
        if self.missing == 0:
            self.answers += 1
            self.missing = self.length
            self._transport.write(REQUEST)
        elif self.missing < 0:
            raise ValueError(f"an answer unlike the first: {data!r}")


def _length(answer: bytes) -> int:
    """Return how long `answer` is, head and body; it has to be a good one."""
    head, _, _ = answer.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    if not head.startswith(b"HTTP/1.1 200 ") or b"content-length" not in fields:
        raise ValueError(f"expected a good answer of a known length: {answer!r}")
    return len(head) + 4 + int(fields[b"content-length"])


def contend(server: str, _: Path) -> Measures:
    """Have `server` answer for a while, in a process beside this one."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    fd = listener.fileno()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.serving", server, str(fd)], pass_fds=[fd]
    )
    try:
        uvloop = import_module("uvloop")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_measured(process.pid, listener.getsockname()))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        listener.close()


async def _measured(pid: int, address: tuple[str, int]) -> Measures:
    loop = asyncio.get_running_loop()
    callers = [(await loop.create_connection(Caller, *address))[1] for _ in range(CONNECTIONS)]
    while not all(caller.answers for caller in callers):
        await asyncio.sleep(0.05)
    await asyncio.sleep(WARM_UP)
    began, spent, before = time.perf_counter(), _cpu(pid), sum(each.answers for each in callers)
    await asyncio.sleep(SPAN)
    answers = sum(each.answers for each in callers) - before
    took = time.perf_counter() - began
    return {"rate": answers / took, "cpu": (_cpu(pid) - spent) / answers * 1e6}


def _cpu(pid: int) -> float:
    """Return the seconds of processor time that a process took so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def figures(results: Results) -> Sequence[Figure]:
    ours = partial(results.ratios, "isthmus", measure="rate")
    return [
        *(figure(f"rest.json_post.{name}", results.of(name, "rate"), "req/s") for name in SERVERS),
        *(figure(f"rest.json_post.{name}.cpu", results.of(name, "cpu"), "us") for name in SERVERS),
        figure("rest.json_post.vs_fastapi", ours(["fastapi"]), target=">= 2.5"),
        figure(
            "rest.json_post.vs_starlette_msgspec", ours(["starlette_msgspec"]), target=">= 0.75"
        ),
    ]


BENCHMARK = Benchmark(
    name="rest",
    title=(
        f"requests a second of one process, {CONNECTIONS} connections kept alive: {len(BODY)} "
        "bytes of JSON in, 60 out; all on uvicorn with httptools and uvloop, isthmus with all its "
        "layers, Starlette with none; and what each costs in microseconds of the processor"
    ),
    contenders={name: partial(contend, name) for name in SERVERS},
    figures=figures,
)
