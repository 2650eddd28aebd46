"""Datagrams between the processes that share a file: what was just committed."""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

__all__ = ["Post"]

_log = logging.getLogger("isthmus.engines.sqlite")

_LONGEST_ADDRESS = 107
_LARGEST = 32 * 1024
_OFTEN = 0.005
"""Seconds in which no new box is looked for: who opens one also looks by itself."""
_FRESH = 0.1
"""A folder that changed so short a time ago may change again unnoticed, in seconds."""


class Post:
    """A letter box in `<file>-wake/` for each process that waits.

    Letters name channels; an empty one means all. Nothing is promised: a letter
    that finds no room, or no folder, is dropped, since who waits also looks.
    """

    def __init__(self, path: Path) -> None:
        self._folder = f"{path}-wake"
        self._out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._box: socket.socket | None = None
        self._name = f"{os.getpid():x}-{secrets.token_hex(4)}"
        self._known: tuple[int, list[str]] = (-1, [])
        self._looked_at = 0.0
        self._fd = -1
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def opened(self) -> bool:
        """Whether it was tried to open the box."""
        return self._loop is not None

    def open_box(
        self, loop: asyncio.AbstractEventLoop, arrived: Callable[[Iterable[str]], None]
    ) -> None:
        """Receive letters from now on."""
        self._loop = loop
        box = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._folder, 0o700)  # noqa: PTH102
            box.bind(self._address(self._name))
        except OSError as error:
            _log.warning("%s: other processes wake this one 20 ms late: %s", self._folder, error)
            box.close()
            return
        self._box = box
        loop.add_reader(box.fileno(), self._empty, box, arrived)

    def _empty(self, box: socket.socket, arrived: Callable[[Iterable[str]], None]) -> None:
        letters: set[str] = set()
        with contextlib.suppress(BlockingIOError):
            while True:
                letters.update(box.recv(_LARGEST).decode(errors="replace").split("\0"))
        arrived(letters)

    def send(self, channels: Collection[str]) -> None:
        """Tell all others; from any thread."""
        names = self._others() if channels else ()
        if not names:
            return
        letter = "\0".join(channels).encode()
        for name in names:
            self._deliver(letter if len(letter) <= _LARGEST else b"", name)

    def _deliver(self, letter: bytes, name: str) -> None:
        address = self._address(name)
        try:
            self._out.sendto(letter, address)
        except (ConnectionRefusedError, FileNotFoundError):
            with contextlib.suppress(OSError):
                os.unlink(address)  # noqa: PTH108  its process died
        except OSError:
            pass  # its box is full, or closed to us: it will look by itself

    def _others(self) -> Sequence[str]:
        now = time.monotonic()
        if now - self._looked_at < _OFTEN:
            return self._known[1]
        self._looked_at = now
        try:
            changed_at = os.stat(self._folder).st_mtime_ns  # noqa: PTH116
        except OSError:
            self._known = (-1, [])
            return ()
        if changed_at != self._known[0]:
            names = [name for name in os.listdir(self._folder) if name != self._name]  # noqa: PTH208
            settled = time.time() - changed_at / 1e9 > _FRESH
            self._known = (changed_at if settled else -1, names)
        return self._known[1]

    def _address(self, name: str) -> str:
        """Return a path that fits a socket's address, however deep the folder."""
        address = f"{self._folder}/{name}"
        if len(os.fsencode(address)) <= _LONGEST_ADDRESS:
            return address
        if self._fd < 0:
            self._fd = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}/{name}"

    def close(self) -> None:
        if self._box is not None:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(self._box.fileno())
            self._box.close()
            with contextlib.suppress(OSError):
                os.unlink(self._address(self._name))  # noqa: PTH108
            self._box = None
        self._out.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
