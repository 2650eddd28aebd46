"""Run the Python of one Markdown page: its blocks in order, in one namespace.

A block may `await` at its top level. One that cannot run says why in a comment just above it,
<!-- norun: it never ends -->, and is only compiled. Tracebacks name the page and its line.
"""

import ast
import asyncio
import inspect
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

from markdown_it import MarkdownIt

NORUN = re.compile(r"<!--\s*norun:\s*\S.*?-->", re.DOTALL)


class Block(NamedTuple):
    code: CodeType
    runs: bool


def main(page: Path) -> None:
    module = ModuleType(name_of(page))
    sys.modules[module.__name__] = module  # where annotations are looked up
    with asyncio.Runner() as runner:
        for block in blocks(page):
            if block.runs:
                run(block.code, module, runner)


def name_of(page: Path) -> str:
    """Return the name of its module, which stands before no library's: there is a page "grpc"."""
    name = page.stem.replace("-", "_")
    return f"page_{name}" if find_spec(name) else name


def blocks(page: Path) -> Iterator[Block]:
    remark = ""
    for token in MarkdownIt().parse(page.read_text()):
        if token.type == "fence" and token.info.split()[:1] == ["python"] and token.map:
            yield Block(compiled(page, token.content, line=token.map[0] + 1), not norun(remark))
        remark = token.content if token.type == "html_block" else ""


def norun(remark: str) -> bool:
    return NORUN.search(remark) is not None


def compiled(page: Path, source: str, *, line: int) -> CodeType:
    tree = ast.increment_lineno(ast.parse(source), line)
    return compile(tree, page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def run(code: CodeType, module: ModuleType, runner: asyncio.Runner) -> None:
    if not code.co_flags & inspect.CO_COROUTINE:
        exec(code, module.__dict__)
        return

    async def block() -> None:
        await eval(code, module.__dict__)

    runner.run(block())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
