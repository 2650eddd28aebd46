"""A number that says something, the target it has, and how it is printed."""

import operator
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

__all__ = ["Figure", "figure", "table", "write"]

_SIGNS = {">=": operator.ge, "<=": operator.le}


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    figure: str
    value: float
    unit: str
    target: str | None
    """">= 8"; None for what is only reported."""
    holds: bool | None
    low: float
    high: float
    """The smallest and the largest of the rounds."""


def figure(
    name: str, values: Sequence[float], unit: str = "x", *, target: str | None = None
) -> Figure:
    """Return the median of `values`, judged by `target`."""
    value = statistics.median(values)
    return Figure(
        figure=name,
        value=value,
        unit=unit,
        target=target,
        holds=None if target is None else _holds(value, target),
        low=min(values),
        high=max(values),
    )


def _holds(value: float, target: str) -> bool:
    sign, bound = target.split()
    return _SIGNS[sign](value, float(bound))


def table(figures: Iterable[Figure]) -> str:
    rows = [("figure", "median", "unit", "min .. max", "target", "")]
    for each in figures:
        spread = f"{_number(each.low)} .. {_number(each.high)}"
        verdict = {True: "holds", False: "MISSED", None: ""}[each.holds]
        row = (each.figure, _number(each.value), each.unit, spread, each.target or "", verdict)
        rows.append(row)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    name, value, *rest = row
    cells = [f"{name:<{widths[0]}}", f"{value:>{widths[1]}}"]
    cells += [f"{cell:<{width}}" for cell, width in zip(rest, widths[2:], strict=True)]
    return "  ".join(cells).rstrip()


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def write(name: str, figures: Sequence[Figure], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    told = msgspec.json.format(msgspec.json.encode(figures), indent=2)
    (folder / f"{name}.json").write_bytes(told + b"\n")
