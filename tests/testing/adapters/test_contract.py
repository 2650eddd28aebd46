"""One contract is kept by the fake and by the real API, and later by what was recorded of it."""

import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

CONTRACT = """
    import os
    from typing import Any, Protocol

    from isthmus import Client, Policy
    from isthmus.services.adapter import ProviderError, translates
    from isthmus.services.client import Bearer
    from isthmus.testing import AdapterContract, Recorded
    import pytest

    class DeclinedError(Exception): ...

    class Payments(Protocol):
        async def charge(self, amount: int) -> str: ...

    @translates({402: DeclinedError})
    class Provider:
        def __init__(self) -> None:
            auth = Bearer(os.environ.get("KEY", "sk_none"))
            url = os.environ.get("URL", "http://127.0.0.1:1")
            self.http = Client("provider", url, auth=auth, policy=Policy())

        async def charge(self, amount: int) -> str:
            made = await self.http.post("/charges", {"amount": amount, "token": "t1"})
            return made.json()["id"]

    class Fake:
        async def charge(self, amount: int) -> str:
            if amount == 13:
                raise DeclinedError
            return "ch_7" if amount != PROMISED else "another"

    PROMISED = int(os.environ.get("BROKEN", "0"))

    class TestPayments(AdapterContract):
        interface = Payments
        implementations = {"fake": Fake, "provider": Recorded(Provider, scrub=["token"])}
        raises = [DeclinedError]

        async def test_a_charge_has_a_number(self, adapter: Payments) -> None:
            assert await adapter.charge(7) == "ch_7"

        async def test_a_declined_card_is_told(self, adapter: Payments) -> None:
            with pytest.raises(DeclinedError):
                await adapter.charge(13)

        def test_what_needs_no_provider_runs_once(self) -> None: ...
"""


class Real(BaseHTTPRequestHandler):
    """The provider's API."""

    def do_POST(self) -> None:
        amount = json.loads(self.rfile.read(int(self.headers["content-length"])))["amount"]
        status, content = (402, {"error": "declined"}) if amount == 13 else (200, {"id": "ch_7"})
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def real() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Real)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "test_payments.py").write_text(textwrap.dedent(CONTRACT))
    return tmp_path


def run(project: Path, **environment: str) -> tuple[str, str]:
    """Run its tests; return how they ended, and all that was said."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "pytest_asyncio.plugin",
        ],
        check=False,
        cwd=project,
        env={**os.environ, **environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=50,
    )
    return done.stdout.splitlines()[-1], done.stdout


def test_it_is_recorded_once_and_replayed_without_the_other_side(project: Path, real: str):
    end, told = run(project, ISTHMUS_CASSETTES="record", URL=real, KEY="sk_live_s3cret")
    assert end.startswith("5 passed"), told
    written = sorted((project / "cassettes").rglob("*.json"))
    assert [str(path.relative_to(project)) for path in written] == [
        "cassettes/provider/test_a_charge_has_a_number.json",
        "cassettes/provider/test_a_declined_card_is_told.json",
    ]
    assert all("s3cret" not in path.read_text() for path in written)
    assert all('"t1"' not in path.read_text() for path in written)
    end, told = run(project)
    assert end.startswith("5 passed"), told


def test_each_test_is_run_with_each_implementation_and_named_by_it(project: Path, real: str):
    run(project, ISTHMUS_CASSETTES="record", URL=real)
    end, told = run(project, BROKEN="7")
    assert end.startswith("1 failed, 4 passed"), told
    assert "test_a_charge_has_a_number[fake]" in told


def test_what_was_not_recorded_says_how_to_record_it(project: Path):
    end, told = run(project)
    assert end.startswith("3 passed, 2 errors"), told
    assert "there is no cassette" in told
    assert "ISTHMUS_CASSETTES=record" in told
    assert "provider/test_a_charge_has_a_number.json" in told


def test_a_contract_is_replayed_only_as_it_was_recorded(project: Path, real: str):
    run(project, ISTHMUS_CASSETTES="record", URL=real)
    changed = (project / "test_payments.py").read_text().replace('"amount": amount', '"sum": 1')
    (project / "test_payments.py").write_text(changed)
    end, told = run(project)
    assert end.startswith("2 failed, 3 passed"), told
    assert "was recorded with another body" in told
