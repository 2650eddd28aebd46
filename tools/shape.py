"""Show how long the files and functions of a folder are, and which ones stand out.

Long is no crime, but a reason to look for the concept that is missing. Lines of code are
counted: without blank lines, comments and docstrings.
"""

import argparse
import ast
import io
import statistics
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

LONG_FUNCTION = 40
LONG_FILE = 400

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = Function | ast.ClassDef | ast.Module
NOT_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENCODING, tokenize.ENDMARKER,
}  # fmt: skip


class Piece(NamedTuple):
    name: str
    lines: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    files: list[Piece] = []
    functions: list[Piece] = []
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text()
        tree, code = ast.parse(text), lines_of_code(text)
        files.append(Piece(str(path), len(text.splitlines())))
        functions += functions_in(tree, path, code - docstring_lines(tree))
    print_sizes("files", files)
    print_sizes("functions", functions)
    print_long(f"files over {LONG_FILE} lines", files, LONG_FILE)
    print_long(f"functions over {LONG_FUNCTION} lines", functions, LONG_FUNCTION)


def lines_of_code(text: str) -> set[int]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {
        line
        for token in tokens
        if token.type not in NOT_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }


def docstring_lines(tree: ast.Module) -> set[int]:
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, Documented) and ast.get_docstring(node) is not None
        for line in span(node.body[0])
    }


def functions_in(tree: ast.Module, path: Path, code: set[int]) -> Iterator[Piece]:
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield Piece(f"{path}:{node.lineno} {node.name}", len(code.intersection(span(node))))


def span(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def print_sizes(title: str, pieces: Sequence[Piece]) -> None:
    sizes = sorted(piece.lines for piece in pieces) or [0]
    p90 = sizes[round(0.9 * (len(sizes) - 1))]
    mean, median = statistics.mean(sizes), statistics.median(sizes)
    print(
        f"{title:<10} {len(pieces):>5}   lines {sum(sizes):>6}   mean {mean:>5.1f}"
        f"   median {median:>5.1f}   p90 {p90:>4}   max {sizes[-1]:>4}"
    )


def print_long(title: str, pieces: Sequence[Piece], limit: int) -> None:
    long = sorted((piece for piece in pieces if piece.lines > limit), key=lambda one: -one.lines)
    print(f"\n{title}: {len(long) or 'none'}")
    for piece in long:
        print(f"  {piece.lines:>4}  {piece.name}")


if __name__ == "__main__":
    main()
