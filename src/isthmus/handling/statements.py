"""SQL text taken apart into its statements."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from isthmus.errors import ConfigError

__all__ = ["Statement", "statements"]

_TOKEN = re.compile(
    r"""
      (?P<blank>  \s+ | --[^\n]* | /\*.*?\*/ )
    | (?P<quoted> '[^']*' | "[^"]*" | `[^`]*` | \[[^\]]*\]
      | \$(?P<tag>[^\W\d]\w*)?\$.*?\$(?(tag)(?P=tag))\$ )
    | (?P<broken> /\* | ['"`\[] )
    | (?P<word>   [\w$]+ )
    | (?P<end>    ; )
    | (?P<other>  . )
    """,
    re.VERBOSE | re.DOTALL,
)

_TRIGGER = re.compile(r"(explain (\S+ )*)?create ((temp|temporary) )*trigger ")


class Statement(NamedTuple):
    """One statement, without its semicolon."""

    text: str
    line: int
    """Where it begins; the first line is 1."""


def statements(text: str) -> Iterator[Statement]:
    """Yield the statements of `text`, comments before them left out.

    A semicolon ends a statement; those within strings, names and comments don't, and
    CREATE TRIGGER ends with `; END;`. Dollar quotes, `$$ ... $$`, are PostgreSQL's.

    Raises:
        ConfigError: A string, name or comment has no end.

    Source: the grammar of sqlite3_complete(), sqlite.org/c3ref/complete.html.
    """
    words: list[str] = []
    begin = 0
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "broken":
            raise ConfigError(f"line {_line(text, token.start())}: {token[0]} has no end")
        if kind == "blank":
            continue
        if kind == "end" and _is_whole(words):
            if words:
                yield Statement(text[begin : token.start()].rstrip(), _line(text, begin))
            words = []
            continue
        begin = begin if words else token.start()
        words.append(token[0].lower() if kind in {"word", "end"} else "?")
    if words:
        yield Statement(_uncommented(text[begin:]), _line(text, begin))


def _is_whole(words: list[str]) -> bool:
    """Return whether a semicolon after `words` ends their statement."""
    return not _TRIGGER.match(" ".join((*words[:8], ""))) or words[-2:] == [";", "end"]


def _uncommented(rest: str) -> str:
    """Return `rest` without what follows its last meaningful token."""
    ends = [token.end() for token in _TOKEN.finditer(rest) if token.lastgroup != "blank"]
    return rest[: ends[-1]]


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1
