"""Benchmarks: isthmus beside its peers, and beside the same work done by hand.

    python -m bench                 all of them (make bench)
    python -m bench roundtrip wake  some

Every benchmark is a file with a `BENCHMARK`: contenders, and the figures that
come of their measures. The contenders of one benchmark take turns, in random
order, for several rounds, each in a process of its own, on the same disk and
with the same durability. Ratios are taken within a round, since a machine that
others use is never twice the same; a figure is the median of its rounds.
"""
