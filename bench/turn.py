"""One turn of one contender: `python -m bench.turn BENCHMARK CONTENDER FOLDER`."""

import gc
import sys
import tempfile
from pathlib import Path

import msgspec

from bench.catalogue import benchmark


def main(name: str, contender: str, scratch: str) -> None:
    run = benchmark(name).contenders[contender]
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        gc.collect()
        gc.freeze()
        measures = run(Path(folder))
    print(msgspec.json.encode(measures).decode())


main(*sys.argv[1:])
