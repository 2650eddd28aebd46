"""What schemathesis finds when it asks a served App for whatever its document says: nothing."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

HERE = Path(__file__).parent
SHOP = HERE.parents[2] / "examples" / "shop"
PROGRAMS = Path(sys.executable).parent

KEYS = {"SHOP_STRIPELIKE_KEY": "sk_test", "SHOP_ADYENLIKE_KEY": "sk_test"}
"""Of the shop's payment providers, whom nobody asks here."""

LENIENT = "negative_data_rejection"
"""Model libraries take more than they tell: a number for a Decimal, two equal items for a set."""
UNGUARDED = "ignored_auth"
"""Whoever is told of in a document, handlers judge; those of the torture don't."""


@contextmanager
def served(folder: Path, app: str) -> Iterator[str]:
    """Serve an App of `folder` in a process of its own; yield its address."""
    argv = [PROGRAMS / "isthmus", "run", app, "--port", "0", "--only", "http"]
    environment = {**os.environ, **KEYS, "ISTHMUS_ENGINE": f"sqlite:///{folder}/app.db"}
    with subprocess.Popen(
        argv, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        told = list[str]()
        try:
            for line in process.stderr:
                told.append(line)
                if "listening on" in line:
                    break
            assert "listening on" in "".join(told[-1:]), "".join(told)
            address = told[-1].split()[-1]
            Thread(target=told.extend, args=(process.stderr,)).start()  # it must not block on us
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def schemathesis(address: str, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    argv = [
        *(PROGRAMS / "st", "run", f"{address}/openapi.json", "--url", address, "--no-color"),
        *("--checks", "all", "--seed", "1", "--generation-deterministic"),
        *("--request-timeout", "20", *more),
    ]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": str(HERE / "schemathesis_hooks.py")}
    return subprocess.run(
        argv, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )


@pytest.mark.timeout(300)
def test_nothing_is_found_in_the_shop(tmp_path: Path) -> None:
    shutil.copytree(SHOP, tmp_path, dirs_exist_ok=True)
    with served(tmp_path, "shop:app") as address:
        done = schemathesis(address, tmp_path, "--max-examples", "40")
    assert done.returncode == 0, done.stdout[-6000:]
    assert "No issues found" in done.stdout


@pytest.mark.timeout(300)
def test_nothing_is_found_where_every_kind_of_type_is(tmp_path: Path) -> None:
    shutil.copy(HERE / "torture.py", tmp_path)
    more = ("--exclude-checks", f"{LENIENT},{UNGUARDED}", "--max-examples", "12")
    with served(tmp_path, "torture:app") as address:
        done = schemathesis(address, tmp_path, *more)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "Tested: 12" in done.stdout


@pytest.mark.timeout(300)
def test_a_service_that_breaks_its_word_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "liar.py").write_text(
        "from starlette.responses import JSONResponse\n"
        "from isthmus import App\n"
        "app = App('liar')\n"
        "@app.get('/number')\n"
        "async def number() -> int | JSONResponse:\n"
        "    return JSONResponse('none')\n"
    )
    with served(tmp_path, "liar:app") as address:
        done = schemathesis(address, tmp_path, "--max-examples", "5")
    assert done.returncode == 1, done.stdout[-6000:]
