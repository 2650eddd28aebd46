"""Which class a type was at which version: Order has been OrderV1 and OrderV2."""

from collections.abc import Sequence
from typing import Any, get_args, get_origin

from isthmus.errors import ConfigError
from isthmus.schema.kinds import type_name
from isthmus.versions.change import Change
from isthmus.versions.names import Names

__all__ = ["Lineages", "origin"]


def origin(type_: Any) -> Any:
    """Return the class of `type_`, without its arguments."""
    return get_origin(type_) or type_


class Lineages:
    """The changed types, each with its changes by version."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._changes: dict[Any, dict[str, list[Change]]] = {}
        self._heads: dict[Any, Any] = {}

    def add(self, change: Change) -> None:
        """Raises ConfigError if the class that it `was` is another type's past already."""
        was = change.was
        if was is not None and self._heads.setdefault(was, change.subject) is not change.subject:
            raise ConfigError(
                f"{change.name}.was is {type_name(was)}, which is what "
                f"{type_name(self._heads[was])} was, too; give it a class of its own, be it an "
                "empty subclass"
            )
        if was is not None and was in self._changes:
            raise ConfigError(
                f"{change.name}.was is {type_name(was)}, which has changes of its own"
            )
        if change.subject in self._heads:
            raise ConfigError(
                f"{change.name} changes {type_name(change.subject)}, which is what "
                f"{type_name(self._heads[change.subject])} was; change that one"
            )
        self._changes.setdefault(change.subject, {}).setdefault(change.version, []).append(change)

    @property
    def heads(self) -> Sequence[Any]:
        return list(self._changes)

    def head(self, type_: Any) -> Any | None:
        """Return the class at HEAD of what `type_` is or was; None if it never changed."""
        cls = origin(type_)
        try:
            return cls if cls in self._changes else self._heads.get(cls)
        except TypeError:  # unhashable: no class
            return None

    def versions(self, head: Any) -> Sequence[str]:
        """Return the versions that changed `head`, newest first."""
        return [name for name in self._names.all if name in self._changes.get(head, {})]

    def changes(self, head: Any, version: str) -> Sequence[Change]:
        """Return what `version` changed of `head`, in the order of declaration."""
        return self._changes.get(head, {}).get(version, ())

    def written_for(self, was: Any) -> str | None:
        """Return the newest version at which a type was of the class `was`; None if none."""
        head = self._heads.get(origin(was))
        for version in self.versions(head):
            if any(change.was is origin(was) for change in self.changes(head, version)):
                return self._names.all[self._names.age(version) + 1]
        return None

    def shape(self, type_: Any, version: str) -> Any:
        """Return the class that `type_` was at `version`, as far as it is known: the `was` of
        the first change after it that has one, else as it is at HEAD."""
        head = self.head(type_)
        for newer in self._names.after(version):
            for change in self.changes(head, newer):
                if change.was is not None:
                    return _with_arguments(change.was, type_)
        return type_ if origin(type_) is head else _with_arguments(head, type_)

    def is_known(self, type_: Any, version: str) -> bool:
        """Return whether a request's `type_` at `version` is what `shape` says."""
        head = self.head(type_)
        for newer in self._names.after(version):
            changes = self.changes(head, newer)
            if any(change.was is not None for change in changes):
                return True
            if any(change.upgrade is not None for change in changes):
                return False
        return True


def _with_arguments(cls: Any, type_: Any) -> Any:
    """Return `cls` with the arguments of `type_`, if it takes any: PageV1[Order]."""
    arguments = get_args(type_)
    return cls[arguments] if arguments and getattr(cls, "__parameters__", ()) else cls
