"""Print the public API, a line for each name, sorted; or compare it with the one agreed on.

Public is what a face names in `__all__`: `isthmus` itself, its top-level files, and the
`__init__` of its rooms. The files within a room are the room's own, and so are the engines,
whose face is `isthmus.contracts`.
"""

import argparse
import difflib
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from enum import Enum
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, ForwardRef, Unpack, get_args, get_origin, get_overloads

NOT_FACES = {"isthmus.engines", "isthmus.cli"}
SHOWN_ANYWAY = {"__call__", "__aiter__", "__aenter__", "__await__"}
PLAIN = (str, bytes, int, float, tuple, frozenset)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", type=Path, metavar="FILE", help="compare with FILE instead")
    agreed: Path | None = parser.parse_args().check
    lines = public_api()
    if agreed is None:
        print("\n".join(lines))
        return 0
    return compare(agreed.read_text().splitlines(), lines)


def compare(agreed: list[str], lines: list[str]) -> int:
    changes = list(difflib.unified_diff(agreed, lines, n=0, lineterm=""))[2:]
    if changes:
        print("the public API is not the one agreed on:", *changes, sep="\n")
        print("if that is wanted: 'make api' accepts it, and CHANGELOG.md tells the users")
    return bool(changes)


def public_api() -> list[str]:
    """Every line; a thing that two faces show is described at the deeper one."""
    described: dict[int, str] = {}
    lines: list[str] = []
    for face in sorted(faces(), key=lambda face: -face.__name__.count(".")):
        for name in face.__all__:
            path, thing = f"{face.__name__}.{name}", getattr(face, name)
            first = described.setdefault(id(thing), path) if named(thing) else path
            lines += describe(path, thing) if first == path else [f"{path} = {first}"]
    return sorted(lines, key=lambda line: re.sub("^(async|class) ", "", line))


def named(thing: object) -> bool:
    return hasattr(thing, "__qualname__")


def faces(name: str = "isthmus") -> Iterator[ModuleType]:
    module = importlib.import_module(name)
    if hasattr(module, "__all__"):
        yield module
    for inner in pkgutil.iter_modules(getattr(module, "__path__", []), f"{name}."):
        is_face = inner.ispkg or name == "isthmus"
        if is_face and inner.name not in NOT_FACES and "._" not in inner.name:
            yield from faces(inner.name)


def describe(path: str, thing: Any) -> Iterator[str]:
    if get_origin(thing) is not None:
        yield f"{path} = {brief(inspect.formatannotation(thing))}"
    elif inspect.isclass(thing):
        yield from describe_class(path, thing)
    elif callable(thing) and (signatures := signed(thing)):
        mark = "async " if inspect.iscoroutinefunction(thing) else ""
        yield from (f"{mark}{path}{signature}" for signature in signatures)
        yield from (f"{mark}{path}(**{word})" for word in words(thing))
    elif isinstance(thing, PLAIN):
        yield f"{path} = {brief(repr(thing))}"
    elif inspect.ismemberdescriptor(thing):
        yield path
    else:
        yield f"{path}: {type(thing).__qualname__}"


def describe_class(path: str, cls: type) -> Iterator[str]:
    bases = ", ".join(base.__name__ for base in cls.__bases__ if base is not object)
    yield f"class {path}({bases})"
    yield from (f"{path}{signature}" for signature in constructor(cls))
    for owner in [cls, *(base for base in cls.__mro__ if base.__name__.startswith("_"))]:
        annotations = inspect.get_annotations(owner)
        for name in sorted(annotations.keys() | vars(owner).keys()):
            if not name.startswith("_") or name in SHOWN_ANYWAY:
                yield from describe_member(f"{path}.{name}", annotations, vars(owner).get(name))


def describe_member(path: str, annotations: dict[str, Any], member: Any) -> Iterator[str]:
    name = path.rpartition(".")[2]
    if name in annotations:
        yield f"{path}: {brief(inspect.formatannotation(annotations[name]))}"
    elif isinstance(member, (property, cached_property)):
        getter = member.fget if isinstance(member, property) else member.func
        yield from (f"{path}: {returned(one)}" for one in signed(getter))
    elif isinstance(member, (staticmethod, classmethod)):
        yield from describe(path, member.__func__)
    else:
        yield from describe(path, member)


def returned(signature: str) -> str:
    return signature.rpartition(" -> ")[2]


def constructor(cls: type) -> list[str]:
    """How to make one; nothing for what is not made by users (Protocol) or says it elsewhere."""
    makes_none = getattr(cls, "_is_protocol", False) or issubclass(cls, (BaseException, Enum))
    return [] if makes_none else signed(cls)


def words(function: Any) -> list[str]:
    """The keyword arguments that `**options: Unpack[Words]` stands for."""
    unpacked = [
        meant(get_args(parameter.annotation)[0])
        for parameter in inspect.signature(function).parameters.values()
        if get_origin(parameter.annotation) is Unpack
    ]
    return [
        brief(f"{name}: {inspect.formatannotation(kind)}")
        for one in unpacked
        for name, kind in one.__annotations__.items()
    ]


def meant(words: Any) -> Any:
    """The class that is named, where a door names one that is imported only for type checkers."""
    if not isinstance(words, ForwardRef):
        return words
    name = words.__forward_arg__
    homes = [module for key, module in sorted(sys.modules.items()) if key.startswith("isthmus.")]
    return next(vars(home)[name] for home in homes if name in vars(home))


def signed(thing: Any) -> list[str]:
    variants = get_overloads(thing) if inspect.isfunction(thing) else []
    try:
        return [brief(str(inspect.signature(one))) for one in variants or [thing]]
    except (TypeError, ValueError):  # made in C, or not callable after all
        return []


def brief(text: str) -> str:
    """Without addresses, which differ in each run, and without the files that types live in."""
    text = re.sub(r"<([\w.]+)[^<>]* at 0x[0-9a-f]+>", r"<\1>", " ".join(text.split()))
    text = re.sub(r"\*<class '([^']+)'>", r"\1", text)  # Unpack
    return re.sub(
        r"\b(?:typing|datetime|(?:collections|asyncio|isthmus|pathlib)(?:\.[a-z_]\w*)*)\.", "", text
    )


if __name__ == "__main__":
    sys.exit(main())
