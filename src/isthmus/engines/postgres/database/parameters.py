"""`:name` parameters, as PostgreSQL numbers them.

Strings, quoted names, dollar quotes, comments and `::casts` are left as they are. Only a
slice with names for bounds, `a[first:last]`, looks like a parameter: write `a[first : last]`.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from isthmus.errors import StatementError

__all__ = ["Compiled", "compiled"]

_TOKEN = re.compile(
    r"""
      (?P<comment>  --[^\n]* | /\* )
    | (?P<quoted>
        [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
      | \$\$.*?\$\$ | \$(?P<tag>[^\W\d]\w*)\$.*?\$(?P=tag)\$ )
    | (?P<cast>     :: | := )
    | (?P<parameter> :(?P<name>[^\W\d]\w*) )
    | (?P<word>     [^\W\d][\w$]* | \d[\w.]* )
    | (?P<end>      ; )
    | (?P<blank>    \s+ )
    | (?P<other>    . )
    """,
    re.VERBOSE | re.DOTALL,
)
_NESTING = re.compile(r"/\*|\*/")

_ENDING = frozenset(
    {"abort", "begin", "commit", "end", "release", "rollback", "savepoint", "start"}
)
_ESCAPING = frozenset({"copy", "discard", "listen", "unlisten", "vacuum"})
_CHANGING = frozenset({"insert", "update", "delete", "merge"})


class Compiled(NamedTuple):
    """A statement as the database takes it."""

    text: str
    names: tuple[str, ...]
    """Of the parameters, in the order of their numbers."""
    words: frozenset[str]
    verb: str

    def values(self, parameters: Mapping[str, Any]) -> list[Any]:
        """Raises: StatementError: One is missing."""
        try:
            return [parameters[name] for name in self.names]
        except KeyError as error:
            raise StatementError(
                f"parameter :{error.args[0]} was not given, in: {self.text[:200]}"
            ) from error

    @property
    def changes(self) -> bool:
        """Whether it may change rows."""
        return not self.words.isdisjoint(_CHANGING)

    @property
    def counting(self) -> str:
        """The statement, made to return a row for each that it changes; "" if it can't be."""
        if "returning" in self.words:
            return self.text
        plain = self.verb in {"insert", "update", "delete"}
        if plain or (self.verb == "with" and self.changes and "merge" not in self.words):
            return f"{self.text} RETURNING 1"
        return ""


@lru_cache(maxsize=2048)
def compiled(sql: str) -> Compiled:
    """Raises: StatementError: It would end the transaction, or reach out of it, or is several."""
    text, words, numbers, place, ended = list[str](), list[str](), dict[str, int](), 0, False
    while place < len(sql):
        token = _TOKEN.match(sql, place)
        assert token is not None
        kind, place = token.lastgroup, token.end()
        if kind == "comment" and token[0] == "/*":
            place = _end_of_comment(sql, place)
        if kind in {"comment", "blank"}:
            text.append(" ")
            continue
        if ended:
            raise StatementError(f"one statement at a time; this is more: {sql[:200]}")
        if kind == "end":
            ended = True
        elif kind == "parameter":
            text.append(f"${numbers.setdefault(token['name'], len(numbers) + 1)}")
        else:
            text.append(token[0])
            words += [token[0].lower()] if kind == "word" else []
    verb = words[0] if words else ""
    _require_plain(verb)
    return Compiled("".join(text).strip(), tuple(numbers), frozenset(words), verb)


def _end_of_comment(sql: str, place: int) -> int:
    depth = 1
    while depth:
        mark = _NESTING.search(sql, place)
        if mark is None:
            raise StatementError(f"a comment has no end: {sql[:200]}")
        depth += 1 if mark[0] == "/*" else -1
        place = mark.end()
    return place


def _require_plain(verb: str) -> None:
    if verb in _ENDING:
        raise StatementError(
            f"{verb.upper()} cannot run here: the transaction begins, commits and rolls back "
            "by itself"
        )
    if verb in _ESCAPING:
        raise StatementError(
            f"{verb.upper()} cannot run in a transaction of isthmus; run it on a connection "
            "of your own"
        )
