"""What the source says of a class's attributes: the string literals below them."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise

__all__ = ["attribute_docs"]


@lru_cache(maxsize=1024)
def attribute_docs(cls: type) -> Mapping[str, str]:
    """Return what is said of each attribute of `cls`, those it inherits among them; nothing
    where its source is not to be had."""
    found = dict[str, str]()
    for each in reversed(cls.__mro__):
        found |= dict(_documented(each))
    return found


def _documented(cls: type) -> Iterator[tuple[str, str]]:
    body = _body(cls)
    for statement, after in pairwise(body):
        match statement, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(doc))),
            ):
                yield name, inspect.cleandoc(doc)
            case _:
                pass


def _body(cls: type) -> list[ast.stmt]:
    if cls.__module__ in {"builtins", "msgspec", "pydantic.main"}:
        return []
    try:
        [found] = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, TypeError, ValueError, SyntaxError):
        return []
    return found.body if isinstance(found, ast.ClassDef) else []
