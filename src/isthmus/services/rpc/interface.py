"""What a class that derives from Service declares."""

import dis
import inspect
import re
import sys
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from isthmus.errors import ConfigError
from isthmus.services.rpc.method import Method, read_method

__all__ = ["Interface"]

_NAME = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+", re.ASCII)

_READS = ("LOAD_FAST", "LOAD_GLOBAL", "LOAD_DEREF", "LOAD_ATTR", "IMPORT_NAME")
"""How instructions begin that a body has which makes something."""


class Interface(NamedTuple):
    """A service as both sides know it."""

    service: type
    """The class that declares it."""
    name: str
    """Package and service: "shop.v1.InventoryService"."""
    lock: str | Path | None
    proto: str | Path | None
    idempotent: Collection[str]

    @property
    def package(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def title(self) -> str:
        return f"{self.service.__module__}.{self.service.__qualname__}"

    @property
    def file(self) -> Path | None:
        """Where the class is written; None where it has no file."""
        module = sys.modules.get(self.service.__module__)
        found = getattr(module, "__file__", None)
        return None if found is None else Path(found).resolve()

    def beside(self, path: str | Path) -> Path:
        """Return `path`; a relative one is looked for beside the class."""
        folder = Path.cwd() if self.file is None else self.file.parent
        return folder / path

    def refuse_bad_names(self) -> None:
        """Raises ConfigError."""
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"{self.title}: name={self.name!r}: expected package and service, as "
                "'shop.v1.InventoryService'"
            )

    def methods(self, base: type) -> Sequence[Method]:
        """Return what it declares, in its order; `base` is where the looking ends.

        Raises:
            ConfigError: A method cannot be called from outside, or there is none.
        """
        functions = dict[str, Any]()
        for kind in reversed(self.service.__mro__):
            if issubclass(kind, base) and kind is not base:
                functions |= {
                    name: each for name, each in vars(kind).items() if _is_rpc(name, each)
                }
        found = [read_method(name, each) for name, each in functions.items()]
        for name in self.idempotent:
            if name not in functions:
                raise ConfigError(f"{self.title}: idempotent={name!r}: it has no such method")
        if not found:
            raise ConfigError(f"{self.title} has no method; write one, without _ before its name")
        return [
            each._replace(idempotent=each.idempotent or each.attribute in self.idempotent)
            for each in found
        ]

    def refuse_unwritten(self, kind: type, base: type) -> None:
        """Raises ConfigError if `kind` implements this but leaves out a method, which would
        answer nothing; a name that is almost the method's is told."""
        if kind is self.service:
            return
        methods = self.methods(base)
        known = {each.attribute for each in methods}
        others = [name for name, each in vars(kind).items() if _is_rpc(name, each)]
        for name in (each.attribute for each in methods if each.gives is not None):
            if _does_nothing(getattr(kind, name)):
                close = get_close_matches(name, set(others) - known, n=1)
                hint = f"; is {close[0]} meant to be it?" if close else ""
                raise ConfigError(f"{kind.__qualname__} does not implement {name}{hint}")


def _does_nothing(function: Any) -> bool:
    """Return whether a body reads no name, as `...` does: what it returns is no message."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and not any(
        each.opname.startswith(_READS) for each in dis.get_instructions(code)
    )


def _is_rpc(name: str, thing: object) -> bool:
    return inspect.isfunction(thing) and not name.startswith("_")
