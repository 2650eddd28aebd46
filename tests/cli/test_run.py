"""What `isthmus run` promises, with real processes."""

import asyncio
import itertools
import json
import os
import signal
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

SLOW = """
    import asyncio, sys
    from isthmus import App

    app = App("slow", engine="sqlite:///slow.db")

    @app.get("/slow")
    async def slow() -> str:
        print("began", file=sys.stderr, flush=True)
        await asyncio.sleep(0.5)
        return "done"
"""

CROWDED = """
    import asyncio, sys
    from collections.abc import AsyncIterator
    from isthmus import App

    app = App("crowded", engine="sqlite:///crowded.db")

    class Count:
        answered = 0

    @app.resource
    async def count() -> AsyncIterator[Count]:
        made = Count()
        yield made
        print("answered in all", made.answered, file=sys.stderr, flush=True)

    @app.get("/")
    async def slow(count: Count) -> str:
        await asyncio.sleep(0.02)
        count.answered += 1
        return "done"
"""


def post(address: str, order: dict[str, Any]) -> int:
    request = urllib.request.Request(
        f"{address}/orders",
        data=json.dumps(order).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status


def test_one_process_serves_consumes_and_drains(project: Any) -> None:
    running = project.start("run", "--port", "0")
    address = running.address()
    assert post(address, {"id": "a", "total": -1}) == 202
    running.until("a is a dead letter: failed 2 times")
    assert running.stop() == 0
    assert any("draining" in line for line in running.lines)
    [queue] = [row for row in project.json("queues") if row["name"] == "orders"]
    assert (queue["ready"], queue["leased"], queue["dead"]) == (0, 0, 1)


def test_a_stop_while_it_starts_is_heeded(project: Any) -> None:
    project.write(
        "slow.py",
        """
        import os, signal
        from shop import app

        @app.resource
        async def slow() -> signal.Signals:
            os.kill(os.getpid(), signal.SIGTERM)
            return signal.SIGTERM
    """,
    )
    running = project.start("run", "slow:app", "--port", "0")
    assert running.wait() == 0
    assert any("draining" in line for line in running.lines)


def test_a_request_that_runs_is_answered_after_sigterm(empty: Any) -> None:
    empty.write("app.py", SLOW)
    running = empty.start("run", "app:app", "--port", "0")
    address = running.address()
    with urllib.request.urlopen(f"{address}/healthz", timeout=10) as live:
        assert live.status == 200
    asking = empty.start("--version")  # any other process may run beside it
    with _Asking(f"{address}/slow") as answer:
        running.until("began")
        assert running.stop() == 0
        assert answer() == b'"done"'
    assert asking.wait() == 0


def test_workers_share_the_port_and_all_drain(project: Any) -> None:
    running = project.start("run", "--port", "0", "--workers", "2", "--log", "json")
    lines = [json.loads(running.until("listening on"))]
    address = lines[0]["message"].split()[-1]
    for number in range(20):
        assert post(address, {"id": f"o-{number}", "total": 1}) == 202
    workers = running.workers()
    assert len(workers) == 2
    running.ready(workers=2)
    assert running.stop() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    rows = {row["name"]: row for row in project.json("queues")}
    assert rows["orders"]["dead"] == 0
    draining = [json.loads(line) for line in running.lines if "draining" in line]
    assert {line["worker"] for line in draining} == {"1", "2"}


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_answered_and_what_is_done_agree_when_it_is_stopped_under_load(
    project: Any, workers: int
) -> None:
    running = project.start("run", "--port", "0", "--workers", str(workers), "--only", "http")
    host, port = running.address().removeprefix("http://").split(":")
    running.ready(workers)
    answered: set[str] = set()

    async def load() -> None:
        clients = [_Client(number, host, int(port), answered) for number in range(8)]
        asking = [asyncio.create_task(client.ask_until_refused()) for client in clients]
        while len(answered) < 200:
            await clients[0].next_answer()
        running.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*asking)

    asyncio.run(load())
    assert running.wait() == 0
    waiting = project.json("queues", "peek", "orders", "--limit", str(10 * len(answered)))
    assert {message["id"] for message in waiting} == answered


def test_no_request_of_many_is_dropped_when_workers_stop(empty: Any) -> None:
    empty.write("app.py", CROWDED)
    running = empty.start("run", "app:app", "--port", "0", "--workers", "2")
    host, port = running.address().removeprefix("http://").split(":")
    running.ready(workers=2)
    sent, answered = Counter[str](), Counter[str]()

    async def ask(kind: str, reader: Any, writer: Any) -> bool:
        """Return whether the connection stays open."""
        sent[kind] += 1
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert await reader.readexactly(6) == b'"done"'
        answered[kind] += head.startswith(b"http/1.1 200")
        return b"connection: close" not in head

    async def keep_asking(kind: str) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection(host, int(port))
            except ConnectionError:
                return
            try:
                while await ask(kind, reader, writer) and kind == "kept":
                    pass
            except (ConnectionError, asyncio.IncompleteReadError):
                return
            finally:
                writer.close()

    async def load() -> None:
        asking = [asyncio.create_task(keep_asking(kind)) for kind in ["kept", "new"] * 32]
        while sum(answered.values()) < 500:
            await asyncio.wait(asking, timeout=0.01)
        running.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*asking)

    asyncio.run(load())
    assert running.wait() == 0
    assert answered["kept"] == sent["kept"]  # of new ones the last may be reset, unread
    ran = sum(int(line.rpartition(" ")[2]) for line in running.lines if "answered in all" in line)
    assert ran == sum(answered.values())


def test_workers_of_granian_share_the_port_and_finish_what_runs(empty: Any) -> None:
    empty.write("app.py", SLOW)
    words = ("--port", "0", "--workers", "2", "--http-server", "granian")
    running = empty.start("run", "app:app", *words)
    address = running.address()
    running.ready(workers=2)
    with _Asking(f"{address}/slow") as answer:
        running.until("began")
        assert running.stop() == 0
        assert answer() == b'"done"'
    assert not any("experimental" in line for line in running.lines)


def test_for_a_killed_worker_another_is_started_and_the_others_serve_on(project: Any) -> None:
    running = project.start("run", "--port", "0", "--workers", "2")
    address = running.address()
    assert post(address, {"id": "a", "total": 1}) == 202
    killed, other = running.workers()
    os.kill(killed, signal.SIGKILL)
    told = running.until("was killed by SIGKILL", "another is started in 0.5 s")
    assert f"worker 1 (pid {killed})" in told
    assert post(address, {"id": "b", "total": 1}) == 202
    while len(workers := running.workers()) < 2:
        pass
    assert other in workers
    assert killed not in workers
    assert running.stop() == 0


def test_workers_drain_when_their_supervisor_is_killed(project: Any) -> None:
    running = project.start("run", "--port", "0", "--workers", "2")
    running.until("running")
    workers = running.workers()
    running.process.kill()
    running.until("the supervisor is gone")
    while any(_lives(pid) for pid in workers):
        pass


def test_a_configuration_that_cannot_work_is_told_and_not_tried_again(project: Any) -> None:
    project.write("migrations/001_broken.sql", "create table orders (id;")
    project.write("broken.py", 'from shop import app\napp.migrations("migrations")\nbroken = app\n')
    running = project.start("run", "broken:broken", "--port", "0", "--workers", "2")
    assert running.wait() == 1
    told = "".join(running.lines)
    assert "001_broken.sql" in told
    assert "another is started" not in told
    assert "Traceback" not in told
    assert told.count("error: ") == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_resource_that_fails_at_every_start_is_told_once(empty: Any, workers: str) -> None:
    empty.write(
        "app.py",
        """
        from isthmus import App

        app = App("kiosk")

        @app.resource
        async def pool() -> frozenset[str]:
            raise RuntimeError("no such host")
    """,
    )
    running = empty.start("run", "app:app", "--workers", workers)
    assert running.wait() == 1
    told = "".join(running.lines)
    assert told.count("error: resource pool() failed: RuntimeError: no such host\n") == 1
    assert "Traceback" not in told


def test_a_run_says_what_it_is_and_when_it_ended(project: Any) -> None:
    running = project.start("run", "--port", "0", "--engine", "sqlite:///other.db")
    running.ready()
    assert running.stop() == 0
    told = [line.partition(": ")[2].rstrip() for line in running.lines]
    assert told[:3] == ["app shop", "engine sqlite:///other.db", "workers 1"]
    assert "stream:ledger/balances" in "".join(running.lines)
    assert told[-1] == "ended"


def test_a_supervisor_says_which_processes_its_workers_are(project: Any) -> None:
    running = project.start("run", "--only", "queue:*", "--workers", "2")
    running.ready(workers=2)
    workers = running.workers()
    assert running.stop() == 0
    told = [line.partition(": ")[2].rstrip() for line in running.lines]
    assert "workers 2" in told
    assert {f"worker {n} (pid {pid}) started" for n, pid in enumerate(workers, 1)} <= set(told)
    assert told[-1] == "ended"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_taken_port_is_told_in_one_line(project: Any, workers: str) -> None:
    first = project.start("run", "--port", "0")
    port = first.address().rpartition(":")[2]
    second = project.start("run", "--port", port, "--workers", workers)
    assert second.wait() == 1
    assert second.lines[-1] == (
        f"error: port {port} is taken by another process; choose one with --port, 0 is any free\n"
    )
    assert not any("Traceback" in line or "running" in line for line in second.lines)
    first.stop()


def test_only_runs_what_it_names(project: Any) -> None:
    running = project.start("run", "--only", "queue:*")
    told = running.until("running")
    assert told.rstrip().endswith("running queue:orders, queue:order-accepted/mail")
    assert running.stop() == 0
    assert not any("listening" in line for line in running.lines)
    wrong = project.start("run", "--only", "queue:ordres")
    assert wrong.wait() == 1
    assert "no worker is called 'queue:ordres'; there are: " in wrong.lines[-1]


def test_a_change_of_the_app_reloads_it(project: Any) -> None:
    running = project.start("run", "--port", "0", "--reload")
    address = running.address()
    assert post(address, {"id": "a", "total": 1}) == 202
    [before] = running.workers()
    source = (project.folder / "shop.py").read_text("utf-8")
    project.write("shop.py", source.replace("status=202", "status=201"))
    running.until("shop.py changed: reloading")
    running.until("draining")
    while post(address, {"id": "b", "total": 1}) != 201:  # asked meanwhile, it waits
        pass
    assert running.workers() != [before]
    project.write("shop.py", "broken(")
    running.until("SyntaxError")
    running.until("waiting for a change")
    project.write("shop.py", source)
    running.until("reloading")
    assert post(address, {"id": "c", "total": 1}) == 202
    assert running.stop() == 0


def test_memory_is_no_place_for_several_workers(project: Any) -> None:
    result = project("run", "--workers", "2", "--engine", "memory://")
    assert result.exit_code == 1
    assert "memory:// lives inside one process" in result.output


class _Client:
    """Sends one order after the other, on one connection or on one for each."""

    def __init__(self, number: int, host: str, port: int, answered: set[str]) -> None:
        self._number, self._place, self._answered = number, (host, port), answered
        self._keeps = number % 2 == 0
        self._told = asyncio.Event()

    async def next_answer(self) -> None:
        self._told.clear()
        await self._told.wait()

    async def ask_until_refused(self) -> None:
        for count in itertools.count():
            if count == 0 or self._closed:
                try:
                    self._reader, self._writer = await asyncio.open_connection(*self._place)
                except ConnectionError:
                    return
            await self._ask(f"{self._number}-{count}")

    async def _ask(self, id_: str) -> None:
        body = json.dumps({"id": id_, "total": 1})
        head = f"Host: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        self._writer.write(f"POST /orders HTTP/1.1\r\n{head}\r\n\r\n{body}".encode())
        try:
            answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        except (ConnectionError, asyncio.IncompleteReadError):
            answer = b"connection: close"
        if b"202" in answer.partition(b"\r\n")[0]:
            self._answered.add(id_)
            self._told.set()
        self._closed = not self._keeps or b"connection: close" in answer
        if self._closed:
            self._writer.close()


class _Asking:
    """A request in a thread, so that the test can go on."""

    def __init__(self, url: str) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self._pool, self._url = ThreadPoolExecutor(1), url

    def __enter__(self) -> Any:
        future = self._pool.submit(self._ask)
        return lambda: future.result(timeout=10)

    def _ask(self) -> bytes:
        with urllib.request.urlopen(self._url, timeout=10) as answer:
            return answer.read()

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()


def _lives(pid: int) -> bool:
    """Whether it is more than a zombie that nobody has asked for its status yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
