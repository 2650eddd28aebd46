"""What a docstring says: in one sentence, at length, and of each parameter."""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from textwrap import dedent
from typing import NamedTuple

__all__ = ["Told", "told"]

_SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Returns?|Yields?|Raises|Attributes|Examples?|Notes?|Source):",
    re.MULTILINE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[^a-z\s])")
_ARGUMENT = re.compile(r"^(\w+)(?: *\([^)\n]*\))?: *(.*(?:\n[ \t]+.*|\n(?=\n))*)", re.MULTILINE)
_FOR_CALLERS = ("Args", "Arguments", "Parameters", "Return", "Returns", "Yield", "Yields", "Raises")


class Told(NamedTuple):
    """A docstring, taken apart."""

    summary: str
    """Its first sentence, on one line, without a full stop."""
    description: str
    """The rest, but for what is said to who calls the function in Python."""
    parameters: Mapping[str, str]
    """What is said of each under "Args:"."""


def told(doc: str) -> Told:
    """Return what `doc` says, a docstring without its indentation, as of inspect.getdoc."""
    sections = dict(_sections(doc))
    first, *rest = _SENTENCE.split(sections.pop("", "").strip(), maxsplit=1)
    arguments = dict[str, str]()
    for name in ("Args", "Arguments", "Parameters"):
        arguments |= dict(_arguments(sections.get(name, "")))
    kept = [f"{name}:\n{text}" for name, text in sections.items() if name not in _FOR_CALLERS]
    whole = "\n\n".join([*rest, *kept]).strip()
    return Told(_line(first).rstrip("."), whole, arguments)


def _sections(doc: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each section; the text before the first has no name."""
    starts = [(0, 0, ""), *((m.start(), m.end(), m[1]) for m in _SECTION.finditer(doc))]
    for (_, begin, name), (end, *_) in pairwise([*starts, (len(doc), 0, "")]):
        yield name, doc[begin:end].strip("\n").rstrip()


def _arguments(section: str) -> Iterator[tuple[str, str]]:
    for match in _ARGUMENT.finditer(dedent(section)):
        yield match[1], _line(match[2])


def _line(text: str) -> str:
    return " ".join(text.split())
