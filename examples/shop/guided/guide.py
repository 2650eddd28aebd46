"""Who shows you around: says what happens, and runs the commands that show it."""

import asyncio
import os
import sys
from pathlib import Path

__all__ = ["Guide"]

BOLD, DIM, CYAN, GREEN, RED = "1", "2", "36", "32", "31"

WIDE = 130
"""Letters of a line that a command prints, of which no more are shown."""


class Guide:
    """Speaks to a terminal in colours, to anything else plainly."""

    def __init__(self, engine: str, folder: Path) -> None:
        self.engine, self._folder = engine, folder
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._stop, self._blank = 0, False

    def stop(self, title: str, page: str) -> None:
        """Come to the next thing to look at."""
        self._stop += 1
        self._space()
        self._print(f"{self._in(BOLD, f'{self._stop}. {title}')}  {self._in(DIM, page)}")
        self._space()

    def say(self, text: str) -> None:
        for line in text.strip().splitlines():
            self._print(f"   {line.strip()}")

    def note(self, text: str) -> None:
        """Say what was done just now."""
        self._print(f"   {self._in(CYAN, '•')} {text}")

    def check(self, what: str, told: str, *, holds: bool) -> None:
        """Tell a sum, and whether it is as it has to be."""
        mark = self._in(GREEN, "✓") if holds else self._in(RED, "✗")
        self._print(f"   {mark} {what:<34} {told}")

    async def show(self, *command: str) -> None:
        """Run a command of isthmus, and show what it prints."""
        self._space()
        self._print(f"   {self._in(CYAN, '$ isthmus ' + ' '.join(command))}")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "isthmus",
            *command,
            "--engine",
            self.engine,
            cwd=self._folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await process.communicate()
        for line in told.decode().splitlines():
            seen = line if len(line) <= WIDE else f"{line[:WIDE]}…"
            self._print(f"   {self._in(DIM, '│')} {seen}".rstrip())
        self._space()
        if process.returncode:
            raise RuntimeError(f"isthmus {' '.join(command)} failed: {told.decode()}")

    def _space(self) -> None:
        """Leave a line blank, but not two."""
        if not self._blank:
            self._print("")
        self._blank = True

    def _print(self, line: str) -> None:
        print(line, flush=True)
        self._blank = False

    def _in(self, colour: str, text: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colours else text
