"""Strategies written into one coroutine, where a chain of closures would be one for each.

A coroutine more costs a call about a tenth of a microsecond, and twice that if it suspends: half
of what four strategies take. So a strategy may give, beside its closure, the lines of its way
when all goes well; whatever else it does, they leave to its methods. Both do the
same, and the tests run on both.
"""

import linecache
import re
import textwrap
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any, NamedTuple, Protocol, runtime_checkable

from isthmus.resilience.strategy import AsyncCall, Site, name_of

__all__ = ["Inline", "Inlines", "inlined"]

_OWN = re.compile(r"\b[a-z][a-z_]*_\b")


class Inline(NamedTuple):
    """The lines of one strategy. A name that ends with `_` is its own, be it a local or one of
    `names`; `args`, `kwargs`, `result` and `error` are everybody's."""

    names: Mapping[str, Any]
    """What the lines ask for."""
    before: str
    """Run before the call. What is raised here is raised to the strategies around."""
    after: str
    """Run when the call has given its `result`."""
    failed: str
    """Run when `error` was raised, be it a cancellation: they raise, or set `result`."""


@runtime_checkable
class Inlines(Protocol):
    """A strategy that has such lines."""

    def inline(self, call: AsyncCall, at: Site) -> Inline | None:
        """Return its lines; None if it has none with these options. `call` is what it guards,
        for those of its methods that call it again."""
        ...


def inlined(call: AsyncCall, lines: Sequence[Inline]) -> AsyncCall:
    """Return `call` within strategies, outermost first."""
    if not lines:
        return call
    names: dict[str, Any] = {"call": call}
    body = "result = await call(*args, **kwargs)"
    for number, one in reversed(tuple(enumerate(lines, 1))):
        names |= {_own(name, number): value for name, value in one.names.items()}
        body = _around(body, Inline(one.names, *(_own(text, number) for text in one[1:])))
    source = f"async def guarded(*args, **kwargs):\n{_deeper(body)}\n    return result\n"
    guarded = FunctionType(_compiled(source), names)
    guarded.__name__ = guarded.__qualname__ = name_of(call)
    return guarded


def _around(body: str, one: Inline) -> str:
    parts = [
        textwrap.dedent(one.before).strip(),
        f"try:\n{_deeper(body)}",
        f"except BaseException as error:\n{_deeper(textwrap.dedent(one.failed).strip())}",
    ]
    if after := textwrap.dedent(one.after).strip():
        parts.append(f"else:\n{_deeper(after)}")
    return "\n".join(part for part in parts if part)


def _own(text: str, number: int) -> str:
    """Return `text` with what is the strategy's own marked by its number."""
    return _OWN.sub(rf"\g<0>{number}", text)


def _deeper(text: str) -> str:
    return textwrap.indent(text, "    ")


@lru_cache(maxsize=256)
def _compiled(source: str) -> CodeType:
    """Return the code of the function; tracebacks find its lines."""
    name = f"<policy {hash(source) & 0xFFFFFFFF:08x}>"
    module = compile(source, name, "exec")
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    return next(one for one in module.co_consts if isinstance(one, CodeType))
