"""The numbers of fields, kept in a file so that nothing changes on the wire by accident.

A field has its number for ever. A new one gets the next; one that goes leaves its number
reserved. Written by `isthmus proto`, read by servers and stubs.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

from isthmus.errors import ConfigError
from isthmus.services.rpc.contract.draft import Draft, DraftEnum, DraftMessage

__all__ = ["FILE", "Entry", "Lock", "find_lock"]

FILE = "proto.lock"
HEAD = """\
# Numbers of Protobuf fields. Written by `isthmus proto`: commit it, and let nobody else write it.
# A field that was renamed in the code is renamed here by hand, and keeps its number.
"""
OWN = range(19_000, 20_000)
"""Numbers that Protobuf keeps for itself."""
MOST = (1 << 29) - 1


class Entry(NamedTuple):
    """One field, or one value of an enum."""

    number: int
    type: str = ""
    """As in a .proto; "" for values of enums."""
    gone: bool = False
    """Whether it was there once, so that its number stays reserved."""


Entries = Mapping[str, Entry]


class Lock:
    """What is known of every message, enum and service; never changed, only made anew."""

    def __init__(
        self,
        messages: Mapping[str, Entries] | None = None,
        enums: Mapping[str, Entries] | None = None,
        services: Mapping[str, Mapping[str, str]] | None = None,
        *,
        path: Path | None = None,
    ) -> None:
        self.messages, self.enums = messages or {}, enums or {}
        self.services = services or {}
        """By service: the signature of each method."""
        self.path = path
        self.title = FILE if path is None else str(path.name)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises ConfigError if it is no lock file, or gives a number twice."""
        try:
            found = tomllib.loads(path.read_text("utf-8"))
            messages = {name: _entries(each) for name, each in _table(found, "message").items()}
            enums = {name: _entries(each) for name, each in _table(found, "enum").items()}
            services = cast("dict[str, dict[str, str]]", _table(found, "service"))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigError(f"{path} cannot be read as a lock file: {error!r}") from error
        made = cls(messages, enums, services, path=path)
        faults = list(made._faults())
        if faults:
            raise ConfigError(f"{path}:\n" + "\n".join(f"  {each}" for each in faults))
        return made

    def text(self) -> str:
        """Return what is written to the file."""
        lines = [HEAD.rstrip()]
        for service, methods in sorted(self.services.items()):
            lines += ["", f"[service.{_key(service)}]"]
            lines += [f"{_key(name)} = {json.dumps(each)}" for name, each in methods.items()]
        for kind, all_of_it in (("message", self.messages), ("enum", self.enums)):
            for name, entries in sorted(all_of_it.items()):
                lines += ["", f"[{kind}.{_key(name)}]"]
                in_order = sorted(entries.items(), key=lambda item: item[1].number)
                lines += [f"{_key(field)} = {_entry(entry)}" for field, entry in in_order]
        return "\n".join(lines) + "\n"

    def settled(self, draft: Draft) -> "tuple[Lock, Sequence[str]]":
        """Return the lock with all that `draft` has in it, and what of that is new or gone.

        Raises:
            ConfigError: Something has another type than under its number before; all such are
                told, with the way out.
        """
        changes, faults = list[str](), list[str]()
        messages, enums = dict(self.messages), dict(self.enums)
        for message in draft.messages.values():
            messages[message.name] = self._message(message, changes, faults)
        for each in draft.enums.values():
            enums[each.name] = self._enum(each, changes, faults)
        methods = self._methods(draft, changes, faults)
        if faults:
            told = "\n".join(f"  {fault}" for fault in faults)
            raise ConfigError(f"{draft.service} does not agree with {self.title}:\n{told}")
        services = {**self.services, draft.service: methods}
        return Lock(messages, enums, services, path=self.path), changes

    def _message(self, message: DraftMessage, changes: list[str], faults: list[str]) -> Entries:
        known = self.messages.get(message.name, {})
        entries = dict(known)
        number = _next(known)
        for field in message.fields:
            at, old = f"{message.name}.{field.name}", known.get(field.name)
            if old is None:
                entries[field.name] = Entry(number, field.type)
                changes.append(f"{at} = {number}, new")
                number = _after(number)
            elif old.type != field.type:
                faults.append(
                    f"{at}: number {old.number} is {old.type}, and would be {field.type}: "
                    "give the field another name, so that it gets a number of its own"
                )
            elif old.gone:
                entries[field.name] = old._replace(gone=False)
                changes.append(f"{at} = {old.number}, back again")
        self._leave(message.name, [field.name for field in message.fields], entries, changes)
        if number > MOST:
            faults.append(f"{message.name}: no number is left below {MOST}")
        return entries

    def _enum(self, each: DraftEnum, changes: list[str], faults: list[str]) -> Entries:
        known = self.enums.get(each.name, {})
        entries, number = dict(known), max([0, *(entry.number for entry in known.values())]) + 1
        own = [given for _, given in each.values if given is not None]
        number = max([number, *(given + 1 for given in own)])
        for name, given in each.values:
            at, old = f"{each.name}.{name}", known.get(name)
            if old is not None and given not in {None, old.number}:
                faults.append(
                    f"{at}: its number is {old.number}, and would be {given}: give the value "
                    "another name, or its old number"
                )
            elif old is None and (taken := _taken(known, given)):
                faults.append(f"{at}: number {given} is {taken}'s: take another number")
            elif old is None:
                entries[name] = Entry(number if given is None else given)
                changes.append(f"{at} = {entries[name].number}, new")
                number += given is None
            elif old.gone:
                entries[name] = old._replace(gone=False)
                changes.append(f"{at} = {old.number}, back again")
        self._leave(each.name, [name for name, _ in each.values], entries, changes)
        return entries

    def _leave(
        self, owner: str, there: Sequence[str], entries: dict[str, Entry], changes: list[str]
    ) -> None:
        for name, entry in entries.items():
            if name not in there and not entry.gone:
                entries[name] = entry._replace(gone=True)
                changes.append(f"{owner}.{name} = {entry.number}, gone: reserved")

    def _methods(self, draft: Draft, changes: list[str], faults: list[str]) -> Mapping[str, str]:
        known = self.services.get(draft.service, {})
        methods = {each.method.name: each.signature for each in draft.methods}
        for name, signature in methods.items():
            old = known.get(name)
            if old is None:
                changes.append(f"{draft.service}/{name}, new")
            elif old != signature:
                faults.append(
                    f"{draft.service}/{name} is {old}, and would be {signature}: give the method "
                    "another name, or the package another version; if a class was renamed, rename "
                    "it in the lock too"
                )
        changes += [f"{draft.service}/{name}, gone" for name in known if name not in methods]
        return methods

    def _faults(self) -> Iterator[str]:
        for kind in (self.messages, self.enums):
            for owner, entries in kind.items():
                yield from _twice(owner, entries)


def find_lock(module: Path | None, *, wanted: Path | None = None) -> Path | None:
    """Return the lock of a module's classes: the nearest `proto.lock` in its folder, or in one
    above it up to where its package lies; None if there is none."""
    if wanted is not None:
        return wanted
    if module is None:
        return None
    folder = module.parent
    while True:
        if (folder / FILE).is_file():
            return folder / FILE
        if not (folder / "__init__.py").is_file():
            return None
        folder = folder.parent


def _twice(owner: str, entries: Entries) -> Iterator[str]:
    seen = dict[int, str]()
    for name, entry in entries.items():
        if (other := seen.setdefault(entry.number, name)) != name:
            yield (
                f"{owner}: {other} and {name} both have number {entry.number}; a number is never "
                "used again: give the newer one the next"
            )


def _taken(known: Entries, number: int | None) -> str:
    return next((name for name, entry in known.items() if entry.number == number), "")


def _next(known: Entries) -> int:
    return _after(max((entry.number for entry in known.values()), default=0))


def _after(number: int) -> int:
    return OWN.stop if number + 1 in OWN else number + 1


def _table(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", found.get(name, {}))


def _entries(table: Mapping[str, Any]) -> Entries:
    return {name: _read(name, each) for name, each in table.items()}


def _read(name: str, each: Any) -> Entry:
    entry = Entry(each["number"], each.get("type", ""), each.get("gone", False))
    if type(entry.number) is not int or not 0 <= entry.number < 1 << 31:
        raise ValueError(f"{name}: number = {entry.number!r}")
    return entry


def _entry(entry: Entry) -> str:
    said = [f"number = {entry.number}"]
    said += [f"type = {json.dumps(entry.type)}"] * bool(entry.type)
    said += ["gone = true"] * entry.gone
    return "{ " + ", ".join(said) + " }"


def _key(name: str) -> str:
    plain = name.replace("_", "").replace("-", "")
    return name if plain.isascii() and plain.isalnum() else json.dumps(name)
