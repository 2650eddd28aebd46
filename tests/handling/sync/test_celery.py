"""Celery tasks, in a worker process of their own: they send with the rows they write."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from isthmus import App

TASKS = """
import sqlite3, warnings
from pathlib import Path

import msgspec
from celery import Celery
from isthmus import App

HERE = Path(__file__).parent
celery = Celery("tasks", broker="filesystem://")
celery.conf.update(
    broker_transport_options={
        "data_folder_in": str(HERE / "broker"),
        "data_folder_out": str(HERE / "broker"),
        "control_folder": str(HERE / "control"),
    },
    task_ignore_result=True,
    worker_hijack_root_logger=False,
)

class Order(msgspec.Struct):
    id: str

app = App("shop", engine=f"sqlite:///{HERE}/shop.db?durability=normal")
orders = app.queue("orders", Order)
shop = app.sync()

@celery.task
def place(number: str, fail: bool = False) -> None:
    connection = sqlite3.connect(HERE / "shop.db", timeout=20)
    try:
        with connection, shop.join(connection):
            connection.execute("insert into rows values (?)", (number,))
            shop.send(orders, Order(number), id=number)
            if fail:
                raise ValueError(number)
    finally:
        connection.close()
"""

SENDS = """
import tasks
for number in range(10):
    tasks.place.delay(str(number))
    tasks.place.delay(f"bad{number}", fail=True)
tasks.place.delay("last")
"""


class Order(msgspec.Struct):
    id: str


@pytest.mark.parametrize("pool", ["solo", "threads", "prefork"])
async def test_tasks_send_with_the_rows_they_write(tmp_path: Path, pool: str) -> None:
    (tmp_path / "broker").mkdir()
    (tmp_path / "control").mkdir()
    (tmp_path / "tasks.py").write_text(TASKS)
    rows = sqlite3.connect(tmp_path / "shop.db")
    rows.execute("create table rows (id)")
    rows.commit()
    app = App("shop", engine=f"sqlite:///{tmp_path}/shop.db?durability=normal")
    app.queue("orders", Order)
    seen, placed = set[str](), {"last", *(str(number) for number in range(10))}
    async with app:
        subprocess.run([sys.executable, "-c", SENDS], cwd=tmp_path, check=True, timeout=40)
        argv = [sys.executable, "-m", "celery", "-A", "tasks:celery", "worker", "--concurrency=2"]
        worker = subprocess.Popen(
            [*argv, f"--pool={pool}", "--without-gossip", "--without-mingle", "--loglevel=ERROR"],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            receiver = await app.declarations.host.queue.receiver(
                "orders", "orders", limit=100, lease=60
            )
            while not seen >= placed:
                found = await receiver.receive(100, wait=40)
                assert found, "the worker sends nothing more"
                seen |= {each.message.id for each in found}
            await receiver.aclose()
        finally:
            worker.terminate()
            worker.wait(20)
    kept = {row[0] for row in rows.execute("select id from rows")}
    rows.close()
    assert seen == placed == kept
