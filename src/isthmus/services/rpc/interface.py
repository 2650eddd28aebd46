"""What a class that derives from Service declares."""

import inspect
import re
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from isthmus.errors import ConfigError
from isthmus.services.rpc.method import Method, read_method

__all__ = ["Interface"]

_NAME = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+", re.ASCII)


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


def _is_rpc(name: str, thing: object) -> bool:
    return inspect.isfunction(thing) and not name.startswith("_")
