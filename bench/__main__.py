"""Run benchmarks, print their figures, and keep them in build/bench/NAME.json."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.catalogue import NAMES, benchmark
from bench.contest import Benchmark, hold
from bench.figure import Figure, table, write

BUILD = Path("build/bench")


def main() -> None:
    arguments = _arguments()
    scratch: Path = arguments.folder.resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    figures: list[Figure] = []
    for name in arguments.names or NAMES:
        found = _run(benchmark(name), scratch, arguments.rounds)
        write(name, found, BUILD)
        figures += found
    if judged := [each for each in figures if each.target]:
        print("\nall that have a target")
        print(table(judged))


def _run(each: Benchmark, scratch: Path, rounds: int | None) -> Sequence[Figure]:
    print(f"\n{each.name}: {each.title}")
    with tempfile.TemporaryDirectory(dir=scratch, prefix="bench-") as folder:
        figures = each.figures(hold(each, scratch=Path(folder), rounds=rounds))
    print(table(figures), flush=True)
    return figures


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--rounds", type=int, help="turns of each contender")
    parser.add_argument(
        "--folder", type=Path, default=BUILD, help="a folder on the disk to measure (%(default)s)"
    )
    return parser.parse_args()


main()
