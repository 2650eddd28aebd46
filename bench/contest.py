"""Contenders taking turns."""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.figure import Figure

__all__ = ["Benchmark", "Contender", "Measures", "Results", "hold"]

Measures = Mapping[str, float]
Contender = Callable[[Path], Measures]
"""Does its work once, in an empty folder, and returns what it measured."""


class Results:
    """What each contender measured, round by round."""

    def __init__(self) -> None:
        self._rounds: list[dict[str, Measures]] = []

    def begin(self) -> None:
        self._rounds.append({})

    def add(self, contender: str, measures: Measures) -> None:
        self._rounds[-1][contender] = measures

    def of(self, contender: str, measure: str) -> Sequence[float]:
        return [each[contender][measure] for each in self._rounds]

    def ratios(self, one: str, others: Sequence[str], measure: str) -> Sequence[float]:
        """Return, for each round, `one` over the largest of `others`."""
        return [
            each[one][measure] / max(each[other][measure] for other in others)
            for each in self._rounds
        ]


class Benchmark(NamedTuple):
    name: str
    title: str
    """What is compared, and with what durability."""
    contenders: Mapping[str, Contender]
    figures: Callable[[Results], Sequence[Figure]]
    rounds: int = 5
    longest: float = 120.0
    """Seconds a contender may take for one turn."""
    tells: bool = False
    """Whether it says itself, on stderr, how far it is."""


def hold(benchmark: Benchmark, *, scratch: Path, rounds: int | None = None) -> Results:
    """Let the contenders take turns, a process for each; tell how far it is."""
    results, count = Results(), rounds or benchmark.rounds
    began = time.monotonic()
    for number in range(1, count + 1):
        results.begin()
        for contender in random.sample(list(benchmark.contenders), len(benchmark.contenders)):
            _tell(f"{benchmark.name}: round {number} of {count}, {contender}", began)
            results.add(contender, _measured(benchmark, contender, scratch))
    _tell("", began)
    return results


def _measured(benchmark: Benchmark, contender: str, scratch: Path) -> Measures:
    done = subprocess.run(
        [sys.executable, "-m", "bench.turn", benchmark.name, contender, str(scratch)],
        stdout=subprocess.PIPE,
        stderr=None if benchmark.tells else subprocess.PIPE,
        timeout=benchmark.longest,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{benchmark.name}, {contender}:\n{(done.stderr or b'').decode()}")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=dict[str, float])


def _tell(what: str, began: float) -> None:
    if sys.stderr.isatty():
        line = f"{what}  ({time.monotonic() - began:.0f} s)" if what else ""
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
