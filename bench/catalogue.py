"""The benchmarks there are, by name; each is a module with a `BENCHMARK`."""

from importlib import import_module

from bench.contest import Benchmark

__all__ = ["NAMES", "benchmark"]

NAMES = (
    "roundtrip",
    "single",
    "backlog",
    "wake",
    "stream",
    "transaction",
    "layers",
    "http_layers",
    "footprint",
    "resilience",
    "rest",
    "client",
    "rpc",
    "sagas",
    "events",
    "events_growth",
    "pgqueue",
)


def benchmark(name: str) -> Benchmark:
    return import_module(f"bench.{name}").BENCHMARK
